package wasm

import (
	"context"
	"strings"

	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
	"github.com/tetratelabs/wazero/api"
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
	ReadOnly        bool // it writes nothing to the guest's memory: guests that do not either are put back faster
	Call            func(in *Instance, stack []uint64)
}

// goFunc returns what the runtime calls.
func (f *HostFunc) goFunc() api.GoModuleFunction {
	if f.ReadOnly {
		return reader(f.Call)
	}
	return adapter(f.Call)
}

const wasi = "wasi_snapshot_preview1"

// wasiUnstable is the name that old guests of proxy-wasm import the same by. What is
// different in it is about files, of which there are none.
const wasiUnstable = "wasi_unstable"

// meterFuncs is what package rewrite adds an import of.
var meterFuncs = []HostFunc{{Name: rewrite.ImportTick, Params: []ValueType{I64}, Results: []ValueType{I64}, ReadOnly: true, Call: tick}}

// adapter lets wazero call a host function, which finds its instance in the
// context: an Instance is the context of its own calls.
type adapter func(in *Instance, stack []uint64)

func (a adapter) Call(ctx context.Context, _ api.Module, stack []uint64) {
	in := ctx.(*Instance)
	in.box.touched = true
	a(in, stack)
}

// reader is the adapter of a function that does not write memory.
type reader func(in *Instance, stack []uint64)

func (r reader) Call(ctx context.Context, _ api.Module, stack []uint64) {
	r(ctx.(*Instance), stack)
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
