package http1_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// serveTLS serves h through TLS, whose handshake is over when the engine gets the
// connection.
func serveTLS(t *testing.T, h edge.Handler, cfg http1.Config) (*http1.Server, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s := http1.NewServer(h, cfg, discard)
	addr := listen(t, func(c net.Conn) {
		tc := tls.Server(c, config)
		if err := tc.Handshake(); err != nil {
			c.Close()
			return
		}
		state := tc.ConnectionState()
		client := clientOf(c)
		client.TLS = &state
		s.ServeConn(tc, client)
	})
	t.Cleanup(s.Close)
	return s, addr
}

func dialTLS(t *testing.T, addr string) *client {
	t.Helper()
	c := dial(t, addr)
	c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	c.r.Reset(c.Conn)
	return c
}

func TestTLS(t *testing.T) {
	large := strings.Repeat("x", 100<<10)
	rec := make(records, 1)
	s, addr := serveTLS(t, edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		switch x.Request.Path {
		case "/wait":
			<-x.Context().Done()
			return x.Cancelled()
		case "/large":
			x.Respond(200, edge.Content([]byte(large)), int64(len(large)))
		default:
			content := []byte(x.Request.Scheme)
			x.Respond(200, edge.Content(content), int64(len(content)))
		}
		return nil
	}), rec), http1.Config{Tick: quick.Tick, Park: quick.Tick})
	c := dialTLS(t, addr)
	for range 2 {
		c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, b := c.whole(); b != "https" {
			t.Error(b)
		}
		rec.wait(t)
		eventually(t, "the connection is parked", func() bool { return s.Stats().Parked == 1 })
	}
	c.say("GET https://a/large HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, b := c.whole(); b != large {
		t.Errorf("got %d bytes", len(b))
	}
	rec.wait(t)

	// A client that leaves is noticed behind its close_notify.
	c.say("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the connection is active", func() bool { return s.Stats().Active == 1 })
	c.Close()
	if r := rec.wait(t); r.why != "client-gone" {
		t.Errorf("recorded %+v", r)
	}
	// A refusal can be read, and nothing follows it.
	c = dialTLS(t, addr)
	c.say("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if res, _ := c.whole(); res.StatusCode != 421 {
		t.Error(res)
	}
	if rest := c.closed(); rest != "" {
		t.Errorf("got %q", rest)
	}
	c.Close()
	c = dialTLS(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.whole()
	s.Drain()
	if rest := c.closed(); rest != "" {
		t.Errorf("got %q", rest)
	}
}

// Who takes his time to close is not waited for longer than Linger says.
func TestLinger(t *testing.T) {
	cfg := quick
	cfg.Linger = 10 * time.Millisecond
	s, addr := serve(t, fixed(200, "ok"), cfg)
	c := dial(t, addr)
	c.say("bad\r\n\r\n")
	if res, _ := c.whole(); res.StatusCode != 400 {
		t.Error(res)
	}
	if _, err := io.ReadAll(c.r); err != nil {
		t.Error(err)
	}
	eventually(t, "the connection is gone", func() bool { return s.Stats().Open == 0 })
}
