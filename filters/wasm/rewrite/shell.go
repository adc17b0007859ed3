package rewrite

import "bytes"

// Shell returns a module that [Rewrite] has made with nothing left in its functions but
// a trap: what a runtime needs beside their compiled code. Its custom section "shell"
// has the mark, which is to tell it from other modules' shells.
func Shell(binary, mark []byte) []byte {
	out := append(make([]byte, 0, len(binary)/2), header...)
	r := reader{b: binary, p: len(header)}
	for r.p < len(binary) {
		at := r.p
		id := r.byte()
		s := reader{b: r.bytes(r.u32())}
		if r.err != nil {
			panic("BUG: not a module that was rewritten: " + r.err.Error())
		}
		if id != secCode {
			out = append(out, binary[at:r.p]...)
			continue
		}
		n := s.u32()
		trap := []byte{3, 0, opUnreachable, opEnd} // 3 bytes, no variables
		out = appendSection(out, secCode, append(appendU32(nil, n), bytes.Repeat(trap, int(n))...))
	}
	return appendSection(out, secCustom, append(appendName(nil, "shell"), mark...))
}
