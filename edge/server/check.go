package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/sluice-edge/sluice/edge/cache"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
)

// Check adds to what is to be said of a configuration what shows only when it is put
// together: maps of redirects, routes that are the same, files that are not there. No
// module is compiled and nothing is bound.
func Check(file *config.File) (*diag.List, error) {
	problems, err := offline(file, func(*snapshot) {})
	for _, f := range file.Filters {
		checkModule(problems, f.Place, f.Wasm)
	}
	for _, f := range file.Functions {
		checkModule(problems, f.Place, f.Wasm)
	}
	return problems, err
}

// checkModule looks whether the file of a module is there, if it is to come from
// one.
func checkModule(problems *diag.List, at diag.Place, path string) {
	if path == "" {
		return
	}
	info, err := os.Stat(path)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // the path is said once
	}
	switch {
	case err != nil:
		problems.Errorf(at, "%s: %v", path, err).Hint = "build it, name the right file, or write uploaded if only the API provides it"
	case !info.Mode().IsRegular():
		problems.Errorf(at, "%s is not a file", path)
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
