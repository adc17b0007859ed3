package wasm

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"

	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// store is a store of the runtime's (WebAssembly Core, section 4.2.3): what a module is
// compiled and instantiated in, with the host functions that it imports. They take more
// memory than many a module, so modules share a store. It is closed when its maker and
// all its modules have released it.
type store struct {
	runtime wazero.Runtime
	stage   *stage // where it reads and writes compiled code; nil: nowhere
	hosts   map[string]*Host
	funcs   map[string]map[string]Signature // by module and name: what has been made
	types   int                             // of functions, of all its modules
	worn    bool                            // something has failed, and may have left something
	refs    atomic.Int64
}

// maxStoreTypes is how many types of functions the modules of a store may have until
// another takes its place: it keeps them until it is closed.
const maxStoreTypes = 10_000

// newStore returns an empty store, with one reference. Its compiled code goes through
// stage, which may be nil.
func newStore(st *stage) *store {
	config := wazero.NewRuntimeConfig().
		WithDebugInfoEnabled(false) // DWARF's offsets are those of the code before it was rewritten
	if st != nil {
		config = config.WithCompilationCache(st.code)
	}
	s := &store{
		runtime: wazero.NewRuntimeWithConfig(context.Background(), config),
		stage:   st,
		hosts:   make(map[string]*Host),
		funcs:   make(map[string]map[string]Signature),
	}
	s.refs.Store(1)
	return s
}

func (s *store) retain() { s.refs.Add(1) }

func (s *store) release() {
	if s.refs.Add(-1) != 0 {
		return
	}
	s.runtime.Close(context.Background())
	if s.stage != nil {
		s.stage.close()
	}
}

// takes reports whether a module that imports from hosts can be made in the store.
func (s *store) takes(hosts []*Host) bool {
	for _, h := range hosts {
		if have := s.hosts[h.Name]; have != nil && have != h {
			return false
		}
	}
	return !s.worn && s.types < maxStoreTypes
}

// provide makes what a module imports of hosts and WASI, unless there is that already,
// and returns the signatures of what they have.
func (s *store) provide(info *Info, hosts []*Host) (map[[2]string]Signature, error) {
	names := []string{rewrite.ImportModule}
	for _, name := range []string{wasi, wasiUnstable} {
		if info.ImportsFrom(name) {
			names = append(names, name)
			if err := s.make(name, wasiFuncs, true); err != nil {
				return nil, err
			}
		}
	}
	if err := s.make(rewrite.ImportModule, meterFuncs, false); err != nil {
		return nil, err
	}
	for _, h := range hosts {
		if info.ImportsFrom(h.Name) {
			names = append(names, h.Name)
			s.hosts[h.Name] = h
			if err := s.make(h.Name, h.Funcs, false); err != nil {
				return nil, err
			}
		}
	}
	provided := make(map[[2]string]Signature)
	for _, name := range names {
		for fn, sig := range s.funcs[name] {
			provided[[2]string{name, fn}] = sig
		}
	}
	return provided, nil
}

// make makes a module of host functions, unless there is one of that name. With wasi it
// has the runtime's functions of WASI, but for those that funcs has.
func (s *store) make(name string, funcs []HostFunc, wasi bool) error {
	if s.funcs[name] != nil {
		return nil
	}
	ctx := context.Background()
	b := s.runtime.NewHostModuleBuilder(name)
	if wasi {
		wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	}
	for _, f := range funcs {
		b.NewFunctionBuilder().WithGoModuleFunction(f.goFunc(), f.Params, f.Results).Export(f.Name)
	}
	c, err := b.Compile(ctx)
	if err != nil {
		return fmt.Errorf("BUG: host module %q: %w", name, err)
	}
	sigs := make(map[string]Signature)
	for fn, def := range c.ExportedFunctions() {
		sigs[fn] = signature(def.ParamTypes(), def.ResultTypes())
	}
	// The runtime's own source of random numbers, which nobody uses, takes 5 KB.
	config := wazero.NewModuleConfig().WithName(name).WithRandSource(rand.Reader)
	if _, err := s.runtime.InstantiateModule(ctx, c, config); err != nil {
		return fmt.Errorf("BUG: host module %q: %w", name, err)
	}
	s.funcs[name] = sigs
	return nil
}

// compile makes code of a module that was rewritten, or takes it from the cache. Loaded
// says that it has been there.
func (s *store) compile(binary []byte) (c wazero.CompiledModule, loaded bool, err error) {
	if s.stage != nil {
		return s.stage.compile(s.runtime, binary)
	}
	c, err = s.runtime.CompileModule(context.Background(), binary)
	return c, false, err
}
