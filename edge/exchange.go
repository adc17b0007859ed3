// Package edge is the vocabulary that every part of the proxy shares: the
// exchange, the handler that serves it, the filter that sits between two
// handlers, and the errors that they return. It imports the standard library
// only.
//
// A response is a value that travels back up the call stack, and the protocol
// engine alone writes to the client. So an error that a Handler returns always
// means that nothing of a final response has been sent.
package edge

import (
	"context"
	"sync"
	"time"
)

// Exchange is one request and the response to it, whatever the version of HTTP
// on either side.
//
// It belongs to the goroutine that serves it, from Begin to End, except for the
// methods that say otherwise. Exchanges are reused: every string in one aliases
// a buffer and is valid until the enders have run. What is kept longer is cloned.
type Exchange struct {
	Request  Request
	Response Response
	Client   *Client
	Limits   Limits
	Record   Record

	// Arms are the names of the arms of the route's split, of which a filter may choose
	// one; nil without a split.
	Arms []string

	// Target, if a filter has set it, is what answers instead of the upstream or
	// function that the route has.
	Target Handler

	engine  Engine // nil in a fork
	enders  []Ender
	buf     *[BufferSize]byte // see Buffer
	large   *[largeSize]byte  // see Grow
	arena   []byte            // see Concat
	failure content           // body of Answer

	mu       sync.Mutex // guards the following fields
	cause    error      // why the exchange was cancelled; nil while it is not
	aborters []Aborter
	ctx      context.Context // nil until Context is called
	stop     func()          // releases ctx, or the link to the parent of a fork
}

// Engine is what an exchange needs of the protocol engine that made it.
type Engine interface {
	Inform(status int, f *Fields) error
	Block()
}

// Ender is told that an exchange is over. Enders run in reverse order of their
// registration, when nothing will be written to the client any more.
type Ender interface{ End(x *Exchange) }

// Aborter makes whatever waits for the sake of an exchange stop waiting. Abort
// is called with locks held, from any goroutine: it sets a deadline in the past
// or signals, and does nothing else.
type Aborter interface{ Abort() }

// Inform sends an interim response: 1xx, but neither 100, which engines send by
// themselves, nor 101, which is Response.Tunnel.
func (x *Exchange) Inform(status int, f *Fields) error {
	if x.engine == nil {
		return nil
	}
	return x.engine.Inform(status, f)
}

// Block says that the caller is about to wait: for a socket, a lock held for
// long, another exchange. The engine sends what it holds back, and lets another
// goroutine serve the connection's other streams. Only the goroutine that serves
// calls it, also from within Response.Body.Read; a pump need not.
func (x *Exchange) Block() {
	if x.engine != nil {
		x.engine.Block()
	}
}

// Respond replaces the response, closing the body that it had. A nil body has
// length 0, except in answer to HEAD.
func (x *Exchange) Respond(status int, body Body, length int64) {
	r := &x.Response
	if r.Body != nil {
		r.Body.Close()
	}
	*r = Response{Status: status, Body: body, Length: length, Fields: r.Fields.emptied(), Trailers: r.Trailers.emptied()}
}

// OnEnd makes e.End(x) run when the exchange is over.
func (x *Exchange) OnEnd(e Ender) { x.enders = append(x.enders, e) }

// OnCancel makes a.Abort() run when the exchange is cancelled: at once if it has
// been already. Whoever registers an aborter takes it back with OffCancel before
// what it aborts is used for another exchange.
func (x *Exchange) OnCancel(a Aborter) {
	x.mu.Lock()
	x.aborters = append(x.aborters, a)
	if x.cause != nil {
		a.Abort()
	}
	x.mu.Unlock()
}

// OffCancel takes a back: when it returns, a.Abort neither runs nor will.
func (x *Exchange) OffCancel(a Aborter) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, have := range x.aborters {
		if have == a {
			n := len(x.aborters) - 1
			x.aborters[i], x.aborters[n] = x.aborters[n], nil
			x.aborters = x.aborters[:n]
			return
		}
	}
}

// Cancel aborts whatever waits for the sake of the exchange. Engines call it,
// from any goroutine between Begin and End; the first cause counts.
func (x *Exchange) Cancel(cause error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cause != nil {
		return
	}
	x.cause = cause
	for _, a := range x.aborters {
		a.Abort()
	}
	if x.ctx != nil {
		x.stop()
	}
}

// Cancelled returns why the exchange was cancelled, or nil. It may be called
// from any goroutine.
func (x *Exchange) Cancelled() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.cause
}

// Context returns a context that ends with the exchange. It is made on first
// use, and allocates: the fast paths use OnCancel.
func (x *Exchange) Context() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		unlink := x.stop
		x.ctx, x.stop = ctx, func() {
			cancel(x.cause) // x.mu is held
			if unlink != nil {
				unlink()
			}
		}
		if x.cause != nil {
			x.stop()
		}
	}
	return x.ctx
}

// Begin prepares x for the next request of a connection. For engines.
func (x *Exchange) Begin(e Engine, c *Client, now time.Time) {
	x.engine, x.Client = e, c
	x.Record.reset(c, now)
}

// Parsed notes in the record what the client asks for. For engines, once the head
// of the request has been parsed, or as far as it could be.
func (x *Exchange) Parsed() {
	r := &x.Record
	r.Method, r.Path, r.Query = x.Request.Method, x.Request.Path, x.Request.Query
}

// End runs the enders and empties x. For engines, and for who has forked.
func (x *Exchange) End() {
	for i := len(x.enders) - 1; i >= 0; i-- {
		x.enders[i].End(x)
		x.enders[i] = nil
	}
	x.enders = x.enders[:0]
	x.mu.Lock()
	if len(x.aborters) != 0 {
		panic("BUG: an aborter has outlived its exchange")
	}
	if x.stop != nil {
		x.stop()
	}
	x.cause, x.ctx, x.stop = nil, nil, nil
	x.mu.Unlock()

	req, res := &x.Request, &x.Response
	*req = Request{Fields: req.Fields.emptied(), Trailers: req.Trailers.emptied()}
	*res = Response{Fields: res.Fields.emptied(), Trailers: res.Trailers.emptied()}
	x.Limits, x.Arms, x.Target = Limits{}, nil, nil
	x.failure = content{}
	Poison(x.arena)
	x.arena = x.arena[:0]
	if x.buf != nil {
		Poison(x.buf[:])
	}
	if x.large != nil {
		Poison(x.large[:])
		largeBuffers.Put(x.large)
		x.large = nil
	}
}

// Release gives the exchange's memory back before a long pause. For engines,
// between End and Begin.
func (x *Exchange) Release() {
	x.arena = nil
	if x.buf != nil {
		buffers.Put(x.buf)
		x.buf = nil
	}
}
