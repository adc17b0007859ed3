package proxywasm

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// request is a request of the guest's own, and the response to it.
type request struct {
	outing
	upstream edge.Handler

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
	case !v.f.allowed(name) || int64(len(body)) > v.f.cfg.Body || int64(a.u32(3))+int64(a.u32(7)) > v.f.cfg.Fields:
		return badArgument
	}
	upstream, found := v.f.upstream(name)
	if !found {
		v.f.log.Log(slog.LevelWarn, "filter calls an upstream that there is none of", "upstream", brief(name))
		return badArgument
	}
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
	o, ok := v.fork(v.f.callTime(a.u32(8)), true)
	if !ok {
		return internalFailure
	}
	o.x.Send(q)
	r := &request{outing: o, upstream: upstream}
	r.run(func() {
		r.serve(v.f.cfg.Body)
		r.from.hear(r)
	})
	return a.put(9, r.id)
}

// callTime returns how long a call may take of which the guest says so many milliseconds;
// 0: as long as any.
func (f *Filter) callTime(ms uint32) time.Duration {
	if ms == 0 {
		return f.cfg.CallTime
	}
	return min(f.cfg.CallTime, time.Duration(ms)*time.Millisecond)
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

// serve serves the request, and reads the response.
func (r *request) serve(limit int64) {
	defer r.cancel(nil)
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

// ends implements event.
func (r *request) ends() *outing { return &r.outing }

// tell implements event. A failure has no fields.
func (r *request) tell(v *vm, s *stream) error {
	n := 0
	if r.status != 0 {
		n = r.fields.Len() + 1
	} else {
		v.f.log.Log(slog.LevelInfo, "call of a filter failed", "err", r.err)
	}
	if r.unsung {
		return nil
	}
	v.answered = r
	defer func() { v.answered = nil }()
	// The root context is told, and finds out by itself whose request it was.
	_, err := v.enter(s, onCallResponse, rootID, uint64(r.id), uint64(n), uint64(len(r.body)), uint64(r.trailers.Len()))
	return err
}
