package grpc

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// TransportConfig bounds what a transport does. Zero means the default.
type TransportConfig struct {
	Connect     time.Duration // until a connection stands; default 5 s
	IdleTime    time.Duration // a connection without calls is closed after it; default 1 min
	Ping        time.Duration // a connection on which nothing has come for so long is asked whether it is alive; default 15 s
	HeaderBytes int64         // largest head and trailer section of a response, in bytes; default 64 KiB
}

func (c *TransportConfig) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Connect, 5 * time.Second}, {&c.IdleTime, time.Minute}, {&c.Ping, 15 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.HeaderBytes == 0 {
		c.HeaderBytes = 64 << 10
	}
}

// Transport is a Handler that forwards exchanges to one endpoint by HTTP/2, which it is
// known to speak (RFC 9113, section 3.3).
type Transport struct {
	network, addr string
	cfg           TransportConfig

	mu      sync.Mutex // guards the following fields
	http    *http.Transport
	conns   map[*conn]bool
	calls   int
	retired bool
}

// conn is a connection to the endpoint.
type conn struct {
	net.Conn
	t *Transport
}

// NewTransport returns a transport to the endpoint at addr: host:port for the network
// "tcp", a path for "unix". It connects when there is something to send.
func NewTransport(network, addr string, cfg TransportConfig) *Transport {
	cfg.setDefaults()
	t := &Transport{network: network, addr: addr, cfg: cfg, conns: make(map[*conn]bool)}
	t.http = t.newHTTP()
	return t
}

func (t *Transport) newHTTP() *http.Transport {
	h := &http.Transport{
		DialContext:            t.dial,
		DisableCompression:     true,
		IdleConnTimeout:        t.cfg.IdleTime,
		MaxResponseHeaderBytes: t.cfg.HeaderBytes,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: t.cfg.Ping},
	}
	h.Protocols.SetUnencryptedHTTP2(true)
	return h
}

// dial connects to the endpoint. net/http goes on with it when who has asked for it has
// gone, and so it has its own time.
func (t *Transport) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	d := net.Dialer{Timeout: t.cfg.Connect}
	raw, err := d.DialContext(ctx, t.network, t.addr)
	if err != nil {
		return nil, &edge.Error{Kind: edge.DialKind(err), Op: "connect to " + t.addr, Retryable: true, Err: err}
	}
	c := &conn{raw, t}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[c] = true
	if t.retired && t.calls == 0 {
		delete(t.conns, c)
		raw.Close()
	}
	return c, nil
}

// Close closes the connection.
func (c *conn) Close() error {
	c.t.mu.Lock()
	delete(c.t.conns, c)
	c.t.mu.Unlock()
	return c.Conn.Close()
}

// Serve forwards x, whose request's content is that of a call, and returns when the head
// of the response is there. A Read of that content that waits has to end by itself when x
// is cancelled: net/http does not look whether it is while it waits for content.
func (t *Transport) Serve(x *edge.Exchange) error {
	x.Block()
	r := &x.Request
	at, err := url.ParseRequestURI(r.Path)
	if err != nil {
		return &edge.Error{Kind: edge.InternalError, Op: "write the request", Err: err}
	}
	at.Scheme, at.Host, at.RawQuery = "http", "endpoint", r.Query // it is where dial connects to
	ctx, cancel := context.WithCancel(x.Context())
	client := t.begin()
	x.OnEnd(&use{t, cancel})
	q := (&http.Request{Method: r.Method, URL: at, Host: r.Authority, Header: make(http.Header), ContentLength: -1,
		Body: &sent{src: r.Body}}).WithContext(ctx)
	for name, value := range r.Fields.All() {
		q.Header.Add(name, value)
	}
	if q.Header["User-Agent"] == nil {
		q.Header.Set("User-Agent", edge.Pseudonym)
	}
	start := time.Now()
	res, err := client.RoundTrip(q)
	x.Record.Tries++
	if err != nil {
		return failed(x, "call", err)
	}
	x.Record.Waited += time.Since(start)
	x.Respond(res.StatusCode, &received{x: x, res: res}, -1)
	add(&x.Response.Fields, res.Header)
	return nil
}

// add adds fields, which have no order, in that of their names.
func add(f *edge.Fields, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			f.Add(name, value)
		}
	}
}

// failed gives err its kind.
func failed(x *edge.Exchange, op string, err error) error {
	if cause := x.Cancelled(); cause != nil {
		return cause
	}
	if e, ok := errors.AsType[*edge.Error](err); ok {
		return e
	}
	return &edge.Error{Kind: edge.ConnectionTerminated, Op: op, Err: err}
}

// use is an exchange's part in a transport.
type use struct {
	t      *Transport
	cancel context.CancelFunc
}

// End implements [edge.Ender].
func (u *use) End(*edge.Exchange) {
	u.cancel()
	u.t.end()
}

func (t *Transport) begin() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	return t.http
}

func (t *Transport) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls--
	t.drop()
}

// drop closes all connections of a retired transport that has no calls. t.mu is held.
func (t *Transport) drop() {
	if !t.retired || t.calls > 0 || len(t.conns) == 0 {
		return
	}
	for c := range t.conns {
		c.Conn.Close()
	}
	clear(t.conns)
	t.http = t.newHTTP() // the other one may not have noticed when the next call comes
}

// Idle returns the number of connections that are open and have no call: all, or none,
// since calls share them.
func (t *Transport) Idle() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls > 0 {
		return 0
	}
	return len(t.conns)
}

// Retire closes all connections when there is no call. Calls that come later are still
// served.
func (t *Transport) Retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = true
	t.drop()
}

// sent is the content of a request as net/http reads it, which closes it also where it has
// not sent any: then another endpoint may be sent it.
type sent struct {
	src edge.Body

	mu     sync.Mutex // guards the following fields
	begun  bool
	closed bool
}

// Read implements [io.Reader].
func (s *sent) Read(p []byte) (int, error) {
	s.mu.Lock()
	closed := s.closed
	s.begun = true
	s.mu.Unlock()
	if closed {
		return 0, errClosed
	}
	return s.src.Read(p)
}

// Close implements [io.Closer].
func (s *sent) Close() error {
	s.mu.Lock()
	begun := s.begun
	s.closed = true
	s.mu.Unlock()
	if begun {
		return s.src.Close()
	}
	return nil
}

// received is the content of a response.
type received struct {
	x   *edge.Exchange
	res *http.Response
}

// Read implements [edge.Body].
func (r *received) Read(p []byte) (int, error) {
	n, err := r.res.Body.Read(p)
	switch {
	case err == io.EOF:
		r.x.Response.Trailers.Reset()
		add(&r.x.Response.Trailers, r.res.Trailer)
	case err != nil:
		err = failed(r.x, "read the response's content", err)
	}
	return n, err
}

// Close implements [edge.Body].
func (r *received) Close() error { return r.res.Body.Close() }
