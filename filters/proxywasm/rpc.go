package proxywasm

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/grpc"
)

// rpc is a call of gRPC of the guest's own.
type rpc struct {
	outing
	call     *grpc.Call
	upstream edge.Handler
	stream   bool          // the guest sends and receives any number of messages
	told     chan struct{} // the guest has been told of what was last heard

	shut atomic.Bool // the guest sends nothing more
	over atomic.Bool // it is to be told nothing more
}

// news is something that becomes of a call of gRPC.
type news struct {
	of      *rpc
	what    callback
	fields  edge.Fields // of metadata
	message []byte
	status  grpc.Status // of what ends the call
	last    bool
}

// grpcCall is a call with one message each way.
func (a *args) grpcCall() status {
	message := a.bytes(8)
	if a.bad || !a.room(11, 1, 4) {
		return invalidMemory
	}
	if int64(len(message)) > a.v.f.cfg.Body {
		return internalFailure
	}
	r, st := a.dial(false, a.v.f.callTime(a.u32(10)))
	if st != statusOK {
		return st
	}
	r.call.Send(message)
	r.call.CloseSend()
	r.start(a.v)
	return a.put(11, r.id)
}

func (a *args) grpcStream() status {
	if !a.room(8, 1, 4) {
		return invalidMemory
	}
	r, st := a.dial(true, 0)
	if st != statusOK {
		return st
	}
	r.start(a.v)
	return a.put(8, r.id)
}

// dial makes the call that the first parameters describe. Guests of the Rust SDK end if
// they get a status that Envoy does not return.
func (a *args) dial(stream bool, d time.Duration) (*rpc, status) {
	f := a.v.f
	to, name, method := a.bytes(0), a.view(2), a.view(4)
	metadata := a.bytes(6)
	if a.bad {
		return nil, invalidMemory
	}
	service := parseService(to, f.cfg.Fetch)
	q := grpc.Request{Authority: service.authority, Service: strings.Clone(name), Method: strings.Clone(method),
		Metadata: service.metadata, Timeout: d, Message: int(f.cfg.Body), Backlog: int(f.cfg.Body)}
	if q.Authority == "" {
		q.Authority = service.upstream
	}
	list, ok := parsePairs(metadata)
	switch {
	case !f.allowed(service.upstream):
		return nil, parseFailure
	case !ok || !compile(&q.Metadata, list) || q.Check() != nil || !isAuthority(q.Authority):
		return nil, parseFailure
	case f.cfg.Quiet || int64(len(metadata)) > f.cfg.Fields: // a call may have an effect
		return nil, internalFailure
	}
	upstream, found := f.upstream(service.upstream)
	if !found {
		f.log.Log(slog.LevelWarn, "filter calls an upstream that there is none of", "upstream", brief(service.upstream))
		return nil, parseFailure
	}
	o, ok := a.v.fork(d, !stream)
	if !ok {
		return nil, internalFailure
	}
	return &rpc{outing: o, call: grpc.New(o.x, q), upstream: upstream, stream: stream, told: make(chan struct{}, 1)}, statusOK
}

// compile adds pairs, of which it keeps copies, to metadata, and reports whether they can
// be sent.
func compile(metadata *edge.Fields, list pairList) bool {
	for list.n > 0 {
		name, value := list.next()
		if strings.HasPrefix(name, ":") {
			continue
		}
		if !edge.IsToken(name) || !isValue(value) {
			return false
		}
		metadata.Add(strings.Clone(name), strings.Clone(value))
	}
	return true
}

// start lets the call go. v.mu is held.
func (r *rpc) start(v *vm) {
	switch c := r.from.(type) {
	case *stream:
		c.rpcs = append(c.rpcs, r)
	case *root:
		c.mu.Lock()
		c.rpcs = append(c.rpcs, r)
		c.mu.Unlock()
	}
	serve := r.one
	if r.stream {
		serve = r.all
	}
	r.run(func() {
		defer r.cancel(nil)
		serve()
	})
}

// one tells the guest of the one message that is the answer, or of the failure.
func (r *rpc) one() {
	var message []byte
	n := 0
	if _, ok := r.call.Open(r.upstream); ok {
		for ok && n < 2 {
			var m []byte
			if m, ok = r.call.Receive(); ok {
				message = m
				n++
			}
		}
	}
	st := r.end()
	switch {
	case n == 2:
		st = grpc.Status{Code: grpc.Internal, Message: "the server has answered with more than one message"}
	case st.Code == grpc.OK && n == 0:
		st = grpc.Status{Code: grpc.Internal, Message: "the server has answered with no message"}
	}
	if st.Code == grpc.OK {
		r.from.hear(&news{of: r, what: onRPCReceive, message: message, last: true})
		return
	}
	r.from.hear(&news{of: r, what: onRPCClose, status: st, last: true})
}

// all tells the guest of all that comes, one after the other.
func (r *rpc) all() {
	metadata, ok := r.call.Open(r.upstream)
	if ok {
		r.pass(&news{of: r, what: onRPCInitial, fields: metadata})
	}
	for ok {
		var m []byte
		if m, ok = r.call.Receive(); ok {
			ok = r.pass(&news{of: r, what: onRPCReceive, message: m})
		}
	}
	st := r.end()
	if st.Trailers.Len() > 0 {
		r.pass(&news{of: r, what: onRPCTrailing, fields: st.Trailers})
	}
	r.from.hear(&news{of: r, what: onRPCClose, status: st, last: true})
}

// pass tells the guest, and waits until it knows. It reports false if nobody is to be
// told any more.
func (r *rpc) pass(e *news) bool {
	r.from.hear(e)
	select {
	case <-r.told:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// errBacklog is why a call is given up whose messages nobody takes.
var errBacklog = errors.New("too much waits to be sent")

// end ends the call.
func (r *rpc) end() grpc.Status {
	st := r.call.End()
	if errors.Is(context.Cause(r.ctx), errBacklog) {
		st = grpc.Status{Code: grpc.ResourceExhausted, Message: errBacklog.Error()}
	}
	return st
}

// ends implements event.
func (e *news) ends() *outing {
	if !e.last {
		return nil
	}
	return &e.of.outing
}

// tell implements event.
func (e *news) tell(v *vm, s *stream) error {
	r := e.of
	defer func() {
		select {
		case r.told <- struct{}{}:
		default:
		}
	}()
	told := r.over.Load() || r.unsung
	if e.last {
		r.forget()
	}
	if told {
		return nil
	}
	v.heard = e
	defer func() { v.heard = nil }()
	n := 0
	switch e.what {
	case onRPCReceive:
		n = len(e.message)
	case onRPCClose:
		n = int(e.status.Code)
	case onRPCInitial:
		l := v.lines(grpcInitial)
		n = l.len()
	case onRPCTrailing:
		l := v.lines(grpcTrailing)
		n = l.len()
	}
	// As with other calls, the root context is told.
	_, err := v.enter(s, e.what, rootID, uint64(r.id), uint64(n))
	return err
}

// forget says that the guest is to be told nothing more. v.mu is held.
func (r *rpc) forget() {
	r.over.Store(true)
	isIt := func(other *rpc) bool { return other == r }
	switch c := r.from.(type) {
	case *stream:
		c.rpcs = slices.DeleteFunc(c.rpcs, isIt)
	case *root:
		c.mu.Lock()
		c.rpcs = slices.DeleteFunc(c.rpcs, isIt)
		c.mu.Unlock()
	}
}

// rpc returns the call of an id, or nil. Contexts that live in one instance may have their
// hands on the calls of all.
func (v *vm) rpc(id uint32) *rpc {
	in := func(rpcs []*rpc) *rpc {
		for _, r := range rpcs {
			if r.id == id {
				return r
			}
		}
		return nil
	}
	if v.only != nil {
		return in(v.only.rpcs)
	}
	for _, s := range v.streams {
		if r := in(s.rpcs); r != nil {
			return r
		}
	}
	if !v.leads && !v.preparing {
		return nil
	}
	v.f.root.mu.Lock()
	defer v.f.root.mu.Unlock()
	return in(v.f.root.rpcs)
}

func (a *args) grpcSend() status {
	message := a.bytes(1)
	if a.bad {
		return invalidMemory
	}
	r := a.v.rpc(a.u32(0))
	switch {
	case r == nil:
		return notFound
	case !r.stream || r.shut.Load() || int64(len(message)) > a.v.f.cfg.Body:
		return badArgument
	}
	if !r.call.Send(message) {
		r.cancel(errBacklog)
		return statusOK // it is told that the call has ended
	}
	if a.u32(3) != 0 {
		r.shut.Store(true)
		r.call.CloseSend()
	}
	return statusOK
}

func (a *args) grpcCancel() status {
	r := a.v.rpc(a.u32(0))
	if r == nil {
		return notFound
	}
	r.forget()
	r.cancel(nil)
	return statusOK
}

// grpcClose ends what the guest sends. A call that has sent its message already is
// cancelled, as in Envoy.
func (a *args) grpcClose() status {
	r := a.v.rpc(a.u32(0))
	switch {
	case r == nil:
		return notFound
	case !r.stream:
		return a.grpcCancel()
	}
	r.shut.Store(true)
	r.call.CloseSend()
	return statusOK
}
