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

// arenaSize is the least capacity of an exchange's arena, in bytes.
const arenaSize = 512

// Concat joins parts in the exchange's arena, without allocating once that is
// warm. Like every string of the exchange the result is valid until the enders
// have run.
func (x *Exchange) Concat(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n == 0 {
		return ""
	}
	if cap(x.arena)-len(x.arena) < n {
		// The strings made so far keep the old memory alive.
		x.arena = make([]byte, 0, max(arenaSize, 2*cap(x.arena), n))
	}
	start := len(x.arena)
	for _, p := range parts {
		x.arena = append(x.arena, p...)
	}
	return unsafe.String(&x.arena[start], n)
}
