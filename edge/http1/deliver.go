package http1

import (
	"errors"
	"io"
	"strconv"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
)

var errBadField = &edge.Error{Kind: edge.InternalError, Op: "write a field: the name is no token, or the value has a line break or NUL"}

// conclude delivers the response, or what err stands for, and reports whether
// the connection may be used again.
func (c *conn) conclude(err error, keep bool) bool {
	x := &c.x
	if err == nil && (x.Response.Status < 200 || x.Response.Status > 999) {
		err = &edge.Error{Kind: edge.InternalError, Op: "serve: no final response"}
	}
	if err != nil {
		x.Answer(err)
		if edge.AsError(err).Kind == edge.ClientGone {
			return false
		}
	}
	return c.deliver(keep)
}

// deliver writes the response, closes its body, and reports whether the
// connection may be used again.
func (c *conn) deliver(keep bool) bool {
	x := &c.x
	if c.out.buf == nil {
		c.out.buf = bufpool.Get(2 * minBuffer)
	}
	b := c.out.buf[:0]
	b, ok := appendFields(appendStatus(b, x.Response.Status), &x.Response.Fields)
	if !ok {
		x.Answer(errBadField)
		b, _ = appendFields(appendStatus(c.out.buf[:0], x.Response.Status), &x.Response.Fields)
	}
	res := &x.Response
	// RFC 9110, section 6.4.1: these have no content, whatever their fields say.
	empty := x.Record.Method == "HEAD" || res.Status == 204 || res.Status == 304
	if res.Body == nil && !empty {
		res.Length = 0
	}
	unknown := !empty && res.Body != nil && res.Length < 0
	chunked := unknown && !c.head.old
	all := []byte(nil)
	if !empty && res.Body != nil {
		if all = edge.Bytes(res.Body); all != nil && unknown {
			res.Length, unknown, chunked = int64(len(all)), false, false
		}
	}
	// The client is told to close if the request's end may never come: it waits
	// for permission, or is refused while it sends.
	if c.commit() || res.Status >= 400 && c.body.state.Load() != whole && c.body.atHand == 0 ||
		unknown && !chunked || c.s.draining.Load() {
		keep = false
	}
	switch {
	case chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case !unknown && res.Length >= 0 && res.Status != 204 && (res.Status != 304 || res.Length > 0):
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, res.Length, 10), "\r\n"...)
	}
	switch {
	case !keep:
		b = append(b, "Connection: close\r\n"...)
	case c.head.old:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	c.out.set(append(b, "\r\n"...))

	var s sent
	switch {
	case res.Body == nil || empty:
		s.write = c.out.flush()
	case all != nil && int64(len(all)) == res.Length:
		if s.write = c.out.whole(all); s.write == nil {
			s.n = res.Length
		}
	default:
		s = c.content(chunked)
	}
	if res.Body != nil {
		res.Body.Close()
	}
	x.Record.Sent = s.n
	if s.read == nil && s.write == nil {
		return keep
	}
	c.failed(s)
	if s.write == nil {
		c.out.flush() // what there is, before the connection is cut
	}
	// Without a length or a last chunk only a reset says that something is missing.
	c.reset = unknown && !chunked
	c.late = false
	return false
}

// commit ends the time of interim responses, and reports whether the client
// still waits for 100 Continue.
func (c *conn) commit() (expects bool) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.final = true
	return c.expect
}

// content copies the response's body to the client.
func (c *conn) content(chunked bool) (s sent) {
	defer c.recovered("read the response's content", &s.read)
	res := &c.x.Response
	if w, ok := res.Body.(io.WriterTo); ok && !chunked && res.Length >= 0 && c.out.vectors {
		return c.out.from(w, res.Length)
	}
	return c.out.body(res.Body, res.Length, chunked, &res.Trailers)
}

// failed records why the response has not been delivered whole.
func (c *conn) failed(s sent) {
	r := &c.x.Record
	if r.Err != nil {
		return
	}
	err := s.read
	if s.write != nil {
		err = &edge.Error{Kind: edge.ClientGone, Op: "write the response", Err: s.write}
	}
	if cause := c.x.Cancelled(); cause != nil && !errors.Is(err, cause) {
		err = cause
	}
	r.Err, r.Why = err, edge.AsError(err).Kind.Why()
}
