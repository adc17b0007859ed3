package edge

import (
	"sync"
	"unsafe"
)

// BufferSize is the size of an exchange's buffer.
const BufferSize = 16 << 10

var buffers = sync.Pool{New: func() any { return new([BufferSize]byte) }}

// Buffer returns the exchange's own buffer, in which a transport keeps the head
// of the response that it reads. It lives as long as the exchange, not as long
// as the upstream connection: the enders that run after the transport's own
// still read x.Response.
func (x *Exchange) Buffer() []byte {
	if x.buf == nil {
		x.buf = buffers.Get().(*[BufferSize]byte)
	}
	return x.buf[:]
}

// largeSize is the size of the buffers that Grow takes from a pool.
const largeSize = 80 << 10

var largeBuffers = sync.Pool{New: func() any { return new([largeSize]byte) }}

// Grow returns a buffer of at least n bytes that lives as long as what Buffer
// returns: for the rare head that does not fit that. A second call may return the
// same memory.
func (x *Exchange) Grow(n int) []byte {
	if n > largeSize {
		return make([]byte, n)
	}
	if x.large == nil {
		x.large = largeBuffers.Get().(*[largeSize]byte)
	}
	return x.large[:]
}

// arenaSize is the least capacity of an exchange's arena, in bytes.
const arenaSize = 512

// Scratch returns n bytes of the exchange's arena, with anything in them. They
// are valid until the enders have run, and cost no allocation once the arena is
// warm.
func (x *Exchange) Scratch(n int) []byte {
	if cap(x.arena)-len(x.arena) < n {
		// What was given out so far keeps the old memory alive.
		x.arena = make([]byte, 0, max(arenaSize, 2*cap(x.arena), n))
	}
	start := len(x.arena)
	x.arena = x.arena[:start+n]
	return x.arena[start : start+n : start+n]
}

// Concat joins parts in the exchange's arena, as Scratch does.
func (x *Exchange) Concat(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n == 0 {
		return ""
	}
	b := x.Scratch(n)[:0]
	for _, p := range parts {
		b = append(b, p...)
	}
	return unsafe.String(&b[0], n)
}
