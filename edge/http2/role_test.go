package http2

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

// A handler that waits without having called Block is found by the watch, and the
// role goes to another goroutine.
func TestForgottenBlock(t *testing.T) {
	release := make(chan struct{})
	s := NewServer(edge.HandlerFunc(func(x *edge.Exchange) error {
		if x.Request.Path == "/wait" {
			<-release
		}
		return ok(x)
	}), Config{}, nil)
	p := dial(t, listen(t, s))
	p.request(1, true, with(get[:3], ":path: /wait")...)
	p.alive(3)
	close(release)
	if got := p.answer(1).status(); got != "200" {
		t.Errorf("status of the one that waited = %q, want 200", got)
	}
}

// With Block no watch is needed, and what other streams have left in the buffer
// is sent.
func TestBlock(t *testing.T) {
	release := make(chan struct{})
	s := serve(func(x *edge.Exchange) error {
		if x.Request.Path == "/wait" {
			x.Block()
			<-release
		}
		return ok(x)
	}, Config{})
	p := dial(t, listen(t, s))
	var b bytes.Buffer // in one write: the first is answered while the second is at hand
	fr := http2.NewFramer(&b, nil)
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(get...), EndHeaders: true, EndStream: true})
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: p.block(with(get[:3], ":path: /wait")...), EndHeaders: true, EndStream: true})
	p.c.Write(b.Bytes())
	if got := p.answer(1).status(); got != "200" {
		t.Errorf("status of the first = %q, want 200", got)
	}
	p.alive(5)
	close(release)
	if got := p.answer(3).status(); got != "200" {
		t.Errorf("status of the second = %q, want 200", got)
	}
}

// A head leaves before the first byte of its content, also when the role has been
// given away long before: server-sent events.
func TestHeadBeforeContent(t *testing.T) {
	more, gate := make(chan struct{}), make(chan struct{})
	p := dial(t, listen(t, serve(func(x *edge.Exchange) error {
		if x.Request.Path == "/ok" {
			x.Respond(204, nil, 0) // without content, for which the client would send frames
			return nil
		}
		x.Block() // as a transport does before it reads the response
		<-gate
		x.Respond(200, &pieces{x: x, list: []string{"event"}, wait: more}, -1)
		return nil
	}, Config{})))
	p.request(1, true, get...)
	p.request(3, true, with(get[:3], ":path: /ok")...)
	p.answer(3) // the new holder of the role has flushed, and waits for frames
	close(gate)
	for {
		if f, isHead := p.frame().(*http2.HeadersFrame); isHead && f.StreamID == 1 {
			break
		}
	}
	more <- struct{}{}
	for {
		if f, isData := p.frame().(*http2.DataFrame); isData {
			if got := string(f.Data()); got != "event" {
				t.Errorf("content %q, want %q", got, "event")
			}
			break
		}
	}
	close(more)
}

// A flush that is stuck, since the client does not read, does not keep the
// connection from being read: the client may be waiting for just that. Here it
// sends a request's content before it reads anything.
func TestStuckFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 1)
		s := NewServer(edge.HandlerFunc(func(x *edge.Exchange) error {
			if x.Request.Method == "POST" {
				x.Block()
				b, err := io.ReadAll(x.Request.Body)
				got <- string(b)
				if err != nil {
					return err
				}
			}
			return ok(x)
		}), Config{}, nil)
		c, served := pipe(s) // no buffers: every write waits for its reader
		p := attach(t, c)
		p.greet()
		p.request(1, true, get...) // the answer is stuck in the pipe
		p.request(3, false, post...)
		p.check(p.fr.WriteData(3, true, []byte("content")))
		if b := <-got; b != "content" {
			t.Errorf("content %q, want %q", b, "content")
		}
		for range 2 { // now it reads
			for {
				if f, isData := p.frame().(*http2.DataFrame); isData && f.StreamEnded() {
					break
				}
			}
		}
		c.Close()
		<-served
		s.Close()
	})
}

// What the watch ends, in fake time.
func TestTimeouts(t *testing.T) {
	cfg := Config{Preface: 10 * time.Second, Idle: time.Minute, Stalled: 30 * time.Second}
	// f runs a client, and wants the connection to end after about the given time.
	f := func(name string, want time.Duration, h edge.HandlerFunc, client func(p *peer)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewServer(h, cfg, nil)
				c, served := pipe(s)
				start := time.Now()
				client(attach(t, c))
				<-served
				took := time.Since(start)
				if took < want || took > want+4*time.Second {
					t.Errorf("ended after %v, want %v", took, want)
				}
				c.Close()
				s.Close()
			})
		})
	}
	drain := func(p *peer) {
		for {
			if _, err := p.fr.ReadFrame(); err != nil {
				return
			}
		}
	}
	f("no preface", 10*time.Second, ok, func(p *peer) {})
	f("half a preface", 10*time.Second, ok, func(p *peer) { io.WriteString(p.c, http2.ClientPreface[:9]) })
	f("no settings", 10*time.Second, ok, func(p *peer) {
		io.WriteString(p.c, http2.ClientPreface)
		drain(p)
	})
	f("idle", time.Minute, ok, func(p *peer) {
		p.greet()
		if f := p.goAway(); f.ErrCode != http2.ErrCodeNo {
			p.t.Errorf("GOAWAY %v, want NO_ERROR", f)
		}
		drain(p)
	})
	f("idle after a request", 50*time.Second+time.Minute, ok, func(p *peer) {
		p.greet()
		pass(50 * time.Second)
		p.alive(1)
		drain(p)
	})
	f("does not read", 30*time.Second, ok, func(p *peer) {
		p.greet()
		p.request(1, true, get...)
	})
	large := func(x *edge.Exchange) error {
		if x.Request.Path == "/" {
			x.Respond(200, edge.Content(make([]byte, 100<<10)), 100<<10)
			return nil
		}
		return ok(x)
	}
	f("does not open a window", 30*time.Second, large, func(p *peer) {
		p.greet()
		p.request(1, true, get...)
		for {
			if f, isReset := p.frame().(*http2.RSTStreamFrame); isReset {
				if f.ErrCode != http2.ErrCodeCancel {
					p.t.Errorf("reset with %v, want CANCEL", f.ErrCode)
				}
				break
			}
		}
		p.request(3, true, with(get[:3], ":path: /ok")...) // it is only that stream
		for {
			if f, isHead := p.frame().(*http2.HeadersFrame); isHead && f.StreamID == 3 {
				break
			}
		}
		p.c.Close()
	})
	upload := func(x *edge.Exchange) error {
		b, err := io.ReadAll(x.Request.Body)
		if err != nil {
			return err
		}
		x.Respond(200, edge.Content(b), int64(len(b)))
		return nil
	}
	f("does not send its content", 30*time.Second, upload, func(p *peer) {
		p.greet()
		p.request(1, false, post...)
		if got := p.answer(1).status(); got != "408" {
			p.t.Errorf("status %q, want 408", got)
		}
		p.c.Close()
	})
	f("sends slowly", 5*25*time.Second, upload, func(p *peer) {
		p.greet()
		p.request(1, false, post...)
		for range 5 {
			pass(25 * time.Second)
			p.check(p.fr.WriteData(1, false, []byte("x")))
		}
		p.check(p.fr.WriteData(1, true, nil))
		if a := p.answer(1); a.status() != "200" || string(a.content) != "xxxxx" {
			p.t.Errorf("answer %+v, want 200", a)
		}
		p.c.Close()
	})
	f("reads slowly", 6*25*time.Second, large, func(p *peer) {
		p.greet()
		p.request(1, true, get...)
		for n := 0; n < 100<<10; {
			if f, isData := p.frame().(*http2.DataFrame); isData {
				if n += len(f.Data()); n == 65535 {
					for range 6 {
						pass(25 * time.Second)
						p.check(p.fr.WriteWindowUpdate(0, 100))
						p.check(p.fr.WriteWindowUpdate(1, 100))
						n += len(p.frame().(*http2.DataFrame).Data())
					}
					break
				}
			}
		}
		p.c.Close()
	})
	// A stream on which both sides are silent is not ended: it may be a chat.
	quiet := func(x *edge.Exchange) error {
		x.Respond(200, &echoed{x.Request.Body, x}, -1)
		return nil
	}
	f("chats rarely", time.Hour, quiet, func(p *peer) {
		p.greet()
		p.request(1, false, post...)
		p.frame()
		pass(time.Hour)
		p.check(p.fr.WriteData(1, true, []byte("x")))
		if a := p.answer(1); string(a.content) != "x" {
			p.t.Errorf("answer %+v, want x", a)
		}
		p.c.Close()
	})
}

// A PING that is not answered holds a drain up for no more than a second.
func TestDrainOfAClientThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(edge.HandlerFunc(ok), Config{}, nil)
		c, served := pipe(s)
		p := attach(t, c)
		p.greet()
		s.Drain()
		if got := p.goAway(); got.LastStreamID != maxStreamID {
			t.Errorf("first GOAWAY %v", got)
		}
		if got := p.goAway(); got.LastStreamID != 0 {
			t.Errorf("second GOAWAY %v", got)
		}
		<-served
		c.Close()
		s.Close()
	})
}

// The watch stops looking at a connection that is quiet, and starts again.
func TestQuietConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(edge.HandlerFunc(func(x *edge.Exchange) error {
			if x.Request.Path == "/sleep" {
				pass(time.Second) // without Block
			}
			return ok(x)
		}), Config{}, nil)
		c, served := pipe(s)
		p := attach(t, c)
		p.greet()
		pass(10 * time.Second)
		s.mu.Lock()
		if len(s.hot) != 0 {
			t.Errorf("%d connections are watched, want none", len(s.hot))
		}
		s.mu.Unlock()
		start := time.Now()
		p.request(1, true, with(get[:3], ":path: /sleep")...)
		p.alive(3)
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("the other stream was held up for %v", took)
		}
		if got := p.answer(1).status(); got != "200" {
			t.Errorf("status %q, want 200", got)
		}
		c.Close()
		<-served
		s.Close()
	})
}

// Fields of a response alias the exchange's memory, which the next one
// overwrites; the compression table outlives both.
// With strings that it does not own, a response would carry another one's value.
func TestTableKeepsCopies(t *testing.T) {
	s := serve(func(x *edge.Exchange) error {
		x.Respond(200, nil, 0)
		b := append(x.Buffer()[:0], x.Request.Path...) // poisoned at the end
		x.Response.Fields.Add("X-Path", x.Concat(string(b)))
		x.Response.Fields.Add("X-Same", x.Concat("sa", "me"))
		x.Response.Fields.Add("X-Request", x.Request.Fields.Get("x-request"))
		return nil
	}, Config{})
	p := dial(t, listen(t, s))
	for i := range 500 {
		path := "/" + strings.Repeat("x", i%50)
		id := uint32(2*i + 1)
		p.request(id, true, with(get[:3], ":path: "+path, "x-request: "+path)...)
		a := p.answer(id)
		if h := a.heads[0]; h["x-path"] != path || h["x-same"] != "same" || h["x-request"] != path {
			t.Fatalf("request %d for %s: %v", i, path, h)
		}
	}
}

// pass lets d pass, in a bubble's fake time.
func pass(d time.Duration) { <-time.After(d) }
