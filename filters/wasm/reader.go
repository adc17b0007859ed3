package wasm

import (
	"errors"
	"unicode/utf8"
)

// PageSize is the unit of memory, in bytes.
const PageSize = 64 << 10

var errTruncated = errors.New("ends too early")

// reader reads the binary format. After its first error it reads zeros.
type reader struct {
	b   []byte
	p   int
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.p = len(r.b)
}

func (r *reader) byte() byte {
	if r.p >= len(r.b) {
		r.fail(errTruncated)
		return 0
	}
	r.p++
	return r.b[r.p-1]
}

// u32 reads an integer in LEB128 (WebAssembly Core, section 5.2.2).
func (r *reader) u32() uint32 {
	var v uint32
	for shift := uint(0); ; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x0f {
			r.fail(errors.New("integer of more than 32 bits"))
			return 0
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.p) {
		r.fail(errTruncated)
		return nil
	}
	r.p += int(n)
	return r.b[r.p-int(n) : r.p : r.p]
}

func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.fail(errors.New("name is not UTF-8"))
		return ""
	}
	return string(b)
}

// count reads the length of a vector, of which each item takes a byte or more.
func (r *reader) count() int {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)-r.p) {
		r.fail(errTruncated)
		return 0
	}
	return int(n)
}

// limits reads the limits of a table or a memory. Those of shared or 64-bit ones
// are refused.
func (r *reader) limits() (minimum, maximum uint32, limited bool) {
	flags := r.byte()
	if flags > 1 {
		r.fail(errors.New("shared and 64-bit memories and tables are not supported"))
		return 0, 0, false
	}
	minimum = r.u32()
	if flags == 1 {
		maximum = r.u32()
	}
	return minimum, maximum, flags == 1
}

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}
