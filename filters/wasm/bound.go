package wasm

import (
	"errors"
	"fmt"
	"math"
)

// bound reads a module's binary, and returns what is in it and an equal binary
// with two things bounded that the runtime does not bound:
//
//   - Tables. table.grow would take gigabytes in one call. Each table gets a
//     maximum, so that all of them together have at most the given entries.
//   - Calls. The runtime looks whether a guest's time is over, and lets the
//     garbage collector in, at the head of each loop only. Functions that call
//     each other twice, 64 deep, never come to one, nor does a long row of
//     instructions that fill all of the memory. So each body begins with an empty
//     loop, and each such instruction has one before it.
//
// Sizes are held against the bounds of vectors.go, and custom sections are left out,
// but for names. Segments of data are merged, see mergeData.
//
// Nothing of that makes an invalid module valid: an empty loop is a whole instruction
// that leaves stack, labels and indexes alone, and a maximum is only ever
// lowered to what is not less than the minimum. So the runtime's validation of
// the result is one of the original.
func bound(binary []byte, tables uint32) (*Info, []byte, error) {
	const header = "\x00asm\x01\x00\x00\x00"
	if len(binary) < len(header) || string(binary[:len(header)]) != header {
		return nil, nil, errors.New("does not begin with the magic number and version 1 of a core module")
	}
	b := &bounder{r: reader{b: binary, p: len(header)}, tables: tables}
	b.out = append(make([]byte, 0, len(binary)+len(binary)/16), header...)
	for b.r.p < len(binary) {
		id := b.r.byte()
		body := b.r.bytes(b.r.u32())
		if b.r.err != nil {
			return nil, nil, b.r.err
		}
		s := &section{reader: reader{b: body}, id: id}
		if err := b.section(s); err != nil {
			return nil, nil, fmt.Errorf("section %d: %w", id, err)
		}
	}
	b.info.Exports = b.exports()
	return &b.info, b.out, nil
}

// maxBody is the largest body of a function, in bytes: what browsers accept
// (WebAssembly JavaScript Interface, section 9). The compiler's time for one
// function grows faster than its size.
const maxBody = 7_654_321

// check is loop end, of empty type.
var check = [...]byte{0x03, 0x40, 0x0b}

type bounder struct {
	r      reader
	out    []byte
	tables uint32
	info   Info
	types  []Signature
	funcs  []uint32 // type of each function, imported ones first
	list   []rawExport
	named  bool

	counted bool // there is a data count section
}

type rawExport struct {
	name  string
	kind  Kind
	index uint32
}

// section is the content of one section.
type section struct {
	reader
	id byte
}

// The sections that are looked into.
const (
	secCustom  = 0
	secType    = 1
	secImport  = 2
	secFunc    = 3
	secTable   = 4
	secMemory  = 5
	secGlobal  = 6
	secExport  = 7
	secElement = 9
	secCode    = 10
	secData    = 11

	secDataCount = 12
)

// section reads s and appends it to the output.
func (b *bounder) section(s *section) error {
	body := s.b
	switch s.id {
	case secCustom:
		// Nothing but names is of use to the runtime.
		name := s.name()
		body, s.p = s.b[s.p:], len(s.b)
		if name == "name" && s.err == nil && !b.named {
			body = functionNames(body)
		} else {
			body = nil
		}
		if body == nil {
			return s.err
		}
		b.named = true
	case secType:
		b.readTypes(s)
	case secImport:
		b.readImports(s)
	case secFunc:
		for range s.atMost(maxFuncs, "functions") {
			b.funcs = append(b.funcs, s.u32())
		}
	case secTable:
		body = b.boundTables(s)
	case secMemory:
		for range s.count() {
			minimum, maximum, limited := s.limits()
			b.info.Memory, b.info.Max = int64(minimum)*PageSize, -1
			if limited {
				b.info.Max = int64(maximum) * PageSize
			}
		}
	case secExport:
		for range s.atMost(maxExports, "exports") {
			b.list = append(b.list, rawExport{s.name(), Kind(s.byte()), s.u32()})
		}
	case secGlobal:
		s.readGlobals()
	case secElement:
		s.readElements()
	case secCode:
		body = b.boundCode(s)
	case secData:
		s.readData()
		if s.err == nil && !b.counted {
			body = mergeData(s.b)
		}
	case secDataCount:
		b.counted, s.p = true, len(s.b)
	default:
		s.p = len(s.b)
	}
	if s.err != nil {
		return s.err
	}
	if s.p != len(s.b) {
		return errors.New("has bytes behind its end")
	}
	if len(body) > math.MaxUint32 {
		return errors.New("too large")
	}
	b.out = append(b.out, s.id)
	b.out = appendU32(b.out, uint32(len(body)))
	b.out = append(b.out, body...)
	return nil
}

func (b *bounder) readTypes(s *section) {
	for range s.atMost(maxTypes, "types") {
		if form := s.byte(); form != 0x60 && s.err == nil {
			s.err = fmt.Errorf("unknown form of type 0x%x", form)
		}
		params := s.bytes(uint32(s.atMost(maxTypeItems, "parameters")))
		results := s.bytes(uint32(s.atMost(maxTypeItems, "results")))
		b.types = append(b.types, signature(params, results))
	}
}

func (b *bounder) readImports(s *section) {
	for range s.atMost(maxImports, "imports") {
		im := Import{Module: s.name(), Name: s.name(), Kind: Kind(s.byte())}
		switch im.Kind {
		case KindFunc:
			index := s.u32()
			b.funcs = append(b.funcs, index)
			im.Type = b.typeOf(index)
		case KindTable:
			s.byte()
			s.limits()
		case KindMemory:
			s.limits()
		case KindGlobal:
			s.bytes(2)
		case KindTag:
			s.byte()
			s.u32()
		default:
			if s.err == nil {
				s.err = fmt.Errorf("unknown kind of import 0x%x", byte(im.Kind))
			}
		}
		if s.err != nil {
			return
		}
		b.info.Imports = append(b.info.Imports, im)
	}
}

// typeOf returns a type by its index. An index that has none is found by
// validation.
func (b *bounder) typeOf(index uint32) Signature {
	if uint64(index) < uint64(len(b.types)) {
		return b.types[index]
	}
	return "(invalid)"
}

func (b *bounder) exports() []Export {
	list := make([]Export, 0, len(b.list))
	for _, e := range b.list {
		x := Export{Name: e.name, Kind: e.kind}
		if e.kind > KindTag {
			continue // found by validation
		}
		if e.kind == KindFunc && uint64(e.index) < uint64(len(b.funcs)) {
			x.Type = b.typeOf(b.funcs[e.index])
		}
		list = append(list, x)
	}
	return list
}

// boundTables lowers the maxima of the tables, in equal parts of what the minima
// leave.
func (b *bounder) boundTables(s *section) []byte {
	type table struct {
		ref              byte
		minimum, maximum uint32
	}
	var list []table
	var sum uint64
	for range s.count() {
		t := table{ref: s.byte()}
		if t.ref != 0x70 && t.ref != 0x6f && s.err == nil {
			s.err = fmt.Errorf("unknown type of references 0x%x", t.ref)
		}
		var limited bool
		if t.minimum, t.maximum, limited = s.limits(); !limited {
			t.maximum = math.MaxUint32
		} else if t.maximum < t.minimum && s.err == nil {
			s.err = errors.New("table's maximum is less than its minimum")
		}
		sum += uint64(t.minimum)
		list = append(list, t)
	}
	if s.err != nil {
		return nil
	}
	if sum > uint64(b.tables) {
		s.err = fmt.Errorf("tables have %d entries, more than the %d allowed", sum, b.tables)
		return nil
	}
	body := appendU32(nil, uint32(len(list)))
	for _, t := range list {
		share := t.minimum + (b.tables-uint32(sum))/uint32(len(list))
		body = append(body, t.ref, 1)
		body = appendU32(body, t.minimum)
		body = appendU32(body, min(t.maximum, share))
	}
	return body
}

// boundCode puts the check behind the local variables of each body.
func (b *bounder) boundCode(s *section) []byte {
	n := s.atMost(maxFuncs, "functions")
	out := appendU32(make([]byte, 0, len(s.b)+n*(len(check)+1)), uint32(n))
	var code []byte
	for range n {
		body := reader{b: s.bytes(s.u32())}
		if len(body.b) > maxBody && s.err == nil {
			s.err = fmt.Errorf("a function is %d bytes, more than the %d allowed", len(body.b), maxBody)
		}
		for range body.count() {
			body.u32()
			body.byte()
		}
		if s.err == nil {
			s.err = body.err
		}
		if s.err != nil {
			return nil
		}
		code = append(append(code[:0], body.b[:body.p]...), check[:]...)
		code = boundBulk(code, body.b[body.p:])
		out = appendU32(out, uint32(len(code)))
		out = append(out, code...)
	}
	return out
}
