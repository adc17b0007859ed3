package wasi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/stream"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// call is one request's run of the command.
type call struct {
	f      *Function
	x      *edge.Exchange
	script string
	in     *wasm.Instance
	stream stream.Run

	use    hostmod.Use // of the module "sluice"
	env    wasm.Environ
	made   bool // env is
	errors journal.Writer

	partial []byte // of the head, as long as that is not complete
	head    *head  // nil until it is complete
}

// ServeAt answers x as a function whose path is script: "/hello" for one that
// answers what is below it. That is SCRIPT_NAME where the request's path begins
// with it, and what follows is PATH_INFO.
func (f *Function) ServeAt(x *edge.Exchange, script string) error {
	f.counters.Call()
	x.Record.Function = edge.FilterRun{Name: f.cfg.Name, Version: f.cfg.Version}
	c := &call{f: f, x: x, script: script}
	c.errors = journal.Writer{Journal: f.cfg.Journal, Message: "function says", Version: f.cfg.Version,
		ID: x.Record.ID, Limit: f.cfg.LogBytes}
	in, err := f.pool.Get(c, c.wait)
	if err != nil {
		if x.Cancelled() != nil {
			return stream.Gone(x, "function "+f.cfg.Name)
		}
		return c.failure(err)
	}
	c.in = in
	c.use = hostmod.Use{Guest: f.cfg.Host, Exchange: x, Passed: true}
	if err := c.stream.Start(x, in, c, "function "+f.cfg.Name); err != nil {
		return err
	}
	c.stream.Respond()
	for _, f := range c.head.fields {
		x.Response.Fields.Add(f.Name, f.Value)
	}
	return nil
}

// running returns what a command runs for.
func running(in *wasm.Instance) *call {
	c, ok := in.State.(*call)
	if !ok || !c.stream.Running() {
		panic(wasm.Trap("the module's start section uses WASI, before _start"))
	}
	return c
}

// wait is called before an instance is waited for.
func (c *call) wait() context.Context {
	c.x.Block()
	return c.x.Context()
}

// Host implements [hostmod.Party].
func (c *call) Host() *hostmod.Use { return &c.use }

// Sleep implements [hostmod.Party].
func (c *call) Sleep() {
	if c.stream.Running() {
		c.stream.Sleep()
	}
}

// Call implements [stream.Guest].
func (c *call) Call() error { return c.in.Run() }

// Ended implements [stream.Guest].
func (c *call) Ended(err error) error {
	c.use.End()
	took := c.in.Took()
	c.in.Close()
	c.f.counters.Take(took)
	c.x.Record.Function.Took = took
	c.errors.Flush()
	failure, ok := errors.AsType[*wasm.Failure](err)
	switch {
	case err == nil:
		if problem := c.incomplete(); problem != nil {
			return c.failure(&wasm.Failure{Cause: wasm.Misused, Op: "read the output", Err: problem})
		}
		return nil
	case !ok:
		return err // of the request's content, or of a client that has gone
	case failure.Cause == wasm.Exited && c.head != nil && c.head.length == c.stream.Written():
		c.failure(err) // but the response is whole by its own account
		return nil
	}
	return c.failure(err)
}

// Head implements [stream.Guest].
func (c *call) Head() (status int, length int64) { return c.head.status, c.head.length }

// Leave implements [stream.Guest].
func (c *call) Leave() { c.environ() }

// failure counts and logs a failure of the function, and returns the exchange's
// error for it.
func (c *call) failure(err error) error {
	f, w := c.f, &wasm.Failure{}
	if !errors.As(err, &w) {
		panic(fmt.Sprintf("BUG: %v is no failure of a guest", err))
	}
	f.counters.Fail(w.Cause)
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

// write takes what the command writes to standard output.
func (c *call) write(p []byte) {
	if c.head == nil {
		if p = c.writeHead(p); c.head == nil {
			return
		}
		c.stream.Begin()
	}
	c.stream.Write(p)
}

// writeHead takes what is written before the head is complete, and returns what
// of it is content.
func (c *call) writeHead(p []byte) []byte {
	limit := c.f.cfg.HeaderBytes
	all, from := p, 0
	if len(c.partial) > 0 {
		from = len(c.partial)
		c.partial = append(c.partial, p[:min(len(p), limit+1-from)]...)
		all = c.partial
	}
	end := endOfHead(all[:min(len(all), limit)], from)
	switch {
	case end >= 0:
		h, err := parseHead(all[:end], true)
		if err != nil {
			panic(wasm.Fail(wasm.Misused, err))
		}
		c.head, c.partial = h, nil
		return p[end-from:]
	case len(all) > limit:
		lines := all[:limit]
		if end := bytes.LastIndexByte(lines, '\n'); end >= 0 {
			lines = lines[:end]
		}
		if _, err := parseHead(lines, false); err != nil {
			panic(wasm.Fail(wasm.Misused, err))
		}
		panic(wasm.Trap("the head has more than %d bytes", limit))
	case from == 0:
		c.partial = append(c.partial, p...)
	}
	return nil
}

// incomplete says what is missing of the output of a command that has ended.
func (c *call) incomplete() error {
	switch {
	case c.head == nil && len(c.partial) == 0:
		return errors.New("there is none")
	case c.head == nil:
		if _, err := parseHead(c.partial, false); err != nil {
			return err
		}
		return errors.New("the head does not end with a blank line")
	}
	return c.stream.Missing()
}
