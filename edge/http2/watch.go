package http2

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

// ticksPerLook is how many ticks lie between looks at all connections: with the
// usual tick, a second.
const ticksPerLook = 100

// watch is the server's clock. Each tick it takes the reading role from whoever
// has kept it, without reading, since the tick before: a filter that computes for
// long, a handler that waits without having called Block, a write to a client
// that does not read. Each second it looks for connections that are idle and for
// clients that have stalled. So no timer or deadline is set on the way of an
// exchange.
func (s *Server) watch(quit chan struct{}) {
	defer s.watching.Done()
	t := time.NewTicker(s.tick)
	defer t.Stop()
	var list []*conn
	for n := 1; ; n++ {
		select {
		case <-quit:
			return
		case now := <-t.C:
			s.retake()
			if n%ticksPerLook != 0 {
				continue
			}
			s.second.Add(1)
			s.mu.Lock()
			list = s.all(list[:0])
			s.mu.Unlock()
			for i, c := range list {
				c.look(now)
				list[i] = nil
			}
		}
	}
}

// retake looks at the connections that have been busy lately.
func (s *Server) retake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.hot[:0]
	for _, c := range s.hot {
		turn := c.turn.Load()
		busy := turn%2 == 1
		if busy && turn == c.lastTurn {
			c.yield(turn)
		}
		c.lastTurn = turn
		if busy || c.live.Load() != 0 {
			c.quiet = 0
		} else if c.quiet++; c.quiet > ticksPerLook {
			// A stream that opens now sees either cold, or is seen here.
			c.cold.Store(true)
			if c.live.Load() == 0 {
				continue
			}
			c.cold.Store(false)
		}
		kept = append(kept, c)
	}
	clear(s.hot[len(kept):])
	s.hot = kept
}

// warm puts c back under the watch's eyes.
func (s *Server) warm(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.cold.CompareAndSwap(true, false) && s.quit != nil {
		c.quiet = 0
		s.hot = append(s.hot, c)
	}
}

// progress measures how long something has stood still.
type progress struct {
	at    uint64
	since time.Time
}

// stuck returns for how long the count at has not moved.
func (p *progress) stuck(at uint64, now time.Time) time.Duration {
	if at != p.at || p.since.IsZero() {
		p.at, p.since = at, now
	}
	return now.Sub(p.since)
}

// look ends the connection, or those of its streams, whose client does nothing.
func (c *conn) look(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil || c.leaving {
		return
	}
	if !c.flushing {
		c.writing.since = time.Time{}
	} else if c.writing.stuck(c.written, now) >= c.cfg.Stalled {
		c.kill(errStalled)
		return
	}
	if c.draining == drainAnnounced { // the answer to the PING takes long
		c.nameLast()
		return
	}
	if len(c.streams) == 0 {
		if c.idle.stuck(uint64(c.last), now) >= c.cfg.Idle {
			c.nameLast()
		}
		return
	}
	c.idle.since = time.Time{}
	for _, s := range c.streams {
		s.look(now)
	}
}

// look ends the stream if the client has neither opened its window nor sent
// content that is waited for. c.mu is held.
func (s *stream) look(now time.Time) {
	allowed := s.c.cfg.Stalled
	switch {
	case s.waits > 0:
		if s.standing.stuck(s.moved, now) >= allowed {
			s.stop(http2.ErrCodeCancel, errStalled)
			s.c.flushLater()
		}
	case s.reads > 0 && !s.head:
		if s.standing.stuck(uint64(s.received), now) >= allowed {
			s.late = true
			s.cond.Broadcast()
		}
	default:
		s.standing.since = time.Time{}
	}
}

var (
	errStalled = &edge.Error{Kind: edge.ClientGone, Op: "wait for the client", Err: errNoProgress}
	errLate    = &edge.Error{Kind: edge.RequestError, Status: 408, Op: "read the request's content", Err: errNoProgress}
)
