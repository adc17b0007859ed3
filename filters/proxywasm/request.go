package proxywasm

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// request is a request of the guest's own, and the response to it. It runs on a
// goroutine of its own, and touches nothing of the guest's.
type request struct {
	id       uint32
	x        *edge.Exchange
	upstream edge.Handler
	ctx      context.Context
	cancel   context.CancelFunc

	status   int // of the response; 0: there is none
	fields   edge.Fields
	trailers edge.Fields
	body     []byte
	err      error
}

func (a *args) httpCall() status {
	v := a.v
	name, body := a.view(0), a.bytes(4)
	head, ok := parsePairs(a.bytes(2))
	trailers, ok2 := parsePairs(a.bytes(6))
	switch {
	case a.bad || !a.room(9, 1, 4):
		return invalidMemory
	case !ok || !ok2:
		return parseFailure
	case !v.f.allowed(name) || int64(len(body)) > v.f.cfg.Body:
		return badArgument
	}
	upstream, found := v.f.upstream(name)
	if !found {
		v.f.log.Log(slog.LevelWarn, "filter calls an upstream that there is none of", "upstream", brief(name))
		return badArgument
	}
	r := &request{upstream: upstream, id: v.f.calling.Add(1)}
	q := edge.Request{Scheme: "http", Proto: "HTTP/1.1", Authority: strings.Clone(name), Length: int64(len(body))}
	if len(body) > 0 {
		q.Body = edge.Content(append([]byte(nil), body...))
	}
	if !compose(&q, head, trailers) {
		return badArgument
	}
	if v.f.cfg.Quiet && !edge.Safe(q.Method) {
		return internalFailure
	}
	d := v.f.cfg.CallTime
	if ms := a.u32(8); ms > 0 {
		d = min(d, time.Duration(ms)*time.Millisecond)
	}
	if st := v.start(r, q, d); st != statusOK {
		return st
	}
	return a.put(9, r.id)
}

// allowed reports whether an upstream may be called, and logs it otherwise.
func (f *Filter) allowed(name string) bool {
	if slices.Contains(f.cfg.Fetch, name) {
		return true
	}
	f.log.Log(slog.LevelWarn, "filter calls an upstream that it is not allowed to: write its allow line",
		"upstream", brief(name), "line", fmt.Sprintf("allow: { fetch: [%.80q] }", name))
	return false
}

func (f *Filter) upstream(name string) (edge.Handler, bool) {
	if f.cfg.Upstream == nil {
		return nil, false
	}
	return f.cfg.Upstream(name)
}

// compose makes a request of pairs, of which it keeps copies, and reports whether it can
// be sent. It needs a method, a path and an authority, as the specification has it.
func compose(q *edge.Request, head, trailers pairList) bool {
	if trailers.n > 0 {
		q.Length = -1 // RFC 9112, section 6.5: they need the chunked coding
		if q.Body == nil {
			return false
		}
	}
	for head.n > 0 {
		name, value := head.next()
		switch {
		case name == ":method" && edge.IsToken(value) && value != "CONNECT":
			q.Method = strings.Clone(value)
		case name == ":path" && isPath(value):
			q.Path, q.Query, _ = strings.Cut(strings.Clone(value), "?")
		case (name == ":authority" || edge.EqualFold(name, "host")) && isAuthority(value):
			q.Authority = strings.Clone(value)
		case name == ":authority" && value == "": // the upstream's name
		case name == ":scheme":
		case !edge.IsToken(name) || !isValue(value):
			return false
		case !framing(name):
			q.Fields.Add(strings.Clone(name), strings.Clone(value))
		}
	}
	for trailers.n > 0 {
		name, value := trailers.next()
		if !edge.IsToken(name) || !isValue(value) {
			return false
		}
		q.Trailers.Add(strings.Clone(name), strings.Clone(value))
	}
	return q.Method != "" && q.Path != ""
}

// start lets a request go, for the context in effect. v.mu is held.
func (v *vm) start(r *request, q edge.Request, d time.Duration) status {
	s := v.serving()
	if s == nil {
		return v.f.root.start(r, q, d)
	}
	if s.pending >= v.f.cfg.Calls || s.settled[ofResponse] && s.x.Cancelled() != nil {
		return internalFailure
	}
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(s.x.Context())
	}
	r.ctx, r.cancel = context.WithTimeout(s.ctx, d)
	r.x = s.x.Fork(r.ctx)
	r.x.Send(q)
	s.pending++
	s.requests.Go(func() {
		r.run(v.f.cfg.Body)
		v.mu.Lock()
		s.done = append(s.done, r)
		v.mu.Unlock()
		s.signal()
	})
	return statusOK
}

// run serves the request, and reads the response.
func (r *request) run(limit int64) {
	defer r.cancel()
	defer r.x.End()
	defer func() {
		if p := recover(); p != nil {
			r.status, r.err = 0, fmt.Errorf("BUG: %v", p)
		}
	}()
	if r.err = r.upstream.Serve(r.x); r.err != nil {
		return
	}
	res := &r.x.Response
	if b := res.Body; b != nil {
		r.body, r.err = io.ReadAll(io.LimitReader(b, limit+1))
		b.Close()
	}
	switch {
	case r.err != nil:
	case int64(len(r.body)) > limit:
		r.err = fmt.Errorf("the response is more than the %d bytes that may be held", limit)
	case res.Tunnel != nil:
		r.err = fmt.Errorf("the response has the status %d", res.Status)
	default:
		r.status, r.fields, r.trailers = res.Status, res.Fields.Clone(), res.Trailers.Clone()
		return
	}
	r.body = nil
}

// deliver tells the guest of the responses that have come for its context. s.v.mu is
// held.
func (s *stream) deliver() error {
	for len(s.done) > 0 {
		r := s.done[0]
		s.done = s.done[1:]
		s.pending--
		if s.local != nil || s.closed {
			continue
		}
		if err := s.v.tellOf(s, r); err != nil {
			return err
		}
	}
	return nil
}

// tellOf tells the guest of a response. A failure has no fields.
func (v *vm) tellOf(s *stream, r *request) error {
	n := 0
	if r.status != 0 {
		n = r.fields.Len() + 1
	} else {
		v.f.log.Log(slog.LevelInfo, "call of a filter failed", "err", r.err)
	}
	v.answered = r
	defer func() { v.answered = nil }()
	// The root context is told, and finds out by itself whose request it was.
	_, err := v.enter(s, onCallResponse, rootID, uint64(r.id), uint64(n), uint64(len(r.body)), uint64(r.trailers.Len()))
	return err
}
