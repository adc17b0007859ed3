package http2

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

// record keeps what an exchange reports at its end.
type record struct{ done chan edge.Record }

func (r record) Filter(x *edge.Exchange, next edge.Handler) error {
	x.OnEnd(r)
	return next.Serve(x)
}

func (r record) End(x *edge.Exchange) { r.done <- x.Record }

// pieces is a body that returns one piece a Read.
type pieces struct {
	x     *edge.Exchange
	list  []string
	err   error         // at the end, instead of io.EOF
	wait  chan struct{} // before each piece
	where int
}

func (p *pieces) Close() error { return nil }

func (p *pieces) Read(b []byte) (int, error) {
	if p.wait != nil {
		p.x.Block()
		<-p.wait
	}
	if p.where == len(p.list) {
		if p.err != nil {
			return 0, p.err
		}
		return 0, io.EOF
	}
	p.where++
	return copy(b, p.list[p.where-1]), nil
}

// Responses: each as the handler leaves it, and what the client gets.
func TestResponses(t *testing.T) {
	var handler func(x *edge.Exchange) error
	s := serve(func(x *edge.Exchange) error { return handler(x) }, Config{})
	p := dial(t, listen(t, s))
	id := uint32(1)
	// want is "status content-length|-; content; reset|-".
	f := func(name, method, want string, h func(x *edge.Exchange) error) answer {
		t.Helper()
		handler = h
		p.request(id, true, with(get[1:], ":method: "+method)...)
		a := p.answer(id)
		length, has := "-", false
		if len(a.heads) > 0 {
			if length, has = a.heads[len(a.heads)-1]["content-length"]; !has {
				length = "-"
			}
		}
		reset := "-"
		if a.resetSet {
			reset = a.reset.String()
		}
		got := fmt.Sprintf("%s %s; %s; %s", a.status(), length, strings.TrimSpace(string(a.content)), reset)
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		id += 2
		return a
	}
	respond := func(status int, b edge.Body, n int64) func(x *edge.Exchange) error {
		return func(x *edge.Exchange) error { x.Respond(status, b, n); return nil }
	}
	text := func() edge.Body { return edge.Content([]byte("text")) }
	f("content at hand", "GET", "200 4; text; -", respond(200, text(), 4))
	f("of unknown length", "GET", "200 -; text; -", respond(200, text(), -1))
	f("no content", "GET", "200 0; ; -", respond(200, nil, 0))
	f("another status", "GET", "599 0; ; -", respond(599, nil, 0))
	f("HEAD", "HEAD", "200 4; ; -", respond(200, nil, 4))
	f("HEAD with a body", "HEAD", "200 4; ; -", respond(200, text(), 4))
	f("HEAD of unknown length", "HEAD", "200 -; ; -", respond(200, nil, -1))
	f("204", "GET", "204 -; ; -", respond(204, nil, 0))
	f("304", "GET", "304 -; ; -", respond(304, nil, 0))
	f("304 with the length that 200 would have", "GET", "304 4; ; -", respond(304, nil, 4))
	f("pieces", "GET", "200 5; abcde; -", respond(200, &pieces{list: []string{"ab", "c", "", "de"}}, 5))
	f("empty pieces", "GET", "200 -; ; -", respond(200, &pieces{}, -1))
	f("large", "GET", "200 -; "+strings.Repeat("x", 300<<10)+"; -", respond(200, edge.Content(bytes.Repeat([]byte("x"), 300<<10)), -1))

	// What cannot be delivered is answered 500 while that can be said, and cut off
	// visibly when it cannot.
	f("nothing", "GET", "500 26; 500 Internal Server Error; -", func(*edge.Exchange) error { return nil })
	f("status 101 without a tunnel", "GET", "500 26; 500 Internal Server Error; -", respond(101, nil, 0))
	f("status 600", "GET", "500 26; 500 Internal Server Error; -", respond(600, nil, 0))
	f("a tunnel", "GET", "502 16; 502 Bad Gateway; -", func(x *edge.Exchange) error {
		x.Response.Status = 101
		x.Response.Tunnel = func(edge.Stream) error { t.Error("the tunnel is used"); return nil }
		return nil
	})
	f("content of another length", "GET", "502 16; 502 Bad Gateway; -", respond(200, text(), 5))
	f("no content but a length", "GET", "502 16; 502 Bad Gateway; -", respond(200, nil, 5))
	f("an error", "GET", "503 24; 503 Service Unavailable; -", func(*edge.Exchange) error {
		return &edge.Error{Kind: edge.DestinationUnavailable, Op: "pick"}
	})
	f("a panic", "GET", "500 26; 500 Internal Server Error; -", func(*edge.Exchange) error { panic("oops") })
	f("less than declared", "GET", "200 5; abc; INTERNAL_ERROR", respond(200, &pieces{list: []string{"abc"}}, 5))
	f("more than declared", "GET", "200 2; ; INTERNAL_ERROR", respond(200, &pieces{list: []string{"abc"}}, 2))
	f("an error amid the content", "GET", "200 -; abc; INTERNAL_ERROR", respond(200, &pieces{list: []string{"abc"}, err: io.ErrUnexpectedEOF}, -1))
	f("a body that makes no progress", "GET", "200 -; ; INTERNAL_ERROR", respond(200, &pieces{list: make([]string, 1000)}, -1))
	f("a body that panics", "GET", "200 -; ; INTERNAL_ERROR", respond(200, &panics{}, -1))

	a := f("fields", "GET", "200 0; ; -", func(x *edge.Exchange) error {
		x.Respond(200, nil, 0)
		for _, n := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "TE", "Content-Length", "Host",
			"a b", "", ":status", "é", "x\r\ny"} {
			x.Response.Fields.Add(n, "7")
		}
		x.Response.Fields.Add("X-Kept", "Yes")
		x.Response.Fields.Add("X-Cut", "a\r\nb: c")
		x.Response.Fields.Add("X-Nul", "\x00")
		return nil
	})
	if want := map[string]string{":status": "200", "content-length": "0", "x-kept": "Yes"}; fmt.Sprint(a.heads) != fmt.Sprint([]map[string]string{want}) {
		t.Errorf("fields: got %v, want %v", a.heads, want)
	}
	a = f("trailers", "GET", "200 -; text; -", func(x *edge.Exchange) error {
		x.Respond(200, text(), -1)
		x.Response.Trailers.Add("X-Sum", "42")
		return nil
	})
	if a.trailers["x-sum"] != "42" {
		t.Errorf("trailers: got %v, want x-sum: 42", a.trailers)
	}
	a = f("trailers that may not be sent", "GET", "200 -; text; -", func(x *edge.Exchange) error {
		x.Respond(200, text(), -1)
		x.Response.Trailers.Add("Host", "a")
		return nil
	})
	if a.trailers != nil {
		t.Errorf("trailers: got %v, want none", a.trailers)
	}
	a = f("a head of 40 KiB", "GET", "200 0; ; -", func(x *edge.Exchange) error {
		x.Respond(200, nil, 0)
		x.Response.Fields.Add("X-Large", strings.Repeat("\"", 40<<10))
		return nil
	})
	if got := len(a.heads[0]["x-large"]); got != 40<<10 {
		t.Errorf("a large head: %d bytes, want %d", got, 40<<10)
	}
	a = f("interim responses", "GET", "200 2; ok; -", func(x *edge.Exchange) error {
		var f edge.Fields
		f.Add("Link", "</a.css>")
		if err := x.Inform(103, &f); err != nil {
			t.Error(err)
		}
		for _, status := range []int{100, 101, 200} {
			if err := x.Inform(status, nil); err == nil {
				t.Errorf("Inform(%d) succeeds", status)
			}
		}
		return ok(x)
	})
	if len(a.heads) != 2 || a.heads[0][":status"] != "103" || a.heads[0]["link"] != "</a.css>" {
		t.Errorf("interim response: got %v", a.heads)
	}
}

type panics struct{}

func (panics) Read([]byte) (int, error) { panic("oops") }
func (panics) Close() error             { return nil }

// A panic in an ender costs its stream, and nothing else.
func TestEnderPanics(t *testing.T) {
	s := serve(func(x *edge.Exchange) error {
		x.OnEnd(enderFunc(func() { panic("oops") }))
		return ok(x)
	}, Config{})
	p := dial(t, listen(t, s))
	p.alive(1)
	p.alive(3)
	eventually(t, "no stream is left", func() bool { return s.Stats().Active == 0 })
}

type enderFunc func()

func (f enderFunc) End(*edge.Exchange) { f() }

// Content that is at hand when the head is served is found by edge.Bytes, and so
// leaves in one write with the head; content with trailers is not, or they would
// be lost.
func TestContentAtHand(t *testing.T) {
	var got string
	s := serve(func(x *edge.Exchange) error {
		got = string(edge.Bytes(x.Request.Body))
		return ok(x)
	}, Config{})
	addr := listen(t, s)
	f := func(want string, frames func(fr *http2.Framer, p *peer)) {
		t.Helper()
		p := dial(t, addr)
		var b bytes.Buffer // all in one write
		frames(http2.NewFramer(&b, nil), p)
		p.c.Write(b.Bytes())
		if a := p.answer(1); a.status() != "200" || got != want {
			t.Errorf("status %q, content %q, want 200 and %q", a.status(), got, want)
		}
	}
	head := func(fr *http2.Framer, p *peer) {
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(post...), EndHeaders: true})
	}
	f("hello", func(fr *http2.Framer, p *peer) {
		head(fr, p)
		fr.WriteData(1, false, []byte("hel"))
		fr.WriteDataPadded(1, true, []byte("lo"), make([]byte, 7))
	})
	f("", func(fr *http2.Framer, p *peer) {
		head(fr, p)
		fr.WriteData(1, false, []byte("hello"))
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block("x: y"), EndHeaders: true, EndStream: true})
	})
	f("", func(fr *http2.Framer, p *peer) {
		head(fr, p)
		fr.WriteData(1, false, []byte("hello")) // and more to come
	})
}

// Content and trailers both ways, the record, the poison pass at work.
func TestEcho(t *testing.T) {
	rec := record{make(chan edge.Record, 1)}
	s := NewServer(edge.Chain(edge.HandlerFunc(echo), rec), Config{}, nil)
	s.tick = time.Hour
	p := dial(t, listen(t, s))
	p.request(1, false, with(post, "content-length: 6", "trailer: x-sum")...)
	for _, part := range []string{"ab", "cd"} { // ping-pong: each comes back before the next
		p.check(p.fr.WriteData(1, false, []byte(part)))
		for {
			if f, isData := p.frame().(*http2.DataFrame); isData {
				if got := string(f.Data()); got != part {
					t.Fatalf("echo %q, want %q", got, part)
				}
				break
			}
		}
	}
	p.check(p.fr.WriteData(1, false, []byte("ef")))
	p.check(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block("x-sum: 42"), EndHeaders: true, EndStream: true}))
	if a := p.answer(1); string(a.content) != "ef" || a.trailers["x-sum"] != "42" || a.resetSet {
		t.Errorf("the rest: %+v", a)
	}
	if r := <-rec.done; r.Received != 6 || r.Sent != 6 || r.Err != nil {
		t.Errorf("record: %d bytes received, %d sent, %v, want 6, 6, nil", r.Received, r.Sent, r.Err)
	}
}

// Expect: 100-continue is answered when the handler waits for content, and only
// then.
func TestExpect(t *testing.T) {
	s := serve(func(x *edge.Exchange) error {
		if x.Request.Fields.Has("expect") {
			t.Error("Expect is forwarded")
		}
		if x.Request.Path == "/early" {
			x.Respond(413, nil, 0)
			return nil
		}
		return echo(x)
	}, Config{})
	p := dial(t, listen(t, s))
	p.request(1, false, with(post, "expect: 100-continue")...)
	seen := ""
	for i := 0; ; {
		f := p.frame()
		if h, isHead := f.(*http2.HeadersFrame); isHead {
			seen += p.fieldsOf(h)[":status"] + " "
			// The head of the echo leaves before its content is read: 100 is owed no more.
			if i++; i == 1 {
				break
			}
		}
	}
	if seen != "200 " {
		t.Errorf("an echo's heads: %q, want 200", seen)
	}
	p.check(p.fr.WriteData(1, true, []byte("x")))
	p.answer(1)

	p.request(3, false, with(with(post[:3], ":path: /early"), "expect: 100-continue")...)
	if a := p.answer(3); len(a.heads) != 1 || a.status() != "413" {
		t.Errorf("an early answer: %v, want 413 alone", a.heads)
	}

	s2 := serve(func(x *edge.Exchange) error {
		b, err := io.ReadAll(x.Request.Body)
		if err != nil {
			return err
		}
		x.Respond(200, edge.Content(b), int64(len(b)))
		return nil
	}, Config{})
	p = dial(t, listen(t, s2))
	p.request(1, false, with(post, "expect: 100-Continue")...)
	for {
		if h, isHead := p.frame().(*http2.HeadersFrame); isHead {
			if got := p.fieldsOf(h)[":status"]; got != "100" {
				t.Errorf("first head: %s, want 100", got)
			}
			break
		}
	}
	p.check(p.fr.WriteData(1, true, []byte("x")))
	if a := p.answer(1); len(a.heads) != 1 || a.status() != "200" || string(a.content) != "x" {
		t.Errorf("answer: %+v, want 200 once", a)
	}
}

// An early answer leaves whole, and then the client is asked to stop.
func TestEarlyAnswer(t *testing.T) {
	p := dial(t, listen(t, serve(func(x *edge.Exchange) error {
		if x.Request.Method == "GET" {
			return ok(x)
		}
		x.Respond(413, edge.Content([]byte("too large")), 9)
		return nil
	}, Config{StreamWindow: 64 << 10})))
	p.request(1, false, post...)
	if a := p.answer(1); a.status() != "413" || string(a.content) != "too large" || a.resetSet {
		t.Fatalf("early answer: %+v", a)
	}
	p.check(p.fr.WriteData(1, false, make([]byte, 1000)))
	if a := p.answer(1); !a.resetSet || a.reset != http2.ErrCodeNo {
		t.Errorf("%+v, want RST_STREAM with NO_ERROR", a)
	}
	p.check(p.fr.WriteData(1, false, make([]byte, 1000))) // it was on its way
	p.check(p.fr.WriteData(1, true, nil))
	p.alive(3)
	// The connection's window is given back for content that nobody reads.
	for id := uint32(5); id < 105; id += 2 {
		p.request(id, false, post...)
		p.answer(id)
		for range 4 {
			p.check(p.fr.WriteData(id, false, make([]byte, 16<<10)))
		}
		p.check(p.fr.WriteRSTStream(id, http2.ErrCodeCancel))
	}
	p.alive(105)
}

// The client leaves: the exchange is cancelled, and says so.
func TestClientLeaves(t *testing.T) {
	for name, leave := range map[string]func(p *peer){
		"reset": func(p *peer) { p.check(p.fr.WriteRSTStream(1, http2.ErrCodeCancel)) },
		"close": func(p *peer) { p.c.Close() },
	} {
		rec := record{make(chan edge.Record, 1)}
		s := NewServer(edge.Chain(edge.HandlerFunc(hang), rec), Config{}, nil)
		s.tick = time.Hour
		p := dial(t, listen(t, s))
		p.request(1, false, post...)
		eventually(t, "the request is served", func() bool { return s.Stats().Active == 1 })
		leave(p)
		r := <-rec.done
		if e := edge.AsError(r.Err); e.Kind != edge.ClientGone || r.Why != "client-gone" {
			t.Errorf("%s: recorded %v, %q, want ClientGone", name, r.Err, r.Why)
		}
	}
}
