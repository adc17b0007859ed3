package http1

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// Server is the HTTP/1.1 engine. It serves connections that somebody else has
// accepted.
type Server struct {
	handler  edge.Handler
	log      *slog.Logger
	cfg      atomic.Pointer[Config]
	draining atomic.Bool
	start    time.Time // what the sweep's times count from

	refused atomic.Uint64
	dropped atomic.Uint64

	mu       sync.Mutex // guards the following fields
	conns    map[*conn]struct{}
	swept    []*conn // those that the sweep looks at: all but the parked
	sweeping bool
	closed   bool
	empty    chan struct{} // closed when the last connection is gone; nil: nobody waits
}

// Stats is what the connections of a Server are doing.
type Stats struct {
	Open    int // connections
	Idle    int // of these, between two requests
	Parked  int // of the idle, without buffers
	Active  int // serve a request, or receive its head
	Tunnels int

	Refused       uint64 // requests that were malformed or over a limit
	DroppedFields uint64 // request fields with an underscore in their name
}

// NewServer returns a server that hands exchanges to h.
func NewServer(h edge.Handler, cfg Config, log *slog.Logger) *Server {
	s := &Server{handler: h, log: log, conns: make(map[*conn]struct{}), start: time.Now()}
	s.SetConfig(cfg)
	return s
}

// SetConfig replaces the limits, for connections accepted from now on.
func (s *Server) SetConfig(cfg Config) { s.cfg.Store(cfg.withDefaults()) }

// ServeConn serves the connection c of client, and returns when it is over and
// closed. Any TLS handshake has been done: c may be a *tls.Conn.
func (s *Server) ServeConn(nc net.Conn, client edge.Client) {
	c := newConn(s, nc, client)
	if !s.add(c) {
		nc.Close()
		return
	}
	defer s.remove(c)
	c.serve()
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.sweep(c)
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsweep(c)
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// Drain ends keep-alive: idle connections are closed at once, others after their
// exchange, which says so to the client. Tunnels go on.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.wake()
	}
}

// Wait waits until no connection is left, or ctx is done.
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
		return ctx.Err()
	}
}

// Close cuts all connections, tunnels included, and waits until their goroutines
// have ended. Connections that come later are closed at once.
func (s *Server) Close() {
	s.draining.Store(true)
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.cut()
	}
	s.mu.Unlock()
	s.Wait(context.Background())
}

// Stats counts what the connections are doing at the moment.
func (s *Server) Stats() Stats {
	st := Stats{Refused: s.refused.Load(), DroppedFields: s.dropped.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Open = len(s.conns)
	st.Parked = len(s.conns) - len(s.swept)
	st.Idle = st.Parked
	for _, c := range s.swept {
		switch kind(c.phase.Load()) {
		case idle, woken:
			st.Idle++
		case tunnel:
			st.Tunnels++
		case heading, serving, ending, drains:
			st.Active++
		}
	}
	return st
}
