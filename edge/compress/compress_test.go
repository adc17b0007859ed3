package compress

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/sluice-edge/sluice/edge"
)

// page returns n bytes of text that compresses about as a page does.
func page(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "<a href=\"/path/%d\">word %d</a>\n", r.IntN(1000), r.IntN(50))
	}
	return b[:n]
}

// decoder returns what reads a coding, by the standard library where it can.
func decoder(t testing.TB, coding string, r io.Reader) io.Reader {
	t.Helper()
	switch coding {
	case "br":
		return brotli.NewReader(r)
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	case "gzip":
		d, err := stdgzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		return d
	case "":
		return r
	}
	t.Fatalf("coding %q", coding)
	return nil
}

func decode(t testing.TB, coding string, b []byte) []byte {
	t.Helper()
	if len(b) == 0 {
		return b
	}
	got, err := io.ReadAll(decoder(t, coding, bytes.NewReader(b)))
	if err != nil {
		t.Errorf("%s: %v", coding, err)
	}
	return got
}

// pieces is content that comes piece by piece, with a pause behind each.
type pieces struct {
	list   [][]byte
	err    error // at the end, in place of io.EOF
	late   bool  // the end comes by itself
	closed bool
	asked  int
}

func (p *pieces) Close() error { p.closed = true; return nil }

func (p *pieces) Read(b []byte) (int, error) {
	p.asked++
	end := p.err
	if end == nil {
		end = io.EOF
	}
	if len(p.list) == 0 {
		return 0, end
	}
	n := copy(b, p.list[0])
	if p.list[0] = p.list[0][n:]; len(p.list[0]) == 0 {
		p.list = p.list[1:]
	}
	if len(p.list) == 0 && !p.late {
		return n, end
	}
	return n, nil
}

// exchange serves a request whose Accept-Encoding is accept ("-" for none) with
// what answer makes, and leaves the exchange open.
func exchange(t testing.TB, s *Stage, method, accept string, answer func(x *edge.Exchange)) *edge.Exchange {
	t.Helper()
	x := &edge.Exchange{}
	x.Begin(nil, &edge.Client{}, time.Now())
	x.Request.Method = method
	if accept != "-" {
		x.Request.Fields.Add("Accept-Encoding", accept)
	}
	err := s.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
		answer(x)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func respond(x *edge.Exchange, status int, body edge.Body, length int64, lines ...string) {
	if x.Request.Method == "HEAD" {
		body = nil
	}
	x.Respond(status, body, length)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		x.Response.Fields.Add(name, value)
	}
}

func TestRoundTrip(t *testing.T) {
	s := New(Config{Min: 1})
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	for _, coding := range []string{"br", "zstd", "gzip"} {
		for _, size := range []int{1, 100, 5000, inSize - 1, inSize, inSize + 1, 100_000, 700_000, 2_000_000} {
			content := page(size)
			if rnd.IntN(3) == 0 {
				for i := range content {
					content[i] = byte(rnd.Uint32())
				}
			}
			for _, how := range []string{"at hand", "known length", "unknown length"} {
				var body edge.Body = edge.Content(content)
				length := int64(size)
				if how != "at hand" {
					p := &pieces{late: rnd.IntN(2) == 0}
					for rest := content; len(rest) > 0; {
						n := min(len(rest), 1+rnd.IntN(3*inSize))
						p.list = append(p.list, rest[:n])
						rest = rest[n:]
					}
					body = p
				}
				if how == "unknown length" {
					length = -1
				}
				x := exchange(t, s, "GET", coding, func(x *edge.Exchange) { respond(x, 200, body, length, "Content-Type: text/html") })
				res := &x.Response
				if res.Fields.Get("Content-Encoding") != coding || x.Record.Encoding != coding {
					t.Fatalf("%s, %d bytes, %s: encoded as %q", coding, size, how, res.Fields.Get("Content-Encoding"))
				}
				var b []byte
				for err := error(nil); err == nil; {
					p := make([]byte, 1+rnd.IntN(40_000))
					var n int
					n, err = res.Body.Read(p)
					b = append(b, p[:n]...)
					if err != nil && err != io.EOF {
						t.Fatal(err)
					}
				}
				if got := decode(t, coding, b); !bytes.Equal(got, content) {
					t.Errorf("%s, %d bytes, %s: got %d bytes back", coding, size, how, len(got))
				}
				all := edge.Bytes(res.Body)
				if whole := how == "at hand" && size <= 1<<20; (all != nil) != whole || whole && (!bytes.Equal(all, b) || res.Length != int64(len(b))) || !whole && res.Length != -1 {
					t.Errorf("%s, %d bytes, %s: %d at hand, length %d, %d read", coding, size, how, len(all), res.Length, len(b))
				}
				x.End()
			}
		}
	}
	if n := s.active.Load(); n != 0 {
		t.Errorf("%d encoders are still counted", n)
	}
	for _, c := range s.Stats() {
		if c.Responses != 27 || c.In < 8_000_000 || c.Out == 0 {
			t.Errorf("%+v", c)
		}
	}
}

// Each piece of a stream can be decoded before the next is asked for.
func TestFlush(t *testing.T) {
	s := New(Config{})
	list := []string{"data: one\n\n", "data: two\n\n", strings.Repeat("x", inSize), "data: three\n\n", strings.Repeat("y", 3*inSize+5), "z"}
	for _, coding := range []string{"br", "zstd", "gzip"} {
		p := &pieces{late: true}
		for _, piece := range list {
			p.list = append(p.list, []byte(piece))
		}
		x := exchange(t, s, "GET", coding, func(x *edge.Exchange) { respond(x, 200, p, -1, "Content-Type: text/event-stream") })
		r, w := io.Pipe()
		got := make(chan string)
		go func() {
			d := decoder(t, coding, r)
			for _, piece := range list {
				b := make([]byte, len(piece))
				if _, err := io.ReadFull(d, b); err != nil {
					t.Errorf("%s: %v", coding, err)
				}
				got <- string(b)
			}
			rest, err := io.ReadAll(d)
			if len(rest) != 0 || err != nil {
				t.Errorf("%s: %d bytes too many, %v", coding, len(rest), err)
			}
			close(got)
		}()
		buf := make([]byte, 64<<10)
		for i, piece := range list {
			left := len(list) - i - 1
			for len(p.list) > left {
				n, err := x.Response.Body.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				w.Write(buf[:n])
			}
			if have := <-got; have != piece {
				t.Errorf("%s: piece %d: %.20q", coding, i, have)
			}
		}
		for err := error(nil); err == nil; {
			var n int
			n, err = x.Response.Body.Read(buf)
			w.Write(buf[:n])
		}
		w.Close()
		<-got
		x.End()
	}
}

func TestWhatIsEncoded(t *testing.T) {
	const html = "Content-Type: text/html; charset=utf-8"
	for _, c := range []struct {
		name     string
		method   string
		status   int
		length   int64 // of the content; -1000: none; below 0: unknown
		response string
		encoded  bool
		vary     string
	}{
		{"text", "GET", 200, 1024, html, true, "Accept-Encoding"},
		{"small", "GET", 200, 1023, html, false, ""},
		{"unknown length", "GET", 200, -1, html, true, "Accept-Encoding"},
		{"type in capitals", "GET", 200, 2000, "Content-Type: TEXT/HTML", true, "Accept-Encoding"},
		{"json", "GET", 200, 2000, "Content-Type: application/json", true, "Accept-Encoding"},
		{"suffix", "GET", 200, 2000, "Content-Type: image/svg+xml", true, "Accept-Encoding"},
		{"wasm", "GET", 200, 2000, "Content-Type: application/wasm", true, "Accept-Encoding"},
		{"image", "GET", 200, 2000, "Content-Type: image/png", false, ""},
		{"gRPC", "GET", 200, 2000, "Content-Type: application/grpc", false, ""},
		{"no type", "GET", 200, 2000, "X: y", false, ""},
		{"encoded already", "GET", 200, 2000, html + "|Content-Encoding: gzip", false, ""},
		{"no-transform", "GET", 200, 2000, html + "|Cache-Control: max-age=1, No-Transform", false, ""},
		{"error page", "GET", 500, 2000, html, true, "Accept-Encoding"},
		{"POST", "POST", 200, 2000, html, true, "Accept-Encoding"},
		{"206", "GET", 206, 2000, html, false, ""},
		{"204", "GET", 204, -1000, html, false, ""},
		{"no content", "GET", 200, -1000, html, false, ""},
		{"HEAD", "HEAD", 200, 2000, html, true, "Accept-Encoding"},
		{"HEAD of unknown length", "HEAD", 200, -1, html, true, "Accept-Encoding"},
		{"HEAD of a small one", "HEAD", 200, 100, html, false, ""},
		{"Vary", "GET", 200, 2000, html + "|Vary: Cookie", true, "Cookie|Accept-Encoding"},
		{"Vary already", "GET", 200, 2000, html + "|Vary: Cookie, accept-encoding", true, "Cookie, accept-encoding"},
		{"Vary *", "GET", 200, 2000, html + "|Vary: *", true, "*"},
	} {
		for _, accept := range []string{"gzip", "identity", "-"} {
			s := New(Config{})
			x := exchange(t, s, c.method, accept, func(x *edge.Exchange) {
				if got := x.Request.Fields.Get("Accept-Encoding"); got != "identity" {
					t.Errorf("%s: the origin was asked for %q", c.name, got)
				}
				lines := append(strings.Split(c.response, "|"), `ETag: "a"`, "Accept-Ranges: bytes", "Content-MD5: x", `Repr-Digest: x`, "Kept: 1")
				if c.length == -1000 {
					respond(x, c.status, nil, 0, lines...)
					return
				}
				respond(x, c.status, &pieces{list: [][]byte{page(int(max(c.length, 2000)))}}, c.length, lines...)
			})
			f := &x.Response.Fields
			var vary []string
			for v := range f.Values("Vary") {
				vary = append(vary, v)
			}
			if got := strings.Join(vary, "|"); got != c.vary {
				t.Errorf("%s, %q: Vary %q, want %q", c.name, accept, got, c.vary)
			}
			encoded := f.Get("Content-Encoding") == "gzip" && !strings.Contains(c.response, "Content-Encoding")
			want := c.encoded && accept == "gzip"
			tag := `"a"`
			if want {
				tag = `W/"a"`
			}
			if encoded != want || f.Get("ETag") != tag || f.Has("Accept-Ranges") == want || f.Has("Content-MD5") == want || f.Has("Repr-Digest") == want || !f.Has("Kept") {
				t.Errorf("%s, %q: encoded %v, fields %v", c.name, accept, encoded, *f)
			}
			if want && x.Response.Length != -1 || !want && c.length != -1000 && x.Response.Length != c.length {
				t.Errorf("%s, %q: length %d", c.name, accept, x.Response.Length)
			}
			x.End()
		}
	}
}

func TestRequestIsLeft(t *testing.T) {
	s := New(Config{})
	for _, set := range []func(x *edge.Exchange){
		func(x *edge.Exchange) { x.Request.Upgrade = "websocket" },
		func(x *edge.Exchange) { x.Request.Fields.Add("Cache-Control", "no-transform") },
	} {
		x := &edge.Exchange{}
		x.Begin(nil, &edge.Client{}, time.Now())
		x.Request.Method = "GET"
		x.Request.Fields.Add("Accept-Encoding", "br")
		set(x)
		s.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
			if got := x.Request.Fields.Get("Accept-Encoding"); got != "br" {
				t.Errorf("Accept-Encoding %q", got)
			}
			respond(x, 200, edge.Content(page(5000)), 5000, "Content-Type: text/html")
			return nil
		}))
		if x.Response.Fields.Has("Content-Encoding") || x.Response.Length != 5000 {
			t.Errorf("%v", x.Response.Fields)
		}
		x.End()
	}
	want := errors.New("failed")
	x := &edge.Exchange{}
	x.Request.Fields.Add("Accept-Encoding", "br")
	if err := s.Filter(x, edge.HandlerFunc(func(*edge.Exchange) error { return want })); err != want {
		t.Errorf("error %v", err)
	}
	x.End()
}

// A client whose copy is the encoded form has it validated.
func TestRevalidation(t *testing.T) {
	for _, c := range []struct {
		method, tag, match string
		status             int // of the next handler
		want               int
		wantTag            string
	}{
		{"GET", `"a"`, `W/"a"`, 200, 304, `W/"a"`}, // the origin compares bytes
		{"HEAD", `"a"`, `W/"a"`, 200, 304, `W/"a"`},
		{"GET", `"a"`, `W/"b", W/"a"`, 200, 304, `W/"a"`},
		{"GET", `"a"`, `W/"b"`, 200, 200, `W/"a"`},
		{"GET", `"a"`, `"a"`, 200, 200, `W/"a"`}, // the origin knows why
		{"GET", `W/"a"`, `W/"a"`, 200, 200, `W/"a"`},
		{"POST", `"a"`, `W/"a"`, 200, 200, `W/"a"`},
		{"GET", `"a"`, `W/"a"`, 404, 404, `W/"a"`},
		{"GET", `"a"`, `W/"a"`, 304, 304, `W/"a"`}, // the origin compares weakly
		{"GET", `"a"`, `"a"`, 304, 304, `"a"`},     // the client's copy is not encoded
	} {
		s := New(Config{})
		body := &pieces{list: [][]byte{page(2000)}}
		x := &edge.Exchange{}
		x.Begin(nil, &edge.Client{}, time.Now())
		x.Request.Method = c.method
		x.Request.Fields.Add("Accept-Encoding", "br")
		x.Request.Fields.Add("If-None-Match", c.match)
		s.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
			if c.status == 304 {
				respond(x, 304, nil, 0, "ETag: "+c.tag)
				return nil
			}
			respond(x, c.status, body, 2000, "Content-Type: text/html", "ETag: "+c.tag, "Content-Location: /a", "Last-Modified: x")
			return nil
		}))
		res := &x.Response
		if res.Status != c.want || res.Fields.Get("ETag") != c.wantTag {
			t.Errorf("%s %s for %s, %d: %d %s, want %d %s", c.method, c.match, c.tag, c.status, res.Status, res.Fields.Get("ETag"), c.want, c.wantTag)
		}
		if c.want == 304 && (res.Body != nil || res.Length != 0 || res.Fields.Has("Content-Type") || res.Fields.Has("Content-Encoding")) {
			t.Errorf("304 with %v", res.Fields)
		}
		if c.want == 304 && c.status == 200 && (!res.Fields.Has("Content-Location") || !res.Fields.Has("Vary") || c.method == "GET" && !body.closed) {
			t.Errorf("304 with %v, body closed: %v", res.Fields, body.closed)
		}
		x.End()
	}
}

// What is cut stays cut: the encoding has no end.
func TestCut(t *testing.T) {
	s := New(Config{})
	want := errors.New("reset")
	for _, coding := range []string{"br", "zstd", "gzip"} {
		p := &pieces{list: [][]byte{page(50_000)}, err: want}
		x := exchange(t, s, "GET", coding, func(x *edge.Exchange) { respond(x, 200, p, 60_000, "Content-Type: text/html") })
		b, err := io.ReadAll(x.Response.Body)
		if err != want {
			t.Errorf("%s: %v, want the source's error", coding, err)
		}
		got, err := io.ReadAll(decoder(t, coding, bytes.NewReader(b)))
		if err == nil || !bytes.Equal(got, page(50_000)) {
			t.Errorf("%s: %d bytes decoded, %v", coding, len(got), err)
		}
		x.Response.Body.Close()
		if !p.closed {
			t.Error("Close was not handed on")
		}
		x.End()
	}
}

func TestActive(t *testing.T) {
	s := New(Config{Active: 2})
	answer := func(x *edge.Exchange) {
		respond(x, 200, &pieces{list: [][]byte{page(2000)}}, -1, "Content-Type: text/html", `ETag: "a"`)
	}
	var list []*edge.Exchange
	for i := range 3 {
		x := exchange(t, s, "GET", "br", answer)
		if encoded := x.Response.Fields.Has("Content-Encoding"); encoded != (i < 2) || x.Response.Fields.Get("Vary") != "Accept-Encoding" {
			t.Errorf("the %dth: %v", i+1, x.Response.Fields)
		}
		list = append(list, x)
	}
	for _, x := range list {
		x.End()
	}
	x := exchange(t, s, "GET", "br", answer)
	if !x.Response.Fields.Has("Content-Encoding") {
		t.Error("not encoded afterwards")
	}
	x.End()
}

func TestIdle(t *testing.T) {
	s := New(Config{Idle: 2})
	var list []*edge.Exchange
	for range 5 {
		list = append(list, exchange(t, s, "GET", "gzip", func(x *edge.Exchange) {
			respond(x, 200, &pieces{list: [][]byte{page(2000)}}, -1, "Content-Type: text/html")
		}))
	}
	for _, x := range list {
		x.End()
	}
	if n := len(s.encoders.free[gz][0]); n != 2 {
		t.Errorf("%d encoders are kept, want 2", n)
	}
}
