package wasi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// call is one request's run of the command, and the response's body.
//
// The command runs as a coroutine of who serves the exchange: within Serve until
// there is something to hand on, and within Read from then on. So nothing runs at
// the same time, but for Close and Abort, which stop the guest and touch nothing
// else.
type call struct {
	f      *Function
	x      *edge.Exchange
	script string
	in     *wasm.Instance
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	closed atomic.Bool // nobody wants what follows

	env    wasm.Environ
	made   bool // env is
	errors journal.Writer
	stdin  stdin

	partial []byte    // of the head, as long as that is not complete
	head    *head     // nil until it is complete
	buf     []byte    // content that has not been handed on
	ready   []byte    // content that has been handed on, and not been read
	written int64     // bytes of content
	handed  bool      // the response has been handed on: not all of it is at hand
	last    time.Time // when something was handed on; at first, when the head was complete

	ended bool  // the command has
	err   error // what the body ends with, or Serve; valid once ended
}

// ServeAt answers x as a function whose path is script: "/hello" for one that
// answers what is below it. That is SCRIPT_NAME where the request's path begins
// with it, and what follows is PATH_INFO.
func (f *Function) ServeAt(x *edge.Exchange, script string) error {
	f.calls.Add(1)
	x.Record.Function = edge.FilterRun{Name: f.cfg.Name, Version: f.cfg.Version}
	c := &call{f: f, x: x, script: script}
	c.stdin.start(&x.Request)
	c.errors = journal.Writer{Journal: f.cfg.Journal, Message: "function says", Version: f.cfg.Version,
		ID: x.Record.ID, Limit: f.cfg.LogBytes}
	in, err := f.pool.Get(c, c.wait)
	if err != nil {
		if x.Cancelled() != nil {
			return c.gone()
		}
		return c.failure(err)
	}
	c.in = in
	c.next, c.stop = iter.Pull(c.run)
	x.OnEnd(c)
	x.OnCancel(c)
	x.Block() // it may compute for long
	c.next()
	if c.err != nil {
		return c.err
	}
	c.respond()
	return nil
}

// running returns what a command runs for.
func running(in *wasm.Instance) *call {
	c, ok := in.State.(*call)
	if !ok || c.yield == nil {
		panic(wasm.Trap("the module's start section uses WASI, before _start"))
	}
	return c
}

// wait is called before an instance is waited for.
func (c *call) wait() context.Context {
	c.x.Block()
	return c.x.Context()
}

// run runs the command, as a coroutine.
func (c *call) run(yield func(struct{}) bool) {
	c.yield = yield
	err := c.in.Run()
	c.x.OffCancel(c)
	took := c.in.Took()
	c.in.Close()
	c.f.took.Add(int64(took))
	c.x.Record.Function.Took = took
	c.errors.Flush()
	c.err = c.outcome(err)
	c.ready, c.ended = c.buf, true
}

var errStopped = errors.New("nobody wants the rest of the response")

// outcome returns what the exchange makes of how the command has ended.
func (c *call) outcome(err error) error {
	failure, ok := errors.AsType[*wasm.Failure](err)
	switch {
	case err == nil:
		if problem := c.incomplete(); problem != nil {
			return c.failure(&wasm.Failure{Cause: wasm.Misused, Op: "read the output", Err: problem})
		}
		return nil
	case err == errStopped || ok && failure.Cause == wasm.Stopped:
		return c.gone()
	case !ok:
		return err // of the request's content
	case failure.Cause == wasm.Exited && c.head != nil && c.head.length == c.written:
		c.failure(err) // but the response is whole by its own account
		return nil
	}
	return c.failure(err)
}

func (c *call) gone() error {
	cause := c.x.Cancelled()
	if cause == nil {
		cause = errStopped
	}
	return &edge.Error{Kind: edge.ClientGone, Op: "function " + c.f.cfg.Name, Err: cause}
}

// failure counts and logs a failure of the function, and returns the exchange's
// error for it.
func (c *call) failure(err error) error {
	f, w := c.f, &wasm.Failure{}
	if !errors.As(err, &w) {
		panic(fmt.Sprintf("BUG: %v is no failure of a guest", err))
	}
	f.failures[w.Cause].Add(1)
	c.x.Record.Function.Failed = true
	f.log.Log(slog.LevelWarn, "function failed", "cause", w.Cause.String(), "err", w, "id", c.x.Record.ID)
	e := &edge.Error{Kind: edge.FunctionFailed, Op: "function " + f.cfg.Name, Err: w}
	switch w.Cause {
	case wasm.Exhausted:
		e.Kind = edge.ConnectionLimitReached
	case wasm.Closed:
		e.Status = 503
	case wasm.Misused:
		e.Status = 502
	}
	return e
}

// respond makes the response: all of it if the command has ended, and what is to
// come as a body that runs the command otherwise.
func (c *call) respond() {
	h, x := c.head, c.x
	var body edge.Body
	length := h.length
	switch {
	case x.Request.Method == "HEAD":
		if length < 0 && c.ended && c.written > 0 {
			length = c.written
		}
	case c.bodiless():
		length = max(length, 0)
	case !c.ended:
		body = c
	case len(c.ready) > 0:
		body, length = c, int64(len(c.ready))
	default:
		length = 0
	}
	x.Respond(h.status, body, length)
	for _, f := range h.fields {
		x.Response.Fields.Add(f.Name, f.Value)
	}
}

// bodiless reports whether the response has no content, whatever is written (RFC
// 9110, section 6.4.1).
func (c *call) bodiless() bool {
	return c.x.Request.Method == "HEAD" || c.head.status == 204 || c.head.status == 304
}

// End implements [edge.Ender]: a command that still runs is stopped.
func (c *call) End(*edge.Exchange) {
	if !c.ended {
		c.Close()
		c.stop()
	}
	bufpool.Put(c.buf)
	c.buf, c.ready = nil, nil
}

// Abort implements [edge.Aborter].
func (c *call) Abort() { c.in.Stop() }
