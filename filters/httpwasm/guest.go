package httpwasm

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
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

// guest is one instance's part in one exchange. Those of filters are used again: the
// end of the exchange gives them back, since what they hold is read until then.
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
	silent  bool   // nobody hears it
	fields  int64  // bytes of fields set
	logged  int    // bytes
	said    string // its first line while the filter is made
	line    []byte

	waits func() context.Context // wait of this guest
	stack [2]uint64              // of calls
	list  []string               // what a host function shows
	shown edge.Fields            // likewise
	use   hostmod.Use            // of the module "sluice"
	text  [64]byte               // likewise
}

// early is what a guest does to a response before there is one.
type early struct {
	status   int
	fields   edge.Fields // what the edits make of an empty response
	trailers edge.Fields
	edits    edits
	trail    edits
	content  content
}

// original is a message's head before the guest changed it.
type original struct {
	method, authority, path, query string
	status                         int
	fields, trailers               edge.Fields
	length                         int64
	tunnel                         func(edge.Stream) error
	target                         edge.Handler // of a request
}

// verdict is what handle_request returns: bit 0 is next, the high half a number
// for handle_response.
type verdict struct {
	next bool
	ctx  uint32
}

// idle keeps guests for other exchanges.
var idle = sync.Pool{New: func() any {
	g := new(guest)
	g.waits = g.wait
	return g
}}

// begin returns a guest for an exchange, which gives it back when it ends.
func (f *Filter) begin(x *edge.Exchange) *guest {
	g := idle.Get().(*guest)
	g.f, g.x, g.features, g.head = f, x, f.features, x.Request.Method == "HEAD"
	g.run = len(x.Record.Filters)
	x.Record.Filters = append(x.Record.Filters, edge.FilterRun{Name: f.cfg.Name, Version: f.cfg.Version})
	x.OnEnd(g)
	return g
}

// End implements [edge.Ender].
func (g *guest) End(*edge.Exchange) {
	g.empty()
	idle.Put(g)
}

// most is how many entries of a list are kept for another exchange.
const most = 256

// empty makes g as good as new, with its memory.
func (g *guest) empty() {
	for _, c := range [...]*content{&g.requested, &g.responded, &g.early.content} {
		c.empty()
	}
	for _, f := range [...]*edge.Fields{&g.request0.fields, &g.request0.trailers, &g.response0.fields,
		&g.early.fields, &g.early.trailers, &g.shown} {
		if f.Len() > most {
			*f = edge.Fields{}
		}
		f.Reset()
	}
	r, o, e := &g.request0, &g.response0, &g.early
	*g = guest{
		request0:  original{fields: r.fields, trailers: r.trailers},
		response0: original{fields: o.fields},
		requested: g.requested,
		responded: g.responded,
		early: early{fields: e.fields, trailers: e.trailers, content: e.content,
			edits: emptied(e.edits), trail: emptied(e.trail)},
		trail: emptied(g.trail),
		list:  emptied(g.list),
		line:  emptied(g.line),
		shown: g.shown,
		waits: g.waits,
	}
}

// emptied returns a list without what is in it, for another exchange.
func emptied[T any, L ~[]T](l L) L {
	if cap(l) > most {
		return nil
	}
	clear(l)
	return l[:0]
}

// view returns n bytes of the guest's memory as text that is valid until the guest
// runs again.
func (g *guest) view(ptr, n uint64) string {
	return asText(g.in.Read(uint32(ptr), uint32(n)))
}

// keep returns text that is valid for as long as the exchange needs it.
func (g *guest) keep(view string) string {
	if g.call != nil { // it runs while others serve the exchange
		return strings.Clone(view)
	}
	return g.x.Concat(view)
}

// start makes the instance.
func (g *guest) start() error {
	in, err := g.f.pool.Get(g, g.waits)
	if err != nil {
		if f, ok := errors.AsType[*wasm.Failure](err); ok {
			g.took(f.Took)
		}
		return err
	}
	g.in, g.req, g.phase = in, &g.x.Request, inRequest
	g.use = hostmod.Use{Guest: g.f.cfg.Host, Exchange: g.x, Passed: g.f.role == asFunction}
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
		o.target = x.Target
		o.fields.CopyFrom(&r.Fields)
		o.trailers.CopyFrom(&r.Trailers)
	}
	return g.handle()
}

// handle runs handle_request.
func (g *guest) handle() (verdict, error) {
	if err := g.in.Call("handle_request", g.stack[:1]); err != nil {
		return verdict{}, err
	}
	switch v := g.stack[0]; uint32(v) {
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
	g.stack = [2]uint64{uint64(ctx), 0}
	if failed {
		g.stack[1] = 1
	}
	return g.in.Call("handle_response", g.stack[:])
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
	g.x.Target = o.target
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
	g.f.counters.Take(d)
}

// record returns what the exchange's record says about the guest.
func (g *guest) record() *edge.FilterRun {
	if g.f.role == asFunction {
		return &g.x.Record.Function
	}
	return &g.x.Record.Filters[g.run]
}

// Host implements [hostmod.Party].
func (g *guest) Host() *hostmod.Use { return &g.use }

// Sleep implements [hostmod.Party]: it is called before the guest sleeps, or waits.
func (g *guest) Sleep() {
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
		g.use.End()
		g.took(g.in.Took())
		g.in.Close()
		g.in = nil
	}
	g.flush()
}
