// Package http3 is the server engine for HTTP/3 (RFC 9114).
//
// QUIC, connections, control streams and the heads of requests are quic-go's:
// this package adapts its http3 server to [edge.Exchange], and takes each stream
// over behind the head of the request. That head arrives as an *http.Request with
// a map of fields, made for each request: the order of fields of different names
// is lost (they are passed on sorted by name), and strings live on the heap.
//
// Requests that are malformed in the sense of RFC 9114, section 4.1.2 never get
// here: quic-go resets their stream with H3_MESSAGE_ERROR. There is no 0-RTT, no
// server push, and no CONNECT, extended (RFC 9220) or not.
package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluice-edge/sluice/edge"
)

// Server serves HTTP/3 on any number of UDP sockets.
type Server struct {
	handler edge.Handler
	log     *slog.Logger
	limits  atomic.Pointer[limits]

	// What Stats tells.
	open, active                       atomic.Int64
	served, refused, rejected, dropped atomic.Uint64

	ctx    context.Context // ends when the server drains: stops accepting
	drain  context.CancelFunc
	killed context.Context // ends when the server closes
	kill   context.CancelFunc

	serving sync.WaitGroup // calls of Serve; added to with mu held, while ctx lasts

	mu    sync.Mutex // guards the following fields
	conns map[*conn]struct{}
	empty chan struct{} // closed when conns has become empty; nil unless somebody waits
}

// Stats is what a server does at the moment, and has done.
type Stats struct {
	Connections int64 // open now, handshakes included
	Active      int64 // exchanges now

	Exchanges     uint64 // begun since the start
	Refused       uint64 // connections beyond Config.Connections
	Rejected      uint64 // requests that were malformed or over a limit, as far as quic-go lets us see them
	DroppedFields uint64 // request fields with an underscore in their name
}

// NewServer returns a server that gives every exchange to h.
func NewServer(h edge.Handler, cfg Config, log *slog.Logger) *Server {
	s := &Server{handler: h, log: log, conns: make(map[*conn]struct{})}
	s.ctx, s.drain = context.WithCancel(context.Background())
	s.killed, s.kill = context.WithCancel(context.Background())
	s.SetConfig(cfg)
	return s
}

// SetConfig sets the limits of connections that are accepted from now on.
func (s *Server) SetConfig(cfg Config) { s.limits.Store(newLimits(cfg)) }

// AltSvc returns the value of an Alt-Svc field (RFC 7838) that tells clients of
// other versions of HTTP to try HTTP/3 on a port of the same host.
func AltSvc(port int) string { return fmt.Sprintf(`h3=":%d"; ma=86400`, port) }

// Serve accepts connections on pc until the server is drained or closed, and
// returns nil when the last of them is over. An error says that pc or tlsConf
// could not be used. The caller closes pc, and not before Serve has returned.
func (s *Server) Serve(pc net.PacketConn, tlsConf *tls.Config) error {
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		return nil
	}
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	t := &quic.Transport{Conn: pc, ConnContext: s.admit}
	// Not ListenEarly: a connection is ours when its handshake is complete.
	l, err := t.Listen(http3.ConfigureTLSConfig(tlsConf), &quic.Config{
		GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) { return s.limits.Load().quic, nil },
	})
	if err != nil {
		return fmt.Errorf("listen for QUIC on %s: %w", pc.LocalAddr(), err)
	}
	defer t.Close()
	var conns sync.WaitGroup
	for {
		q, err := l.Accept(s.ctx)
		if err != nil {
			if s.ctx.Err() == nil {
				t.Close() // cuts what is left of the connections
				conns.Wait()
				return fmt.Errorf("accept on %s: %w", pc.LocalAddr(), err)
			}
			l.Close() // leaves the connections alone
			conns.Wait()
			return nil
		}
		c := newConn(s, q)
		if !s.add(c) {
			q.CloseWithError(noError, "")
			continue
		}
		conns.Go(func() {
			c.serve()
			s.remove(c)
		})
	}
}

var errTooMany = errors.New("too many connections")

// admit decides on the first packet of a connection. Its context ends with the
// connection.
func (s *Server) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if s.open.Add(1) > int64(s.limits.Load().Connections) {
		s.open.Add(-1)
		s.refused.Add(1)
		return nil, errTooMany
	}
	context.AfterFunc(ctx, func() { s.open.Add(-1) })
	return ctx, nil
}

// add reports false if the server takes no more connections.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// Drain takes no more connections and tells clients to send no more requests on
// those that there are (GOAWAY). Exchanges that run are finished; a connection
// without any closes after Config.DrainGrace. Drain does not wait.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drain()
	for c := range s.conns {
		c.drain()
	}
}

// Wait returns nil once no connection is left, or ctx's error.
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
		return fmt.Errorf("wait for HTTP/3 connections: %w", context.Cause(ctx))
	}
}

// Close cuts every connection, and returns when their handlers and Serve have.
func (s *Server) Close() {
	s.mu.Lock()
	s.drain()
	s.kill()
	for c := range s.conns {
		c.q.CloseWithError(noError, "")
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	return Stats{
		Connections: s.open.Load(),
		Active:      s.active.Load(),
		Exchanges:   s.served.Load(),
		Refused:     s.refused.Load(),

		Rejected:      s.rejected.Load(),
		DroppedFields: s.dropped.Load(),
	}
}
