package proxywasm

import (
	"strings"
	"sync"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// idle keeps streams for other exchanges. The end of an exchange gives its streams back,
// since what they hold is read until then.
var idle = sync.Pool{New: func() any {
	s := &stream{alone: new(vm)}
	s.waits = s.wait
	for d := range s.wake {
		s.wake[d] = make(chan struct{}, 1)
	}
	return s
}}

// begin returns a stream for an exchange.
func (f *Filter) begin(x *edge.Exchange) *stream {
	s := idle.Get().(*stream)
	s.f, s.x, s.run = f, x, len(x.Record.Filters)
	for d := range s.flow {
		s.flow[d].s, s.flow[d].d = s, direction(d)
	}
	x.Record.Filters = append(x.Record.Filters, edge.FilterRun{Name: f.cfg.Name, Version: f.cfg.Version})
	x.OnEnd(s)
	return s
}

// What is kept at most for another exchange: entries of a list, and bytes.
const (
	mostEntries = 256
	mostBytes   = 64 << 10
)

// empty makes s as good as new, with its memory.
func (s *stream) empty() {
	for _, c := range s.wake {
		select {
		case <-c:
		default:
		}
	}
	for _, o := range [...]*original{&s.before, &s.kept} {
		if o.fields.Len() > mostEntries {
			o.fields = edge.Fields{}
		}
		o.fields.Reset()
		*o = original{fields: o.fields}
	}
	s.alone.empty()
	var flows [2]flow
	for d := range s.flow {
		flows[d].held, flows[d].room = emptied(s.flow[d].held), emptied(s.flow[d].room)
	}
	*s = stream{
		flow:   flows,
		wake:   s.wake,
		own:    without(s.own),
		done:   without(s.done),
		rpcs:   without(s.rpcs),
		before: s.before,
		kept:   s.kept,
		ours:   local{body: emptied(s.ours.body), fields: without(s.ours.fields)},
		alone:  s.alone,
		waits:  s.waits,
	}
}

// emptied returns a buffer without its bytes.
func emptied(b []byte) []byte {
	if cap(b) > mostBytes {
		return nil
	}
	return b[:0]
}

// without returns a list without its entries.
func without[T any](list []T) []T {
	if cap(list) > mostEntries {
		return nil
	}
	clear(list)
	return list[:0]
}

// keep returns what of the guest's memory the exchange is to hold.
func (s *stream) keep(view string) string {
	if s.v.home == s {
		return s.x.Concat(view)
	}
	return strings.Clone(view)
}

// original is a message's head before the guest changed it.
type original struct {
	request bool
	method  string
	scheme  string
	host    string
	path    string
	query   string
	status  int
	length  int64
	fields  edge.Fields
	target  edge.Handler
	tunnel  func(edge.Stream) error
}

// keepRequest keeps the request's head, if it may be restored.
func (s *stream) keepRequest() {
	if s.f.cfg.OnError != wasm.Skip {
		return
	}
	r, o := &s.x.Request, &s.before
	o.request, o.method, o.scheme, o.host, o.path, o.query = true, r.Method, r.Scheme, r.Authority, r.Path, r.Query
	o.length, o.target = r.Length, s.x.Target
	o.fields.CopyFrom(&r.Fields)
	s.flow[ofRequest].src, s.flow[ofRequest].trailers = r.Body, &r.Trailers
}

// keepResponse keeps the response's head, likewise.
func (s *stream) keepResponse() {
	if s.f.cfg.OnError != wasm.Skip {
		return
	}
	r, o := &s.x.Response, &s.kept
	o.status, o.length, o.tunnel = r.Status, r.Length, r.Tunnel
	o.fields.CopyFrom(&r.Fields)
	s.flow[ofResponse].src, s.flow[ofResponse].trailers = r.Body, &r.Trailers
}

func (o *original) restore(x *edge.Exchange) {
	if o.request {
		r := &x.Request
		r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Length = o.method, o.scheme, o.host, o.path, o.query, o.length
		r.Fields.CopyFrom(&o.fields)
		x.Target = o.target
		return
	}
	r := &x.Response
	r.Status, r.Length, r.Tunnel = o.status, o.length, o.tunnel
	r.Fields.CopyFrom(&o.fields)
}
