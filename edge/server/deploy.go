package server

import (
	"context"
	"slices"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/osfile"
	"github.com/sluice-edge/sluice/filters"
	fn "github.com/sluice-edge/sluice/filters/function"
	"github.com/sluice-edge/sluice/filters/registry"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// ready returns what makes a version of a module live, and its number if a
// configuration has the filter or function; 0 if none has. s.changing is held.
type ready func(name string, v registry.Version) (p pending, live int, err error)

// compile compiles a module. Who gets it closes it.
type compile func(ctx context.Context, binary []byte) (*wasm.Module, error)

func (s *Server) compileFilter(ctx context.Context, binary []byte) (*wasm.Module, error) {
	return filters.Compile(ctx, s.wasm, binary)
}

func (s *Server) compileFunction(ctx context.Context, binary []byte) (*wasm.Module, error) {
	return fn.Compile(ctx, s.wasm, binary)
}

// nothing is pending where all is as it is to be.
func nothing() pending { return pending{func() {}, func() {}} }

// several reports whether the configuration says which versions of a module serve: else
// it is the one that is current. s.changing is held.
func (s *Server) several(k *kind, name string) bool {
	c := k.deploy(s.snapshot.Load().file, name)
	return c != nil && len(c.Versions) > 0
}

// renew notes that the current version serves alone from now on, as it may have done
// before.
func (s *Server) renew(k *kind, name string) {
	if err := k.Renew(name); err != nil {
		s.log.Warn("since when a version serves could not be kept", k.what, name, "error", err)
	}
}

// readyCurrent is ready for the version that is current.
func (s *Server) readyCurrent(k *kind, name string) (pending, int, error) {
	v, err := k.Current(name)
	if err != nil {
		return nothing(), 0, err
	}
	return k.ready(name, v)
}

// rollBack makes the version of a module live that was so before: of a deployment of
// several versions the one that is current, or the oldest; else the one that was current
// before. Or it only says which that is. It is live if a configuration has the module.
func (s *Server) rollBack(k *kind, name string, how api.Change) (v registry.Version, live bool, err error) {
	l := k.library
	v, err = l.Current(name)
	if err != nil {
		return v, false, err
	}
	isCurrent := func(d config.Deployed) bool { return d.Version == v.Number }
	c := k.deploy(s.snapshot.Load().file, name)
	if c != nil && (v.Number != 0 || len(c.Versions) > 0) && (len(c.Versions) == 2 || len(c.Versions) == 1 && !isCurrent(c.Versions[0]) || c.Shadow != 0) {
		if v.Number == 0 || len(c.Versions) == 2 && !slices.ContainsFunc(c.Versions, isCurrent) {
			if v, err = l.Version(name, c.Versions[0].Version); err != nil {
				return v, false, err
			}
		}
		change := api.DeploymentChange{Versions: []api.DeployedShare{{Version: v.Number, Percent: 100}}, IfMatch: how.IfMatch}
		return v, !how.DryRun, s.deployment(k, name, change, how.DryRun, nil)
	}
	if v, err = l.Before(name); err != nil {
		return v, false, err
	}
	if err := s.seen(k, name, how.IfMatch); err != nil || how.DryRun {
		return v, false, err
	}
	if c != nil && len(c.Versions) > 0 { // of which nothing is to stay
		change := api.DeploymentChange{Versions: []api.DeployedShare{{Version: v.Number, Percent: 100}}, IfMatch: how.IfMatch}
		return v, true, s.deployment(k, name, change, false, nil)
	}
	if binary, err := l.Load(v.Digest); err == nil {
		if m, err := k.compile(context.Background(), binary); err == nil {
			defer m.Close() // no other change waits for that
		}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.matches(k, name, how.IfMatch); err != nil {
		return v, false, err
	}
	if v, err = l.Before(name); err != nil { // it may be another by now
		return v, false, err
	}
	back, number, err := k.ready(name, v)
	if err != nil {
		return v, false, err
	}
	if v, err = l.Back(name); err != nil {
		back.discard()
		return v, false, err
	}
	back.deploy()
	return v, number != 0, nil
}

// ahead compiles the modules of a file that are new, before any change waits for that.
// What is wrong with them shows when they are needed. Who gets them releases them once
// they are in use, or are not to be.
func (s *Server) ahead(file *config.File) (held modules) {
	hold := func(l *library, name, path string, compile compile) {
		if path == "" {
			return
		}
		binary, err := osfile.Read(path, maxModule)
		if err != nil || l.Seen(name, binary) {
			return
		}
		if m, err := compile(context.Background(), binary); err == nil {
			held = append(held, m)
		}
	}
	for _, f := range file.Filters {
		hold(s.filters, f.Name, f.Wasm, s.compileFilter)
	}
	for _, f := range file.Functions {
		hold(s.functions, f.Name, f.Wasm, s.compileFunction)
	}
	return held
}

// modules are compiled modules, held by who has them.
type modules []*wasm.Module

func (all modules) release() {
	for _, m := range all {
		m.Close()
	}
}
