package http1

import (
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// Transport is a Handler that forwards exchanges to one endpoint. The caller
// writes the request and reads the response.
type Transport struct {
	network, addr string
	cfg           TransportConfig

	mu      sync.Mutex // guards the following fields
	idle    []*upstream
	age     uint32 // counts the ticks of the timer; what idle connections' age is measured by
	timer   *time.Timer
	retired bool
}

// upstream is a connection to the endpoint.
type upstream struct {
	c     net.Conn
	raw   syscall.RawConn
	by    time.Time // read deadline
	used  bool      // for an exchange before this one
	since uint32    // Transport.age when it became idle

	probe func(fd uintptr) // sets dirty
	dirty bool             // closed by the endpoint, or bytes have come that nobody asked for
}

// NewTransport returns a transport to the endpoint at addr: host:port for the
// network "tcp", a path for "unix". It dials when there is something to send.
func NewTransport(network, addr string, cfg TransportConfig) *Transport {
	return &Transport{network: network, addr: addr, cfg: cfg.withDefaults()}
}

// Idle returns the number of idle connections.
func (t *Transport) Idle() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.idle)
}

// Retire closes idle connections now, and each of the others when its exchange
// ends. Exchanges that come later are still served, on connections of their own.
func (t *Transport) Retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = true
	for _, u := range t.idle {
		u.c.Close()
	}
	clear(t.idle)
	t.idle = nil
	if t.timer != nil {
		t.timer.Stop()
	}
}

// take returns the connection that has been idle for the shortest time, or nil.
// RFC 9112, section 9.2: bytes that came while nothing was asked for belong to no
// request, so a connection that has any is closed.
func (t *Transport) take() *upstream {
	for {
		t.mu.Lock()
		n := len(t.idle) - 1
		if n < 0 {
			t.mu.Unlock()
			return nil
		}
		u := t.idle[n]
		t.idle[n] = nil
		t.idle = t.idle[:n]
		t.mu.Unlock()
		if u.alive() {
			return u
		}
		u.c.Close()
	}
}

// alive reports whether nothing has come while u was idle, nor its end.
func (u *upstream) alive() bool {
	u.dirty = false
	return u.raw.Control(u.probe) == nil && !u.dirty
}

// put makes u idle, or closes it.
func (t *Transport) put(u *upstream) {
	u.used = true
	t.mu.Lock()
	if t.retired || len(t.idle) >= t.cfg.Idle {
		t.mu.Unlock()
		u.c.Close()
		return
	}
	u.since = t.age
	t.idle = append(t.idle, u)
	if len(t.idle) == 1 {
		t.tick()
	}
	t.mu.Unlock()
}

// ages is how many ticks an idle connection lives.
const ages = 4

// tick starts the timer for as long as there are idle connections. t.mu is held.
func (t *Transport) tick() {
	if t.timer == nil {
		t.timer = time.AfterFunc(t.cfg.IdleTime/ages, t.expire)
	} else {
		t.timer.Reset(t.cfg.IdleTime / ages)
	}
}

// expire closes the connections that have been idle for too long, and those that
// the endpoint has closed.
func (t *Transport) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.age++
	kept := t.idle[:0]
	for _, u := range t.idle {
		if t.age-u.since > ages || !u.alive() {
			u.c.Close()
		} else {
			kept = append(kept, u)
		}
	}
	clear(t.idle[len(kept):])
	t.idle = kept
	if len(kept) > 0 {
		t.tick()
	}
}

// dial connects to the endpoint.
func (t *Transport) dial(x *edge.Exchange) (*upstream, error) {
	x.Block()
	d := net.Dialer{Timeout: or(x.Limits.Connect, t.cfg.Connect)}
	c, err := d.DialContext(x.Context(), t.network, t.addr)
	if err != nil {
		if cause := x.Cancelled(); cause != nil {
			return nil, cause
		}
		return nil, &edge.Error{Kind: edge.DialKind(err), Op: "connect to " + t.addr, Retryable: true, Err: err}
	}
	u := &upstream{c: c}
	u.probe = func(fd uintptr) { u.dirty = readable(fd) }
	u.raw, err = c.(syscall.Conn).SyscallConn()
	if err != nil {
		c.Close()
		return nil, &edge.Error{Kind: edge.InternalError, Op: "connect to " + t.addr, Err: err}
	}
	return u, nil
}

func or(limit, otherwise time.Duration) time.Duration {
	if limit != 0 {
		return limit
	}
	return otherwise
}
