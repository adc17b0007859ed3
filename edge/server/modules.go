package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/filters/httpwasm"
	"github.com/sluice-edge/sluice/filters/registry"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// maxModule is the largest module that is read from a file, in bytes; uploads are
// bounded by the registry.
const maxModule = 32 << 20

// pending is a version that goes live when the configuration does.
type pending struct {
	filter  *filter
	version *version
}

// filter returns the filter that c describes, with its module's current version.
func (b *builder) filter(c *config.Filter) (*filter, error) {
	binary, err := readModule(c.Wasm)
	if err != nil {
		return nil, err
	}
	var m *wasm.Module
	defer func() {
		if m != nil {
			m.Close()
		}
	}()
	current, _, err := b.s.modules.Seed(c.Name, binary, func(binary []byte) error {
		m, err = b.s.check(context.Background(), binary, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Wasm, err)
	}
	plain := *c
	plain.Place = diag.Place{}
	f, _ := keep(b.used.filters, b.s.shared.filters, canonical(plain), func() (*filter, error) {
		return newFilter(c), nil
	})
	if f.live.number() == current.Number {
		return f, nil
	}
	v, err := b.s.version(c, current)
	if err != nil {
		return nil, err
	}
	b.pending = append(b.pending, pending{f, v})
	return f, nil
}

// check compiles a module and makes an instance of it, with what the filter allows
// it. Who gets the module closes it.
func (s *Server) check(ctx context.Context, binary []byte, c *config.Filter) (*wasm.Module, error) {
	m, err := httpwasm.Compile(ctx, s.wasm, binary)
	if err != nil {
		return nil, err
	}
	f, err := httpwasm.New(m, s.filterConfig(c, 0))
	if err != nil {
		m.Close()
		return nil, err
	}
	f.Close()
	return m, nil
}

// version loads a version of a filter's module.
func (s *Server) version(c *config.Filter, v registry.Version) (*version, error) {
	binary, err := s.modules.Load(v.Digest)
	if err != nil {
		return nil, err
	}
	f, err := httpwasm.Load(context.Background(), s.wasm, binary, s.filterConfig(c, v.Number))
	if err != nil {
		return nil, err
	}
	return &version{number: v.Number, filter: f}, nil
}

func (s *Server) filterConfig(c *config.Filter, number int) httpwasm.Config {
	cfg := httpwasm.Config{Name: c.Name, Version: number, Config: c.Config, Memory: c.Memory, Timeout: c.Timeout, Body: c.Body, Log: s.log}
	if c.OnError == config.Skip {
		cfg.OnError = httpwasm.Skip
	}
	return cfg
}

func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	binary, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err == nil && len(binary) > maxModule {
		err = fmt.Errorf("%s has more than %d bytes", path, maxModule)
	}
	return binary, err
}

// PushFilter stores a module as a version of the named filter, once it has been
// checked, and makes it live. created is false if the filter had that very module
// before.
func (s *Server) PushFilter(ctx context.Context, name string, module io.Reader) (v api.ModuleVersion, created bool, err error) {
	c := s.filterNamed(name)
	if c == nil {
		c = &config.Filter{Name: name} // of no route; checked with the defaults
	}
	var m *wasm.Module // kept until it is deployed, so that it is compiled once
	var took time.Duration
	defer func() {
		if m != nil {
			m.Close()
		}
	}()
	stored, created, err := s.modules.Put(name, registry.API, module, func(binary []byte) error {
		start := time.Now()
		m, err = s.check(ctx, binary, c)
		took = time.Since(start)
		return err
	})
	if err != nil {
		return v, false, pushProblem(name, err)
	}
	live, err := s.deployCurrent(name)
	if err != nil {
		return v, false, err
	}
	v = describeVersion(name, stored, stored.Number == live)
	v.CompileMS = float64(took.Microseconds()) / 1000
	if m != nil {
		for _, i := range m.Info.Imports {
			v.Imports = append(v.Imports, i.Module+"."+i.Name)
		}
	}
	if v.Routes = s.routesOf(name); len(v.Routes) == 0 {
		v.Warnings = append(v.Warnings, fmt.Sprintf("no route uses the filter %q: name it under filters: in the configuration, and in a route", name))
	}
	return v, created, nil
}

// filterNamed returns the configuration of a filter, or nil.
func (s *Server) filterNamed(name string) *config.Filter { return s.snapshot.Load().file.Filter(name) }

// deployCurrent makes the version live that the registry calls current, and
// returns its number; 0 if no configuration has the filter.
func (s *Server) deployCurrent(name string) (live int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current, err := s.modules.Current(name)
	if err != nil {
		return 0, err
	}
	for _, f := range s.shared.filters {
		if f.name != name {
			continue
		}
		live = current.Number
		if f.live.number() == live {
			continue
		}
		v, err := s.version(f.config, current)
		if err != nil {
			return 0, err
		}
		f.live.deploy(v)
	}
	return live, nil
}

// RemoveFilter removes what was uploaded for a filter. If the configuration has
// the filter, the module that it names is live again.
func (s *Server) RemoveFilter(name string) error {
	s.mu.Lock()
	if err := s.modules.Remove(name); err != nil {
		s.mu.Unlock()
		return pushProblem(name, err)
	}
	c := s.filterNamed(name)
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	binary, err := readModule(c.Wasm)
	if err != nil {
		return fmt.Errorf("filter %q goes on as it is: %w", name, err)
	}
	if _, _, err = s.modules.Seed(name, binary, func([]byte) error { return nil }); err != nil {
		return err
	}
	_, err = s.deployCurrent(name)
	return err
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
	if !slices.Contains(s.modules.List(), name) {
		return api.Filter{}, noFilter(name, s.modules.List())
	}
	return s.describeFilter(name), nil
}

// listFilters returns all filters. s.mu is held.
func (s *Server) listFilters() []api.Filter {
	all := []api.Filter{}
	for _, name := range s.modules.List() {
		all = append(all, s.describeFilter(name))
	}
	return all
}

// describeFilter returns a filter as the API shows it. s.mu is held.
func (s *Server) describeFilter(name string) api.Filter {
	d := api.Filter{Name: name, Routes: s.routesOf(name)}
	for _, f := range s.shared.filters {
		if f.name != name {
			continue
		}
		if v := f.live.acquire(); v != nil {
			st := v.filter.Stats()
			d.Live, d.Runs = v.number, st.Calls
			for _, n := range st.Failures {
				d.Failures += n
			}
			v.release()
		}
	}
	versions, err := s.modules.Versions(name)
	if err != nil {
		return d // removed meanwhile
	}
	for _, v := range slices.Backward(versions) {
		d.Versions = append(d.Versions, describeVersion(name, v, v.Number == d.Live))
	}
	return d
}

func describeVersion(name string, v registry.Version, live bool) api.ModuleVersion {
	return api.ModuleVersion{Filter: name, Version: v.Number, Live: live, Digest: "sha256:" + v.Digest, ABI: "http-wasm", Bytes: v.Bytes, Uploaded: v.Time, Source: string(v.Source)}
}

// routesOf returns the routes that a filter runs on, as site/route.
func (s *Server) routesOf(name string) []string {
	routes := []string{}
	for _, st := range s.snapshot.Load().sites {
		for _, r := range st.routes {
			if slices.ContainsFunc(r.filters, func(f *filter) bool { return f.name == name }) {
				routes = append(routes, fullName(st.name, r.name))
			}
		}
	}
	return routes
}

func noFilter(name string, have []string) error {
	p := &api.Problem{Title: "no such filter", Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no filter %q", name)}
	if len(have) > 0 {
		p.Hint = fmt.Sprintf("there are %q", have)
	}
	return p
}

// pushProblem returns err as what the client of the API is told.
func pushProblem(name string, err error) error {
	if refused, ok := errors.AsType[*registry.Refused](err); ok {
		p := &api.Problem{Title: "module refused", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("the module cannot be filter %q; nothing was stored", name)}
		for reason := range bytes.Lines([]byte(refused.Err.Error())) {
			p.Problems = append(p.Problems, api.Problem{Title: "reason", Detail: string(bytes.TrimSpace(reason))})
		}
		return p
	}
	p := &api.Problem{Title: "not stored", Detail: err.Error()}
	var broken *http.MaxBytesError
	switch {
	case errors.Is(err, registry.ErrName):
		p.Status = http.StatusBadRequest
	case errors.Is(err, registry.ErrNotFound):
		p.Title, p.Status = "no such filter", http.StatusNotFound
	case errors.Is(err, registry.ErrTooLarge), errors.As(err, &broken):
		p.Status = http.StatusRequestEntityTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		p.Status, p.Detail = http.StatusBadRequest, "the upload broke off; nothing was stored"
	case errors.Is(err, syscall.ENOSPC):
		p.Status, p.Hint = http.StatusInsufficientStorage, "the state directory's disk is full"
	case errors.Is(err, fs.ErrPermission):
		p.Status, p.Hint = http.StatusInternalServerError, "sluice may not write to its state directory"
	default:
		return err
	}
	return p
}
