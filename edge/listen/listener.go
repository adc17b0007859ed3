package listen

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// DefaultLimit is how many connections a [Listener] has open at once if nobody
// says otherwise.
const DefaultLimit = 100_000

// Listener accepts connections from a socket, as many as its limit allows at
// once, and goes on accepting when the process is short of descriptors or memory.
type Listener struct {
	l     net.Listener
	log   *slog.Logger
	limit atomic.Int64

	accepted atomic.Uint64
	refused  atomic.Uint64
	failed   atomic.Uint64

	shortages, crowds complaints // Serve's

	closed chan struct{} // closed by Close
	once   sync.Once

	mu    sync.Mutex // guards the following field
	conns map[net.Conn]struct{}
}

// Stats is what a listener has done.
type Stats struct {
	Open     int    // connections that are being served now
	Accepted uint64 // connections that were served
	Refused  uint64 // connections beyond the limit, which were closed at once
	Failed   uint64 // times that the system could not accept
}

// Stream opens a listening socket, as [Open] does, that serves at most limit
// connections at once; 0 means DefaultLimit.
func Stream(network, address string, limit int, log *slog.Logger) (*Listener, error) {
	l, err := Open(network, address)
	if err != nil {
		return nil, err
	}
	return newListener(l, limit, log), nil
}

func newListener(l net.Listener, limit int, log *slog.Logger) *Listener {
	n := &Listener{l: l, log: log, closed: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	n.SetLimit(limit)
	return n
}

// SetLimit sets how many connections may be open at once; 0 means DefaultLimit.
// Those beyond a smaller limit are left alone.
func (l *Listener) SetLimit(n int) {
	if n <= 0 {
		n = DefaultLimit
	}
	l.limit.Store(int64(n))
}

// Addr returns the address of the socket.
func (l *Listener) Addr() net.Addr { return l.l.Addr() }

// Close stops accepting. Connections go on.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.closed)
		err = l.l.Close()
	})
	return err
}

// Cut closes every connection that is being served, whatever state it is in.
func (l *Listener) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

// Stats returns the listener's counters.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	open := len(l.conns)
	l.mu.Unlock()
	return Stats{Open: open, Accepted: l.accepted.Load(), Refused: l.refused.Load(), Failed: l.failed.Load()}
}

// Pauses after a failed accept: they double from the first to the last.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// Serve calls serve with each connection, on a goroutine of its own, and closes
// the connection when serve returns. It returns nil after Close, when no
// connection is left; an error says that the socket is broken.
func (l *Listener) Serve(serve func(net.Conn)) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	pause := firstPause
	for {
		c, err := l.l.Accept()
		switch {
		case err == nil:
			pause = firstPause
		case l.isClosed():
			return nil
		case passes(err):
			l.failed.Add(1)
			l.shortages.about(l.log, "cannot accept connections", slog.Any("error", err))
			select {
			case <-l.closed:
				return nil
			case <-time.After(pause):
			}
			pause = min(2*pause, lastPause)
			continue
		default:
			return err
		}
		if !l.add(c) {
			l.refused.Add(1)
			c.Close()
			l.crowds.about(l.log, "connection refused: limits.connections are open", slog.Int64("limit", l.limit.Load()))
			continue
		}
		serving.Go(func() {
			defer l.remove(c)
			serve(c)
		})
	}
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// passes reports whether a failure to accept may pass: the peer has left before
// it was accepted, or the system is short of something.
func passes(err error) bool {
	for _, e := range []error{syscall.ECONNABORTED, syscall.EINTR, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPROTO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// add reports false if there are too many connections.
func (l *Listener) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int64(len(l.conns)) >= l.limit.Load() {
		return false
	}
	l.conns[c] = struct{}{}
	l.accepted.Add(1)
	return true
}

func (l *Listener) remove(c net.Conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	c.Close()
}

// complaints logs what may happen very often, once a second.
type complaints struct {
	last  time.Time
	count int // since then
}

func (c *complaints) about(log *slog.Logger, what string, attr slog.Attr) {
	c.count++
	if now := time.Now(); now.Sub(c.last) >= time.Second {
		log.Warn(what, attr, slog.Int("times", c.count))
		c.last, c.count = now, 0
	}
}
