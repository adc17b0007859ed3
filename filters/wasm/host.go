package wasm

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// ValueType is the type of a parameter or result.
type ValueType = api.ValueType

// The types that host functions have.
const (
	I32 = api.ValueTypeI32
	I64 = api.ValueTypeI64
)

// Host is a module of host functions that guests import from.
type Host struct {
	Name  string // unique among hosts
	Funcs []HostFunc
}

// HostFunc is a function that guests can call. Call finds its parameters in
// stack and leaves its results there. It may panic, with an error that [Trap] or
// [Abort] makes: that ends the guest.
type HostFunc struct {
	Name            string
	Params, Results []ValueType
	Call            func(in *Instance, stack []uint64)
}

const wasi = "wasi_snapshot_preview1"

// wasiUnstable is the name that old guests of proxy-wasm import the same by. What is
// different in it is about files, of which there are none.
const wasiUnstable = "wasi_unstable"

// provide makes what the module imports available in its runtime, and returns
// the signatures of all that hosts and WASI have.
func (m *Module) provide(ctx context.Context, hosts []*Host) (map[[2]string]Signature, error) {
	provided := make(map[[2]string]Signature)
	build := func(b wazero.HostModuleBuilder, name string) error {
		c, err := b.Compile(ctx)
		if err != nil {
			return fmt.Errorf("BUG: host module %q: %w", name, err)
		}
		for fn, def := range c.ExportedFunctions() {
			provided[[2]string{name, fn}] = signature(def.ParamTypes(), def.ResultTypes())
		}
		_, err = m.runtime.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName(name))
		return err
	}
	for _, name := range []string{wasi, wasiUnstable} {
		if !m.Info.ImportsFrom(name) {
			continue
		}
		b := m.runtime.NewHostModuleBuilder(name)
		wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
		for _, f := range wasiFuncs {
			b.NewFunctionBuilder().WithGoModuleFunction(adapter(f.Call), f.Params, f.Results).Export(f.Name)
		}
		if err := build(b, name); err != nil {
			return nil, err
		}
	}
	b := m.runtime.NewHostModuleBuilder(rewrite.ImportModule)
	b.NewFunctionBuilder().WithGoModuleFunction(adapter(tick), []ValueType{I64}, []ValueType{I64}).Export(rewrite.ImportTick)
	if err := build(b, rewrite.ImportModule); err != nil {
		return nil, err
	}
	for _, h := range hosts {
		if !m.Info.ImportsFrom(h.Name) {
			continue
		}
		b := m.runtime.NewHostModuleBuilder(h.Name)
		for _, f := range h.Funcs {
			b.NewFunctionBuilder().WithGoModuleFunction(adapter(f.Call), f.Params, f.Results).Export(f.Name)
		}
		if err := build(b, h.Name); err != nil {
			return nil, err
		}
	}
	return provided, nil
}

// adapter lets wazero call a host function, which finds its instance in the
// context: an Instance is the context of its own calls.
type adapter func(in *Instance, stack []uint64)

func (a adapter) Call(ctx context.Context, _ api.Module, stack []uint64) {
	a(ctx.(*Instance), stack)
}

func signature(params, results []ValueType) Signature {
	names := func(types []ValueType) string {
		list := make([]string, len(types))
		for i, t := range types {
			list[i] = api.ValueTypeName(t)
		}
		return strings.Join(list, ", ")
	}
	s := "(" + names(params) + ")"
	switch len(results) {
	case 0:
	case 1:
		s += " -> " + names(results)
	default:
		s += " -> (" + names(results) + ")"
	}
	return Signature(s)
}
