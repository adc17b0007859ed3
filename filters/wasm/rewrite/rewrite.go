// Package rewrite makes of a WebAssembly module an equal one for hosts that meter
// instances, bound the stack that they use, and put them back to an earlier state.
//
// # What is added
//
// Three globals behind the module's, which the host finds by name, and a function
// that it provides:
//
//   - Slice, an i64. Functions and loops charge what they are about to run to it,
//     and instructions on a length charge by that. When it falls below zero the
//     guest calls the import [ImportModule].[ImportTick] with it, and goes on with
//     what that returns. There the host accounts for time, lets the scheduler and
//     the garbage collector in, and may panic to end the guest. Between two checks
//     on any way through a function are at most [MaxRun] instructions, and each
//     function that it calls begins with one.
//   - Depth, an i64: what is left of the stack, in bytes by a rough estimate.
//     Functions that may be called while they run take their frame off it, and give
//     it back. Where it falls below zero they trap, and leave it there: so the host
//     knows what the trap was. It is whole again after each call that has not
//     trapped; after a trap the host restores it, as it does with other globals.
//     Calls of the host are not followed: a guest that the host calls back has a
//     stack of its own, and how often it may do so is the host's to bound.
//   - Wrote, an i32: set to 1 before any instruction that may write memory or lengthen
//     it, so that what a guest has not written need not be put back. Not in guests
//     that import from WASI, which have a runtime that writes whatever they do.
//
// Mutable globals are exported so that a host can restore them, the start function
// is exported instead of being started, and data is taken out, so that a host
// writes it once and not to each instance.
//
// # Validity
//
// What is invalid stays invalid: the runtime validates what is written here, and
// that must be as good as validating what was sent. Else a module could, say, set
// the meter, being a global past its own.
//
//   - What is read is read in one way only: padding beyond an integer's bits,
//     opcodes in more bytes than they have, unknown opcodes, types, kinds and flags,
//     bytes behind an end and sections out of order are refused.
//   - What could come to mean an addition is checked here against what there was:
//     indexes of types (also of blocks), functions, globals and local variables,
//     labels (there may be a block of ours around a body), references to functions
//     (the start function is exported now, and so has a reference).
//   - What is taken out is checked here: the start function's type, the memory for
//     data, its offsets and count.
//   - What is added within code leaves the stack of operands as it is, whatever that
//     is, and no label, local variable or type that was there is another. A check by
//     a length demands what the instruction behind it demands of its operand.
//   - All else is copied, and is as valid as it was.
package rewrite

import (
	"fmt"
	"slices"
	"strings"
)

// Reserved is what names begin with that only the host may use.
const Reserved = "__sluice"

// The names of what is added.
const (
	ImportModule = Reserved            // the module from which the import is
	ImportTick   = "tick"              // (i64) -> i64: takes what slice is, below zero, and returns the next
	SliceExport  = Reserved + "_slice" // global, i64: units that may be used until the next tick; 0 at first; a loop that runs does not see it set
	DepthExport  = Reserved + "_depth" // global, i64: bytes of stack left; [Options.Stack] at first
	WroteExport  = Reserved + "_wrote" // global, i32: not 0 if the guest may have written memory; see [Module.Tracked]
	StartExport  = Reserved + "_start" // function: what was the start function; see [Module.Start]
)

// PageSize is the unit of memory, in bytes.
const PageSize = 64 << 10

// Exceeded is wrapped by the error of a module that is more than [Options] allow, valid
// or not.
type Exceeded struct{ Err error }

func (e *Exceeded) Error() string { return e.Err.Error() }

func exceeded(format string, args ...any) error { return &Exceeded{fmt.Errorf(format, args...)} }

// Options bounds what instances may use up.
type Options struct {
	Tables uint32 // entries that all tables together may have, of 8 bytes each; default 131072
	Stack  int64  // bytes of native stack that a call may use, estimated; default 1 MiB, at most 1 GiB

	// Compiling may take so much work, by estimate. A unit is at most a microsecond of
	// a processor, and 40 bytes of memory, and half of that for what Go's compiler makes: 4 MB
	// of it take 4.6 Mi units. The largest function of Go's own compiler takes 1.2 Mi.
	Work         int64 // for all types and functions; default 40 Mi
	FunctionWork int64 // for one function; default 1.5 Mi
}

// MaxStack is the most that [Options.Stack] can be.
const MaxStack = 1 << 30

func (o *Options) setDefaults() error {
	if o.Tables == 0 {
		o.Tables = 1 << 17
	}
	if o.Stack == 0 {
		o.Stack = 1 << 20
	}
	if o.Work == 0 {
		o.Work = 40 << 20
	}
	if o.FunctionWork == 0 {
		o.FunctionWork = 3 << 19
	}
	if o.Work < 0 || o.FunctionWork < 0 {
		return fmt.Errorf("work of %d and %d units is below zero", o.Work, o.FunctionWork)
	}
	if o.Stack < 0 || o.Stack > MaxStack {
		return fmt.Errorf("stack of %d bytes: at most %d are possible", o.Stack, MaxStack)
	}
	return nil
}

// Module is a module that has been rewritten.
type Module struct {
	Binary  []byte   // what to compile; at most [MaxGrowth] times the original, and 1 KiB
	Imports []Import // of the original, in its order
	Exports []Export // likewise
	Memory  Memory
	Data    []Segment // for [Module.WriteData]; nil if the runtime writes it
	Globals []Global  // all that an instance has of mutable globals, in order, but for Unrestorable

	Types int // of functions, with ours

	// Host is how many bytes an instance may have of the host, besides its memory, by
	// estimate: tables, elements, globals and imports.
	Host int64

	Work int64 // that compiling takes, by estimate, in units of [Options.Work]

	// Tracked says that WroteExport is kept. It says nothing of the host's writes.
	Tracked bool

	// Start says that the host is to call StartExport when it has written data, and
	// before any other call.
	Start bool

	// Unrestorable says why memory, globals and what the host knows is not all of an
	// instance's state, for people; sorted. Without it they are.
	Unrestorable []string
}

// MaxGrowth is how many times longer than the original a binary may get.
const MaxGrowth = 20

// Rewrite returns a module that is equal to binary but for what the package adds.
// An error says why the module is not valid, or is not supported.
func Rewrite(binary []byte, o Options) (*Module, error) {
	m, out, err := inspect(binary, &o)
	if err != nil {
		return nil, err
	}
	if m.callGraph() > o.Stack {
		// A chain of calls takes that much without a cycle.
		for i := range m.funcs {
			m.funcs[i].counted = true
		}
	}
	var stripped bool
	out.Data, stripped = m.strip()
	out.Binary = m.write(stripped)
	out.Types = len(m.types)
	if len(out.Binary) > MaxGrowth*len(binary)+1<<10 {
		return nil, exceeded("module becomes larger than %d times what it is", MaxGrowth)
	}
	return out, nil
}

// Inspect returns what Rewrite would, but for Binary, Data and Types.
func Inspect(binary []byte, o Options) (*Module, error) {
	_, out, err := inspect(binary, &o)
	return out, err
}

func inspect(binary []byte, o *Options) (*module, *Module, error) {
	if err := o.setDefaults(); err != nil {
		return nil, nil, err
	}
	m, err := read(binary, *o)
	if err != nil {
		return nil, nil, err
	}
	if err := m.boundTables(o.Tables); err != nil {
		return nil, nil, err
	}
	m.tracked = !slices.ContainsFunc(m.imports, func(i Import) bool { return strings.HasPrefix(i.Module, "wasi") })
	return m, &Module{
		Imports:      m.imports,
		Exports:      m.exported(),
		Memory:       m.memory,
		Globals:      m.restorable(),
		Tracked:      m.tracked,
		Start:        m.start >= 0,
		Unrestorable: m.unrestorable(),
		Host:         m.host(),
		Work:         m.work,
	}, nil
}

// What an instance takes of the host for each, in bytes: a reference in the runtime, and
// a global or an import in the runtime and with us.
const (
	referenceBytes = 8
	globalBytes    = 160
	importBytes    = 48
)

// host returns how many bytes an instance may have of the host.
func (m *module) host() int64 {
	n := int64(globalBytes*len(m.global) + importBytes*m.importN)
	for _, t := range m.tables {
		if m.uses.tableGrow {
			n += referenceBytes * int64(t.maximum)
		} else {
			n += referenceBytes * int64(t.minimum)
		}
	}
	for _, e := range m.elements {
		n += referenceBytes * int64(len(e.funcs)+len(e.expressions))
	}
	return n
}

// unrestorable says what of an instance cannot be put back.
func (m *module) unrestorable() []string {
	var list []string
	add := func(is bool, why string) {
		if is && !slices.Contains(list, why) {
			list = append(list, why)
		}
	}
	for _, g := range m.global {
		add(g.mutable && g.imported, "imports a mutable global")
		add(g.mutable && !g.imported && g.typ == typeV128, "has a mutable global of type v128")
		add(g.mutable && !g.imported && g.typ <= typeFuncref, "has a mutable global that is a reference")
	}
	u := &m.uses
	add(u.tableSet, "changes a table by table.set")
	add(u.tableInit, "changes a table by table.init")
	add(u.tableCopy, "changes a table by table.copy")
	add(u.tableGrow, "changes a table by table.grow")
	add(u.tableFill, "changes a table by table.fill")
	add(u.elemDrop, "drops elements by elem.drop")
	add(u.dataDrop, "drops data by data.drop")
	add(m.importedTables > 0, "imports a table")
	slices.Sort(list)
	return list
}
