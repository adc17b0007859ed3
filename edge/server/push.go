package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/filters/registry"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// PushFilter stores a module as a version of the named filter, once it has been
// checked, makes it live alone, and puts it to use as use says; or only stores it.
// created is false if the filter had that very module before.
func (s *Server) PushFilter(ctx context.Context, name string, module io.Reader, use api.Use) (v api.ModuleVersion, created bool, err error) {
	return s.push(ctx, s.ofFilters(), name, module, use)
}

// PushFunction is PushFilter for functions.
func (s *Server) PushFunction(ctx context.Context, name string, module io.Reader, use api.Use) (v api.ModuleVersion, created bool, err error) {
	return s.push(ctx, s.ofFunctions(), name, module, use)
}

func (s *Server) push(ctx context.Context, k *kind, name string, module io.Reader, use api.Use) (v api.ModuleVersion, created bool, err error) {
	to := both(k.use(name, use), s.undeploy(k.what, name))
	if use.Store {
		to = unchanged
	}
	change, err := s.change(api.Change{DryRun: true}, "", to)
	if err != nil {
		return v, false, err
	}
	c := k.find(change.file, name)
	if c == nil {
		c = k.unknown(name)
	}
	var m *wasm.Module // kept until it is deployed, so that it is compiled once
	var abi string
	var took time.Duration
	defer func() {
		if m != nil {
			m.Close()
		}
	}()
	check := func(binary []byte) (string, error) {
		start := time.Now()
		var err error
		m, abi, err = c.check(ctx, binary)
		took = time.Since(start)
		return abi, err
	}
	if err := s.seen(k, name, use.IfMatch); err != nil {
		return v, false, err // before the upload
	}
	up, err := k.Receive(name, module, check)
	if err != nil {
		refused := k.problem(name, err)
		if p, ok := errors.AsType[*api.Problem](refused); ok && c.bare {
			if _, ran := errors.AsType[*wasm.Failure](err); ran {
				p.Hint = "it has no configuration: --config TEXT, or ?config=, gives it one"
			}
		}
		return v, false, refused
	}
	defer func() { err = errors.Join(err, up.Close()) }()
	stored, live := registry.Version{ABI: abi}, 0
	switch {
	case use.DryRun:
	case use.Store:
		if stored, created, err = up.Store(registry.API); err != nil {
			return v, false, k.problem(name, err)
		}
	default:
		p, err := s.putToUse(k, name, up, use.IfMatch, k.what+" "+name+" pushed", to)
		if err != nil {
			return v, false, err
		}
		stored, live, created, change = p.version, p.live, p.created, p.change
	}
	v = k.describe(name, stored, live != 0 && stored.Number == live)
	if m != nil {
		v.CompileMS, v.Imports = milliseconds(took), imports(m)
		v.Digest, v.Bytes = "sha256:"+m.Info.Hex(), int64(m.Info.Size)
	}
	if use.Store {
		if d, err := k.look(name); err == nil && !use.DryRun {
			v.Live = serves(d, v.Version) // it may do so already
		}
		return v, created, nil
	}
	if v.Routes = k.routes(change.file, name); len(v.Routes) == 0 && !c.scheduled {
		v.Warnings = append(v.Warnings, fmt.Sprintf("no route uses the %s %q: push it with %s SITE/PATH, or name it under %ss: in the file, and in a route", k.what, name, k.flag, k.what))
	}
	return v, created, nil
}

// LargestModule returns how many bytes an upload may have.
func (s *Server) LargestModule() int64 { return s.filters.Largest() }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func imports(m *wasm.Module) []string {
	var all []string
	for _, i := range m.Info.Imports {
		all = append(all, i.Module+"."+i.Name)
	}
	return all
}

// pushed is what has come of an upload.
type pushed struct {
	version registry.Version
	created bool
	live    int // number of the version that is; 0: no configuration has the module
	change  *change
}

// putToUse makes an upload the current version of its name, and live as a change of
// the configuration says, unless what runs has another ETag than tag. If any of that
// fails all is as it was before.
func (s *Server) putToUse(k *kind, name string, up *registry.Upload, tag, cause string, e edit) (p pushed, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.matches(k, name, tag); err != nil {
		return p, err
	}
	if p.version, p.created, err = up.Accept(registry.API); err != nil {
		return p, k.problem(name, err)
	}
	several := s.several(k, name)
	deployed := nothing()
	p.change, err = s.changeNow(api.Change{}, cause, e)
	if err == nil {
		deployed, p.live, err = s.readyCurrent(k, name)
	}
	if err != nil {
		return p, errors.Join(err, up.Undo())
	}
	if deployed.deploy(); several {
		s.renew(k, name)
	}
	return p, nil
}

// RollBackFilter makes the version live that was so before the one that is, or only
// says which that is.
func (s *Server) RollBackFilter(name string, how api.Change) (api.ModuleVersion, error) {
	return s.back(s.ofFilters(), name, how)
}

// RollBackFunction is RollBackFilter for functions.
func (s *Server) RollBackFunction(name string, how api.Change) (api.ModuleVersion, error) {
	return s.back(s.ofFunctions(), name, how)
}

func (s *Server) back(k *kind, name string, how api.Change) (api.ModuleVersion, error) {
	back, live, err := s.rollBack(k, name, how)
	if err != nil {
		return api.ModuleVersion{}, k.problem(name, err)
	}
	d := k.describe(name, back, live)
	if !how.DryRun {
		d.Routes = k.routes(s.snapshot.Load().file, name)
	}
	return d, nil
}

// RemoveFilter removes what was uploaded for a filter, and what the API has changed
// for its sake. If the file has the filter, the module that it names is live again.
func (s *Server) RemoveFilter(name string, how api.Change) error {
	return s.remove(s.ofFilters(), name, how)
}

// RemoveFunction is RemoveFilter for functions.
func (s *Server) RemoveFunction(name string, how api.Change) error {
	return s.remove(s.ofFunctions(), name, how)
}

func (s *Server) remove(k *kind, name string, how api.Change) error {
	drop := k.drop(name)
	s.changing.Lock()
	defer s.changing.Unlock()
	change, err := s.changeNow(api.Change{DryRun: true}, "", drop)
	if err != nil {
		return err
	}
	if _, err := k.Current(name); err != nil && !change.changed {
		return k.problem(name, err)
	}
	c := k.find(change.file, name)
	if c != nil && c.wasm == "" {
		return s.inUse(k.library, overlay{Kind: k.what, Name: name})
	}
	if routes := k.pins(change.file, name); len(routes) > 0 {
		return k.pinned(name, routes)
	}
	if c != nil && (len(c.deploy.Versions) > 0 || c.deploy.Shadow != 0) {
		return k.deployed(name)
	}
	if err := s.matches(k, name, how.IfMatch); err != nil || how.DryRun {
		return err
	}
	if _, err := s.changeNow(api.Change{}, k.what+" "+name+" removed", drop); err != nil {
		return err
	}
	if err := k.Remove(name); err != nil {
		return k.problem(name, err)
	}
	if c == nil {
		return nil
	}
	check := func(binary []byte) (string, error) {
		m, abi, err := c.check(context.Background(), binary)
		if err == nil {
			m.Close()
		}
		return abi, err
	}
	v, err := k.seed(name, c.wasm, check)
	if err != nil {
		return fmt.Errorf("%s %q goes on as it is: %w", k.what, name, err)
	}
	p, _, err := k.ready(name, v)
	if err == nil {
		p.deploy()
	}
	return err
}
