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
	fn "github.com/sluice-edge/sluice/filters/function"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/registry"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// function returns a function of the file as a target names it: with its current
// version, or with the one that it is pinned to. It is nil if it cannot be made.
func (b *builder) function(name string, pin int, at diag.Place) *function {
	use := config.FilterUse{Name: name, Version: pin}
	if f, done := b.functions[use]; done {
		return f
	}
	c := b.file.Function(name)
	if b.offline {
		b.functions[use] = newFunction(c, pin, nil)
		return b.functions[use]
	}
	f, err := b.newFunction(c, pin)
	if err != nil {
		b.problems.Errorf(at, "%s", reasons(err))
	}
	b.functions[use] = f
	return f
}

func (b *builder) newFunction(c *config.Function, pin int) (*function, error) {
	var m *wasm.Module
	defer func() {
		if m != nil {
			m.Close()
		}
	}()
	current, err := b.s.functions.uploaded(c.Name, pin)
	if pin == 0 && c.Wasm != "" {
		current, err = b.s.functions.seed(c.Name, c.Wasm, func(binary []byte) (string, error) {
			var abi string
			m, abi, err = b.s.checkFunction(context.Background(), binary, c, b.s.log)
			return abi, err
		})
	}
	var w wanted
	if err == nil {
		w, err = b.s.functions.wanted(c.Name, pin, &c.Deploy, current, b.file.Log.Redact)
	}
	plain := *c
	plain.Place, plain.Deploy, plain.Every = diag.Place{}, config.Deploy{}, 0
	f, _ := keep(b.used.functions, b.s.shared.functions, canonical(plain, pin), func() (*function, error) {
		j, _ := keep(b.used.journals, b.s.shared.journals, c.Name, func() (*journal.Journal, error) {
			return journal.New(b.s.log.With("function", c.Name), journal.Config{}), nil
		})
		return newFunction(c, pin, j), nil
	})
	b.used.journals[c.Name] = f.journal
	var d *deployment[*fn.Function]
	switch {
	case err != nil:
	case len(w.versions) == 0:
		b.problems.Warnf(c.Place, "nothing has been uploaded for the function %q", c.Name).Hint = fmt.Sprintf("sluice fn push %s FILE.wasm", c.Name)
		return f, nil
	case f.live.runs(&w):
		return f, nil
	default:
		d, err = b.s.prepareFunction(f, &w)
	}
	if damage := damaged(err); damage != nil && f.live.current.Load() == nil {
		b.denies("function", c.Name, c.Place, err)
		b.deploy(func() { f.live.damage.Store(damage) }, func() {})
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	b.deploy(func() { f.live.deploy(d) }, d.close)
	return f, nil
}

// checkFunction compiles a module, and returns the name of its ABI. Who gets the
// module closes it.
func (s *Server) checkFunction(ctx context.Context, binary []byte, c *config.Function, log *slog.Logger) (*wasm.Module, string, error) {
	m, err := fn.Compile(ctx, s.wasm, binary)
	if err != nil {
		return nil, "", err
	}
	cfg := s.functionConfig(c, 0, nil)
	cfg.Log = log
	cfg.Host = s.quiet(ofFunction, c.Name, &c.Allow)
	f, err := fn.New(m, cfg)
	if err != nil {
		m.Close()
		return nil, "", err
	}
	defer f.Close()
	if f.Kind() == fn.HTTPWasm {
		return m, string(filters.HTTPWasm), nil
	}
	return m, "wasi", nil
}

// loadFunction loads a version of a function's module, as loadFilter does.
func (s *Server) loadFunction(c *config.Function, j *journal.Journal, v registry.Version, shadow bool) (*fn.Function, error) {
	binary, err := s.functions.Load(v.Digest)
	if err != nil {
		return nil, err
	}
	cfg := s.functionConfig(c, v.Number, j)
	if shadow {
		cfg.Log = cfg.Log.With("shadow", true)
		cfg.Host = s.quiet(ofFunction, c.Name, &c.Allow)
	}
	return fn.Load(context.Background(), s.wasm, binary, cfg)
}

// readyFunction returns what makes the configured deployment of a function live, as
// readyFilter does.
func (s *Server) readyFunction(name string, v registry.Version) (p pending, live int, err error) {
	file := s.snapshot.Load().file
	c := file.Function(name)
	for _, f := range s.shared.functions {
		if f.name != name || f.pin != 0 || c == nil {
			continue
		}
		w, err := s.functions.wanted(name, 0, &c.Deploy, v, file.Log.Redact)
		switch {
		case err != nil:
			return nothing(), 0, err
		case f.live.runs(&w):
			return nothing(), w.live(v), nil
		}
		d, err := s.prepareFunction(f, &w)
		if err != nil {
			return nothing(), 0, err
		}
		return pending{func() { f.live.deploy(d) }, d.close}, w.live(v), nil
	}
	return nothing(), 0, nil
}

// Functions returns all functions: those of the configuration and those that were
// uploaded.
func (s *Server) Functions() []api.Function {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listFunctions()
}

// Function returns one function.
func (s *Server) Function(name string) (api.Function, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if names := s.functionNames(); !slices.Contains(names, name) {
		return api.Function{}, s.functions.missing(name, names)
	}
	return s.describeFunction(name), nil
}

// FunctionJournal returns what a function has said.
func (s *Server) FunctionJournal(name string) (*journal.Journal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.shared.journals[name]; j != nil {
		return j, nil
	}
	names := s.functionNames()
	if slices.Contains(names, name) {
		return journal.New(s.log, journal.Config{}), nil // no configuration has it: it has said nothing
	}
	return nil, s.functions.missing(name, names)
}

// functionNames returns the names of all functions, sorted. s.mu is held.
func (s *Server) functionNames() []string {
	names := s.functions.List()
	for _, f := range s.snapshot.Load().file.Functions {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// listFunctions returns all functions. s.mu is held.
func (s *Server) listFunctions() []api.Function {
	all := []api.Function{}
	for _, name := range s.functionNames() {
		all = append(all, s.describeFunction(name))
	}
	return all
}

// describeFunction returns a function as the API shows it. s.mu is held.
func (s *Server) describeFunction(name string) api.Function {
	d := api.Function{Name: name, Routes: functionRoutes(s.snapshot.Load().file, name), Schedule: s.describeSchedule(name)}
	gone := s.functions.past(name)
	d.Runs, d.Failures = gone.runs.Load(), gone.failures.Load()
	for _, f := range s.shared.functions {
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
			d.Deployment = describeDeployment(v, name, &s.meters.programs)
		}
		for _, one := range v.running {
			st := one.guest.Stats()
			d.Runs += st.Calls
			d.Failures += failures(st)
			d.Running += st.Instances
		}
		v.release()
	}
	s.complete(s.ofFunctions(), name, &d.Deployment)
	d.Versions = s.functions.all(name, &d.Deployment)
	return d
}

// functionRoutes returns the routes that a function answers, as site/route.
func functionRoutes(file *config.File, name string) []string {
	return routesTo(file, func(t config.Target) bool { return t.Function == name })
}

// functionPins returns those that are pinned to one of its versions.
func functionPins(file *config.File, name string) []string {
	return routesTo(file, func(t config.Target) bool { return t.Function == name && t.Version != 0 })
}

// routesTo returns the routes that have a target of which it is true.
func routesTo(file *config.File, is func(config.Target) bool) []string {
	routes := []string{}
	for i := range file.Sites {
		st := &file.Sites[i]
		for j := range st.Routes {
			r := &st.Routes[j]
			if is(r.To) || r.Split != nil && slices.ContainsFunc(r.Split.Arms, func(a config.Arm) bool { return is(a.Target) }) {
				routes = append(routes, fullName(st.Name, r.Name))
			}
		}
	}
	return routes
}
