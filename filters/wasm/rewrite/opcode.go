package rewrite

// The types of values and references (WebAssembly Core, section 5.3).
const (
	typeI32       = 0x7f
	typeI64       = 0x7e
	typeF32       = 0x7d
	typeF64       = 0x7c
	typeV128      = 0x7b
	typeFuncref   = 0x70
	typeExternref = 0x6f
	typeFunction  = 0x60
	typeEmpty     = 0x40 // of a block without parameters and results
)

func isValueType(t byte) bool {
	return t >= typeV128 && t <= typeI32 || t == typeFuncref || t == typeExternref
}

// The instructions that matter here by name (WebAssembly Core, section 5.4).
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opI32Load      = 0x28
	opI32Store     = 0x36
	opI64Store32   = 0x3e
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI64LtS       = 0x53
	opI32DivS      = 0x6d
	opI32RemU      = 0x70
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64DivS      = 0x7f
	opI64RemU      = 0x82
	opI64ShrU      = 0x88
	opI32TruncF32S = 0xa8
	opI32TruncF64U = 0xab
	opI64ExtendU   = 0xad
	opI64TruncF32S = 0xae
	opI64TruncF64U = 0xb1
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opMisc         = 0xfc // followed by another
	opSIMD         = 0xfd // likewise
)

// Those behind opSIMD that write memory (WebAssembly Core, section 5.4.8).
const (
	simdLoad        = opSIMD << 8
	simdStore       = opSIMD<<8 | 0x0b
	simdLoad8Lane   = opSIMD<<8 | 0x54
	simdStore8Lane  = opSIMD<<8 | 0x58
	simdStore64Lane = opSIMD<<8 | 0x5b
	simdLoad64Zero  = opSIMD<<8 | 0x5d
)

// Those behind opMisc: saturating truncations before, and these.
const (
	miscMemoryInit = opMisc<<8 | 8 + iota
	miscDataDrop
	miscMemoryCopy
	miscMemoryFill
	miscTableInit
	miscElemDrop
	miscTableCopy
	miscTableGrow
	miscTableSize
	miscTableFill
)

// accesses reports whether an instruction loads from memory at an address, or stores.
func accesses(op int) bool {
	return op >= opI32Load && op <= opI64Store32 || op >= simdLoad && op <= simdStore || op >= simdLoad8Lane && op <= simdLoad64Zero
}

// writes reports whether an instruction may write memory or lengthen it.
func writes(op int) bool {
	switch {
	case op >= opI32Store && op <= opI64Store32:
		return true
	case op == opMemoryGrow, op == miscMemoryInit, op == miscMemoryCopy, op == miscMemoryFill:
		return true
	}
	return op == simdStore || op >= simdStore8Lane && op <= simdStore64Lane
}

// immediate is what follows an opcode.
type immediate byte

const (
	unknown immediate = iota
	none
	immBlock
	immLabel
	immLabels
	immFunc
	immType // and table
	immSelect
	immLocal
	immGlobal
	immIndex
	immMemory // memory's alignment and offset
	immI32
	immI64
	imm4
	imm8
	immRef
	immRefFunc
	immMisc
	immSIMD
)

var immediates = func() (t [256]immediate) {
	set := func(first, last int, i immediate) {
		for op := first; op <= last; op++ {
			t[op] = i
		}
	}
	set(0x00, 0x01, none)
	set(opBlock, opIf, immBlock)
	set(opElse, opElse, none)
	set(opEnd, opEnd, none)
	set(opBr, opBrIf, immLabel)
	set(opBrTable, opBrTable, immLabels)
	set(opReturn, opReturn, none)
	set(opCall, opCall, immFunc)
	set(opCallIndirect, opCallIndirect, immType)
	set(0x1a, 0x1b, none) // drop, select
	set(opSelectTyped, opSelectTyped, immSelect)
	set(opLocalGet, opLocalTee, immLocal)
	set(opGlobalGet, opGlobalSet, immGlobal)
	set(opTableGet, opTableSet, immIndex)
	set(0x28, 0x3e, immMemory)
	set(0x3f, opMemoryGrow, immIndex)
	set(opI32Const, opI32Const, immI32)
	set(opI64Const, opI64Const, immI64)
	set(opF32Const, opF32Const, imm4)
	set(opF64Const, opF64Const, imm8)
	set(0x45, 0xc4, none) // numeric, sign extension
	set(opRefNull, opRefNull, immRef)
	set(0xd1, 0xd1, none) // ref.is_null
	set(opRefFunc, opRefFunc, immRefFunc)
	set(opMisc, opMisc, immMisc)
	set(opSIMD, opSIMD, immSIMD)
	return t
}()

// proposals names opcodes of what is newer, for the error.
var proposals = map[byte]string{
	0x06: "exception handling", 0x07: "exception handling", 0x08: "exception handling", 0x09: "exception handling",
	0x0a: "exception handling", 0x18: "exception handling", 0x19: "exception handling", 0x1f: "exception handling",
	0x12: "tail calls", 0x13: "tail calls",
	0x14: "typed function references", 0x15: "typed function references", 0xd4: "typed function references",
	0xd5: "typed function references", 0xd6: "typed function references",
	0xd3: "garbage collection", 0xfb: "garbage collection", 0xfe: "threads",
}

// instruction is one that has been read.
type instruction struct {
	op   int    // with what follows a prefix: 0xfc0b
	a, b uint32 // its immediates: indexes; of a block's type its index, if b is byType
	at   int    // where it begins
}

// What a block's type is.
const (
	byNothing = iota
	byValue   // one result, of type a
	byType    // type a
)

// next reads an instruction. Of br_table it reads the number of labels but for the
// last, into a; the caller reads them, and the last.
func (r *reader) next(i *instruction) {
	i.at = r.p
	op := r.byte()
	i.op = int(op)
	switch immediates[op] {
	case none:
	case immLocal, immGlobal, immLabel, immFunc, immRefFunc, immIndex:
		i.a = r.u32()
	case immMemory:
		r.u32()
		r.u32()
	case immI32:
		r.signed(32)
	case immI64:
		r.signed(64)
	case imm4:
		r.bytes(4)
	case imm8:
		r.bytes(8)
	case immBlock:
		r.blockType(i)
	case immLabels:
		i.a = uint32(r.atMost(maxLabels, "labels of a br_table"))
	case immType:
		i.a, i.b = r.u32(), r.u32()
	case immSelect:
		if r.u32() != 1 { // what else there may be one day no module has
			r.failf("select of more than one value is not supported")
		}
		r.valueType()
	case immRef:
		r.refType()
	case immMisc:
		r.misc(i)
	case immSIMD:
		r.simd(i)
	default:
		if p := proposals[op]; p != "" {
			r.failf("instruction 0x%x (%s) is not supported", op, p)
		} else {
			r.failf("instruction 0x%x is not supported", op)
		}
	}
}

// blockType reads a block's type (WebAssembly Core, section 5.4.1).
func (r *reader) blockType(i *instruction) {
	if r.p < len(r.b) {
		switch t := r.b[r.p]; {
		case t == typeEmpty:
			r.p++
			i.a, i.b = 0, byNothing
			return
		case isValueType(t):
			r.p++
			i.a, i.b = uint32(t), byValue
			return
		}
	}
	v := r.signed(33)
	if v < 0 {
		r.failf("type of a block %d is not supported", v)
	}
	i.a, i.b = uint32(v), byType
}

func (r *reader) misc(i *instruction) {
	op := r.u32()
	i.op = opMisc<<8 | int(min(op, 0xff))
	switch {
	case op <= 7: // saturating truncations
	case i.op == miscMemoryInit || i.op == miscMemoryCopy || i.op == miscTableInit || i.op == miscTableCopy:
		i.a, i.b = r.u32(), r.u32()
	case i.op <= miscTableFill:
		i.a = r.u32()
	default:
		r.failf("instruction 0xfc %d is not supported", op)
	}
}

// simd reads a vector instruction. Its opcode is two bytes at most, and not padded:
// runtimes are known that read one byte, and take the second for a nop.
func (r *reader) simd(i *instruction) {
	op := int(r.byte())
	if op >= 0x80 {
		if r.byte() != 1 {
			r.failf("relaxed vector instructions are not supported")
		}
	}
	i.op = opSIMD<<8 | op
	switch {
	case op <= 11 || op == 92 || op == 93: // loads and stores
		r.u32()
		r.u32()
	case op == 12 || op == 13: // v128.const, i8x16.shuffle
		r.bytes(16)
	case op >= 21 && op <= 34: // lanes
		r.byte()
	case op >= 84 && op <= 91: // loads and stores of a lane
		r.u32()
		r.u32()
		r.byte()
	}
}
