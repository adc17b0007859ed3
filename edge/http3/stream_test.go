package http3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	quichttp3 "github.com/quic-go/quic-go/http3"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http3"
)

// echo answers with the request's content, as it comes, and its trailers.
func echo(x *edge.Exchange) error {
	x.Respond(200, &echoing{x}, x.Request.Length)
	return nil
}

type echoing struct{ x *edge.Exchange }

func (e *echoing) Close() error { return e.x.Request.Body.Close() }

func (e *echoing) Read(p []byte) (int, error) {
	n, err := e.x.Request.Body.Read(p)
	if err == io.EOF {
		for name, value := range e.x.Request.Trailers.All() {
			e.x.Response.Trailers.Add("Echo-"+name, value)
		}
	}
	return n, err
}

// Every piece comes back before the next is sent.
func TestPingPong(t *testing.T) {
	over := make(ended, 1)
	p := start(t, http3.Config{}, func(x *edge.Exchange) error { x.OnEnd(over); return echo(x) })
	r, w := io.Pipe()
	req, _ := http.NewRequest("POST", p.url("/"), r)
	req.Trailer = http.Header{"X-Sum": nil}
	res, err := p.client.Do(req) // returns although nothing of the content has been sent
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b := make([]byte, 100)
	for i := range 100 {
		piece := fmt.Sprintf("piece %d", i)
		io.WriteString(w, piece)
		n, err := io.ReadFull(res.Body, b[:len(piece)])
		if got := string(b[:n]); got != piece || err != nil {
			t.Fatalf("got %q, %v, want %q", got, err, piece)
		}
	}
	req.Trailer.Set("X-Sum", "42")
	w.Close()
	if rest, err := io.ReadAll(res.Body); len(rest) != 0 || err != nil {
		t.Errorf("got %q, %v at the end", rest, err)
	}
	if got := res.Trailer.Get("Echo-X-Sum"); got != "42" {
		t.Errorf("got trailers %v", res.Trailer)
	}
	if rec := <-over; rec.Received != 790 || rec.Sent != 790 || rec.Err != nil {
		t.Errorf("received %d, sent %d, %v, want 790 of each", rec.Received, rec.Sent, rec.Err)
	}
}

// Much more than the windows.
func TestLarge(t *testing.T) {
	over := make(ended, 1)
	p := start(t, http3.Config{StreamWindow: 64 << 10, ConnectionWindow: 128 << 10}, func(x *edge.Exchange) error { x.OnEnd(over); return echo(x) })
	content := make([]byte, 5<<20)
	rand.NewChaCha8([32]byte{}).Read(content)
	res, err := p.client.Post(p.url("/"), "", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	h := sha256.New()
	if n, err := io.Copy(h, res.Body); n != int64(len(content)) || err != nil {
		t.Errorf("got %d bytes, %v, want %d", n, err, len(content))
	}
	if want := sha256.Sum256(content); !bytes.Equal(h.Sum(nil), want[:]) {
		t.Error("the content has changed")
	}
	if res.ContentLength != int64(len(content)) {
		t.Errorf("Content-Length is %d", res.ContentLength)
	}
	if rec := <-over; rec.Received != int64(len(content)) || rec.Sent != int64(len(content)) {
		t.Errorf("received %d, sent %d", rec.Received, rec.Sent)
	}
}

func TestLargeAtHand(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	over := make(ended, 1)
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		x.OnEnd(over)
		x.Respond(200, edge.Content(content), int64(len(content)))
		return nil
	})
	if status, got := p.get(t, "/"); status != 200 || got != string(content) {
		t.Errorf("got %d and %d bytes", status, len(got))
	}
	if rec := <-over; rec.Sent != int64(len(content)) {
		t.Errorf("sent %d", rec.Sent)
	}
}

// endless is content without end; each Read gives something.
type endless struct{}

func (endless) Close() error { return nil }
func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A final response while the request is still being sent. The connection lives
// on.
func TestEarlyAnswer(t *testing.T) {
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		switch x.Request.Path {
		case "/closes": // as a transport does at its end
			x.Request.Body.Close()
			x.Request.Body.Close()
			if _, err := x.Request.Body.Read(make([]byte, 10)); err == nil {
				t.Error("a closed body can be read")
			}
		case "/reads":
			io.CopyN(io.Discard, x.Request.Body, 100_000)
		}
		return text(x, 413, "too large")
	})
	for _, path := range []string{"/", "/closes", "/reads"} {
		res, err := p.client.Post(p.url(path), "", io.NopCloser(endless{}))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 413 || string(b) != "too large" || err != nil {
			t.Errorf("%s: got %d, %q, %v", path, res.StatusCode, b, err)
		}
	}
	if n := p.Stats().Connections; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// Close ends a Read that waits, from another goroutine.
func TestCloseEndsRead(t *testing.T) {
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		b := make([]byte, 10)
		x.Request.Body.Read(b) // the first byte is there
		var wg sync.WaitGroup
		wg.Go(func() { x.Request.Body.Close() })
		for {
			if n, err := x.Request.Body.Read(b); err != nil {
				wg.Wait()
				return text(x, 200, fmt.Sprint(n, err))
			}
		}
	})
	c := p.dial(t)
	s := p.open(t, c)
	s.request("POST", "/")
	s.frame(0, []byte("x"))
	s.head()
	if _, b, err := s.next(); string(b) != "0 read of a closed body" {
		t.Errorf("got %q, %v", b, err)
	}
	// RFC 9114, section 4.1: STOP_SENDING says that there is no error.
	<-s.Context().Done()
	if cause := new(quic.StreamError); !errors.As(context.Cause(s.Context()), &cause) || cause.ErrorCode != 0x100 {
		t.Errorf("the client's stream ended with %v", context.Cause(s.Context()))
	}
}

// aborted waits until the exchange is cancelled, as a transport that waits for
// its origin does.
type aborted chan struct{}

func (a aborted) Abort() { close(a) }

func TestClientLeaves(t *testing.T) {
	over := make(ended, 1)
	serving := make(chan struct{}, 1)
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		x.OnEnd(over)
		a := make(aborted)
		x.OnCancel(a)
		defer x.OffCancel(a)
		serving <- struct{}{}
		<-a
		return x.Cancelled()
	})
	check := func(how string) {
		t.Helper()
		rec := <-over
		if e := edge.AsError(rec.Err); e.Kind != edge.ClientGone || rec.Why != "client-gone" {
			t.Errorf("%s: got %v, %s", how, rec.Err, rec.Why)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", p.url("/"), nil)
	failed := make(chan error)
	go func() {
		res, err := p.client.Do(r)
		if err == nil {
			res.Body.Close()
		}
		failed <- err
	}()
	<-serving
	cancel()
	if err := <-failed; err == nil {
		t.Error("a request that was cancelled has an answer")
	}
	check("cancelled")

	c := p.dial(t)
	p.open(t, c).request("GET", "/", "content-length", "0")
	<-serving
	c.CloseWithError(0x100, "")
	check("connection closed")
}

// The client leaves while it sends, and while it receives.
func TestClientLeavesHalfway(t *testing.T) {
	over := make(ended, 1)
	begun := make(chan struct{}, 1)
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		x.OnEnd(over)
		if x.Request.Path == "/receive" {
			x.Respond(200, endless{}, -1)
			return nil
		}
		b := make([]byte, 10)
		x.Request.Body.Read(b)
		begun <- struct{}{}
		for {
			if _, err := x.Request.Body.Read(b); err != nil {
				return err
			}
		}
	})
	c := p.dial(t)
	check := func() {
		t.Helper()
		if rec := <-over; edge.AsError(rec.Err).Kind != edge.ClientGone {
			t.Errorf("got %v", rec.Err)
		}
	}
	s := p.open(t, c)
	s.request("POST", "/send")
	s.frame(0, []byte("x"))
	<-begun
	s.CancelWrite(0x10c)
	check()

	s = p.open(t, c)
	s.request("GET", "/receive", "content-length", "0")
	s.head()
	s.CancelRead(0x10c)
	check()
}

// What is not whole must not look so.
func TestBodyFails(t *testing.T) {
	over := make(ended, 1)
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		x.OnEnd(over)
		b := &failing{data: "some", err: errors.New("the origin has left")}
		switch x.Request.Path {
		case "/error":
			x.Respond(200, b, -1)
		case "/error-length":
			x.Respond(200, b, 100)
		case "/short":
			b.err = io.EOF
			x.Respond(200, b, 100)
		case "/long":
			b.err = io.EOF
			x.Respond(200, b, 3)
		case "/panic":
			b.err = nil
			x.Respond(200, b, -1)
		case "/trailers":
			b.err = io.EOF
			x.Respond(200, b, -1)
			x.Response.Trailers.Add("a", "1\n2")
		}
		return nil
	})
	for _, path := range []string{"/error", "/error-length", "/short", "/long", "/panic", "/trailers"} {
		res, err := p.client.Get(p.url(path))
		if err != nil { // the reset may overtake the head
			if h3 := new(quichttp3.Error); !errors.As(err, &h3) {
				t.Errorf("%s: %v", path, err)
			}
		} else {
			b, err := io.ReadAll(res.Body)
			res.Body.Close()
			if h3 := new(quichttp3.Error); !errors.As(err, &h3) || h3.ErrorCode != quichttp3.ErrCodeInternalError || len(b) > 4 {
				t.Errorf("%s: got %q, %v", path, b, err)
			}
		}
		if rec := <-over; rec.Err == nil || rec.Why == "" {
			t.Errorf("%s: the record has no error", path)
		}
	}
}

// failing is a body that gives data, and then err, or panics.
type failing struct {
	data   string
	err    error
	closed bool
}

func (f *failing) Close() error { f.closed = true; return nil }

func (f *failing) Read(p []byte) (int, error) {
	if f.data != "" {
		n := copy(p, f.data)
		f.data = f.data[n:]
		return n, nil
	}
	if f.err == nil {
		panic("in a body")
	}
	return 0, f.err
}

// The body that a handler leaves is closed, whatever happens.
func TestBodyIsClosed(t *testing.T) {
	bodies := make(chan *failing, 1)
	over := make(ended, 1)
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		x.OnEnd(over)
		b := &failing{data: "x", err: io.EOF}
		bodies <- b
		x.Respond(200, b, -1)
		return nil
	})
	for _, method := range []string{"GET", "HEAD"} {
		r, _ := http.NewRequest(method, p.url("/"), nil)
		res, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		b := <-bodies
		<-over
		if !b.closed {
			t.Errorf("%s: the body was not closed", method)
		}
	}
}

func TestStalled(t *testing.T) {
	over := make(ended, 1)
	p := start(t, http3.Config{Stalled: 50 * time.Millisecond}, func(x *edge.Exchange) error {
		x.OnEnd(over)
		if x.Request.Method == "GET" {
			x.Respond(200, endless{}, -1)
			return nil
		}
		_, err := io.Copy(io.Discard, x.Request.Body)
		return err
	})
	c := p.dial(t)
	// A client that sends nothing more.
	s := p.open(t, c)
	s.request("POST", "/")
	s.frame(0, []byte("x"))
	if got := s.head(); !strings.HasPrefix(got, ":status: 408\n") {
		t.Errorf("got %q", got)
	}
	<-over
	// One that never says whether there is content.
	s = p.open(t, c)
	s.request("GET", "/")
	if got := s.head(); !strings.HasPrefix(got, ":status: 408\n") {
		t.Errorf("got %q", got)
	}
	// One that takes nothing.
	s = p.open(t, c)
	s.request("GET", "/", "content-length", "0")
	if rec := <-over; edge.AsError(rec.Err).Kind != edge.ClientGone || !strings.Contains(rec.Err.Error(), "taken nothing") {
		t.Errorf("got %v", rec.Err)
	}
}
