package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/sluice-edge/sluice/edge/cache"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/osfile"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/proxywasm"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Check adds to what is to be said of a configuration what shows only when it is put
// together: maps of redirects, routes that are the same, modules that are not there or
// cannot be what they are to be. Those are compiled, and begun as they would be; what was
// uploaded is not known here. Nothing is bound, and nothing written.
func Check(ctx context.Context, file *config.File) (*diag.List, error) {
	problems, err := offline(file, func(*snapshot) {})
	if err != nil {
		return problems, err
	}
	s := &Server{log: slog.New(slog.DiscardHandler)}
	s.wasm = wasm.NewEngine(wasm.Config{Log: s.log})
	defer s.wasm.Close()
	s.guests.meters, s.guests.data = hostmod.NewRegistry(hostmod.MeterConfig{}), proxywasm.NewShared(proxywasm.SharedConfig{})
	s.guests.closed = true // the keys are the running proxy's
	s.checkModules(ctx, file, problems)
	return problems, ctx.Err()
}

// checkModules looks whether the files of modules can be what the configuration wants of
// them. What those say is not logged: an error has it.
func (s *Server) checkModules(ctx context.Context, file *config.File, problems *diag.List) {
	log := slog.New(slog.DiscardHandler)
	for i := range file.Filters {
		f := &file.Filters[i]
		checkModule(problems, f.Place, f.Wasm, func(binary []byte) (*wasm.Module, string, error) { return s.checkFilter(ctx, binary, f, log) })
	}
	for i := range file.Functions {
		f := &file.Functions[i]
		checkModule(problems, f.Place, f.Wasm, func(binary []byte) (*wasm.Module, string, error) { return s.checkFunction(ctx, binary, f, log) })
	}
}

// checkModule looks whether the file of a module is there and can be used, if it is to
// come from one.
func checkModule(problems *diag.List, at diag.Place, path string, check func(binary []byte) (*wasm.Module, string, error)) {
	if path == "" {
		return
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		problems.Errorf(at, "%s is not a file", path)
		return
	}
	var binary []byte
	if err == nil {
		binary, err = osfile.Read(path, maxModule)
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // the path is said once
	}
	if err != nil {
		p := problems.Errorf(at, "%s: %v", path, err)
		if errors.Is(err, fs.ErrNotExist) {
			p.Hint = "build it, name the right file, or write uploaded if only the API provides it"
		}
		return
	}
	m, _, err := check(binary)
	if err != nil {
		problems.Errorf(at, "%s: %s", path, reasons(err))
		return
	}
	m.Close()
}

// reasons returns an error on one line, of which a module may have several.
func reasons(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// checkVersions looks whether the versions are there that a configuration names.
func (s *Server) checkVersions(file *config.File, problems *diag.List) {
	ofFilters, ofFunctions := held(file)
	check := func(l *library, name, path string, at diag.Place, versions []int) {
		if path != "" {
			if binary, err := osfile.Read(path, maxModule); err != nil || !l.Seen(name, binary) {
				return // it will be a version that there is not yet
			}
		}
		for _, v := range versions {
			if _, err := l.uploaded(name, v); err != nil {
				problems.Errorf(at, "%v", err)
			}
		}
	}
	for _, f := range file.Filters {
		check(s.filters, f.Name, f.Wasm, f.Place, ofFilters[f.Name])
	}
	for _, f := range file.Functions {
		check(s.functions, f.Name, f.Wasm, f.Place, ofFunctions[f.Name])
	}
}

// offline puts a configuration together that is not in force, and lends it to use, if
// it is right.
func offline(file *config.File, use func(*snapshot)) (*diag.List, error) {
	s := &Server{log: slog.New(slog.DiscardHandler), shared: newShared(), saved: &saved{splits: make(map[string]savedSplit)}}
	b := &builder{s: s, file: file, problems: file.Diag(), offline: true}
	used := newShared()
	b.used = &used
	store, err := cache.NewStore(cache.Config{Memory: file.Cache.Memory})
	if err != nil {
		return b.problems, fmt.Errorf("make a cache: %w", err)
	}
	defer store.Close()
	b.store = store
	snap, _ := b.build()
	defer used.retire(nil)
	if !b.problems.Failed() {
		use(snap)
	}
	return b.problems, nil
}
