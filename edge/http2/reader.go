package http2

import (
	"io"
	"net"
	"sync"
)

const (
	smallBuffer = 2 << 10                    // of a connection that is quiet
	largeBuffer = 2 * (maxFrame + frameHead) // holds any frame that we accept
)

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// reader buffers what the client sends. It holds a small buffer until a read
// fills that or a frame needs more.
type reader struct {
	c     net.Conn
	buf   []byte             // small or large
	large *[largeBuffer]byte // nil: not needed now
	r, w  int                // what is buffered is buf[r:w]
	small [smallBuffer]byte
}

func newReader(c net.Conn) *reader {
	r := &reader{c: c}
	r.buf = r.small[:]
	return r
}

func (r *reader) buffered() int { return r.w - r.r }

// fill reads once, so that more than now is buffered.
func (r *reader) fill() error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	if r.w == len(r.buf) {
		if r.large == nil {
			r.grow()
		} else {
			copy(r.buf, r.buf[r.r:r.w])
			r.r, r.w = 0, r.w-r.r
		}
	}
	n, err := r.c.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (r *reader) grow() {
	r.large = largeBuffers.Get().(*[largeBuffer]byte)
	r.w = copy(r.large[:], r.buf[r.r:r.w])
	r.r, r.buf = 0, r.large[:]
}

// shrink gives the large buffer back, if it is empty.
func (r *reader) shrink() {
	if r.large != nil && r.r == r.w {
		largeBuffers.Put(r.large)
		r.large, r.buf, r.r, r.w = nil, r.small[:], 0, 0
	}
}

// peek returns the next n bytes, n being at most maxFrame+frameHead, without
// consuming them. They are valid until the next call.
func (r *reader) peek(n int) ([]byte, error) {
	for r.buffered() < n {
		if r.large == nil && n > len(r.buf) {
			r.grow()
		}
		if err := r.fill(); err != nil {
			if err == io.EOF && r.buffered() > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return r.buf[r.r : r.r+n], nil
}

func (r *reader) discard(n int) { r.r += n }

// Read implements io.Reader, for the Framer.
func (r *reader) Read(p []byte) (int, error) {
	if r.r == r.w {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.r:r.w])
	r.r += n
	return n, nil
}
