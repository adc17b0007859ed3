package rewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// world is a runtime in which modules are made as they are, or rewritten.
type world struct {
	t       testing.TB
	r       wazero.Runtime
	options *Options // nil: modules are not rewritten

	// tick takes what slice is and returns the next. It may panic.
	tick  func(int64) int64
	ticks int
	used  int64 // units, by tick
	given int64 // the last slice
}

var errBudget = errors.New("budget is used up")

func newWorld(t testing.TB, o *Options) *world {
	t.Helper()
	return newWorldWith(t, o, wazero.NewRuntimeConfigCompiler())
}

func newWorldWith(t testing.TB, o *Options, c wazero.RuntimeConfig) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{t: t, options: o, r: wazero.NewRuntimeWithConfig(ctx, c.WithDebugInfoEnabled(false))}
	t.Cleanup(func() { w.r.Close(ctx) })
	if o == nil {
		return w
	}
	w.tick = func(int64) int64 { return 1 << 20 }
	_, err := w.r.NewHostModuleBuilder(ImportModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
			rest := int64(stack[0])
			w.ticks++
			w.used += w.given - rest
			w.given = rest
			w.given = w.tick(rest)
			stack[0] = uint64(w.given)
		}), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).
		Export(ImportTick).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// instance is a module that has been made in a world.
type instance struct {
	api.Module
	w        *world
	module   *Module // nil in a world that does not rewrite
	compiled wazero.CompiledModule
}

// make instantiates a module, as name.
func (w *world) make(binary []byte, name string) (in *instance, err error) {
	ctx := context.Background()
	in = &instance{w: w}
	if w.options != nil {
		if in.module, err = Rewrite(binary, *w.options); err != nil {
			w.t.Errorf("a module is refused: %v", err)
			return nil, err
		}
		binary = in.module.Binary
	}
	if in.compiled, err = w.r.CompileModule(ctx, binary); err != nil {
		w.t.Errorf("a module is not valid: %v", err)
		return nil, err
	}
	in.Module, err = w.r.InstantiateModule(ctx, in.compiled, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err != nil {
		return nil, err
	}
	if m := in.module; m != nil {
		if err := m.WriteData(in.memory()); err != nil {
			in.Close(ctx)
			return nil, err
		}
		if m.Start {
			if _, err := in.call(StartExport); err != nil {
				in.Close(ctx)
				return nil, err
			}
		}
	}
	return in, nil
}

// call calls an export. What is left of the slice is accounted for.
func (in *instance) call(name string, args ...uint64) ([]uint64, error) {
	f := in.ExportedFunction(name)
	if f == nil {
		return nil, fmt.Errorf("%q is not exported", name)
	}
	if in.module != nil {
		in.global(SliceExport).Set(0)
		in.global(DepthExport).Set(uint64(in.w.stack()))
		in.w.given = 0
	}
	results, err := f.Call(context.Background(), args...)
	if in.module != nil {
		in.w.used += in.w.given - int64(in.global(SliceExport).Get())
		if depth := int64(in.global(DepthExport).Get()); err == nil && depth != in.w.stack() {
			in.w.t.Errorf("%q leaves a depth of %d of %d", name, depth, in.w.stack())
		}
	}
	return results, err
}

func (w *world) stack() int64 {
	o := *w.options
	o.setDefaults()
	return o.Stack
}

// memory returns the memory, or nil.
func (in *instance) memory() []byte {
	if reflect.ValueOf(in.Memory()).IsNil() {
		return nil
	}
	b, _ := in.Memory().Read(0, in.Memory().Size())
	return b
}

func (in *instance) global(name string) api.MutableGlobal {
	return in.ExportedGlobal(name).(api.MutableGlobal)
}

// exhausted reports whether a call has trapped for want of stack.
func (in *instance) exhausted() bool { return int64(in.global(DepthExport).Get()) < 0 }

// cause is a trap without where it was: the rewritten module has other indexes.
func cause(err error) string {
	if err == nil {
		return ""
	}
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

// same reports where two instances of a module differ: in memory, and exported
// globals.
func same(t testing.TB, what string, a, b *instance) {
	t.Helper()
	if x, y := a.memory(), b.memory(); !bytes.Equal(x, y) {
		t.Errorf("%s: memories of %d and %d bytes differ", what, len(x), len(y))
	}
}

// valid says whether a module is, by the runtime's interpreter.
func valid(binary []byte) error {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithDebugInfoEnabled(false))
	defer r.Close(ctx)
	_, err := r.CompileModule(ctx, binary)
	return err
}

// withoutNames returns a module without its names, wrong ones of which the runtime
// takes for a fault.
func withoutNames(binary []byte) []byte {
	if len(binary) < len(header) {
		return binary
	}
	out := bytes.Clone(binary[:len(header)])
	r := reader{b: binary, p: len(header)}
	for r.p < len(binary) && r.err == nil {
		at := r.p
		id := r.byte()
		s := reader{b: r.bytes(r.u32())}
		if id == secCustom && s.name() == "name" && s.err == nil {
			continue
		}
		out = append(out, binary[at:r.p]...)
	}
	if r.err != nil {
		return binary
	}
	return out
}

// checkValidity checks that a module that is rewritten is as valid as it was.
func checkValidity(t testing.TB, what string, binary []byte, o Options) *Module {
	t.Helper()
	m, err := Rewrite(binary, o)
	if err != nil {
		return nil
	}
	if len(m.Binary) > MaxGrowth*len(binary)+1<<10 {
		t.Errorf("%s: %d bytes become %d", what, len(binary), len(m.Binary))
	}
	before, after := valid(withoutNames(binary)), valid(m.Binary)
	if (before == nil) != (after == nil) {
		t.Errorf("%s: before: %v, after: %v\n%x\n%x", what, before, after, binary, m.Binary)
	}
	shell := Shell(m.Binary, []byte(what))
	if err := valid(shell); after == nil && err != nil {
		t.Errorf("%s: its shell: %v\n%x\n%x", what, err, binary, shell)
	}
	return m
}
