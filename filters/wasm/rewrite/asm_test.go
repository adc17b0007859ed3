package rewrite

import (
	"slices"
	"strconv"
	"strings"
)

// mod is a module for tests.
type mod struct {
	types    []string // "i32 i32 -> i64"
	imports  []string // "module name type": functions
	funcs    []fn
	tables   []string // "funcref 1 10"
	memory   []uint32 // minimum, maximum
	globals  []string // "mut i32 i32.const 1"
	exports  []string // "name func 0"
	start    string   // function
	elements [][]uint32
	data     []string // "offset text"; "- text" is passive
	count    bool     // a data count section
}

// fn is a function.
type fn struct {
	typ    int
	locals string // "i32 i64"
	code   string // instructions between semicolons, but for the last end
}

var typeNames = map[string]byte{"i32": typeI32, "i64": typeI64, "f32": typeF32, "f64": typeF64, "v128": typeV128,
	"funcref": typeFuncref, "externref": typeExternref}

var mnemonics = map[string]int{
	"unreachable": 0x00, "nop": 0x01, "block": opBlock, "loop": opLoop, "if": opIf, "else": opElse, "end": opEnd, "br": opBr, "br_if": opBrIf,
	"br_table": opBrTable, "return": opReturn, "call": opCall, "call_indirect": opCallIndirect, "drop": 0x1a, "select": 0x1b,
	"local.get": opLocalGet, "local.set": opLocalSet, "local.tee": opLocalTee, "global.get": opGlobalGet, "global.set": opGlobalSet,
	"table.get": opTableGet, "table.set": opTableSet, "i32.load": 0x28, "i64.load": 0x29, "i32.load8_u": 0x2d, "i32.store": 0x36, "i32.store8": 0x3a,
	"memory.size": 0x3f, "memory.grow": opMemoryGrow, "i32.const": opI32Const, "i64.const": opI64Const, "i32.eqz": 0x45, "i32.ne": 0x47, "i32.lt_s": 0x48,
	"i32.lt_u": 0x49, "i32.gt_s": 0x4a, "i32.add": 0x6a, "i32.sub": 0x6b, "i32.mul": 0x6c, "i32.and": 0x71, "i32.or": 0x72, "i32.xor": 0x73,
	"i32.shl": 0x74, "i32.rem_u": 0x70, "i32.rotl": 0x77, "i64.add": opI64Add, "i64.sub": opI64Sub, "ref.null": opRefNull, "ref.func": opRefFunc,
	"memory.init": miscMemoryInit, "data.drop": miscDataDrop, "memory.copy": miscMemoryCopy, "memory.fill": miscMemoryFill,
	"i64.store": 0x37, "f32.store": 0x38, "f64.store": 0x39, "i32.store16": 0x3b, "i64.store8": 0x3c, "i64.store16": 0x3d, "i64.store32": 0x3e,
	"f32.load": 0x2a, "f64.load": 0x2b, "v128.load": opSIMD << 8, "v128.store": opSIMD<<8 | 11, "v128.load8_lane": opSIMD<<8 | 84,
	"v128.store8_lane": opSIMD<<8 | 88, "v128.store16_lane": opSIMD<<8 | 89, "v128.store32_lane": opSIMD<<8 | 90, "v128.store64_lane": opSIMD<<8 | 91,
	"table.init": miscTableInit, "elem.drop": miscElemDrop, "table.copy": miscTableCopy, "table.grow": miscTableGrow, "table.fill": miscTableFill,
}

// assemble writes instructions.
func assemble(code string) []byte {
	var b []byte
	for _, line := range strings.Split(code, ";") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		op, ok := mnemonics[words[0]]
		if !ok {
			panic("no instruction " + words[0])
		}
		if op > 0xff {
			b = append(b, byte(op>>8))
		}
		b = append(b, byte(op))
		args := words[1:]
		switch op {
		case opBlock, opLoop, opIf:
			if len(args) == 0 {
				b = append(b, typeEmpty)
				continue
			}
		case opBrTable:
			b = appendU32(b, uint32(len(args)-1))
		}
		for _, a := range args {
			if t, ok := typeNames[a]; ok {
				b = append(b, t)
				continue
			}
			n, err := strconv.ParseInt(a, 0, 64)
			if err != nil {
				panic(err)
			}
			if op == opI32Const || op == opI64Const || op == opBlock || op == opLoop || op == opIf {
				b = appendSigned(b, n)
			} else {
				b = appendU32(b, uint32(n))
			}
		}
	}
	return b
}

func appendTypes(b []byte, list string) []byte {
	words := strings.Fields(list)
	b = appendU32(b, uint32(len(words)))
	for _, w := range words {
		b = append(b, typeNames[w])
	}
	return b
}

// vector writes a section of items.
func vector[T any](b []byte, id byte, items []T, item func([]byte, T) []byte) []byte {
	if len(items) == 0 {
		return b
	}
	body := appendU32(nil, uint32(len(items)))
	for _, i := range items {
		body = item(body, i)
	}
	return appendSection(b, id, body)
}

func (m *mod) binary() []byte {
	kinds := map[string]byte{"func": 0, "table": 1, "memory": 2, "global": 3}
	number := func(s string) uint32 {
		n, err := strconv.ParseUint(s, 0, 32)
		if err != nil {
			panic(err)
		}
		return uint32(n)
	}
	limits := func(b []byte, l []uint32) []byte {
		b = appendU32(append(b, byte(len(l)-1)), l[0])
		if len(l) == 2 {
			b = appendU32(b, l[1])
		}
		return b
	}
	b := []byte(header)
	b = vector(b, secType, m.types, func(b []byte, t string) []byte {
		params, results, _ := strings.Cut(t, "->")
		return appendTypes(appendTypes(append(b, typeFunction), params), results)
	})
	b = vector(b, secImport, m.imports, func(b []byte, i string) []byte {
		w := strings.Fields(i)
		return appendU32(append(appendName(appendName(b, w[0]), w[1]), 0), number(w[2]))
	})
	b = vector(b, secFunc, m.funcs, func(b []byte, f fn) []byte { return appendU32(b, uint32(f.typ)) })
	b = vector(b, secTable, m.tables, func(b []byte, t string) []byte {
		w := strings.Fields(t)
		l := []uint32{number(w[1])}
		if len(w) > 2 {
			l = append(l, number(w[2]))
		}
		return limits(append(b, typeNames[w[0]]), l)
	})
	if m.memory != nil {
		b = vector(b, secMemory, [][]uint32{m.memory}, limits)
	}
	b = vector(b, secGlobal, m.globals, func(b []byte, g string) []byte {
		mutable := byte(0)
		if rest, ok := strings.CutPrefix(g, "mut "); ok {
			g, mutable = rest, 1
		}
		typ, init, _ := strings.Cut(g, " ")
		return append(append(append(b, typeNames[typ], mutable), assemble(init)...), opEnd)
	})
	b = vector(b, secExport, m.exports, func(b []byte, e string) []byte {
		w := strings.Fields(e)
		return appendU32(append(appendName(b, w[0]), kinds[w[1]]), number(w[2]))
	})
	if m.start != "" {
		b = appendSection(b, secStart, appendU32(nil, number(m.start)))
	}
	b = vector(b, secElement, m.elements, func(b []byte, e []uint32) []byte {
		b = appendU32(append(b, 0, opI32Const, 0, opEnd), uint32(len(e)))
		for _, f := range e {
			b = appendU32(b, f)
		}
		return b
	})
	if m.count {
		b = appendSection(b, secDataCount, appendU32(nil, uint32(len(m.data))))
	}
	b = vector(b, secCode, m.funcs, func(b []byte, f fn) []byte {
		var body []byte
		locals := strings.Fields(f.locals)
		body = appendU32(body, uint32(len(locals)))
		for _, l := range locals {
			n, t, ok := strings.Cut(l, "*")
			if !ok {
				n, t = "1", l
			}
			body = append(appendU32(body, number(n)), typeNames[t])
		}
		body = append(append(body, assemble(f.code)...), opEnd)
		return append(appendU32(b, uint32(len(body))), body...)
	})
	return vector(b, secData, m.data, func(b []byte, d string) []byte {
		offset, text, _ := strings.Cut(d, " ")
		if offset == "-" {
			b = append(b, 1)
		} else {
			b = appendSigned(append(b, 0, opI32Const), int64(int32(number(offset))))
			b = append(b, opEnd)
		}
		return appendName(b, text)
	})
}

// repeat is code n times.
func repeat(code string, n int) string { return strings.Join(slices.Repeat([]string{code}, n), ";") }
