package server

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/proxywasm"
	"github.com/sluice-edge/sluice/filters/registry"
)

// The roles by which guests have metrics of their own, which are labels of those, too.
const (
	ofFilter   = "filter"
	ofFunction = "function"
)

// guests is what guests have of the proxy besides the exchanges that they are for.
type guests struct {
	meters *hostmod.Registry
	data   *proxywasm.Shared

	mu     sync.Mutex // guards the following fields
	keys   *kv.Store  // nil until somebody wants it
	closed bool
	left   bool // nothing lingers any more

	lingering sync.WaitGroup
}

// linger runs beside what waits for a guest that goes on for a while when it is closed.
func (g *guests) linger(wait func()) {
	g.mu.Lock()
	left := g.left
	if !left {
		g.lingering.Go(wait)
	}
	g.mu.Unlock()
	if left {
		wait()
	}
}

// leave waits until nothing lingers.
func (g *guests) leave() {
	g.mu.Lock()
	g.left = true
	g.mu.Unlock()
	g.lingering.Wait()
}

// Keys returns the key-value store, which is opened when it is first wanted.
func (s *Server) Keys() (*kv.Store, error) {
	g := &s.guests
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, kv.ErrClosed
	}
	if g.keys == nil {
		var err error
		if g.keys, err = kv.Open(s.keysPath(), kv.Config{Log: s.log}); err != nil {
			return nil, err
		}
	}
	return g.keys, nil
}

// needs returns what keeps guests from what they are allowed: a store of keys that cannot
// be opened is damage of the state directory as modules' is. Without it they would go on
// as if nothing had ever been kept.
func (s *Server) needs(a *config.Allow) error {
	if len(a.KV) == 0 {
		return nil
	}
	_, err := s.Keys()
	if err == nil || errors.Is(err, kv.ErrClosed) {
		return err
	}
	return &registry.Damaged{Path: s.keysPath(), Err: errors.Unwrap(err), Cure: "restore the file from a backup; or move it away, restart, and go on without what it has"}
}

func (s *Server) keysPath() string { return filepath.Join(s.state.dir, "kv") }

func (g *guests) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.keys == nil {
		return nil
	}
	return g.keys.Close()
}

// grants returns what the file allows.
func grants(a *config.Allow) hostmod.Grants {
	g := hostmod.Grants{KV: a.KV, Fetch: a.Fetch, Metrics: a.Metrics, Route: a.Route, Hints: a.Hints, Secrets: make(map[string]string)}
	for _, p := range a.Secrets {
		g.Secrets[p.Name] = p.Value
	}
	return g
}

// granted returns what a filter or function has of the module "sluice".
func (s *Server) granted(role, name string, a *config.Allow) *hostmod.Guest {
	return s.guest(role, name, a, hostmod.Env{Metrics: s.guests.meters.Of(role, name), Log: s.log.With(role, name)})
}

// quiet returns what one has that is to have no effect: its metrics are its own, and
// nothing of it is logged.
func (s *Server) quiet(role, name string, a *config.Allow) *hostmod.Guest {
	own := hostmod.NewRegistry(hostmod.MeterConfig{})
	return s.guest(role, name, a, hostmod.Env{Metrics: own.Of(role, name), Log: slog.New(slog.DiscardHandler), Quiet: true})
}

// quietProxy returns what a guest of proxy-wasm has besides that is to have no effect:
// data and metrics of its own.
func quietProxy(p filters.Proxy) filters.Proxy {
	return filters.Proxy{Root: p.Root, VM: p.VM, Upstream: p.Upstream, Fetch: p.Fetch, Quiet: true}
}

func (s *Server) guest(role, name string, a *config.Allow, env hostmod.Env) *hostmod.Guest {
	env.Upstream = func(name string) (edge.Handler, bool) { return s.target(name, false) }
	env.Function = func(name string) (edge.Handler, bool) { return s.target(name, true) }
	if len(a.KV) > 0 {
		var err error
		if env.KV, err = s.Keys(); err != nil {
			s.log.Error("guests have no keys", role, name, "err", err)
		}
	}
	return hostmod.New(grants(a), env)
}

// target returns an upstream or function of the configuration in force that guests may
// name.
func (s *Server) target(name string, function bool) (edge.Handler, bool) {
	snap := s.snapshot.Load()
	if snap == nil {
		return nil, false
	}
	of := snap.upstreamTargets
	if function {
		of = snap.functionTargets
	}
	a, ok := of[name]
	return a, ok
}

// targets builds what guests may name: where one chooses for a request, that is all
// there is.
func (b *builder) targets(snap *snapshot) {
	snap.upstreamTargets, snap.functionTargets = make(map[string]*arm), make(map[string]*arm)
	var all []*config.Allow
	for i := range b.file.Filters {
		all = append(all, &b.file.Filters[i].Allow)
	}
	for i := range b.file.Functions {
		all = append(all, &b.file.Functions[i].Allow)
	}
	add := func(name string, at diag.Place) {
		if snap.upstreamTargets[name] == nil {
			a := b.arm("", config.Target{Upstream: name}, at)
			snap.upstreamTargets[name] = &a
		}
	}
	for _, a := range all {
		for _, name := range a.Fetch {
			add(name, a.Place)
		}
	}
	if !slices.ContainsFunc(all, func(a *config.Allow) bool { return a.Route }) {
		return
	}
	for i := range b.file.Upstreams {
		add(b.file.Upstreams[i].Name, b.file.Upstreams[i].Place)
	}
	for i := range b.file.Functions {
		f := &b.file.Functions[i]
		a := b.arm("", config.Target{Function: f.Name}, f.Place)
		snap.functionTargets[f.Name] = &a
	}
}

// Serve implements [edge.Handler], for guests: an arm that is no route's.
func (a *arm) Serve(x *edge.Exchange) error { return a.serve(x, "") }

// exposeGuests tells of the metrics that guests have.
func (s *Server) exposeGuests(w *metrics.Writer) {
	s.guests.meters.All(func(role, name string, m *hostmod.Series) {
		g := metrics.Guest{Name: m.Name, Type: metrics.CounterType, Value: float64(m.Value()), Labels: []string{role}, Values: []string{name}}
		for _, l := range m.Labels {
			g.Labels, g.Values = append(g.Labels, l[0]), append(g.Values, l[1])
		}
		switch m.Kind {
		case hostmod.Gauge:
			g.Type = metrics.GaugeType
		case hostmod.Histogram:
			g.Type = metrics.HistogramType
			g.Below = make(map[float64]uint64, hostmod.Buckets)
			counts := m.Buckets()
			for i, n := range counts {
				g.Count += n
				if i < hostmod.Buckets {
					g.Below[float64(uint64(1)<<i)] = g.Count
				}
			}
		}
		w.Guest(&g)
	})
}

// keepMeters forgets the metrics of guests that a configuration does not have.
func (s *Server) keepMeters(file *config.File) {
	s.guests.meters.Keep(func(role, name string) bool {
		if role == ofFunction {
			return file.Function(name) != nil
		}
		return file.Filter(name) != nil
	})
}
