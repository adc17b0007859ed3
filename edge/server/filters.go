package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/registry"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// filter returns a filter of the file as a route uses it: with its current version,
// or with the one that the route is pinned to. It is nil if it cannot be made.
func (b *builder) filter(use config.FilterUse, at diag.Place) *filter {
	if f, done := b.filters[use]; done {
		return f
	}
	c := b.file.Filter(use.Name)
	if b.offline {
		b.filters[use] = newFilter(c, use.Version)
		return b.filters[use]
	}
	f, err := b.newFilter(c, use.Version)
	if err != nil {
		b.problems.Errorf(at, "%s", reasons(err))
	}
	b.filters[use] = f
	return f
}

func (b *builder) newFilter(c *config.Filter, pin int) (*filter, error) {
	var m *wasm.Module
	defer func() {
		if m != nil {
			m.Close()
		}
	}()
	current, err := b.s.filters.uploaded(c.Name, pin)
	if pin == 0 && c.Wasm != "" {
		current, err = b.s.filters.seed(c.Name, c.Wasm, func(binary []byte) (string, error) {
			var abi string
			m, abi, err = b.s.checkFilter(context.Background(), binary, c, b.s.log)
			return abi, err
		})
	}
	var w wanted
	if err == nil {
		w, err = b.s.filters.wanted(c.Name, pin, &c.Deploy, current, b.file.Log.Redact)
	}
	plain := *c
	plain.Place, plain.Deploy = diag.Place{}, config.Deploy{}
	f, _ := keep(b.used.filters, b.s.shared.filters, canonical(plain, pin), func() (*filter, error) {
		return newFilter(c, pin), nil
	})
	var d *deployment[*filters.Filter]
	switch {
	case err != nil:
	case len(w.versions) == 0:
		b.problems.Warnf(c.Place, "nothing has been uploaded for the filter %q", c.Name).Hint = fmt.Sprintf("sluice filter push %s FILE.wasm", c.Name)
		return f, nil
	case f.live.runs(&w):
		return f, nil
	default:
		d, err = b.s.prepareFilter(f, &w)
	}
	if damage := damaged(err); damage != nil && f.live.current.Load() == nil {
		b.denies("filter", c.Name, c.Place, err)
		b.deploy(func() { f.live.damage.Store(damage) }, func() {})
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	b.deploy(func() { f.live.deploy(d) }, d.close)
	return f, nil
}

// checkFilter compiles a module and makes an instance of it, with what the filter
// allows it, and returns the name of its ABI. Who gets the module closes it.
func (s *Server) checkFilter(ctx context.Context, binary []byte, c *config.Filter, log *slog.Logger) (*wasm.Module, string, error) {
	m, err := filters.Compile(ctx, s.wasm, binary)
	if err != nil {
		return nil, "", err
	}
	cfg := s.filterConfig(c, 0)
	cfg.Log = log
	cfg.Host, cfg.Proxy = s.quiet(ofFilter, c.Name, &c.Allow), quietProxy(cfg.Proxy)
	f, err := filters.New(m, cfg)
	if err != nil {
		m.Close()
		return nil, "", err
	}
	defer f.Close()
	return m, string(f.ABI()), nil
}

// loadFilter loads a version of a filter's module. In shadow it can change nothing that
// others see.
func (s *Server) loadFilter(c *config.Filter, v registry.Version, shadow bool) (*filters.Filter, error) {
	binary, err := s.filters.Load(v.Digest)
	if err != nil {
		return nil, err
	}
	cfg := s.filterConfig(c, v.Number)
	if shadow {
		cfg.Log = cfg.Log.With("shadow", true)
		cfg.Host, cfg.Proxy = s.quiet(ofFilter, c.Name, &c.Allow), quietProxy(cfg.Proxy)
	}
	return filters.Load(context.Background(), s.wasm, binary, cfg)
}

// readyFilter returns what makes the configured deployment of a filter live, with v as
// the current version. It does nothing if no configuration has the filter, and live is 0.
// s.changing is held.
func (s *Server) readyFilter(name string, v registry.Version) (p pending, live int, err error) {
	file := s.snapshot.Load().file
	c := file.Filter(name)
	for _, f := range s.shared.filters {
		if f.name != name || f.pin != 0 || c == nil {
			continue
		}
		w, err := s.filters.wanted(name, 0, &c.Deploy, v, file.Log.Redact)
		switch {
		case err != nil:
			return nothing(), 0, err
		case f.live.runs(&w):
			return nothing(), w.live(v), nil
		}
		d, err := s.prepareFilter(f, &w)
		if err != nil {
			return nothing(), 0, err
		}
		return pending{func() { f.live.deploy(d) }, d.close}, w.live(v), nil
	}
	return nothing(), 0, nil
}

// Filters returns all filters: those of the configuration and those that were
// uploaded.
func (s *Server) Filters() []api.Filter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listFilters()
}

// Filter returns one filter.
func (s *Server) Filter(name string) (api.Filter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if names := s.filterNames(); !slices.Contains(names, name) {
		return api.Filter{}, s.filters.missing(name, names)
	}
	return s.describeFilter(name), nil
}

// filterNames returns the names of all filters, sorted. s.mu is held.
func (s *Server) filterNames() []string {
	names := s.filters.List()
	for _, f := range s.snapshot.Load().file.Filters {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// listFilters returns all filters. s.mu is held.
func (s *Server) listFilters() []api.Filter {
	all := []api.Filter{}
	for _, name := range s.filterNames() {
		all = append(all, s.describeFilter(name))
	}
	return all
}

// describeFilter returns a filter as the API shows it. s.mu is held.
func (s *Server) describeFilter(name string) api.Filter {
	d := api.Filter{Name: name, Routes: filterRoutes(s.snapshot.Load().file, name)}
	gone := s.filters.past(name)
	d.Runs, d.Failures = gone.runs.Load(), gone.failures.Load()
	for _, f := range s.shared.filters {
		if f.name != name {
			continue
		}
		if damage := f.live.damage.Load(); damage != nil {
			d.Damage = damage.Error()
		}
		v := f.live.acquire()
		if v == nil {
			continue
		}
		if f.pin == 0 {
			d.Live = v.main().number
			d.Deployment = describeDeployment(v, name, &s.meters.filters)
		}
		for _, one := range v.running {
			st := one.guest.Stats()
			d.Runs += st.Calls
			d.Failures += failures(st)
		}
		v.release()
	}
	s.complete(s.ofFilters(), name, &d.Deployment)
	d.Versions = s.filters.all(name, &d.Deployment)
	return d
}

// filterRoutes returns the routes that a filter runs on, as site/route.
func filterRoutes(file *config.File, name string) []string {
	return routesWith(file, func(u config.FilterUse) bool { return u.Name == name })
}

// filterPins returns those that are pinned to one of its versions.
func filterPins(file *config.File, name string) []string {
	return routesWith(file, func(u config.FilterUse) bool { return u.Name == name && u.Version != 0 })
}

// routesWith returns the routes that run a filter of which it is true.
func routesWith(file *config.File, is func(config.FilterUse) bool) []string {
	routes := []string{}
	for i := range file.Sites {
		st := &file.Sites[i]
		for j := range st.Routes {
			r := &st.Routes[j]
			if r.Redirect != nil || r.Respond != nil {
				continue // answered before its filters
			}
			if slices.ContainsFunc(r.Filters, is) {
				routes = append(routes, fullName(st.Name, r.Name))
			}
		}
	}
	return routes
}
