package http1

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
)

var errBadRequest = errors.New("the request's head, as it was changed here, is no head")

// send writes the head, and with it the content if that is at hand; other
// content is left to a pump. The head is put where the response's will be.
func (c *call) send(u *upstream) error {
	r := &c.x.Request
	b, ok := appendRequestLine(c.in.buf[:0], r)
	if ok {
		b, ok = appendFields(b, &r.Fields)
	}
	if !ok {
		return errBadRequest
	}
	content := []byte(nil)
	length, chunked := r.Length, false
	c.asked = ""
	if r.Body != nil {
		if content = edge.Bytes(r.Body); content != nil {
			length = int64(len(content))
		}
		chunked = length < 0
	}
	switch {
	case chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.Body != nil:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, length, 10), "\r\n"...)
	case r.Upgrade != "":
		if !protocolName(r.Upgrade) {
			return errBadRequest
		}
		c.asked = r.Upgrade
		b = append(append(append(b, "Connection: Upgrade\r\nUpgrade: "...), r.Upgrade...), "\r\n"...)
	case r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH":
		b = append(b, "Content-Length: 0\r\n"...) // RFC 9110, section 8.6
	}
	c.out.set(append(b, "\r\n"...))
	switch {
	case r.Body == nil:
		return c.out.flush()
	case content != nil:
		return c.out.whole(content)
	}
	if err := c.out.flush(); err != nil {
		return err
	}
	c.pumping = true
	c.writer = pumpWriter{u: u, stalled: or(c.x.Limits.Stalled, c.t.cfg.Stalled)}
	c.writer.last.Store(time.Now().UnixNano())
	c.pump.Add(1)
	go c.pumpBody(r.Body, length, chunked, &r.Trailers)
	return nil
}

// appendRequestLine appends the request line and Host. It reports false for a
// method, target or authority that would not be one.
func appendRequestLine(b []byte, r *edge.Request) ([]byte, bool) {
	if !token(r.Method) || !all(r.Path, &targets) || !all(r.Query, &targets) || !all(r.Authority, &targets) {
		return b, false
	}
	b = append(append(b, r.Method...), ' ')
	if r.Path == "" {
		b = append(b, '/')
	} else {
		b = append(b, r.Path...)
	}
	if r.Query != "" {
		b = append(append(b, '?'), r.Query...)
	}
	return append(append(append(b, " HTTP/1.1\r\nHost: "...), r.Authority...), "\r\n"...), true
}

// pumpWriter is the connection as the pump writes to it.
type pumpWriter struct {
	u       *upstream
	stalled time.Duration
	by      time.Time
	last    atomic.Int64 // time of the last write, in Unix nanoseconds
}

func (w *pumpWriter) write(c *call, p []byte) (int, error) {
	now := time.Now()
	if least := now.Add(w.stalled); w.by.Before(least) {
		w.by = least.Add(w.stalled / 16)
		w.u.c.SetWriteDeadline(w.by)
	}
	if c.dead.Load() { // looked at after the deadline was moved, or Abort would be undone
		return 0, errAborted
	}
	n, err := w.u.c.Write(p)
	w.last.Store(now.UnixNano())
	return n, err
}

// Write is the pump's.
func (c *call) Write(p []byte) (int, error) { return c.writer.write(c, p) }

// pumpBody sends the request's content. If that cannot be read, the endpoint must
// not take it for whole, so the connection is cut. If it cannot be written, the
// endpoint may have answered all the same, so the caller reads on.
func (c *call) pumpBody(b edge.Body, length int64, chunked bool, trailers *edge.Fields) {
	defer c.pump.Done()
	defer c.pumped.Store(true)
	buf := bufpool.Get(4 * minBuffer)
	defer bufpool.Put(buf)
	defer func() {
		if v := recover(); v != nil {
			c.cut = true
			c.pumpErr = &edge.Error{Kind: edge.InternalError, Op: "read the request's content", Err: fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
			c.Abort()
		}
	}()
	o := output{dst: c, buf: buf}
	s := o.body(b, length, chunked, trailers)
	c.cut = s.read != nil || s.write != nil
	if s.read != nil {
		c.pumpErr = s.read
		c.Abort()
	}
}

// join ends the pump and waits for it.
func (c *call) join() {
	if !c.pumping {
		return
	}
	c.pumping = false
	u := c.conn.Load()
	if !c.pumped.Load() {
		c.x.Request.Body.Close()
		u.c.SetWriteDeadline(past)
	}
	u.by = time.Time{} // both deadlines have to be set anew
	c.pump.Wait()
}
