package proxywasm

import (
	"io"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/grpc"
)

// local is a response of the guest's own. It is its content, too.
type local struct {
	status int
	body   []byte
	fields []edge.Field
	read   int // bytes of body
	rpc    bool
	code   grpc.Code // of gRPC, if rpc
}

// Read implements [edge.Body].
func (l *local) Read(p []byte) (n int, err error) {
	n = copy(p, l.body[l.read:])
	if l.read += n; l.read == len(l.body) {
		err = io.EOF
	}
	return n, err
}

// Bytes returns all of the content: see [edge.Bytes].
func (l *local) Bytes() []byte { return l.body }

// Close implements [edge.Body].
func (l *local) Close() error { return nil }

func (a *args) localResponse() status {
	code, body := a.u32(0), a.bytes(3)
	list, ok := parsePairs(a.bytes(5))
	s := a.v.serving()
	switch {
	case a.bad:
		return invalidMemory
	case !ok:
		return parseFailure
	case s == nil || code < 200 || code > 999 || int64(len(body)) > a.v.f.cfg.Body:
		return badArgument
	case s.local != nil || s.replied: // the first one counts
		return statusOK
	case s.settled[ofResponse]: // the head of one is on its way, and it is broken off
		s.closed = true
		return statusOK
	}
	l := &s.ours
	l.status, l.body, l.fields = int(code), append(l.body[:0], body...), l.fields[:0]
	if l.rpc = grpc.IsGRPC(&s.x.Request.Fields); l.rpc {
		l.code = grpc.Code(a.u32(7))
		if int32(a.u32(7)) < 0 {
			l.code = grpc.CodeOf(l.status)
		}
	}
	for list.n > 0 {
		name, value := list.next()
		if strings.HasPrefix(name, ":") {
			continue
		}
		if st := s.charge(name, value); st != statusOK {
			return st
		}
		if !framing(name) {
			l.fields = append(l.fields, edge.Field{Name: s.keep(name), Value: s.keep(value)})
		}
	}
	s.local = l
	s.signal()
	return statusOK
}

// answer makes the guest's own response the exchange's, if there is one.
func (s *stream) answer() bool {
	if s.v == nil {
		return false
	}
	s.v.mu.Lock()
	l := s.take()
	s.v.mu.Unlock()
	if l != nil {
		s.give(l)
	}
	return l != nil
}

// take returns the guest's own response, once, or nil. v.mu is held.
func (s *stream) take() *local {
	l := s.local
	if l != nil {
		s.local, s.replied = nil, true
	}
	return l
}

// give makes a response of the guest's own the exchange's.
func (s *stream) give(l *local) {
	if l.rpc {
		s.answerCall(l)
		return
	}
	var body edge.Body
	length := int64(len(l.body))
	switch {
	case l.status == 204 || l.status == 304:
		length = 0 // RFC 9110, sections 15.3.5 and 15.4.5
	case length > 0 && s.x.Request.Method != "HEAD":
		body = l
	}
	s.x.Respond(l.status, body, length)
	for _, p := range l.fields {
		s.x.Response.Fields.Add(p.Name, p.Value)
	}
}

// longestMessage is how much of the content of a local response a message of gRPC has, in
// bytes.
const longestMessage = 1 << 10

// answerCall answers a call of gRPC as Envoy does: with trailers only, and the content as
// the message. What the guest has set for the status goes before.
func (s *stream) answerCall(l *local) {
	s.x.Respond(200, nil, 0)
	f := &s.x.Response.Fields
	for _, p := range l.fields {
		if !edge.EqualFold(p.Name, "content-type") {
			f.Add(p.Name, p.Value)
		}
	}
	f.Set("Content-Type", "application/grpc")
	if !f.Has("grpc-status") {
		f.Add("Grpc-Status", strconv.FormatUint(uint64(l.code), 10))
	}
	if len(l.body) > 0 && s.x.Request.Method != "HEAD" {
		f.Set("Grpc-Message", grpc.EncodeMessage(string(l.body[:min(len(l.body), longestMessage)])))
	}
}
