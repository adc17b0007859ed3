// Package grpc makes calls of gRPC, for guests, to the upstreams of the file:
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
//
// A [Call] is a request on an exchange of its own, and so goes to an endpoint that the
// upstream's balancer picks, as any other does. A [Transport] carries it there by HTTP/2.
package grpc

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// Request says what is called, and bounds the call. Zero means the default.
type Request struct {
	Authority string // whom the server is asked for
	Service   string // with its package: "helloworld.Greeter"
	Method    string
	Metadata  edge.Fields   // the initial metadata
	Timeout   time.Duration // told to the server, which need not go on after it; 0: none. The exchange ends the call
	Message   int           // longest message that is received, in bytes; default 1 MiB
	Backlog   int           // bytes of messages that may wait to be sent, of which the first may be longer; default 1 MiB
}

// Call is a call of a method. Its methods but Send and CloseSend are for one goroutine.
type Call struct {
	x     *edge.Exchange
	out   *outbox
	limit int

	body edge.Body // of the response; nil: no message follows
	st   *Status   // nil: the call has not ended
}

// Check returns why there cannot be such a call, or nil.
func (r *Request) Check() error {
	if !isName(r.Service) || !isName(r.Method) {
		return fmt.Errorf("there can be no method %.100q of %.100q", r.Method, r.Service)
	}
	return nil
}

// New returns a call, which was checked, on an exchange that was forked for it. Who has it
// calls End.
func New(x *edge.Exchange, r Request) *Call {
	c := &Call{x: x, limit: r.Message}
	if c.limit == 0 {
		c.limit = 1 << 20
	}
	backlog := r.Backlog
	if backlog == 0 {
		backlog = 1 << 20
	}
	c.out = newOutbox(backlog)
	q := edge.Request{Method: "POST", Scheme: "http", Authority: r.Authority, Path: "/" + r.Service + "/" + r.Method,
		Proto: "HTTP/2.0", Body: c.out, Length: -1, GRPC: true}
	for name, value := range r.Metadata.All() {
		if !reserved(name) {
			q.Fields.Add(name, value)
		}
	}
	q.Fields.Add("Te", "trailers")
	q.Fields.Add("Content-Type", contentType)
	if r.Timeout > 0 {
		q.Fields.Add("Grpc-Timeout", timeout(r.Timeout))
	}
	x.Send(q)
	x.OnCancel(c.out)
	return c
}

const contentType = "application/grpc"

// IsGRPC reports whether the fields of a message say that it is of gRPC.
func IsGRPC(f *edge.Fields) bool {
	after, ok := strings.CutPrefix(f.Get("content-type"), contentType)
	return ok && (after == "" || after[0] == '+' || after[0] == ';')
}

// isName reports whether s can be a part of a call's path.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != "" && s != "." && s != ".."
}

// reserved reports whether a field is not for who calls to set.
func reserved(name string) bool {
	return strings.HasPrefix(name, ":") || len(name) > 5 && edge.EqualFold(name[:5], "grpc-") ||
		edge.EqualFold(name, "content-type") || edge.EqualFold(name, "host") || edge.ConnectionField(name)
}

// timeout returns a time as its field has it, which is of 8 digits at the most.
func timeout(d time.Duration) string {
	if ms := d.Milliseconds(); ms < 1e8 {
		return strconv.FormatInt(max(ms, 1), 10) + "m"
	}
	return strconv.FormatInt(min(int64(d/time.Second), 1e8-1), 10) + "S"
}

// Send sends a message, of which it keeps nothing, without waiting. It reports false if
// too much waits to be sent already.
func (c *Call) Send(p []byte) bool { return c.out.add(p) }

// CloseSend says that no further message is sent.
func (c *Call) CloseSend() { c.out.end() }

// Open has h serve the call, and returns the initial metadata that it answers with, or
// none if the call has ended.
func (c *Call) Open(h edge.Handler) (metadata edge.Fields, ok bool) {
	if err := c.serve(h); err != nil {
		if cause := c.x.Cancelled(); cause != nil {
			err = cause
		}
		c.fail(failure(err))
		return edge.Fields{}, false
	}
	r := &c.x.Response
	c.body = r.Body
	_, ended := r.Fields.Lookup(statusField)
	switch {
	case ended: // the answer is trailers only
		c.fail(statusOf(r.Fields.Clone()))
		return edge.Fields{}, false
	case r.Tunnel != nil, r.Status != 200:
		c.fail(Status{Code: CodeOf(r.Status), Message: "the answer has the status " + strconv.Itoa(r.Status)})
	case !IsGRPC(&r.Fields):
		c.fail(Status{Code: Unknown, Message: fmt.Sprintf("the answer is no gRPC: its content-type is %.100q", r.Fields.Get("content-type"))})
	case !plain(&r.Fields):
		c.fail(Status{Code: Unimplemented, Message: fmt.Sprintf("messages are encoded with %.100q, which was not asked for", r.Fields.Get("grpc-encoding"))})
	default:
		return r.Fields.Clone(), true
	}
	return edge.Fields{}, false
}

func (c *Call) serve(h edge.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("BUG: %v", p)
		}
	}()
	return h.Serve(c.x)
}

// plain reports whether messages are not encoded.
func plain(f *edge.Fields) bool {
	e := f.Get("grpc-encoding")
	return e == "" || e == "identity"
}

// Receive returns the next message, or reports false if there is none.
func (c *Call) Receive() (message []byte, ok bool) {
	if c.st != nil {
		return nil, false
	}
	if c.body == nil { // RFC 9110, section 6.5: there are no trailers then
		c.fail(statusOf(c.x.Response.Trailers.Clone()))
		return nil, false
	}
	var head [prefix]byte
	if _, err := io.ReadFull(c.body, head[:]); err != nil {
		c.broken(err)
		return nil, false
	}
	n := binary.BigEndian.Uint32(head[1:])
	switch {
	case head[0] != 0:
		c.fail(Status{Code: Internal, Message: "a message is compressed, and its encoding is not told"})
		return nil, false
	case uint64(n) > uint64(c.limit):
		c.fail(Status{Code: ResourceExhausted, Message: fmt.Sprintf("a message has %d bytes, more than the %d that may be received", n, c.limit)})
		return nil, false
	}
	message = make([]byte, n)
	if _, err := io.ReadFull(c.body, message); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		c.broken(err)
		return nil, false
	}
	return message, true
}

// broken ends the call at the end of the response, or where that has broken off.
func (c *Call) broken(err error) {
	switch {
	case err == io.EOF:
		c.fail(statusOf(c.x.Response.Trailers.Clone()))
	case err == io.ErrUnexpectedEOF && c.x.Cancelled() == nil:
		c.fail(Status{Code: Internal, Message: "the answer ends within a message"})
	case c.x.Cancelled() != nil:
		c.fail(failure(c.x.Cancelled()))
	default:
		c.fail(failure(err))
	}
}

// fail says how the call has ended.
func (c *Call) fail(s Status) {
	if c.st == nil {
		c.st = &s
	}
}

// End ends the call, and returns how it has ended: cancelled, if it had not.
func (c *Call) End() Status {
	c.out.Close()
	if b := c.x.Response.Body; b != nil {
		b.Close()
	}
	if c.st == nil {
		c.fail(Status{Code: Cancelled, Message: "the call was cancelled"})
	}
	c.x.OffCancel(c.out)
	c.x.End()
	return *c.st
}
