package http3_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	quichttp3 "github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http3"
)

// proxy is a server under test, and clients of it.
type proxy struct {
	*http3.Server
	addr   string
	roots  *x509.CertPool
	client *http.Client // quic-go's
	served chan error   // what Serve has returned
	log    *buffer
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	t := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		DNSNames:              []string{"example.org"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
})

// start serves h until the test ends, and then sees to it that no goroutine is
// left.
func start(t testing.TB, cfg http3.Config, h edge.HandlerFunc) *proxy {
	t.Helper()
	return startHandler(t, cfg, h)
}

func startHandler(t testing.TB, cfg http3.Config, h edge.Handler) *proxy {
	t.Helper()
	before := runtime.NumGoroutine()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, roots := certificate()
	p := &proxy{addr: pc.LocalAddr().String(), roots: roots, served: make(chan error, 1), log: new(buffer)}
	p.Server = http3.NewServer(h, cfg, slog.New(slog.NewTextHandler(p.log, nil)))
	go func() { p.served <- p.Serve(pc, &tls.Config{Certificates: []tls.Certificate{cert}}) }()
	transport := &quichttp3.Transport{TLSClientConfig: p.tls(), DisableCompression: true}
	p.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.Close()
		p.Close()
		if err := <-p.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		pc.Close()
		if s := p.Stats(); s.Active != 0 {
			t.Errorf("%d exchanges are active at the end", s.Active)
		}
		for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
	return p
}

func (p *proxy) tls() *tls.Config {
	return &tls.Config{RootCAs: p.roots, NextProtos: []string{"h3"}, ServerName: "example.org"}
}

func (p *proxy) url(path string) string { return "https://" + p.addr + path }

// get fetches a path, and returns status and content.
func (p *proxy) get(t *testing.T, path string) (int, string) {
	t.Helper()
	res, err := p.client.Get(p.url(path))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// text answers with a line of text.
func text(x *edge.Exchange, status int, s string) error {
	x.Respond(status, edge.Content([]byte(s)), int64(len(s)))
	return nil
}

// ended tells a channel what the record says when the exchange is over.
type ended chan edge.Record

func (e ended) End(x *edge.Exchange) { e <- x.Record }

// dial makes a QUIC connection without HTTP/3 on it, for what no client sends.
func (p *proxy) dial(t *testing.T) *quic.Conn {
	t.Helper()
	c, err := quic.DialAddr(t.Context(), p.addr, p.tls(), nil) // its context is for the handshake only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseWithError(0x100, "") })
	control, err := c.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	// A control stream, and SETTINGS without any.
	if _, err := control.Write([]byte{0x0, 0x4, 0x0}); err != nil {
		t.Fatal(err)
	}
	return c
}

// stream is a request stream on which frames are written one by one.
type stream struct {
	*quic.Stream
	t *testing.T
}

func (p *proxy) open(t *testing.T, c *quic.Conn) *stream {
	t.Helper()
	s, err := c.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	return &stream{s, t}
}

// block encodes fields, given as name, value, name, value.
func block(fields ...string) []byte {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

func (s *stream) frame(typ uint64, payload []byte) {
	s.t.Helper()
	b := quicvarint.Append(nil, typ)
	b = quicvarint.Append(b, uint64(len(payload)))
	if _, err := s.Write(append(b, payload...)); err != nil {
		s.t.Fatal(err)
	}
}

// request sends the head of a request with some fields more.
func (s *stream) request(method, path string, fields ...string) {
	s.t.Helper()
	s.frame(0x1, block(append([]string{":method", method, ":scheme", "https", ":authority", "example.org", ":path", path}, fields...)...))
}

// next reads a frame.
func (s *stream) next() (typ uint64, payload []byte, err error) {
	r := quicvarint.NewReader(s.Stream)
	if typ, err = quicvarint.Read(r); err != nil {
		return 0, nil, err
	}
	length, err := quicvarint.Read(r)
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(s.Stream, payload)
	return typ, payload, err
}

// head reads a HEADERS frame, as lines of "name: value".
func (s *stream) head() string {
	s.t.Helper()
	typ, payload, err := s.next()
	if err != nil || typ != 0x1 {
		s.t.Fatalf("frame of type %#x, %v, want HEADERS", typ, err)
	}
	return decode(s.t, payload)
}

func decode(t *testing.T, block []byte) string {
	t.Helper()
	var lines []string
	for next := qpack.NewDecoder().Decode(block); ; {
		f, err := next()
		if err == io.EOF {
			return strings.Join(lines, "\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, f.Name+": "+f.Value)
	}
}
