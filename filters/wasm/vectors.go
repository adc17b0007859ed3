package wasm

import "fmt"

// The runtime allocates for as many items as a vector says that it has, before
// it reads one: 26 bytes can ask for more memory than the machine has, and end
// the process. So every count and size in a module is held against what is there
// and against these bounds, which are below those of browsers.
const (
	maxTypes     = 100_000
	maxTypeItems = 1_000 // parameters, and results
	maxFuncs     = 1_000_000
	maxImports   = 100_000
	maxExports   = 100_000
	maxGlobals   = 100_000
	maxSegments  = 100_000   // of data, and of elements
	maxElements  = 1_000_000 // of one segment
)

// atMost reads the length of a vector of at most n items.
func (r *reader) atMost(n int, what string) int {
	have := r.count()
	if have > n {
		r.fail(fmt.Errorf("%d %s, more than the %d allowed", have, what, n))
		return 0
	}
	return have
}

// readGlobals reads the global section.
func (r *reader) readGlobals() {
	for range r.atMost(maxGlobals, "globals") {
		r.bytes(2)
		r.constant()
	}
}

// readElements reads the element section (WebAssembly Core, section 5.5.12).
func (r *reader) readElements() {
	left := maxElements
	for range r.atMost(maxSegments, "segments of elements") {
		flags := r.u32()
		if flags > 7 {
			r.fail(fmt.Errorf("unknown segment of elements %d", flags))
			return
		}
		passive, explicit, expressions := flags&1 != 0, flags&2 != 0, flags&4 != 0
		if !passive {
			if explicit {
				r.u32() // table
			}
			r.constant()
		}
		if passive || explicit {
			r.byte() // kind or type
		}
		n := r.atMost(left, "elements")
		left -= n
		for range n {
			if expressions {
				r.constant()
			} else {
				r.u32()
			}
		}
	}
}

// readData reads the data section.
func (r *reader) readData() {
	for range r.atMost(maxSegments, "segments of data") {
		r.segment()
	}
}

// segment reads a segment of data.
func (r *reader) segment() {
	switch flags := r.u32(); flags {
	case 0:
		r.constant()
	case 1:
	case 2:
		r.u32() // memory
		r.constant()
	default:
		r.fail(fmt.Errorf("unknown segment of data %d", flags))
		return
	}
	r.bytes(r.u32())
}

// constant reads a constant expression: constants, global.get, ref.null and
// ref.func, up to end.
func (r *reader) constant() {
	for r.err == nil {
		if r.p < len(r.b) {
			switch op := r.b[r.p]; op {
			case 0x0b:
				r.p++
				return
			case 0x23, 0x41, 0x42, 0x43, 0x44, 0xd0, 0xd2, opPrefixSIMD:
			default:
				r.fail(fmt.Errorf("instruction 0x%x in a constant expression", op))
				return
			}
		}
		r.instruction()
	}
}

// functionNames returns a custom section that has the functions' names only, for
// the traces of traps, or nil if body has none. What is wrong in a custom section
// does not make a module invalid (WebAssembly Core, section 7.4.1).
func functionNames(body []byte) []byte {
	r := reader{b: body}
	for r.err == nil && r.p < len(body) {
		id := r.byte()
		names := r.bytes(r.u32())
		if id != 1 {
			continue
		}
		n := reader{b: names}
		for range n.atMost(maxFuncs, "names") {
			n.u32()
			n.name()
		}
		if r.err != nil || n.err != nil || n.p != len(names) {
			return nil
		}
		out := append([]byte{4}, "name\x01"...)
		return append(appendU32(out, uint32(len(names))), names...)
	}
	return nil
}
