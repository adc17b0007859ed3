package http1_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// waitFor waits for something to come from c.
func waitFor[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("never happened: ", what)
	}
	return v
}

// A client that leaves, before the response and in the midst of it, cancels the
// upstream request.
func TestClientLeaves(t *testing.T) {
	came, left := make(chan struct{}, 1), make(chan struct{}, 1)
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			io.WriteString(w, "first")
			w.(http.Flusher).Flush()
		}
		came <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})
	rec := make(records, 1)
	tr := transport(t, o)
	addr := proxy(t, edge.Chain(tr, rec, through))
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /unread HTTP/1.1\r\nHost: x\r\n\r\n", // bytes that nobody has read hide the end
	} {
		c := dial(t, addr)
		c.say(request)
		if request[5] == 's' {
			io.ReadFull(c.head("GET").Body, make([]byte, 5))
		}
		waitFor(t, "the origin is asked", came)
		c.Close()
		waitFor(t, "the origin is told", left)
		if r := rec.wait(t); edge.AsError(r.err).Kind != edge.ClientGone || r.why != "client-gone" {
			t.Errorf("%q: recorded %q, %v", request, r.why, r.err)
		}
		if tr.Idle() != 0 {
			t.Error("the connection is kept")
		}
	}
}

// A client that has closed its sending side has left, unless a setting says
// otherwise.
func TestHalfClose(t *testing.T) {
	for _, half := range []bool{false, true} {
		gone := make(chan struct{})
		answer := make(chan struct{})
		h := edge.HandlerFunc(func(x *edge.Exchange) error {
			select {
			case <-x.Context().Done():
				close(gone)
				return x.Cancelled()
			case <-answer:
			}
			x.Respond(200, edge.Content([]byte("ok")), 2)
			return nil
		})
		cfg := quick
		cfg.HalfClose = half
		_, addr := serve(t, h, cfg)
		c := dial(t, addr)
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.closeWrite()
		if !half {
			waitFor(t, "the exchange is cancelled", gone)
			if rest := c.closed(); rest != "" {
				t.Errorf("got %q", rest)
			}
			continue
		}
		select {
		case <-gone:
			t.Error("cancelled")
		case answer <- struct{}{}:
		}
		if _, b := c.whole(); b != "ok" {
			t.Error(b)
		}
	}
}

// A client that breaks off its upload: the origin must not take it for whole,
// and the pump's error is the one that is reported.
func TestUploadBreaksOff(t *testing.T) {
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		some, got := make(chan struct{}), make(chan error, 1)
		o := origin(t, func(w http.ResponseWriter, r *http.Request) {
			io.ReadFull(r.Body, make([]byte, 4))
			close(some)
			_, err := io.Copy(io.Discard, r.Body)
			got <- err
		})
		rec := make(records, 1)
		c := dial(t, proxy(t, edge.Chain(transport(t, o), rec, through)))
		c.say(request)
		waitFor(t, "the origin reads", some)
		c.Close()
		if err := waitFor(t, "the origin's read ends", got); err == nil {
			t.Error("the origin took a part for the whole")
		}
		if r := rec.wait(t); edge.AsError(r.err).Kind != edge.RequestError || !errors.Is(r.err, io.ErrUnexpectedEOF) || r.received != 4 {
			t.Errorf("recorded %+v", r)
		}
	}
}

// A client that goes away for good while it is sent a lot: the exchange ends, and
// says so.
func TestClientResets(t *testing.T) {
	rec := make(records, 1)
	addr := proxy(t, edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, endless{}, -1)
		return nil
	}), rec))
	c := dial(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.head("GET")
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	if r := rec.wait(t); r.why != "client-gone" {
		t.Errorf("recorded %q, %v", r.why, r.err)
	}
}

type endless struct{ zeros }

func (endless) Close() error { return nil }

// A client whose upload turns out to be malformed, and which stays: the origin
// must not wait for the rest.
func TestUploadBreaks(t *testing.T) {
	got := make(chan error, 1)
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	})
	rec := make(records, 1)
	c := dial(t, proxy(t, edge.Chain(transport(t, o), rec, through)))
	c.say("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nno size\r\n")
	if err := waitFor(t, "the origin's read ends", got); err == nil {
		t.Error("the origin took a part for the whole")
	}
	if res, _ := c.whole(); res.StatusCode != 400 || !res.Close {
		t.Error(res)
	}
	if r := rec.wait(t); edge.AsError(r.err).Kind != edge.RequestError {
		t.Errorf("recorded %+v", r)
	}
}
