package http1

import (
	"net"
	"syscall"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// What a connection is doing. Its phase is one of these, and above it a number
// that counts the phases, so that the sweep sees whether it is still the same.
const (
	idle      = iota // waits for a request's first byte
	woken            // idle, and told by wake to stop waiting
	heading          // a head has begun
	serving          // has an exchange, which may be cancelled
	tunnel           // the same, and the stream has been handed over
	ending           // has an exchange, which may not be cancelled any more
	drains           // reads content that nobody wanted
	lingers          // closing
	phaseBits = 3
)

func kind(phase uint32) uint32 { return phase & (1<<phaseBits - 1) }

// enter begins a phase. Only the connection's goroutine does that, but for wake.
func (c *conn) enter(kind uint32) {
	c.phase.Store(c.phase.Load()>>phaseBits<<phaseBits + 1<<phaseBits + kind)
}

// wake makes a connection that waits for a request stop waiting.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.phase.Load(); kind(p) == idle && c.phase.CompareAndSwap(p, p+woken-idle) {
		c.nc.SetReadDeadline(past)
	}
}

// begun ends the wait for a request, and reports whether it went undisturbed.
func (c *conn) begun() (undisturbed bool) {
	p := c.phase.Load()
	if kind(p) == idle && c.phase.CompareAndSwap(p, p+1<<phaseBits+heading-idle) {
		return true
	}
	c.mu.Lock()
	c.mu.Unlock() //nolint:staticcheck // SA2001: wake has set its deadline when it gives the lock back
	c.nc.SetReadDeadline(time.Time{})
	c.enter(heading)
	return false
}

// cancel cancels the exchange, if there is one that may be.
func (c *conn) cancel(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := kind(c.phase.Load()); k == serving || k == tunnel {
		c.x.Cancel(cause)
	}
}

// settle ends the time in which the exchange may be cancelled.
func (c *conn) settle() {
	c.mu.Lock()
	c.enter(ending)
	c.mu.Unlock()
}

// cut ends the connection, whatever it is doing.
func (c *conn) cut() {
	c.cancel(&edge.Error{Kind: edge.ClientGone, Op: "serve: the server is closed"})
	c.socket.Close()
}

// sweep puts c among the connections that the sweep looks at. s.mu is held.
func (s *Server) sweep(c *conn) {
	c.at = len(s.swept)
	s.swept = append(s.swept, c)
	if !s.sweeping {
		s.sweeping = true
		go s.look()
	}
}

// unsweep takes c out again. s.mu is held.
func (s *Server) unsweep(c *conn) {
	if c.at < 0 {
		return
	}
	n := len(s.swept) - 1
	last := s.swept[n]
	s.swept[c.at], last.at = last, c.at
	s.swept[n] = nil
	s.swept = s.swept[:n]
	c.at = -1
}

// look sweeps over the connections, a tick after another, until none is left: it
// enforces the times that Config sets and notices clients that have left. So an
// exchange needs no goroutine, timer or deadline of its own.
func (s *Server) look() {
	t := time.NewTicker(s.cfg.Load().Tick)
	defer t.Stop()
	var all []*conn
	for {
		<-t.C
		s.mu.Lock()
		if len(s.swept) == 0 {
			s.sweeping = false
			s.mu.Unlock()
			return
		}
		all = append(all[:0], s.swept...)
		s.mu.Unlock()
		now := time.Since(s.start)
		for _, c := range all {
			c.look(now)
		}
		clear(all)
	}
}

// seen is what the sweep knows of a connection. It belongs to the sweep alone.
type seen struct {
	phase   uint32
	since   time.Duration // when the phase was first seen
	in, out uint32        // turns of input and output
	moved   time.Duration // when one of them was last seen to have changed, or the client to have taken something
	acked   uint64        // bytes that the client's system has acknowledged
	next    time.Duration // when to look next whether the client has left
}

// look sees what has become of c since the last tick.
func (c *conn) look(now time.Duration) {
	p, in, out := c.phase.Load(), c.in.turn.Load(), c.out.turn.Load()
	was := &c.seen
	if p != was.phase {
		was.phase, was.since, was.moved, was.next = p, now, now, now+c.cfg.Tick
	}
	if in != was.in || out != was.out {
		was.in, was.out, was.moved = in, out, now
	}
	age := now - was.since
	switch kind(p) {
	case idle:
		if age >= c.cfg.Idle || age >= c.cfg.Park && c.raw != nil {
			c.wake()
		}
	case heading:
		if age >= c.cfg.Head {
			c.nc.SetReadDeadline(past)
		}
	case serving:
		c.lookStalled(now, in&1 != 0, out&1 != 0)
		if now >= was.next && in&1 == 0 {
			// The longer it lasts the more rarely: most of these calls find nothing.
			was.next = now + max(c.cfg.Tick, min(age/4, 32*c.cfg.Tick))
			if c.left() {
				c.cancel(errClientGone)
			}
		}
	case drains:
		c.lookStalled(now, in&1 != 0, false)
	case lingers:
		if age >= c.cfg.Linger {
			c.socket.Close()
		}
	}
}

var errClientGone = &edge.Error{Kind: edge.ClientGone, Op: "wait for the response"}

// lookStalled ends a read of content, or a write, that has made no progress.
// Progress in either direction is progress.
func (c *conn) lookStalled(now time.Duration, reads, writes bool) {
	was := &c.seen
	still := now - was.moved
	if !reads && !writes || still < c.cfg.Stalled/2 {
		return
	}
	if writes {
		// One write may be large, and the socket's buffer too.
		if acked := c.acked(); acked != was.acked {
			was.acked, was.moved = acked, now
			return
		}
	}
	if still < c.cfg.Stalled {
		return
	}
	c.stalled.Store(true)
	if writes {
		c.cancel(&edge.Error{Kind: edge.ClientGone, Op: "write the response: the client takes nothing"})
		c.nc.SetWriteDeadline(past)
	}
	if reads {
		c.nc.SetReadDeadline(past)
	}
}

// left reports whether the client has left.
func (c *conn) left() (left bool) {
	if c.raw == nil {
		return false
	}
	half := c.cfg.HalfClose
	c.raw.Control(func(fd uintptr) { left = gone(fd, half) })
	return left
}

// acked returns how much of what was sent has arrived, or 0 where that is not
// known.
func (c *conn) acked() (n uint64) {
	if c.raw != nil {
		c.raw.Control(func(fd uintptr) { n = acknowledged(fd) })
	}
	return n
}

// rawConn returns what lies under nc and its system's handle; raw is nil if it
// has none.
func rawConn(nc net.Conn) (under net.Conn, raw syscall.RawConn) {
	for {
		if w, ok := nc.(interface{ NetConn() net.Conn }); ok {
			nc = w.NetConn()
			continue
		}
		if sc, ok := nc.(syscall.Conn); ok {
			raw, _ = sc.SyscallConn()
		}
		return nc, raw
	}
}
