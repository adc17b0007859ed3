package http3

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluice-edge/sluice/edge"
)

// conn is a client's connection. Each has an http3.Server of its own, so that
// its limits stay as they were when it was accepted, and draining one connection
// has no state in common with another.
type conn struct {
	s      *Server
	q      *quic.Conn
	limits *limits
	client edge.Client
	h3     http3.Server

	mu       sync.Mutex // guards the following fields
	active   int        // exchanges
	draining bool
	idle     *time.Timer // closes the connection; runs only while active is 0

	drained sync.WaitGroup // what drain has started
}

func newConn(s *Server, q *quic.Conn) *conn {
	l := s.limits.Load()
	state := q.ConnectionState().TLS
	c := &conn{s: s, q: q, limits: l}
	c.client = edge.NewClient(addrPort(q.RemoteAddr()), addrPort(q.LocalAddr()), &state)
	c.h3.Handler = c
	c.h3.MaxHeaderBytes = l.HeaderBytes
	c.idle = time.AfterFunc(l.Idle, c.leave)
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		ap := u.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// serve returns when the connection is over and its handlers have returned.
func (c *conn) serve() {
	err := c.h3.ServeQUICConn(c.q)
	c.q.CloseWithError(noError, "")
	c.mu.Lock()
	c.draining = true // it is too late for drain
	c.idle.Stop()
	c.mu.Unlock()
	c.drained.Wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		c.s.log.Debug("http/3 connection failed", slog.String("client", c.client.IP), slog.Any("err", err))
	}
}

// drain sends GOAWAY. What waits for the end of the connection is a goroutine of
// its own, which serve joins.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return
	}
	c.draining = true
	c.drained.Go(func() { c.h3.Shutdown(c.s.killed) })
	if c.active == 0 {
		c.idle.Reset(c.limits.DrainGrace)
	}
}

// begin and end count the exchanges.
func (c *conn) begin() {
	c.s.active.Add(1)
	c.s.served.Add(1)
	c.mu.Lock()
	if c.active++; c.active == 1 {
		c.idle.Stop()
	}
	c.mu.Unlock()
}

func (c *conn) end() {
	c.s.active.Add(-1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active--; c.active > 0 {
		return
	}
	if c.draining {
		c.idle.Reset(c.limits.DrainGrace)
	} else {
		c.idle.Reset(c.limits.Idle)
	}
}

// leave closes the connection if it has been idle for long enough.
func (c *conn) leave() {
	c.mu.Lock()
	idle := c.active == 0
	c.mu.Unlock()
	if idle {
		c.q.CloseWithError(noError, "idle")
	}
}

// ServeHTTP serves one request. It is called on a goroutine of the stream's own.
func (c *conn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.begin()
	defer c.end()
	// Taken over before a head is written, so that all heads are ours.
	str, err := w.(http3.HTTPStreamer).HTTPStream()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	defer func() {
		if v := recover(); v != nil { // outside of the handler: in an ender, or in Close
			c.s.log.Error("panic", slog.String("op", "end"), slog.Any("value", v), slog.String("stack", string(debug.Stack())))
			str.CancelRead(codeInternalError)
			str.CancelWrite(codeInternalError)
		}
	}()
	e := exchanges.Get().(*exchange)
	e.serve(c, str, r)
	exchanges.Put(e) // not after a panic: something may still use it
}
