package http3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http3"
)

func TestClient(t *testing.T) {
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		c := x.Client
		return text(x, 200, fmt.Sprintln(c.Addr.Addr(), c.IP, c.Local, c.TLS.ServerName, c.TLS.NegotiatedProtocol, c.TLS.HandshakeComplete))
	})
	r, _ := http.NewRequest("GET", p.url("/"), nil)
	res, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if got, want := string(b), "127.0.0.1 127.0.0.1 "+p.addr+" example.org h3 true\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An exchange that runs is finished, and nothing else is begun.
func TestDrain(t *testing.T) {
	serving, release := make(chan struct{}), make(chan struct{})
	p := start(t, http3.Config{DrainGrace: time.Hour}, func(x *edge.Exchange) error {
		if x.Request.Path == "/slow" {
			close(serving)
			<-release
		}
		return text(x, 200, "done")
	})
	t.Cleanup(func() { // before the server is closed, which waits for the handler
		select {
		case <-release:
		default:
			close(release)
		}
	})
	idle := p.dial(t)
	control, err := idle.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slow := p.dial(t)
	s := p.open(t, slow)
	s.request("GET", "/slow")
	s.Close()
	<-serving
	p.Drain()
	p.Drain() // does nothing

	// The idle connection is told: GOAWAY is of type 7.
	var told []byte
	for !strings.HasSuffix(string(told), "\x07\x01\x00") {
		b := make([]byte, 64)
		n, err := control.Read(b)
		if told = append(told, b[:n]...); err != nil {
			t.Fatalf("the control stream ends with %x, %v", told, err)
		}
	}
	idle.CloseWithError(0x100, "")

	// New connections, and new requests on an old one.
	if _, err := quic.DialAddr(t.Context(), p.addr, p.tls(), &quic.Config{HandshakeIdleTimeout: 100 * time.Millisecond}); err == nil {
		t.Error("a new connection was accepted")
	}
	rejected := p.open(t, slow)
	rejected.request("GET", "/")
	if _, _, err := rejected.next(); !strings.Contains(fmt.Sprint(err), "267") { // H3_REQUEST_REJECTED
		t.Errorf("a new request: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait while an exchange runs: %v", err)
	}
	close(release)
	if got := s.head(); !strings.HasPrefix(got, ":status: 200\n") {
		t.Errorf("got %q", got)
	}
	if _, b, err := s.next(); string(b) != "done" {
		t.Errorf("got %q, %v", b, err)
	}
	slow.CloseWithError(0x100, "")
	if err := p.Wait(t.Context()); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if err := <-p.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	p.served <- nil // for the end of the test
}

// Who stays although told to go is closed, without an error.
func TestDrainGrace(t *testing.T) {
	p := start(t, http3.Config{DrainGrace: time.Millisecond}, func(x *edge.Exchange) error { return text(x, 200, "") })
	idle := p.dial(t)
	if _, err := idle.AcceptUniStream(t.Context()); err != nil { // else it is refused
		t.Fatal(err)
	}
	p.Drain()
	<-idle.Context().Done()
	err := context.Cause(idle.Context())
	if a := new(quic.ApplicationError); !errors.As(err, &a) || a.ErrorCode != 0x100 {
		t.Errorf("the idle connection ended with %v", err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// quic-go's own client goes away by itself when it is told.
func TestDrainClient(t *testing.T) {
	p := start(t, http3.Config{DrainGrace: time.Hour}, func(x *edge.Exchange) error { return text(x, 200, "") })
	p.get(t, "/")
	p.Drain()
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	serving := make(chan struct{})
	over := make(ended, 1)
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		x.OnEnd(over)
		close(serving)
		<-x.Context().Done()
		return context.Cause(x.Context())
	})
	failed := make(chan error)
	go func() {
		_, err := p.client.Get(p.url("/"))
		failed <- err
	}()
	<-serving
	p.Close()
	select {
	case <-over:
	default:
		t.Error("Close has returned before the exchange was over")
	}
	if err := <-failed; err == nil {
		t.Error("the client has got an answer")
	}
	p.Close()
	// Serve on a server that is closed.
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if err := p.Serve(pc, p.tls()); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeFails(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc.Close()
	p := start(t, http3.Config{}, nil)
	if err := p.Serve(pc, p.tls()); err == nil {
		t.Error("Serve works on a closed socket")
	}
}

func TestIdle(t *testing.T) {
	p := start(t, http3.Config{Idle: 100 * time.Millisecond}, func(x *edge.Exchange) error { return text(x, 200, "") })
	// One that keeps the connection alive, but asks for nothing.
	c, err := quic.DialAddr(t.Context(), p.addr, p.tls(), &quic.Config{KeepAlivePeriod: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s := p.open(t, c)
	s.request("GET", "/")
	s.Close()
	s.head()
	<-c.Context().Done()
	// Where the machine is busy, QUIC's own time-out may be the faster.
	a := new(quic.ApplicationError)
	if err := context.Cause(c.Context()); !errors.Is(err, &quic.IdleTimeoutError{}) && (!errors.As(err, &a) || a.ErrorCode != 0x100) {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestConnectionLimit(t *testing.T) {
	p := start(t, http3.Config{Connections: 1}, func(x *edge.Exchange) error { return text(x, 200, "") })
	c := p.dial(t)
	_, err := quic.DialAddr(t.Context(), p.addr, p.tls(), nil)
	if e := new(quic.TransportError); !errors.As(err, &e) || e.ErrorCode != quic.ConnectionRefused {
		t.Errorf("the second connection: %v", err)
	}
	if s := p.Stats(); s.Connections != 1 || s.Refused == 0 {
		t.Errorf("got %+v", s)
	}
	c.CloseWithError(0x100, "")
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.SetConfig(http3.Config{Connections: 2})
	p.get(t, "/")
}

func TestStreamLimit(t *testing.T) {
	p := start(t, http3.Config{Streams: 2}, func(x *edge.Exchange) error { return text(x, 200, "") })
	c := p.dial(t)
	a, b := p.open(t, c), p.open(t, c)
	a.request("POST", "/")
	b.request("POST", "/")
	if _, err := c.OpenStream(); !errors.Is(err, &quic.StreamLimitReachedError{}) {
		t.Errorf("the third stream: %v", err)
	}
}

// A session is resumed, but nothing is taken before the handshake is over: it
// could be a replay (RFC 8470).
func TestNo0RTT(t *testing.T) {
	p := start(t, http3.Config{}, func(x *edge.Exchange) error { return text(x, 200, fmt.Sprint(x.Client.TLS.DidResume)) })
	conf := p.tls()
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for _, want := range []string{"false", "true"} {
		c, err := quic.DialAddrEarly(t.Context(), p.addr, conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := p.open(t, c)
		s.request("GET", "/")
		s.Close()
		s.head()
		if _, b, err := s.next(); string(b) != want {
			t.Errorf("resumed: got %q, %v, want %s", b, err, want)
		}
		if c.ConnectionState().Used0RTT {
			t.Error("0-RTT was used")
		}
		c.CloseWithError(0x100, "")
	}
}

// Many exchanges at once, each with content of its own; the poison of edge makes
// one that uses another's memory show, under -race.
func TestParallel(t *testing.T) {
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		if x.Request.Body == nil {
			text(x, 200, x.Request.Path)
		} else {
			x.Respond(200, x.Request.Body, -1)
		}
		x.Response.Fields.Add("X-Path", x.Concat("path", "=", x.Request.Path))
		return nil
	})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 40 {
				path := fmt.Sprintf("/%d/%d", i, j)
				method, content := "GET", ""
				if j%2 == 1 {
					method, content = "POST", strings.Repeat(path, 500)
				}
				r, _ := http.NewRequest(method, p.url(path), strings.NewReader(content))
				if content == "" {
					r.Body, content = nil, path
				}
				res, err := p.client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if got := res.Header.Get("X-Path"); got != "path="+path || string(b) != content || err != nil {
					t.Errorf("%s: got %q, %d bytes, %v", path, got, len(b), err)
				}
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Exchanges != 32*40 || s.Connections != 1 {
		t.Errorf("got %+v", s)
	}
}
