package stream

import (
	"fmt"
	"time"

	"github.com/sluice-edge/sluice/edge/bufpool"
	"github.com/sluice-edge/sluice/filters/wasm"
)

const (
	piece = 32 << 10              // bytes of content after which it is handed on
	pace  = 10 * time.Millisecond // and time, if something is written then
)

// Begin says that content may follow, so that the response may be handed on. For
// host functions, as are the methods below.
func (r *Run) Begin() {
	if !r.began {
		r.began, r.last = true, time.Now()
	}
}

// Began reports whether Begin has been called.
func (r *Run) Began() bool { return r.began }

// Settled reports whether the head of the response cannot be changed any more.
func (r *Run) Settled() bool { return r.handed || r.dropped }

// Hold keeps the response until the guest has ended, if that is within a number of
// bytes: then its head can be changed until then. It returns false if something has
// been handed on already.
func (r *Run) Hold(bytes int64) bool {
	if !r.Settled() {
		r.hold = bytes
	}
	return r.hold > 0
}

// Write takes content that the guest writes, when it has begun. It keeps nothing of p.
func (r *Run) Write(p []byte) {
	r.written += int64(len(p))
	status, length := r.guest.Head()
	if r.bodiless(status) {
		r.dropped = r.dropped || empty(status) && len(p) > 0 && r.hold == 0
		if r.hold == 0 || r.head {
			p = nil
		}
	} else {
		r.fit(length)
	}
	if r.hold > 0 {
		if int64(len(r.buf)+len(p)) > r.hold {
			panic(wasm.Fail(wasm.Oversized, fmt.Errorf("content written is more than the %d bytes that may be held", r.hold)))
		}
		r.buf = append(r.buf, p...)
		return
	}
	for len(p) > 0 {
		if len(r.buf) == 0 && len(p) >= piece {
			r.handOn(p) // straight from the guest's memory
			return
		}
		if r.buf == nil {
			r.buf = bufpool.Get(piece)[:0]
		}
		n := min(len(p), piece-len(r.buf))
		r.buf, p = append(r.buf, p[:n]...), p[n:]
		if len(r.buf) == piece {
			r.flush()
		}
	}
	if r.written > 0 && time.Since(r.last) >= pace {
		r.flush()
	}
}

// fit fails a guest that has written more than it has announced.
func (r *Run) fit(length int64) {
	if length >= 0 && r.written > length {
		panic(wasm.Trap("more is written than the %d bytes of Content-Length", length))
	}
}

// Missing says what is missing of the content of a guest that has ended.
func (r *Run) Missing() error {
	status, length := r.guest.Head()
	if length < 0 || length == r.written || r.bodiless(status) {
		return nil
	}
	return fmt.Errorf("%d bytes of content are written, and Content-Length is %d", r.written, length)
}

// Written returns how many bytes of content the guest has written.
func (r *Run) Written() int64 { return r.written }

// Sleep is called before the guest sleeps.
func (r *Run) Sleep() {
	r.flush()
	r.x.Block()
}

// flush hands on what there is of the response.
func (r *Run) flush() {
	if !r.began || r.hold > 0 {
		return
	}
	if status, _ := r.guest.Head(); empty(status) {
		return // the client waits for nothing but the end of the guest
	}
	if len(r.buf) > 0 || !r.handed {
		r.handOn(r.buf)
		r.buf = r.buf[:0]
	}
}

// handOn lets who serves the exchange have p, and goes on when it has been read.
func (r *Run) handOn(p []byte) {
	if !r.handed {
		r.guest.Leave()
	}
	r.ready, r.handed = p, true
	more := false
	r.in.Wait(func() { more = r.yield(struct{}{}) })
	if !more || r.closed.Load() {
		panic(wasm.Abort(errStopped))
	}
	r.last = time.Now()
}
