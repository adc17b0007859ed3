package http2

import (
	"bytes"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-edge/sluice/edge"
)

// replay is a connection whose client sends what it is given, and takes
// everything.
type replay struct {
	net.Conn
	in    chan []byte
	rest  []byte
	wrote chan int
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.wrote <- 0 // all is answered that has been asked
		b, open := <-r.in
		if !open {
			return 0, io.EOF
		}
		r.rest = b
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *replay) Write(p []byte) (int, error) { return len(p), nil }

// start serves the replay until the test ends, and returns what sends bytes and
// waits until they are answered.
func (r *replay) start(t testing.TB, s *Server) (send func([]byte)) {
	client, server := net.Pipe()
	client.Close()
	r.Conn, r.in, r.wrote = &deaf{server}, make(chan []byte), make(chan int)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeConn(r, edge.Client{})
	}()
	t.Cleanup(func() {
		close(r.in)
		go func() {
			for range r.wrote {
			}
		}()
		<-done
		close(r.wrote)
		s.Close()
	})
	<-r.wrote
	return func(b []byte) {
		r.in <- b
		<-r.wrote
	}
}

// deaf is a connection without deadlines.
type deaf struct{ net.Conn }

// preface is what a client sends first.
func preface() []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&b, nil)
	fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	fr.WriteWindowUpdate(0, 1<<30)
	return b.Bytes()
}

// requester makes requests as nghttp2 and browsers do: what recurs is in the
// table, :path is not.
type requester struct {
	buf, block bytes.Buffer
	enc        *hpack.Encoder
	fr         *http2.Framer
	id         uint32
}

func newRequester() *requester {
	q := &requester{id: 1}
	q.enc = hpack.NewEncoder(&q.block)
	q.fr = http2.NewFramer(&q.buf, nil)
	return q
}

// requests returns n requests with the given content.
func (q *requester) requests(n int, content []byte) []byte {
	q.buf.Reset()
	for range n {
		q.block.Reset()
		for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"},
			{Name: ":authority", Value: "www.example.org"}, {Name: ":path", Value: "/some/path?and=a&query=x", Sensitive: true},
			{Name: "user-agent", Value: "Mozilla/5.0 (X11; Linux x86_64)"}, {Name: "accept", Value: "*/*"},
			{Name: "cookie", Value: "a=1"}, {Name: "cookie", Value: "b=2"}, {Name: "x-unique", Value: "0123456789", Sensitive: true}} {
			q.enc.WriteField(f)
		}
		q.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: q.id, BlockFragment: q.block.Bytes(), EndHeaders: true, EndStream: content == nil})
		if content != nil {
			q.fr.WriteData(q.id, true, content)
		}
		q.id += 2
	}
	return q.buf.Bytes()
}

// answering answers as a cache does, with a body that is reused.
type answering struct{ text []byte }

func (a *answering) Serve(x *edge.Exchange) error {
	x.Respond(200, a, int64(len(a.text)))
	f := &x.Response.Fields
	f.Add("Content-Type", "text/html; charset=utf-8")
	f.Add("ETag", "\"0123456789abcdef\"")
	f.Add("Cache-Status", "sluice; hit")
	f.Add("X-Path", x.Request.Path)
	f.Add("X-Joined", x.Concat(x.Request.Authority, x.Request.Path))
	return nil
}

func (a *answering) Bytes() []byte            { return a.text }
func (a *answering) Read([]byte) (int, error) { return 0, io.EOF }
func (a *answering) Close() error             { return nil }

// A request that is served inline allocates nothing once all is warm: neither
// alone, nor among others, nor with content that is at hand.
func TestAllocs(t *testing.T) {
	if edge.Poisons {
		t.Skip("the race detector allocates")
	}
	for _, c := range []struct {
		name    string
		batch   int
		content []byte
	}{{"one", 1, nil}, {"sixteen", 16, nil}, {"with content", 4, make([]byte, 1000)}} {
		s := NewServer(&answering{make([]byte, 1024)}, Config{}, nil)
		r := &replay{}
		send := r.start(t, s)
		send(preface())
		q := newRequester()
		const runs = 200
		n := testing.AllocsPerRun(runs, func() { send(q.requests(c.batch, c.content)) })
		if want := uint64(c.batch * (runs + 1)); s.Stats().Requests != want {
			t.Fatalf("%s: %d requests were served, want %d", c.name, s.Stats().Requests, want)
		}
		if n != 0 {
			t.Errorf("%s: %v allocations a batch, want 0", c.name, n)
		}
	}
}

func BenchmarkInline(b *testing.B) {
	s := NewServer(&answering{make([]byte, 1024)}, Config{}, nil)
	r := &replay{}
	send := r.start(b, s)
	send(preface())
	q := newRequester()
	const batch = 16
	b.ReportAllocs()
	for b.Loop() {
		send(q.requests(batch, nil))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/request")
}
