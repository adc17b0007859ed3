package http1

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// call is one exchange on its way through a Transport: its Ender and Aborter,
// and the Body of its response. The connection is given back as soon as the
// response has been read, which may be long before the client has taken it.
type call struct {
	t     *Transport
	x     *edge.Exchange
	conn  atomic.Pointer[upstream] // nil: none yet, or given back
	in    input                    // its buf is the exchange's own, since strings outlive our hold on the connection
	out   output
	body  body
	keep  bool        // the endpoint allows another exchange
	found bool        // the response's head has been read
	asked string      // the protocol that the request asks to upgrade to
	wrote bool        // an endpoint may have seen some of the request
	hooks bool        // the aborter is registered
	dead  atomic.Bool // the connection is not to be used any more

	pumping bool           // a goroutine sends the request's content
	pump    sync.WaitGroup // the following fields are the pump's until it is done
	pumped  atomic.Bool    // it is done
	pumpErr error          // why the request's content could not be read
	cut     bool           // the content has not been sent whole
	writer  pumpWriter
}

var calls = sync.Pool{New: func() any { return new(call) }}

// Serve implements edge.Handler.
func (t *Transport) Serve(x *edge.Exchange) error {
	c := calls.Get().(*call)
	c.t, c.x, c.hooks = t, x, true
	c.body.none()
	// Both before the first write, so that a panic on the way leaves nothing behind.
	x.OnCancel(c)
	x.OnEnd(c)
	x.Record.Endpoint = t.addr
	u := t.take()
	for {
		if u == nil {
			var err error
			if u, err = t.dial(x); err != nil {
				if e, ok := errors.AsType[*edge.Error](err); ok && c.wrote {
					e.Retryable = false
				}
				return err
			}
		}
		x.Record.Tries++
		err := c.roundTrip(u)
		if err == nil {
			return nil
		}
		again := u.used && c.stale(err)
		c.drop()
		if !again {
			return err
		}
		u = nil // a fresh one, so that this happens once
	}
}

// stale reports whether the connection may have been closed by the endpoint while
// it was idle, and the request can be sent again.
func (c *call) stale(err error) bool {
	e := edge.AsError(err)
	if e.Kind != edge.ConnectionTerminated || c.in.w != 0 || c.dead.Load() || c.cut {
		return false
	}
	return e.Retryable || repeatable(&c.x.Request)
}

// repeatable reports whether the request can be sent again: RFC 9110, section
// 9.2.2, and its content has to be there still.
func repeatable(r *edge.Request) bool {
	switch r.Method {
	case "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE":
		return r.Body == nil || edge.Bytes(r.Body) != nil
	}
	return false
}

// Abort implements edge.Aborter.
func (c *call) Abort() {
	c.dead.Store(true)
	if u := c.conn.Load(); u != nil {
		u.c.SetDeadline(past)
	}
}

var errAborted = errors.New("aborted")

// arm gives the endpoint until limit from now for the next read, and, while no
// pump has a deadline of its own, for the next write. Deadlines are moved rarely:
// one may be a sixteenth late.
func (c *call) arm(u *upstream, now time.Time, limit time.Duration) error {
	if least := now.Add(limit); u.by.Before(least) || u.by.After(least.Add(limit/16)) {
		u.by = least.Add(limit / 16)
		if c.pumping {
			u.c.SetReadDeadline(u.by)
		} else {
			u.c.SetDeadline(u.by)
		}
	}
	if c.dead.Load() { // looked at after the deadline was moved, or Abort would be undone
		u.c.SetDeadline(past)
		return errAborted
	}
	return nil
}

// roundTrip sends the request and reads the response's head.
func (c *call) roundTrip(u *upstream) error {
	x, t := c.x, c.t
	c.conn.Store(u)
	c.keep, c.found, c.pumping, c.pumpErr, c.cut = true, false, false, nil, false
	c.pumped.Store(false)
	c.in.src, c.in.owner, c.in.buf = u.c, c, x.Buffer()
	c.in.head, c.in.r, c.in.w = 0, 0, 0
	c.in.limit, c.in.room = t.cfg.HeaderBytes, t.cfg.TrailerBytes
	c.out.dst, c.out.vectors = u.c, true

	start := time.Now()
	limit := or(x.Limits.FirstByte, t.cfg.FirstByte)
	if err := c.arm(u, start, limit); err != nil {
		return c.failed("write the request", err)
	}
	if err := c.send(u); err != nil {
		return c.failed("write the request", err)
	}
	c.wrote = true
	x.Block()
	for interim := 0; ; {
		head, err := c.readHead(u, limit)
		if err != nil {
			return c.failed("read the response's head", err)
		}
		x.Respond(0, nil, 0)
		fr := framing{section: responseHead, max: t.cfg.Fields}
		status, err := parseResponse(head, &x.Response.Fields, &fr)
		if err != nil {
			return c.failed("read the response's head", err)
		}
		switch {
		case status == 101:
			return c.upgrade(u, &fr)
		case status < 200:
			if interim++; interim > t.cfg.Interim {
				return c.failed("read the response's head", errInterim)
			}
			if status != 100 {
				if err := x.Inform(status, &x.Response.Fields); err != nil {
					return &edge.Error{Kind: edge.ClientGone, Op: "write an interim response", Err: err}
				}
			}
			c.in.next()
			continue
		}
		x.Record.Waited += time.Since(start)
		x.Response.Status = status
		c.accept(&fr)
		return nil
	}
}

// readHead reads the response's head. The endpoint's time for it begins with the
// request's last byte.
func (c *call) readHead(u *upstream, limit time.Duration) ([]byte, error) {
	runtime.Gosched() // see conn.await
	for {
		head, err := c.in.readHead()
		if err == nil || !c.pumping || c.dead.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return head, err
		}
		now := time.Now()
		from := now // while content is still being sent the time has not begun
		if c.pumped.Load() {
			from = time.Unix(0, c.writer.last.Load())
		}
		if !now.Before(from.Add(limit)) {
			return nil, err
		}
		u.by = time.Time{}
		if err := c.arm(u, now, from.Add(limit).Sub(now)); err != nil {
			return nil, err
		}
	}
}

// upgrade makes the connection a tunnel, if that was asked for: RFC 9110,
// section 7.8.
func (c *call) upgrade(u *upstream, fr *framing) error {
	if c.asked == "" || !fr.upgrades || !edge.EqualFold(fr.upgrade, c.asked) {
		c.keep = false
		return &edge.Error{Kind: edge.UpgradeFailed, Op: "switch protocols"}
	}
	c.keep = false
	c.x.Response.Status = 101
	c.x.Response.Tunnel = c.tunnel
	return nil
}

// tunnel joins the client's stream and the endpoint's.
func (c *call) tunnel(client edge.Stream) error {
	u := c.conn.Load()
	u.c.SetDeadline(time.Time{})
	if c.dead.Load() {
		return c.x.Cancelled()
	}
	return join(client, &stream{&c.in, u.c})
}

// accept finds out what content the response has: RFC 9112, section 6.3.
func (c *call) accept(fr *framing) {
	res := &c.x.Response
	res.Length = fr.length
	c.found = true
	c.keep = c.keep && !fr.close && (!fr.http10 || fr.keepAlive)
	switch {
	case c.x.Request.Method == "HEAD" || res.Status == 204 || res.Status == 304 || !fr.chunked && fr.length == 0:
		c.complete()
		return
	case !fr.chunked && fr.length < 0:
		c.keep = false // until the connection closes
	}
	c.body.start(&c.in, fr, &res.Trailers)
	res.Body = &c.body
	if c.body.atHand != 0 && c.body.atHand == c.in.w {
		c.giveBack()
	}
}

// The owner of input.

func (c *call) enlarge(size int) {
	b := c.x.Grow(size)
	copy(b, c.in.buf[:c.in.w]) // no string aliases it yet
	c.in.buf = b
}

// waits is called before the response's content waits.
func (c *call) waits() error {
	c.x.Block()
	u := c.conn.Load()
	return c.arm(u, time.Now(), or(c.x.Limits.Stalled, c.t.cfg.Stalled))
}

func (c *call) broken(err error) error { return c.failed("read the response's content", err) }

// complete is called when all of the response has been read.
func (c *call) complete() {
	if c.in.r == c.in.w {
		c.giveBack()
	}
}

// giveBack returns the connection, of which nobody needs anything more, unless a
// pump is at work still: then the ender does.
func (c *call) giveBack() {
	u := c.conn.Load()
	if u == nil || !c.found || !c.keep || c.pumping && !c.pumped.Load() {
		return
	}
	c.join()
	if c.cut {
		return
	}
	c.unhook()
	if c.dead.Load() {
		return
	}
	c.conn.Store(nil)
	c.t.put(u)
}

// unhook takes the aborter back.
func (c *call) unhook() {
	if c.hooks {
		c.hooks = false
		c.x.OffCancel(c)
	}
}

// drop closes the connection.
func (c *call) drop() {
	c.join()
	if u := c.conn.Swap(nil); u != nil {
		u.c.Close()
	}
}

// End implements edge.Ender.
func (c *call) End(x *edge.Exchange) {
	c.join()
	if c.pumpErr != nil && x.Record.Err == nil && !errors.Is(c.pumpErr, errBodyClosed) {
		x.Record.Err, x.Record.Why = c.pumpErr, edge.AsError(c.pumpErr).Kind.Why()
	}
	if c.conn.Load() != nil && c.body.finish() && c.in.r == c.in.w {
		c.giveBack()
	}
	c.unhook()
	c.drop()
	c.x, c.in.src, c.in.buf, c.out.dst, c.out.buf = nil, nil, nil, nil, nil
	c.asked, c.wrote, c.pumpErr, c.cut, c.body.err = "", false, nil, false, nil
	c.dead.Store(false)
	calls.Put(c)
}

// failed gives err its kind. A pump that could not read its body, or the
// exchange's cancellation, wins over what it caused.
func (c *call) failed(op string, err error) error {
	c.join()
	if c.pumpErr != nil && !errors.Is(c.pumpErr, errBodyClosed) {
		if e, ok := errors.AsType[*edge.Error](c.pumpErr); ok {
			return e
		}
		return &edge.Error{Kind: edge.RequestError, Op: "read the request's content", Err: c.pumpErr}
	}
	if cause := c.x.Cancelled(); cause != nil {
		return cause
	}
	e := &edge.Error{Kind: edge.ConnectionTerminated, Op: op, Err: err}
	r, refused := errors.AsType[*refusal](err)
	switch {
	case r == errHeadTooLarge || r == errTooManyFields:
		e.Kind = edge.ResponseHeaderSectionSize
	case r == errCoding || r == errCodingOrder || r == errCodingOld:
		e.Kind = edge.ResponseTransferCoding
	case refused:
		e.Kind = edge.ProtocolError
	case errors.Is(err, errBadRequest):
		e.Kind = edge.InternalError
	case errors.Is(err, os.ErrDeadlineExceeded) && c.found:
		e.Kind = edge.ConnectionReadTimeout
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.Kind = edge.ResponseTimeout
	case c.found:
		e.Kind = edge.ResponseIncomplete
	default:
		e.Retryable = !c.wrote && c.out.wrote == 0 && isGone(err)
	}
	return e
}

// isGone reports whether err says that the peer had closed the connection.
func isGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
