package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/filters"
	fn "github.com/sluice-edge/sluice/filters/function"
	"github.com/sluice-edge/sluice/filters/registry"
	"github.com/sluice-edge/sluice/filters/trial"
)

// trials is how many modules are tried at once. Others wait.
const trials = 2

// TryFilter runs one request through a stored version of a filter, as the filter is
// configured, apart from all traffic: nothing of it is counted or logged, and it changes nothing, unless
// t says so.
func (s *Server) TryFilter(ctx context.Context, name string, t api.TryRequest) (api.Trial, error) {
	return s.try(ctx, s.filters, name, t, s.filterNames, func(v registry.Version, binary []byte) (*trial.Guest, error) {
		c := s.snapshot.Load().file.Filter(name)
		if c == nil {
			c = &config.Filter{Name: name}
		}
		m, err := filters.Compile(ctx, s.wasm, binary)
		if err != nil {
			return nil, err
		}
		defer m.Close()
		cfg := s.filterConfig(c, v.Number)
		if !t.Effects {
			cfg.Host, cfg.Proxy = s.quiet(ofFilter, c.Name, &c.Allow), quietProxy(cfg.Proxy)
		}
		return trial.NewFilter(m, cfg, trial.Config{})
	})
}

// TryFunction has a stored version of a function answer one request, likewise.
func (s *Server) TryFunction(ctx context.Context, name string, t api.TryRequest) (api.Trial, error) {
	return s.try(ctx, s.functions, name, t, s.functionNames, func(v registry.Version, binary []byte) (*trial.Guest, error) {
		c := s.snapshot.Load().file.Function(name)
		if c == nil {
			c = &config.Function{Name: name}
		}
		m, err := fn.Compile(ctx, s.wasm, binary)
		if err != nil {
			return nil, err
		}
		defer m.Close()
		cfg := s.functionConfig(c, v.Number, nil)
		if !t.Effects {
			cfg.Host = s.quiet(ofFunction, c.Name, &c.Allow)
		}
		return trial.NewFunction(m, cfg, trial.Config{})
	})
}

// try tries the version of a module that t asks for.
func (s *Server) try(ctx context.Context, l *library, name string, t api.TryRequest, names func() []string, load func(registry.Version, []byte) (*trial.Guest, error)) (api.Trial, error) {
	v, err := s.tried(l, name, t.Version, names)
	if err != nil {
		return api.Trial{}, err
	}
	select {
	case s.trying <- struct{}{}:
		defer func() { <-s.trying }()
	case <-ctx.Done():
		return api.Trial{}, context.Cause(ctx)
	}
	binary, err := l.Load(v.Digest)
	if err != nil {
		return api.Trial{}, l.problem(name, err)
	}
	g, err := load(v, binary)
	if err != nil {
		return api.Trial{}, &api.Problem{Title: "cannot be run", Status: http.StatusConflict, Detail: fmt.Sprintf("version %d of the %s %q: %v", v.Number, l.what, name, err)}
	}
	defer g.Close()
	return g.Run(ctx, &t)
}

// tried returns the version of a module that is to be tried: the one with a number, or
// the current one, or the newest if none is current.
func (s *Server) tried(l *library, name string, number int, names func() []string) (registry.Version, error) {
	v, err := l.uploaded(name, number)
	if err == nil && v.Number != 0 {
		return v, nil
	}
	all, none := l.Versions(name)
	switch {
	case number == 0 && len(all) > 0:
		return all[len(all)-1], nil
	case none == nil && err != nil:
		return v, &api.Problem{Title: "no such version", Status: http.StatusNotFound, Detail: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	have := names()
	if !slices.Contains(have, name) {
		return v, l.missing(name, have)
	}
	return v, &api.Problem{Title: "no such version", Status: http.StatusNotFound, Detail: fmt.Sprintf("nothing has been uploaded for the %s %q", l.what, name)}
}
