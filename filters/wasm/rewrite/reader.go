package rewrite

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

var (
	errTruncated = errors.New("ends too early")
	errInteger   = errors.New("integer has more bits than its type")
)

// reader reads the binary format. After its first error it reads zeros.
//
// It is as strict as WebAssembly Core, section 5, at least: what it accepts every
// other reader understands in the same way, so that an instruction begins where
// we believe that it does.
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

func (r *reader) failf(format string, args ...any) {
	r.fail(fmt.Errorf(format, args...))
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
	if r.p < len(r.b) && r.b[r.p] < 0x80 {
		r.p++
		return uint32(r.b[r.p-1])
	}
	var v uint32
	for shift := uint(0); ; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x0f {
			r.fail(errInteger)
			return 0
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
}

// signed reads a signed integer of so many bits in LEB128, likewise.
func (r *reader) signed(bits uint) int64 {
	var v int64
	for shift := uint(0); ; shift += 7 {
		c := r.byte()
		if left := bits - shift; left < 8 {
			// The last byte that there may be: what is above the value is its sign.
			if top := int8(c<<1) >> left; c >= 0x80 || top != 0 && top != -1 {
				r.fail(errInteger)
				return 0
			}
		}
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if c&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
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

// atMost reads the length of a vector of at most n items, of which each takes a
// byte or more.
func (r *reader) atMost(n int, what string) int {
	have := r.u32()
	if uint64(have) > uint64(len(r.b)-r.p) {
		r.fail(errTruncated)
		return 0
	}
	if int(have) > n {
		r.failf("%d %s, more than the %d allowed", have, what, n)
		return 0
	}
	return int(have)
}

// index reads an index below n.
func (r *reader) index(n int, what string) uint32 {
	v := r.u32()
	if uint64(v) >= uint64(n) {
		r.failf("%s %d does not exist", what, v)
		return 0
	}
	return v
}

// valueType reads the type of a value (WebAssembly Core, section 5.3.4).
func (r *reader) valueType() byte {
	t := r.byte()
	if !isValueType(t) {
		r.failf("type of value 0x%x is not supported", t)
	}
	return t
}

// refType reads the type of a reference (section 5.3.3).
func (r *reader) refType() byte {
	t := r.byte()
	if t != typeFuncref && t != typeExternref {
		r.failf("type of references 0x%x is not supported", t)
	}
	return t
}

// limits reads the limits of a table or a memory. Those of shared or 64-bit ones
// are refused.
func (r *reader) limits() (minimum, maximum uint32, limited bool) {
	flags := r.byte()
	if flags > 1 {
		switch {
		case flags == 2 || flags == 3:
			r.fail(errors.New("shared memories are not supported: build without threads"))
		case flags >= 4 && flags <= 7:
			r.fail(errors.New("64-bit memories and tables are not supported: build for wasm32"))
		default:
			r.failf("flags of limits 0x%x are not supported", flags)
		}
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

func appendSigned(b []byte, v int64) []byte {
	for v < -0x40 || v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}
