package http1_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// bubble runs test with a connection to a server whose clock is the bubble's.
func bubble(t *testing.T, h edge.Handler, cfg http1.Config, test func(t *testing.T, c net.Conn, s *http1.Server)) {
	synctest.Test(t, func(t *testing.T) {
		s := http1.NewServer(h, cfg, discard)
		a, b := net.Pipe()
		done := make(chan struct{})
		go func() {
			s.ServeConn(a, edge.Client{})
			close(done)
		}()
		test(t, b, s)
		b.Close()
		<-done
		s.Close()
		time.Sleep(2 * time.Second) // the bubble's: the sweep sees that it has nothing to do
	})
}

// within fails if what happened since start took other than about want.
func within(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); got < want || got > want+want/2+time.Second {
		t.Errorf("took %v, want about %v", got, want)
	}
}

func TestIdleTime(t *testing.T) {
	for _, idle := range []time.Duration{0, 5 * time.Second} {
		want := idle
		if want == 0 {
			want = 2 * time.Minute
		}
		bubble(t, fixed(200, "ok"), http1.Config{Idle: idle}, func(t *testing.T, c net.Conn, _ *http1.Server) {
			r := bufio.NewReader(c)
			for range 2 {
				time.Sleep(want - time.Second)
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, res.Body)
			}
			start := time.Now()
			if b, err := io.ReadAll(r); len(b) != 0 || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
			within(t, start, want)
		})
	}
}

// A head that comes too slowly is answered with 408, however lively it drips.
func TestHeadTime(t *testing.T) {
	for _, head := range []time.Duration{0, 3 * time.Second} {
		want := head
		if want == 0 {
			want = 30 * time.Second
		}
		bubble(t, fixed(200, "ok"), http1.Config{Head: head}, func(t *testing.T, c net.Conn, _ *http1.Server) {
			start := time.Now()
			go func() {
				for _, err := io.WriteString(c, "GET / HTTP/1.1\r\nX: "); err == nil; _, err = io.WriteString(c, "x") {
					time.Sleep(100 * time.Millisecond)
				}
			}()
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != 408 || !res.Close {
				t.Errorf("got %v, %v", res, err)
			}
			within(t, start, want)
		})
	}
}

// Content that does not come is a 408; content that comes slowly is none.
func TestStalledContent(t *testing.T) {
	read := edge.HandlerFunc(func(x *edge.Exchange) error {
		b, err := io.ReadAll(x.Request.Body)
		if err != nil {
			return err
		}
		x.Respond(200, edge.Content(b), int64(len(b)))
		return nil
	})
	for _, stalled := range []time.Duration{0, 4 * time.Second} {
		want := stalled
		if want == 0 {
			want = 30 * time.Second
		}
		bubble(t, read, http1.Config{Stalled: stalled}, func(t *testing.T, c net.Conn, _ *http1.Server) {
			r := bufio.NewReader(c)
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
			for range 10 {
				time.Sleep(want - time.Second)
				io.WriteString(c, "x")
			}
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("slow content: got %v, %v", res, err)
			}
			io.Copy(io.Discard, res.Body)

			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
			start := time.Now()
			res, err = http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != 408 || !res.Close {
				t.Errorf("stalled content: got %v, %v", res, err)
			}
			within(t, start, want)
		})
	}
}

// A client that takes nothing of the response is cut off; one that takes it
// slowly is not.
func TestStalledClient(t *testing.T) {
	for _, stalled := range []time.Duration{0, 4 * time.Second} {
		want := stalled
		if want == 0 {
			want = 30 * time.Second
		}
		var rec records // of the bubble
		h := edge.Chain(fixed(200, strings.Repeat("x", 100<<10)), edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error {
			return rec.Filter(x, next)
		}), through)
		bubble(t, h, http1.Config{Stalled: stalled}, func(t *testing.T, c net.Conn, _ *http1.Server) {
			rec = make(records, 1)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			r := bufio.NewReaderSize(c, 16)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 6 { // each takes more than one write
				if _, err := io.CopyN(io.Discard, res.Body, 16<<10); err != nil {
					t.Fatal(err)
				}
				time.Sleep(want - want/4)
			}
			io.Copy(io.Discard, res.Body)
			if got := <-rec; got.err != nil {
				t.Fatalf("slow client: recorded %+v", got)
			}
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			start := time.Now()
			if got := <-rec; got.why != "client-gone" {
				t.Errorf("stalled client: recorded %+v", got)
			}
			within(t, start, want)
		})
	}
}

// Over a socket one write may be large, and a client that takes it slowly makes
// progress that no write shows.
func TestSlowReaderIsNotStalled(t *testing.T) {
	rec := make(records, 1)
	const n = 8 << 20
	cfg := http1.Config{Tick: 5 * time.Millisecond, Stalled: 300 * time.Millisecond}
	_, addr := serve(t, edge.Chain(fixed(200, strings.Repeat("x", n)), rec), cfg)
	c := dial(t, addr)
	c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	res := c.head("GET")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	got := int64(0)
	for range 128 { // longer than a client that takes nothing may
		<-tick.C
		m, err := io.CopyN(io.Discard, res.Body, n/128)
		got += m
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
	if r := rec.wait(t); r.err != nil || r.sent != n {
		t.Errorf("recorded %+v", r)
	}
}
