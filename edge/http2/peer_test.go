package http2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-edge/sluice/edge"
)

// deadline is when a test that hangs gives up. Nothing is measured against it.
const deadline = 20 * time.Second

// listen serves s on a socket of its own until the test ends.
func listen(t testing.TB, s *Server) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(c, clientOf(c))
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-accepted
		s.Close()
	})
	return l.Addr().String()
}

func clientOf(c net.Conn) edge.Client {
	addr, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	local, _ := netip.ParseAddrPort(c.LocalAddr().String())
	return edge.NewClient(addr, local, nil)
}

// serve returns a server whose watch does not retake the reading role, so that no
// test owes its success to it.
func serve(h edge.HandlerFunc, cfg Config) *Server {
	s := NewServer(h, cfg, nil)
	s.tick = time.Hour
	return s
}

// ok answers 200 with the content "ok".
func ok(x *edge.Exchange) error {
	x.Respond(200, edge.Content([]byte("ok")), 2)
	return nil
}

// echo answers with the request's content and trailers as they come.
func echo(x *edge.Exchange) error {
	x.Respond(200, x.Request.Body, -1)
	if b := x.Request.Body; b != nil {
		x.Response.Body = &echoed{b, x}
	}
	return nil
}

type echoed struct {
	edge.Body
	x *edge.Exchange
}

func (e *echoed) Read(p []byte) (int, error) {
	n, err := e.Body.Read(p)
	if err == io.EOF {
		e.x.Response.Trailers.CopyFrom(&e.x.Request.Trailers)
	}
	return n, err
}

// peer is a client that does what it is told, on frames.
type peer struct {
	t   testing.TB
	c   net.Conn
	fr  *http2.Framer
	buf bytes.Buffer
	enc *hpack.Encoder
	dec *hpack.Decoder
}

// dial connects and exchanges prefaces.
func dial(t testing.TB, addr string, settings ...http2.Setting) *peer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(deadline))
	p := attach(t, c)
	p.greet(settings...)
	return p
}

func attach(t testing.TB, c net.Conn) *peer {
	p := &peer{t: t, c: c, fr: http2.NewFramer(c, c), dec: hpack.NewDecoder(4096, nil)}
	p.enc = hpack.NewEncoder(&p.buf)
	p.fr.AllowIllegalWrites = true
	return p
}

func (p *peer) greet(settings ...http2.Setting) {
	p.t.Helper()
	if _, err := io.WriteString(p.c, http2.ClientPreface); err != nil {
		p.t.Fatal(err)
	}
	p.check(p.fr.WriteSettings(settings...))
	if f, ok := p.frame().(*http2.SettingsFrame); !ok || f.IsAck() {
		p.t.Fatalf("the server's first frame is %v", f)
	}
	p.check(p.fr.WriteSettingsAck())
	for {
		if f, ok := p.frame().(*http2.SettingsFrame); ok && f.IsAck() {
			return
		}
	}
}

func (p *peer) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) frame() http2.Frame {
	p.t.Helper()
	f, err := p.fr.ReadFrame()
	if err != nil {
		p.t.Fatalf("read a frame: %v", err)
	}
	return f
}

// block encodes fields, which are "name: value" or ":name: value".
func (p *peer) block(lines ...string) []byte {
	p.buf.Reset()
	for _, l := range lines {
		i := strings.Index(l[1:], ":") + 1
		p.enc.WriteField(hpack.HeaderField{Name: l[:i], Value: strings.TrimPrefix(l[i+1:], " ")})
	}
	return p.buf.Bytes()
}

var get = []string{":method: GET", ":scheme: http", ":authority: example.org", ":path: /"}
var post = []string{":method: POST", ":scheme: http", ":authority: example.org", ":path: /"}

func with(lines []string, more ...string) []string {
	return append(append([]string(nil), lines...), more...)
}

// request sends a head, in frames of at most 16 KiB.
func (p *peer) request(id uint32, end bool, lines ...string) {
	p.t.Helper()
	b := p.block(lines...)
	n := min(len(b), maxFrame)
	p.check(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:n], EndHeaders: n == len(b), EndStream: end}))
	for b = b[n:]; len(b) > 0; b = b[n:] {
		n = min(len(b), maxFrame)
		p.check(p.fr.WriteContinuation(id, n == len(b), b[:n]))
	}
}

// answer is what has come for a stream.
type answer struct {
	heads    []map[string]string // each with ":status", the last being the final one
	trailers map[string]string
	content  []byte
	reset    http2.ErrCode
	resetSet bool
}

func (a answer) status() string {
	if len(a.heads) == 0 {
		return ""
	}
	return a.heads[len(a.heads)-1][":status"]
}

// fieldsOf decodes a field section, whose first frame is f.
func (p *peer) fieldsOf(f *http2.HeadersFrame) map[string]string {
	p.t.Helper()
	b := bytes.Clone(f.HeaderBlockFragment())
	for end := f.HeadersEnded(); !end; {
		c, ok := p.frame().(*http2.ContinuationFrame)
		if !ok {
			p.t.Fatal("no CONTINUATION")
		}
		b = append(b, c.HeaderBlockFragment()...)
		end = c.HeadersEnded()
	}
	fields, err := p.dec.DecodeFull(b)
	p.check(err)
	m := make(map[string]string)
	for _, f := range fields {
		if old, ok := m[f.Name]; ok {
			f.Value = old + ", " + f.Value
		}
		m[f.Name] = f.Value
	}
	return m
}

// answer reads until the stream has ended, giving back the windows that it uses.
func (p *peer) answer(id uint32) (a answer) {
	p.t.Helper()
	for {
		end := false
		switch f := p.frame().(type) {
		case *http2.HeadersFrame:
			m := p.fieldsOf(f)
			if f.StreamID != id {
				break
			}
			end = f.StreamEnded()
			if _, head := m[":status"]; head {
				a.heads = append(a.heads, m)
			} else {
				a.trailers = m
			}
		case *http2.DataFrame:
			if n := uint32(len(f.Data())); n > 0 {
				p.check(p.fr.WriteWindowUpdate(0, n))
				if f.StreamID == id && !f.StreamEnded() {
					p.check(p.fr.WriteWindowUpdate(id, n))
				}
			}
			if f.StreamID == id {
				a.content = append(a.content, f.Data()...)
				end = f.StreamEnded()
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				a.reset, a.resetSet, end = f.ErrCode, true, true
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				p.t.Fatalf("%v: %s", f, f.DebugData())
			}
		}
		if end {
			return a
		}
	}
}

// goAway reads until GOAWAY and returns it.
func (p *peer) goAway() *http2.GoAwayFrame {
	p.t.Helper()
	for {
		if f, ok := p.frame().(*http2.GoAwayFrame); ok {
			return f
		}
	}
}

// closed reads until the server has closed.
func (p *peer) closed() {
	p.t.Helper()
	for {
		if _, err := p.fr.ReadFrame(); err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				p.t.Fatal("the server does not close")
			}
			return
		}
	}
}

// alive checks that the connection still serves.
func (p *peer) alive(id uint32) {
	p.t.Helper()
	p.request(id, true, get...)
	if got := p.answer(id).status(); got != "200" {
		p.t.Fatalf("status of the next request = %q, want 200", got)
	}
}

// eventually waits for what others do in their own time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			t.Fatalf("never: %s", what)
		}
		runtime.Gosched()
	}
}
