// Package httpwasm runs guests of the http-wasm HTTP handler ABI as filters, and as
// functions.
//
// Every exchange gets an instance as its initialisation has left it, from before
// handle_request until handle_response has returned. Buffering is lazy: the feature buffer_request or
// buffer_response allows a guest to change what it could not change otherwise,
// and content is held only as far as the guest reads it. Content of functions
// streams both ways: see package stream.
package httpwasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Config is a filter's configuration.
type Config struct {
	Name    string
	Version int    // of the module
	Config  []byte // what get_config returns

	Memory   int64          // bytes that one instance's memory may have; default 32 MiB
	InFlight int64          // bytes of memory of all instances at once; beyond it requests wait, for up to Timeout; default 512 MiB
	Timeout  time.Duration  // of the guest's running time in a call; default 50 ms
	Start    time.Duration  // of its running time until an instance is initialised; default 10 s
	Body     int64          // bytes of content held for it, of a request or of a response, read or written; default 1 MiB. A function's is streamed, unless it asks for buffer_response
	Fields   int64          // bytes of fields that it may set in an exchange; default 64 KiB
	Host     *hostmod.Guest // what it has of the module "sluice"; default: what is granted to all
	OnError  wasm.Policy    // default wasm.Deny, as a function's is. With wasm.Skip it goes on with the request as it came when handle_request fails, with the response as it came when handle_response does

	Shared bool // guests keep their state from one exchange to the next: a few instances serve all. Default: each exchange finds what there was in the beginning
	Cold   bool // that is what initialisation has left. Default: a guest that has a runtime, since it imports from WASI, has seen GET http://localhost/ and the response to it, twice, unless it draws random numbers for it, wants something from outside, or fails

	Env       []string      // NAME=value, for guests that import environ_get of WASI; default none
	Instances int           // exchanges at once; beyond it they wait, for up to Wait; default: as many as InFlight has room for
	Wait      time.Duration // how long an exchange waits for others; default: Timeout

	LogBytes int              // what it may log in an exchange; default 4 KiB
	LogLines int              // what it may log in a second, in all exchanges, if Journal is nil; default 100
	Log      *slog.Logger     // default: slog's
	Journal  *journal.Journal // takes what it logs; default: one of its own, that logs to Log
}

func (c *Config) setDefaults() {
	if c.Body == 0 {
		c.Body = 1 << 20
	}
	if c.Fields == 0 {
		c.Fields = 64 << 10
	}
	if c.LogBytes == 0 {
		c.LogBytes = 4 << 10
	}
	if c.LogLines == 0 {
		c.LogLines = 100
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

// role is what a guest is used as.
type role string

const (
	asFilter   role = "filter"
	asFunction role = "function"
)

// Filter is an [edge.Filter] that a guest implements.
type Filter struct {
	cfg  Config
	text string // what get_config returns
	role role
	pool *wasm.Pool
	log  *journal.Limiter // of lines about failures

	features features // that the guest has enabled when it was initialised

	counters wasm.Counters
}

// New makes a filter of a module, of which it keeps a reference of its own. It
// makes one instance, to see that it can be initialised.
func New(m *wasm.Module, cfg Config) (*Filter, error) { return newGuests(m, cfg, asFilter) }

func newGuests(m *wasm.Module, cfg Config, as role) (*Filter, error) {
	if err := errors.Join(check(m), cfg.Host.Check(&m.Info)); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	log := cfg.Log.With(string(as), cfg.Name)
	if cfg.Journal == nil {
		cfg.Journal = journal.New(log, journal.Config{PerSecond: cfg.LogLines})
	}
	f := &Filter{cfg: cfg, text: string(cfg.Config), role: as, log: journal.NewLimiter(log.With("version", cfg.Version), 1)}
	g := &guest{f: f, use: hostmod.Use{Guest: cfg.Host}}
	opt := wasm.Options{
		Limits: wasm.Limits{Memory: cfg.Memory, InFlight: cfg.InFlight, Instances: int64(cfg.Instances),
			Wait: cfg.Wait, Start: cfg.Start, Call: cfg.Timeout},
		Env:    cfg.Env,
		State:  g,
		Output: func(in *wasm.Instance, p []byte) { in.State.(*guest).print(p) },
		Sleep:  func(in *wasm.Instance) { in.State.(*guest).Sleep() },
		Shared: cfg.Shared,
	}
	if !cfg.Cold && !cfg.Shared && warms(m) {
		opt.Warm = func(in *wasm.Instance) error { return f.warm(in, g.features) }
	}
	pool, err := wasm.NewPool(m, opt)
	g.flush()
	if _, ok := errors.AsType[*wasm.Failure](err); ok && g.said != "" {
		return nil, fmt.Errorf("cannot be initialised: it says %q: %w", g.said, err)
	} else if ok {
		return nil, fmt.Errorf("cannot be initialised: %w", err)
	}
	if err != nil {
		return nil, err
	}
	f.pool, f.features = pool, g.features
	return f, nil
}

// Load compiles a module and makes a filter of it.
func Load(ctx context.Context, e *wasm.Engine, binary []byte, cfg Config) (*Filter, error) {
	m, err := Compile(ctx, e, binary)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return New(m, cfg)
}

// Journal returns what takes what the guest logs.
func (f *Filter) Journal() *journal.Journal { return f.cfg.Journal }

// Close refuses further exchanges. What the filter holds is released when the
// last exchange has left it.
func (f *Filter) Close() { f.pool.Close() }

// Stats returns the filter's counters.
func (f *Filter) Stats() wasm.Stats { return f.counters.Stats(f.pool) }

// Filter implements [edge.Filter].
func (f *Filter) Filter(x *edge.Exchange, next edge.Handler) error {
	f.counters.Call()
	g := f.begin(x)
	defer g.end()

	verdict, err := g.request()
	if err != nil {
		if !g.skips(err) {
			return g.denial(err, "handle request")
		}
		g.restoreRequest()
		return next.Serve(x)
	}
	if !verdict.next {
		g.respond()
		return nil
	}
	g.forward()
	failure := next.Serve(x)
	if failure != nil {
		x.Answer(failure)
	}
	if err := g.response(verdict.ctx, failure != nil); err != nil {
		if !g.skips(err) {
			return g.denial(err, "handle response")
		}
		g.restoreResponse()
	} else {
		g.deliver()
	}
	if failure != nil && !g.touched {
		return failure // as if the guest had not seen it
	}
	return nil
}

// skips reports whether the exchange goes on in spite of err, which it counts
// and logs if it is the guest's.
func (g *guest) skips(err error) bool {
	w, ok := errors.AsType[*wasm.Failure](err)
	if !ok {
		return false
	}
	f := g.f
	f.counters.Fail(w.Cause)
	g.record().Failed = true
	skip := f.cfg.OnError == wasm.Skip && !g.lossy()
	if skip {
		f.counters.Skip()
	}
	f.log.Log(slog.LevelWarn, string(f.role)+" failed", "cause", w.Cause.String(), "err", w, "skipped", skip, "id", g.x.Record.ID)
	return skip
}

// denial is the error for the client.
func (g *guest) denial(err error, op string) error {
	w, ok := errors.AsType[*wasm.Failure](err)
	if !ok {
		return err // of what the guest has read, not of the guest
	}
	e := &edge.Error{Kind: edge.FilterFailed, Op: string(g.f.role) + " " + g.f.cfg.Name + ": " + op, Err: w}
	if g.f.role == asFunction {
		e.Kind = edge.FunctionFailed
	}
	switch {
	case w.Cause == wasm.Exhausted && g.f.role == asFunction:
		e.Kind = edge.ConnectionLimitReached
	case w.Cause == wasm.Exhausted || w.Cause == wasm.Closed:
		e.Status = 503
	case w.Cause == wasm.Oversized && g.phase == inRequest && g.f.role == asFilter:
		e.Status = 413
	case w.Cause == wasm.Oversized:
		e.Status = 502
	}
	return e
}
