package wasm

import "bytes"

// boundBulk puts the check before each instruction that works on as much as a
// whole memory or table at once: a body of many of them would otherwise run for
// minutes without coming to a loop. Code that is not understood is left alone:
// it is of a feature that validation refuses.
func boundBulk(out, code []byte) []byte {
	if bytes.IndexByte(code, opPrefixMisc) < 0 {
		return append(out, code...)
	}
	r := reader{b: code}
	copied := 0
	for r.p < len(code) && r.err == nil {
		at := r.p
		bulk, ok := r.instruction()
		if !ok {
			break
		}
		if bulk {
			out = append(out, code[copied:at]...)
			out = append(out, check[:]...)
			copied = at
		}
	}
	return append(out, code[copied:]...)
}

// Opcodes that are followed by another.
const (
	opPrefixMisc = 0xfc
	opPrefixSIMD = 0xfd
)

// instruction reads one instruction (WebAssembly Core, section 5.4). It returns
// whether it is a bulk one, and whether it is known.
func (r *reader) instruction() (bulk, ok bool) {
	switch op := r.byte(); {
	case op == opPrefixMisc:
		return r.misc()
	case op == opPrefixSIMD:
		r.simd()
	case op == 0x02 || op == 0x03 || op == 0x04: // block, loop, if
		r.leb()
	case op == 0x0c || op == 0x0d || op == 0x10: // br, br_if, call
		r.leb()
	case op == 0x0e: // br_table
		for range r.count() {
			r.leb()
		}
		r.leb()
	case op == 0x11: // call_indirect
		r.leb()
		r.leb()
	case op == 0x1c: // select with types
		r.bytes(r.u32())
	case op >= 0x20 && op <= 0x26: // local, global, table.get, table.set
		r.leb()
	case op >= 0x28 && op <= 0x3e: // load, store
		r.leb()
		r.leb()
	case op == 0x3f || op == 0x40: // memory.size, memory.grow
		r.leb()
	case op == 0x41 || op == 0x42: // i32.const, i64.const
		r.leb()
	case op == 0x43: // f32.const
		r.bytes(4)
	case op == 0x44: // f64.const
		r.bytes(8)
	case op == 0xd0 || op == 0xd2: // ref.null, ref.func
		r.leb()
	case op <= 0x01 || op == 0x05 || op == 0x0b || op == 0x0f || op == 0x1a || op == 0x1b ||
		op >= 0x45 && op <= 0xc4 || op == 0xd1:
	default:
		return false, false
	}
	return false, true
}

func (r *reader) misc() (bulk, ok bool) {
	switch op := r.u32(); op {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating truncations
	case 8, 10, 12, 14: // memory.init, memory.copy, table.init, table.copy
		r.leb()
		r.leb()
		return true, true
	case 11, 17: // memory.fill, table.fill
		r.leb()
		return true, true
	case 9, 13, 15, 16: // data.drop, elem.drop, table.grow, table.size
		r.leb()
	default:
		return false, false
	}
	return false, true
}

func (r *reader) simd() {
	switch op := r.u32(); {
	case op <= 11 || op == 92 || op == 93: // loads and stores
		r.leb()
		r.leb()
	case op == 12 || op == 13: // v128.const, i8x16.shuffle
		r.bytes(16)
	case op >= 21 && op <= 34: // lanes
		r.byte()
	case op >= 84 && op <= 91: // loads and stores of a lane
		r.leb()
		r.leb()
		r.byte()
	}
}

// leb skips an integer in LEB128 of any size and sign.
func (r *reader) leb() {
	for r.byte() >= 0x80 {
	}
}
