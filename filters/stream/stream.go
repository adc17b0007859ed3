// Package stream runs guests that answer requests while their responses are
// delivered, so that content streams both ways.
//
// A guest runs as a coroutine of who serves the exchange: within [Run.Start] until
// there is something to hand on, and within Read of the response's body from then
// on. So nothing runs at the same time, but for Close and Abort, which stop the
// guest and touch nothing else; and a guest goes on when what it has written has
// been read.
//
// Content is handed on when there are 32 KiB of it, when the guest waits, and when
// 10 ms have passed since the last time. What a guest has written when it ends, and
// has not been handed on, is a response whose length is known, or an error in place
// of it: nothing that a guest that failed has written is passed off as whole.
package stream

import (
	"errors"
	"io"
	"iter"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Guest is what answers.
type Guest interface {
	// Call runs the guest to its end. The error is that of wasm.Instance.Call.
	Call() error

	// Ended is told how it has ended, before anybody learns that it has, and returns
	// what the response ends with: nil if it is whole. It closes the instance.
	Ended(err error) error

	// Head returns the response's status, and the length that it announces of its
	// content, or -1. They are final once Settled reports so.
	Head() (status int, length int64)

	// Leave is told that the head of the request stays as it is no longer: the first
	// part of the response is about to be handed on.
	Leave()
}

// Run is one request's run of a guest, and the response's body.
type Run struct {
	x      *edge.Exchange
	in     *wasm.Instance
	guest  Guest
	op     string
	head   bool // the method is HEAD
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	closed atomic.Bool // nobody wants what follows

	input input

	began   bool      // content may follow
	buf     []byte    // content that has not been handed on
	ready   []byte    // content that has been handed on, and not been read
	written int64     // bytes of content
	handed  bool      // the response has been handed on: not all of it is at hand
	dropped bool      // content has been thrown away, since there is to be none
	last    time.Time // when something was handed on; at first, when content began
	hold    int64     // bytes that are kept until the guest has ended; 0: none

	ended bool  // the guest has
	err   error // what the body ends with, or Start; valid once ended
}

// Start runs a guest for x in an instance until there is something to hand on, or
// to its end. The error is what Ended has returned: there is no response. Op is for
// the error of a client that has gone.
func (r *Run) Start(x *edge.Exchange, in *wasm.Instance, g Guest, op string) error {
	r.x, r.in, r.guest, r.op, r.head = x, in, g, op, x.Request.Method == "HEAD"
	in.Keep() // Abort and Close may come late
	r.input.start(&x.Request)
	r.next, r.stop = iter.Pull(r.run)
	x.OnEnd(r)
	x.OnCancel(r)
	x.Block() // it may compute for long
	r.next()
	return r.err
}

// Running reports whether Start has begun to run the guest.
func (r *Run) Running() bool { return r.yield != nil }

// run runs the guest, as a coroutine.
func (r *Run) run(yield func(struct{}) bool) {
	r.yield = yield
	err := r.guest.Call()
	r.x.OffCancel(r)
	if failure, ok := errors.AsType[*wasm.Failure](err); err == errStopped || ok && failure.Cause == wasm.Stopped {
		err = Gone(r.x, r.op)
	}
	r.err = r.guest.Ended(err)
	r.ready, r.ended = r.buf, true
}

var errStopped = errors.New("nobody wants the rest of the response")

// Gone returns the error of an exchange that is given up, since its client has gone.
func Gone(x *edge.Exchange, op string) error {
	cause := x.Cancelled()
	if cause == nil {
		cause = errStopped
	}
	return &edge.Error{Kind: edge.ClientGone, Op: op, Err: cause}
}

// Respond makes the response of x, when Start has returned nil: all of it if the
// guest has ended, and what is to come as a body that runs the guest otherwise. Its
// fields are left to the caller.
func (r *Run) Respond() {
	status, length := r.guest.Head()
	var body edge.Body
	switch {
	case r.head:
		if length < 0 && r.ended && r.written > 0 {
			length = r.written
		}
	case r.bodiless(status):
		length = max(length, 0)
	case !r.ended:
		body = r
	case len(r.ready) > 0:
		body, length = r, int64(len(r.ready))
	default:
		length = 0
	}
	r.x.Respond(status, body, length)
}

// bodiless reports whether a response of a status has no content, whatever is
// written (RFC 9110, section 6.4.1).
func (r *Run) bodiless(status int) bool { return r.head || empty(status) }

func empty(status int) bool { return status == 204 || status == 304 }

// End implements [edge.Ender]: a guest that still runs is stopped.
func (r *Run) End(*edge.Exchange) {
	if !r.ended {
		r.Close()
		r.stop()
	}
	bufpool.Put(r.buf)
	r.buf, r.ready = nil, nil
}

// Abort implements [edge.Aborter].
func (r *Run) Abort() { r.in.Stop() }

// Read implements [edge.Body].
func (r *Run) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		switch {
		case r.ended && r.err == nil:
			return 0, io.EOF
		case r.ended:
			return 0, r.err
		case r.closed.Load():
			return 0, errStopped
		}
		r.x.Block() // it may compute for long
		r.next()
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	if len(r.ready) == 0 && r.ended && r.err == nil {
		return n, io.EOF
	}
	return n, nil
}

// Bytes implements what [edge.Bytes] looks for.
func (r *Run) Bytes() []byte {
	if r.handed || !r.ended || r.err != nil {
		return nil
	}
	return r.buf
}

// Close implements [edge.Body]. The guest is stopped, and unwound in the end of
// the exchange.
func (r *Run) Close() error {
	if !r.closed.Swap(true) {
		r.in.Stop()
		r.input.cut()
	}
	return nil
}
