package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
)

// The sections (WebAssembly Core, section 5.5.2).
const (
	secCustom = iota
	secType
	secImport
	secFunc
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag // of a proposal: exception handling
)

// order is where sections stand in a module.
var order = [...]int{secType: 1, secImport: 2, secFunc: 3, secTable: 4, secMemory: 5, secGlobal: 6, secExport: 7, secStart: 8,
	secElement: 9, secDataCount: 10, secCode: 11, secData: 12}

// module is what is in a binary.
type module struct {
	size   int
	types  []funcType
	typeOf map[string]int // the first type that is so, by funcType.key
	funcs  []function     // imported ones first

	imported       int // functions
	importedTables int
	tables         []table // but for imported ones
	memories       int
	memory         Memory
	global         []global // imported ones first
	importedGlobal int
	imports        []Import
	tracked        bool // see Module.Tracked
	exports        []export
	start          int // the function, or -1
	elements       []element
	data           []segment
	dataCount      int // what the section says, or -1
	names          []byte

	importBody    []byte // the items of the section as they are
	importN       int
	memorySection []byte
	dataSection   []byte
	codeSize      int
	options       Options

	labels  []label  // of the function that is scanned
	calls   []uint32 // of all functions one after the other: what is called, and past functions what type
	loops   []bool   // of all functions: whether something is called in them
	widest  int      // most values that a block or call has, of the function that is scanned
	carried int64
	locals  int64
	shape   shape // of the function that is scanned
	work    int64 // that all types and functions so far cost
	uses    usage
}

// function is one function.
type function struct {
	typ      uint32
	taken    bool   // something may call it by reference
	declared bool   // its reference may be taken by code (WebAssembly Core, section 3.4.10)
	groups   uint32 // of local variables
	head     []byte // their types
	locals   uint32 // with parameters
	code     []byte // instructions
	calls    int    // where those of module.calls end
	bulk     bool   // has an instruction that is charged by its operand
	counted  bool   // is on a cycle of the call graph
	frame    int64  // bytes of stack, estimated
}

type funcType struct {
	params, results []byte
	same            int // the first type that is equal
}

type global struct {
	typ      byte
	mutable  bool
	init     constant
	imported bool
}

type export struct {
	name  string
	kind  Kind
	index uint32
}

type element struct {
	flags       uint32
	table       uint32
	offset      constant
	kind        byte
	expressions []constant
	funcs       []uint32
}

type segment struct {
	passive bool
	offset  constant
	init    []byte
}

// constant is a constant expression: one instruction and end.
type constant struct {
	op   byte
	a    uint32 // of global.get and ref.func
	v    int32  // of i32.const
	text []byte
}

const header = "\x00asm\x01\x00\x00\x00"

// read reads a binary.
func read(binary []byte, o Options) (*module, error) {
	if !bytes.HasPrefix(binary, []byte(header)) {
		return nil, errors.New(notCore(binary))
	}
	m := &module{size: len(binary), options: o, typeOf: make(map[string]int), start: -1, dataCount: -1}
	r := reader{b: binary, p: len(header)}
	last := 0
	for r.p < len(binary) {
		id := r.byte()
		s := reader{b: r.bytes(r.u32())}
		if r.err != nil {
			return nil, fmt.Errorf("section %d: %w", id, r.err)
		}
		if id != secCustom {
			switch {
			case id == secTag:
				return nil, fmt.Errorf("section %d (exception handling) is not supported: build without exceptions", id)
			case int(id) >= len(order):
				return nil, fmt.Errorf("section %d is not supported", id)
			case order[id] <= last:
				return nil, fmt.Errorf("section %d is out of order", id)
			}
			last = order[id]
		}
		m.section(id, &s)
		if s.err == nil && s.p != len(s.b) {
			s.err = errors.New("has bytes behind its end")
		}
		if s.err != nil {
			return nil, fmt.Errorf("section %d: %w", id, s.err)
		}
	}
	return m, m.check()
}

func (m *module) section(id byte, s *reader) {
	switch id {
	case secCustom:
		if s.name() == "name" && m.names == nil {
			m.names = s.b[s.p:] // its indexes are looked at when all functions are known
		}
		if s.err == nil {
			s.p = len(s.b) // nothing else is of use to the runtime
		}
	case secType:
		m.readTypes(s)
	case secImport:
		m.readImports(s)
	case secFunc:
		for range s.atMost(maxFuncs, "functions") {
			m.funcs = append(m.funcs, function{typ: s.index(len(m.types), "type")})
		}
	case secTable:
		for range s.atMost(maxTables, "tables") {
			m.tables = append(m.tables, s.table())
		}
	case secMemory:
		m.memorySection = s.b
		for range s.atMost(math.MaxInt32, "memories") {
			m.readMemory(s)
		}
	case secGlobal:
		for range s.atMost(maxGlobals, "globals") {
			m.global = append(m.global, global{typ: s.valueType(), mutable: s.mutability(), init: m.constant(s)})
		}
	case secExport:
		m.readExports(s)
	case secStart:
		m.start = int(s.index(len(m.funcs), "function"))
		if s.err == nil {
			if t := &m.types[m.funcs[m.start].typ]; len(t.params)+len(t.results) != 0 {
				s.fail(errors.New("start function has parameters or results"))
			}
		}
	case secElement:
		m.readElements(s)
	case secDataCount:
		m.dataCount = int(s.u32())
	case secCode:
		m.codeSize = len(s.b)
		m.readCode(s)
	case secData:
		m.dataSection = s.b
		for range s.atMost(maxSegments, "segments of data") {
			m.readData(s)
		}
	}
}

// check looks at what spans sections.
func (m *module) check() error {
	if n := len(m.funcs); n > m.imported && m.funcs[n-1].code == nil {
		return errors.New("there are functions without bodies")
	}
	if m.dataCount >= 0 && m.dataCount != len(m.data) {
		return fmt.Errorf("data count is %d, and there are %d segments", m.dataCount, len(m.data))
	}
	return nil
}

func (m *module) readTypes(s *reader) {
	for range s.atMost(maxTypes, "types") {
		if form := s.byte(); form != typeFunction {
			s.failf("form of type 0x%x is not supported", form)
		}
		t := funcType{params: s.valueTypes("parameters"), results: s.valueTypes("results")}
		if s.err != nil {
			return
		}
		t.same = len(m.types)
		if first, ok := m.typeOf[t.key()]; ok {
			t.same = first
		} else {
			m.typeOf[t.key()] = t.same
		}
		m.types = append(m.types, t)
		m.spendType(s, &t)
	}
}

// key is the same for types that are equal.
func (t *funcType) key() string { return string(t.params) + " " + string(t.results) }

// typeIndex returns the index of a type, which it adds if there is none.
func (m *module) typeIndex(params, results []byte) uint32 {
	t := funcType{params: params, results: results, same: len(m.types)}
	if i, ok := m.typeOf[t.key()]; ok {
		return uint32(i)
	}
	m.typeOf[t.key()] = t.same
	m.types = append(m.types, t)
	return uint32(t.same)
}

func (r *reader) valueTypes(what string) []byte {
	list := r.bytes(uint32(r.atMost(maxTypeItems, what)))
	for _, t := range list {
		if !isValueType(t) {
			r.failf("type of value 0x%x is not supported", t)
		}
	}
	return list
}

func (r *reader) mutability() bool {
	v := r.byte()
	if v > 1 {
		r.failf("mutability of a global is 0x%x", v)
	}
	return v == 1
}

func (m *module) readImports(s *reader) {
	m.importN = s.atMost(maxImports, "imports")
	at := s.p
	for range m.importN {
		im := Import{Module: s.name(), Name: s.name(), Kind: Kind(s.byte())}
		if reserved(im.Module) || reserved(im.Name) {
			s.failf("imports %q.%q: names that begin with %s are the host's", im.Module, im.Name, Reserved)
		}
		switch im.Kind {
		case KindFunc:
			f := function{typ: s.index(len(m.types), "type")}
			if s.err == nil {
				im.Type = m.types[f.typ].signature()
			}
			m.funcs = append(m.funcs, f)
			m.imported++
		case KindTable:
			s.table()
			m.importedTables++
		case KindMemory:
			m.readMemory(s)
		case KindGlobal:
			m.global = append(m.global, global{typ: s.valueType(), mutable: s.mutability(), imported: true})
			m.importedGlobal++
		default:
			s.failf("kind of import 0x%x is not supported", byte(im.Kind))
		}
		if s.err != nil {
			return
		}
		m.imports = append(m.imports, im)
	}
	m.importBody = s.b[at:s.p]
}

func (m *module) readMemory(s *reader) {
	minimum, maximum, limited := s.limits()
	m.memory = Memory{Minimum: int64(minimum) * PageSize, Maximum: -1}
	if limited {
		m.memory.Maximum = int64(maximum) * PageSize
	}
	if m.memories++; m.memories > 1 {
		s.fail(errors.New("more than one memory is not supported"))
	}
	const pages = 1 << 16 // WebAssembly Core, section 3.2.4
	if minimum > pages || limited && (maximum > pages || minimum > maximum) {
		s.failf("memory of %d to %d pages", minimum, maximum)
	}
}

func (m *module) readExports(s *reader) {
	tables := m.importedTables + len(m.tables)
	for range s.atMost(maxExports, "exports") {
		e := export{name: s.name(), kind: Kind(s.byte())}
		if reserved(e.name) {
			s.failf("exports %q: names that begin with %s are the host's", e.name, Reserved)
		}
		switch e.kind {
		case KindFunc:
			e.index = s.index(len(m.funcs), "function")
			m.take(e.index, s)
		case KindTable:
			e.index = s.index(tables, "table")
		case KindMemory:
			e.index = s.index(m.memories, "memory")
		case KindGlobal:
			e.index = s.index(len(m.global), "global")
		default:
			s.failf("kind of export 0x%x is not supported", byte(e.kind))
		}
		if s.err != nil {
			return
		}
		m.exports = append(m.exports, e)
	}
}

func reserved(name string) bool { return strings.HasPrefix(name, Reserved) }

// take marks a function of which code may take a reference.
func (m *module) take(index uint32, s *reader) {
	if s.err == nil {
		m.funcs[index].taken, m.funcs[index].declared = true, true
	}
}
