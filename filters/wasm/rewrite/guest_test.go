package rewrite

import (
	"context"
	"errors"
	"slices"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

const wasi = "wasi_snapshot_preview1"

// provide gives w what a module imports: WASI, and functions that return zeros.
func (w *world) provide(binary []byte) {
	w.t.Helper()
	ctx := context.Background()
	compiled, err := w.r.CompileModule(ctx, binary)
	if err != nil {
		w.t.Fatal(err)
	}
	hosts := make(map[string]wazero.HostModuleBuilder)
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == wasi {
			continue
		}
		if hosts[module] == nil {
			hosts[module] = w.r.NewHostModuleBuilder(module)
		}
		n := len(f.ResultTypes())
		hosts[module].NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) { clear(stack[:n]) }),
			f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	for _, h := range hosts {
		if _, err := h.Instantiate(ctx); err != nil {
			w.t.Fatal(err)
		}
	}
	wasi_snapshot_preview1.MustInstantiate(ctx, w.r)
}

// runBoth calls exports of a module as it is and rewritten, and compares what comes
// of it. What does not end by itself is not called as it is.
func runBoth(t *testing.T, binary []byte, exports ...string) {
	t.Helper()
	const pages = 1024
	plain := newWorldWith(t, nil, wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(pages))
	metered := newWorldWith(t, &Options{}, wazero.NewRuntimeConfigCompiler().WithMemoryLimitPages(pages))
	plain.provide(binary)
	metered.provide(binary)
	metered.tick = func(int64) int64 {
		if metered.used > 2_000_000 {
			panic(errBudget)
		}
		return 100_000
	}
	b, err := metered.make(binary, "")
	if errors.Is(err, errBudget) {
		return
	}
	a, plainErr := plain.make(binary, "")
	if (err == nil) != (plainErr == nil) {
		t.Fatalf("made as it is: %v; rewritten: %v", plainErr, err)
	} else if err != nil {
		return
	}
	same(t, "start", a, b)
	for _, name := range exports {
		f := a.ExportedFunction(name)
		if f == nil {
			continue
		}
		args := make([]uint64, len(f.Definition().ParamTypes()))
		got, gotErr := b.call(name, args...)
		if errors.Is(gotErr, errBudget) || b.exhausted() {
			return
		}
		want, wantErr := a.call(name, args...)
		if !slices.Equal(got, want) || cause(gotErr) != cause(wantErr) {
			t.Errorf("%s is %x, %v, not %x, %v", name, got, gotErr, want, wantErr)
		}
		if wantErr != nil {
			return // an exit closes the module
		}
		same(t, name, a, b)
	}
}

// TestGuests rewrites the guests that other tests run, and runs them.
func TestGuests(t *testing.T) {
	for _, name := range guests.Names(t) {
		t.Run(name, func(t *testing.T) {
			binary := guests.Read(t, name)
			if m := checkValidity(t, name, binary, Options{}); m != nil && (m.Memory.Minimum > 1<<26 || name == "table-bomb") {
				t.Skip("takes too much memory to be run as it is")
			} else if m != nil {
				runBoth(t, binary, "_initialize", "_start", "handle_request", "handle_response")
			} else if name != "table-huge" {
				t.Error("is refused")
			}
		})
	}
}

// TestGo runs a guest that the Go compiler makes.
func TestGo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a guest")
	}
	binary := guests.Build(t, "github.com/sluice-edge/sluice/wasm-testdata/everything")
	m := checkValidity(t, "everything", binary, Options{})
	if m == nil {
		t.Fatal("is refused")
	}
	if m.Unrestorable != nil || len(m.Data) < 1000 || len(m.Globals) < 5 {
		t.Errorf("unrestorable: %q, %d segments, %d globals", m.Unrestorable, len(m.Data), len(m.Globals))
	}
	runBoth(t, binary, "_initialize", "handle_request", "handle_response")
}
