package rewrite

import (
	"fmt"
	"strings"
)

// ValueType is the type of a value, as in the binary format.
type ValueType byte

// The types of numbers.
const (
	I32 ValueType = typeI32
	I64 ValueType = typeI64
	F32 ValueType = typeF32
	F64 ValueType = typeF64
)

func (t ValueType) String() string {
	switch t {
	case typeI32:
		return "i32"
	case typeI64:
		return "i64"
	case typeF32:
		return "f32"
	case typeF64:
		return "f64"
	case typeV128:
		return "v128"
	case typeFuncref:
		return "funcref"
	case typeExternref:
		return "externref"
	}
	return fmt.Sprintf("0x%x", byte(t))
}

// Signature is a function's type, as text: "(i32, i32) -> i64". Several results
// are in parentheses, too.
type Signature string

func (t *funcType) signature() Signature {
	list := func(types []byte) string {
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = ValueType(t).String()
		}
		return strings.Join(names, ", ")
	}
	s := "(" + list(t.params) + ")"
	switch len(t.results) {
	case 0:
	case 1:
		s += " -> " + list(t.results)
	default:
		s += " -> (" + list(t.results) + ")"
	}
	return Signature(s)
}

// Import is what a module wants to be given.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         Signature // of a function
}

// Export is what a module offers.
type Export struct {
	Name string
	Kind Kind
	Type Signature // of a function
}

// Kind is the sort of an import or export.
type Kind byte

// The kinds, numbered as in the binary format (WebAssembly Core, section 5.5.5).
const (
	KindFunc Kind = iota
	KindTable
	KindMemory
	KindGlobal
)

func (k Kind) String() string {
	return [...]string{"function", "table", "memory", "global"}[k]
}

// Memory is a module's memory, also if it is imported.
type Memory struct {
	Minimum int64 // bytes; 0 without a memory
	Maximum int64 // bytes that it may grow to by its own account; -1: no bound; 0 without a memory
}

// Global is a mutable global of a module.
type Global struct {
	Export string // the name under which it is exported
	Type   ValueType

	index uint32
}

// Segment is data that an instance's memory begins with.
type Segment struct {
	Offset uint32 // in memory
	Bytes  []byte // part of the original binary
}

// WriteData writes the data into the memory of an instance that has been made,
// before its start function runs. The error says that it does not fit; what comes
// before is written then (WebAssembly Core, section 4.5.4).
func (m *Module) WriteData(memory []byte) error {
	for _, s := range m.Data {
		if uint64(s.Offset)+uint64(len(s.Bytes)) > uint64(len(memory)) {
			return fmt.Errorf("data of %d bytes at %d is out of the memory's bounds", len(s.Bytes), s.Offset)
		}
		copy(memory[s.Offset:], s.Bytes)
	}
	return nil
}

// strip returns the data, if the host can write it: all of it has constant
// offsets, and no instruction refers to it. Then what is not written to begin with
// is never written.
func (m *module) strip() ([]Segment, bool) {
	if m.uses.memoryInit || m.uses.dataDrop {
		return nil, false
	}
	list := make([]Segment, 0, len(m.data))
	for _, d := range m.data {
		switch {
		case d.passive:
		case d.offset.op == opI32Const:
			list = append(list, Segment{uint32(d.offset.v), d.init})
		default:
			return nil, false
		}
	}
	return list, true
}

func (m *module) exported() []Export {
	list := make([]Export, len(m.exports))
	for i, e := range m.exports {
		list[i] = Export{Name: e.name, Kind: e.kind}
		if e.kind == KindFunc {
			list[i].Type = m.types[m.funcs[e.index].typ].signature()
		}
	}
	return list
}
