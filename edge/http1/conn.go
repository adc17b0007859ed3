package http1

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
)

// conn is a client's connection, and the Engine of its exchanges.
type conn struct {
	s      *Server
	cfg    *Config
	nc     net.Conn        // what the client sends and is sent, in the clear
	socket net.Conn        // what lies under it
	raw    syscall.RawConn // of socket; nil if it has none
	in     input
	out    output
	body   body
	head   head
	x      edge.Exchange
	client edge.Client
	late   bool // the client may still be sending when the connection is closed
	reset  bool // the client must not take what it has got for whole
	turn   uint // of await

	wmu    sync.Mutex // guards the following fields and what is written before the final head
	expect bool       // the client waits for 100 Continue
	final  bool       // the final head is on its way

	mu      sync.Mutex    // held where a phase must not end
	phase   atomic.Uint32 // see sweep.go
	stalled atomic.Bool   // the sweep has cut the connection for it
	at      int           // in Server.swept, or -1; guarded by Server.mu
	seen    seen
}

func newConn(s *Server, nc net.Conn, client edge.Client) *conn {
	c := &conn{s: s, cfg: s.cfg.Load(), nc: nc, client: client, at: -1}
	c.socket, c.raw = rawConn(nc)
	c.in.src, c.in.owner = nc, c
	c.in.limit, c.in.room = c.cfg.HeaderBytes, c.cfg.TrailerBytes
	c.out.dst = nc
	c.out.vectors = nc == c.socket && c.raw != nil
	c.head.scheme = "http"
	if client.TLS != nil {
		c.head.scheme = "https"
	}
	return c
}

func (c *conn) serve() {
	defer c.close()
	defer c.recovered("end an exchange", nil)
	for c.await() && c.exchange() {
	}
}

// recovered logs a panic, which costs this exchange or connection alone. It is
// deferred. The error that it stands for goes to err, if there is one.
func (c *conn) recovered(what string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	c.s.log.Error("panic", "while", what, "error", v, "stack", string(debug.Stack()))
	c.late = false
	if err != nil {
		*err = &edge.Error{Kind: edge.InternalError, Op: what, Err: fmt.Errorf("panic: %v", v)}
	}
}

// await waits for the first byte of a request.
func (c *conn) await() bool {
	if c.in.w > 0 {
		c.enter(heading)
		return true
	}
	for {
		c.enter(idle)
		if c.s.draining.Load() { // looked at behind enter, or Drain's wake might be missed
			return false
		}
		if c.in.buf == nil {
			c.in.buf = bufpool.Get(minBuffer)
		}
		// Others run first, if there are any: then there is something to read when
		// our turn comes again, and no read comes back empty and has to be waited
		// for by way of the poller. That is an eighth of a forwarded request. But as
		// long as somebody can run, the runtime asks the poller every 10 ms only: so
		// each comes there now and then, or those who are there would wait that long.
		if c.turn++; c.turn%4 != 0 {
			runtime.Gosched()
		}
		n, err := c.in.read(c.in.buf)
		undisturbed := c.begun()
		if n > 0 {
			c.in.w = n
			return true
		}
		if undisturbed && err != nil || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		if undisturbed {
			continue
		}
		if c.raw == nil || c.s.draining.Load() || !c.park() {
			return false
		}
	}
}

// park waits for a request without holding any buffer, and unseen by the sweep.
// It reports false if none has come.
func (c *conn) park() bool {
	c.release()
	c.x.Release()
	rest := c.cfg.Idle - c.cfg.Park
	if rest <= 0 {
		return false
	}
	c.nc.SetReadDeadline(time.Now().Add(rest))
	c.s.mu.Lock()
	c.s.unsweep(c)
	c.s.mu.Unlock()
	c.enter(idle)
	var err error
	if c.s.draining.Load() {
		err = os.ErrDeadlineExceeded
	} else {
		err = c.raw.Read(readable)
	}
	c.begun()
	c.s.mu.Lock()
	c.s.sweep(c)
	c.s.mu.Unlock()
	c.nc.SetReadDeadline(time.Time{})
	return err == nil
}

// release gives the buffers back.
func (c *conn) release() {
	if c.in.buf != nil {
		bufpool.Put(c.in.buf)
		c.in.buf = nil
	}
	if c.out.buf != nil {
		bufpool.Put(c.out.buf)
		c.out.buf = nil
	}
	c.in.head, c.in.r, c.in.w = 0, 0, 0
}

// close ends the connection.
func (c *conn) close() {
	c.enter(lingers)
	switch {
	case c.reset:
		if t, ok := c.socket.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		c.socket.Close()
	case c.late:
		c.linger()
	default:
		c.nc.Close()
	}
	c.release()
	c.x.Release()
}

// linger closes the sending side alone and reads what the client still sends,
// until it has closed too or the sweep ends it: closing with unread bytes would
// reset the connection, and the client might not get to read the response (RFC
// 9112, section 9.6).
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if ok && half.CloseWrite() == nil && c.in.buf != nil {
		if under, ok := c.socket.(interface{ CloseWrite() error }); ok && c.socket != c.nc {
			under.CloseWrite() // TLS has sent its own close alone
		}
		c.socket.SetReadDeadline(time.Time{})
		for {
			if _, err := c.socket.Read(c.in.buf); err != nil {
				break
			}
		}
	}
	c.nc.Close()
}

// exchange serves one request, of which something has come. It reports whether
// another may follow.
func (c *conn) exchange() (again bool) {
	c.skipEmptyLines()
	var block []byte
	var err error = errStartLine
	if c.in.w == 0 || tokens[c.in.buf[0]] { // else it may never get an end
		block, err = c.in.readHead()
	}
	refused, _ := errors.AsType[*refusal](err)
	if err != nil && refused == nil {
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.in.w == 0 {
			return false // the client has left
		}
		c.nc.SetReadDeadline(time.Time{})
		refused = errSlowHead
	}
	x := &c.x
	x.Begin(c, &c.client, time.Now())
	c.enter(serving)
	c.body.none()
	c.expect, c.final = false, false
	if refused == nil {
		refused, _ = errors.AsType[*refusal](c.parse(block))
	}
	x.Parsed()
	keep := false
	if refused != nil {
		err = c.handleRefused(x, c.refusal(refused))
	} else {
		keep = c.head.keepsAlive()
		err = c.handle(x)
		if err == nil && x.Response.Tunnel != nil {
			c.tunnel()
			return false
		}
	}
	c.late = true
	again = c.conclude(err, keep)
	c.settle()
	x.End() // joins whoever reads the body: from here on nobody else does
	if !c.body.finish() && (!again || !c.drain()) {
		return false
	}
	if c.body.dropped > 0 {
		c.s.dropped.Add(uint64(c.body.dropped))
	}
	if !again && !keep && refused == nil && c.in.r == c.in.w && !c.reset {
		c.late = false // the client knows that this was the last one
	}
	if again {
		c.late = false
		edge.Poison(c.in.buf[:c.in.head])
		c.in.next()
	}
	return again
}

// skipEmptyLines drops empty lines before a request: RFC 9112, section 2.2. What
// comes in pieces is not waited for here; a head that begins with CR or LF is
// malformed.
func (c *conn) skipEmptyLines() {
	for range maxEmptyLines {
		for c.in.w == 1 && c.in.buf[0] == '\r' {
			n, err := c.in.read(c.in.buf[1:])
			if c.in.w += n; err != nil {
				return
			}
		}
		if c.in.w < 2 || c.in.buf[0] != '\r' || c.in.buf[1] != '\n' {
			return
		}
		c.in.r = 2
		c.in.next()
		for c.in.w == 0 {
			n, err := c.in.read(c.in.buf)
			if c.in.w += n; err != nil {
				return
			}
		}
	}
}

const maxEmptyLines = 8

// parse makes the request out of block.
func (c *conn) parse(block []byte) error {
	x := &c.x
	r := &x.Request
	h := &c.head
	if err := h.parseRequest(block, r, c.cfg); err != nil {
		return err
	}
	if h.dropped > 0 {
		c.s.dropped.Add(uint64(h.dropped))
	}
	if !h.chunked && h.length <= 0 {
		return nil
	}
	r.Length = h.length
	c.body.start(&c.in, &h.framing, &r.Trailers)
	c.body.received = &x.Record.Received
	if c.body.atHand != 0 {
		x.Record.Received = h.length
	}
	c.expect = h.expect && c.in.r == c.in.w
	r.Body = &c.body
	return nil
}

// refusal is the error for a head that is not one.
func (c *conn) refusal(r *refusal) error {
	c.s.refused.Add(1)
	return r.answer(c.in.buf[:c.in.w], c.cfg)
}

// answer is the error for a head, of which text has come.
func (r *refusal) answer(text []byte, cfg *Config) error {
	if r == errHeadTooLarge && len(text) > cfg.TargetBytes && !hasLine(text[:cfg.TargetBytes]) {
		r = errTargetTooLong
	}
	return &edge.Error{Kind: edge.RequestError, Status: r.status, Op: "read the request's head", Err: r}
}

func hasLine(b []byte) bool {
	for _, ch := range b {
		if ch == '\n' {
			return true
		}
	}
	return false
}

// handle calls the handler.
func (c *conn) handle(x *edge.Exchange) (err error) {
	defer c.recovered("serve", &err)
	return c.s.handler.Serve(x)
}

// handleRefused tells the handler of a request that it does not get.
func (c *conn) handleRefused(x *edge.Exchange, refused error) (err error) {
	defer c.recovered("refuse", &err)
	edge.Refuse(c.s.handler, x, refused)
	return nil
}

// drain reads content that nobody wanted, if it is not much.
func (c *conn) drain() bool {
	if !c.body.reopen() {
		return false
	}
	c.nc.SetReadDeadline(time.Time{})
	if c.stalled.Load() {
		return false
	}
	c.body.received = nil
	c.enter(drains)
	for n := 0; n <= c.cfg.DrainBytes; {
		m, err := c.body.Read(c.out.buf)
		n += m
		if err != nil {
			return err == io.EOF
		}
	}
	return false
}

// The owner of input.

func (c *conn) enlarge(size int) {
	b := bufpool.Get(size)
	b = b[:cap(b)]
	copy(b, c.in.buf[:c.in.w]) // no string aliases it yet
	bufpool.Put(c.in.buf)
	c.in.buf = b
}

// waits sends 100 Continue before the body's first wait. It comes from a
// transport's pump, while this connection's goroutine may be about to send the
// final head, after which 100 would be garbage.
func (c *conn) waits() error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if !c.expect || c.final {
		return nil
	}
	c.expect = false
	return c.out.write(continues)
}

var continues = []byte("HTTP/1.1 100 Continue\r\n\r\n")

func (c *conn) broken(err error) error {
	e := &edge.Error{Kind: edge.RequestError, Op: "read the request's content", Err: err}
	if r, ok := errors.AsType[*refusal](err); ok {
		e.Status = r.status
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Status, e.Err = errStalledBody.status, errStalledBody
	}
	return e
}

func (c *conn) complete() {}

// Inform implements edge.Engine.
func (c *conn) Inform(status int, f *edge.Fields) error {
	if status < 102 || status > 199 {
		return fmt.Errorf("%d is not the status of an interim response", status)
	}
	b, ok := appendFields(appendStatus(nil, status), f)
	if !ok {
		return errBadField
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.head.old || c.final { // RFC 9110, section 15.2: HTTP/1.0 has no 1xx
		return nil
	}
	return c.out.write(append(b, "\r\n"...))
}

// Block implements edge.Engine: what has been gathered goes out before a wait.
// An error is seen by the next write.
func (c *conn) Block() {
	if c.final { // only the goroutine that delivers sets it and waits then
		c.out.flush()
	}
}
