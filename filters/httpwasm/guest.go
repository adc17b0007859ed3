package httpwasm

import (
	"context"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// features are what a guest has enabled.
type features uint32

const (
	bufferRequest features = 1 << iota
	bufferResponse
	trailers
	allFeatures = bufferRequest | bufferResponse | trailers
)

// phase is where in an exchange a guest is.
type phase uint8

const (
	starting   phase = iota // being initialised: there is no exchange
	inRequest               // in handle_request
	inResponse              // in handle_response
)

// guest is one instance's part in one exchange.
type guest struct {
	f        *Filter
	x        *edge.Exchange // nil in the trial that New makes
	req      *edge.Request  // as the guest sees it
	call     *call          // nil: it is a filter
	in       *wasm.Instance
	phase    phase
	features features
	run      int // index in Record.Filters
	head     bool

	request0  original // of the request, kept for the policy Skip
	response0 original
	requested content // of the request
	responded content // of the response
	early     early
	trail     edits // of the request's trailers

	touched bool   // the response was changed in handle_response
	fields  int64  // bytes of fields set
	logged  int    // bytes
	said    string // its first line while the filter is made
	line    []byte
}

// early is what a guest does to a response before there is one.
type early struct {
	status   int
	fields   edge.Fields // what the edits make of an empty response
	trailers edge.Fields
	edits    edits
	trail    edits
}

// original is a message's head before the guest changed it.
type original struct {
	method, authority, path, query string
	status                         int
	fields, trailers               edge.Fields
	length                         int64
	tunnel                         func(edge.Stream) error
}

// verdict is what handle_request returns: bit 0 is next, the high half a number
// for handle_response.
type verdict struct {
	next bool
	ctx  uint32
}

// start makes the instance.
func (g *guest) start() error {
	begun := time.Now()
	in, err := g.f.pool.Get(g, g.wait)
	if err != nil {
		g.took(time.Since(begun))
		return err
	}
	g.in, g.req, g.phase = in, &g.x.Request, inRequest
	return nil
}

// wait is called before an instance is waited for.
func (g *guest) wait() context.Context {
	g.x.Block()
	return g.x.Context()
}

// request makes the instance and runs handle_request.
func (g *guest) request() (verdict, error) {
	if err := g.start(); err != nil {
		return verdict{}, err
	}
	x := g.x
	g.requested.src = x.Request.Body
	if g.f.cfg.OnError == wasm.Skip {
		r := &x.Request
		o := &g.request0
		o.method, o.authority, o.path, o.query, o.length = r.Method, r.Authority, r.Path, r.Query, r.Length
		o.fields.CopyFrom(&r.Fields)
		o.trailers.CopyFrom(&r.Trailers)
	}
	return g.handle()
}

// handle runs handle_request.
func (g *guest) handle() (verdict, error) {
	var stack [1]uint64
	if err := g.in.Call("handle_request", stack[:]); err != nil {
		return verdict{}, err
	}
	switch v := stack[0]; uint32(v) {
	case 0:
		return verdict{}, nil
	case 1:
		return verdict{next: true, ctx: uint32(v >> 32)}, nil
	default:
		return verdict{}, &wasm.Failure{Cause: wasm.Misused, Op: "call handle_request",
			Err: wasm.Trap("next is %d, neither 0 nor 1", uint32(v))}
	}
}

// response runs handle_response.
func (g *guest) response(ctx uint32, failed bool) error {
	r := &g.x.Response
	g.merge()
	g.phase = inResponse
	g.responded.src = r.Body
	if g.f.cfg.OnError == wasm.Skip {
		o := &g.response0
		o.status, o.length, o.tunnel = r.Status, r.Length, r.Tunnel
		o.fields.CopyFrom(&r.Fields)
	}
	stack := [2]uint64{uint64(ctx), 0}
	if failed {
		stack[1] = 1
	}
	return g.in.Call("handle_response", stack[:])
}

// lossy reports whether the message cannot be restored: the guest has read
// content that nobody has kept.
func (g *guest) lossy() bool {
	if g.phase == inResponse {
		return g.responded.lost
	}
	return g.requested.lost
}

// restoreRequest undoes what the guest did to the request.
func (g *guest) restoreRequest() {
	if g.phase == starting {
		return
	}
	r, o := &g.x.Request, &g.request0
	r.Method, r.Authority, r.Path, r.Query, r.Length = o.method, o.authority, o.path, o.query, o.length
	r.Fields.CopyFrom(&o.fields)
	r.Body = g.requested.whole()
	if !g.requested.eof { // else they are what the content ended with
		r.Trailers.CopyFrom(&o.trailers)
	}
}

// restoreResponse undoes what handle_response did.
func (g *guest) restoreResponse() {
	r, o := &g.x.Response, &g.response0
	r.Status, r.Length, r.Tunnel = o.status, o.length, o.tunnel
	r.Fields.CopyFrom(&o.fields)
	r.Body = g.responded.whole()
	if g.responded.eof {
		r.Trailers.CopyFrom(&g.responded.trailers)
	}
	g.touched = false
}

// took adds to the time that the exchange's record shows for the filter.
func (g *guest) took(d time.Duration) {
	g.record().Took += d
	g.f.took.Add(int64(d))
}

// record returns what the exchange's record says about the guest.
func (g *guest) record() *edge.FilterRun {
	if g.f.role == asFunction {
		return &g.x.Record.Function
	}
	return &g.x.Record.Filters[g.run]
}

// sleep is called before the guest sleeps.
func (g *guest) sleep() {
	switch {
	case g.phase == starting:
	case g.call != nil:
		g.call.stream.Sleep()
	default:
		g.x.Block()
	}
}

// end releases the instance.
func (g *guest) end() {
	if g.in != nil {
		g.took(g.in.Took())
		g.in.Close()
		g.in = nil
	}
	g.flush()
}
