// Package http2 is the HTTP/2 server engine (RFC 9113), on x/net's Framer and
// hpack.
//
// One goroutine reads a connection's frames and serves each request inline: a
// cache hit costs no switch of goroutines, and many answers leave in one write.
// Who reads has the reading role. Another goroutine takes it over when the holder
// is about to wait (edge.Exchange.Block), or has been busy for two ticks of the
// server's watch. So no handler can hold up the connection's other streams.
package http2

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// tick is how often the watch looks for reading roles that are not used.
const tick = 10 * time.Millisecond

// Server serves HTTP/2 connections.
type Server struct {
	handler edge.Handler
	log     *slog.Logger
	config  atomic.Pointer[Config]
	tick    time.Duration
	streams sync.Pool     // of *stream
	second  atomic.Uint32 // counts the watch's looks at all connections

	requests, refused, floods atomic.Uint64

	mu       sync.Mutex // guards the following fields
	conns    map[*conn]struct{}
	hot      []*conn       // those that have been busy lately
	quit     chan struct{} // closed to end the watch; nil while it does not run
	watching sync.WaitGroup
	empty    chan struct{} // closed when conns is empty; nil if nobody waits
	draining bool
	closed   bool
}

// Stats is a server's state.
type Stats struct {
	Open     int    // connections
	Idle     int    // of these, without streams
	Active   int    // streams
	Requests uint64 // received, well-formed, since the start
	Refused  uint64 // malformed ones, and streams beyond the limit, since the start
	Floods   uint64 // connections ended with ENHANCE_YOUR_CALM since the start
}

// NewServer returns a server of h. log may be nil.
func NewServer(h edge.Handler, cfg Config, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{handler: h, log: log, tick: tick, conns: make(map[*conn]struct{})}
	s.streams.New = func() any { return new(stream) }
	s.SetConfig(cfg)
	return s
}

// SetConfig replaces the limits, for connections that are accepted from now on.
func (s *Server) SetConfig(cfg Config) { s.config.Store(cfg.withDefaults()) }

// ServeConn serves nc, whose client speaks HTTP/2: by prior knowledge, or as ALPN
// has found in a handshake that is over. It returns when the connection is closed
// and the last of its exchanges has ended.
func (s *Server) ServeConn(nc net.Conn, client edge.Client) {
	c := newConn(s, nc, client)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.hot = append(s.hot, c)
	draining := s.draining
	if s.quit == nil {
		s.quit = make(chan struct{})
		s.watching.Add(1)
		go s.watch(s.quit)
	}
	s.mu.Unlock()

	if c.start() {
		if draining {
			c.drain()
		}
		c.read(0)
	}
	<-c.over

	s.mu.Lock()
	delete(s.conns, c)
	if len(s.conns) == 0 {
		close(s.quit)
		s.quit, s.hot = nil, nil
		if s.empty != nil {
			close(s.empty)
			s.empty = nil
		}
	}
	s.mu.Unlock()
}

// Drain lets clients know that they are to go elsewhere (RFC 9113, section 6.8):
// a GOAWAY that names no stream, a round trip later one that names the last, and
// the connection is closed when its streams have ended.
func (s *Server) Drain() {
	for _, c := range s.drainers() {
		c.drain()
	}
}

func (s *Server) drainers() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	return s.all(nil)
}

// all appends the connections to list. s.mu is held.
func (s *Server) all(list []*conn) []*conn {
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// Wait waits until no connection is left.
func (s *Server) Wait(ctx context.Context) error {
	s.mu.Lock()
	if len(s.conns) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close cuts every connection and waits for the exchanges and goroutines.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	list := s.all(nil)
	s.mu.Unlock()
	for _, c := range list {
		c.nc.Close()
	}
	s.Wait(context.Background())
	s.watching.Wait()
}

// Stats returns the server's state.
func (s *Server) Stats() Stats {
	st := Stats{Requests: s.requests.Load(), Refused: s.refused.Load(), Floods: s.floods.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Open = len(s.conns)
	for c := range s.conns {
		n := int(c.live.Load())
		st.Active += n
		if n == 0 {
			st.Idle++
		}
	}
	return st
}
