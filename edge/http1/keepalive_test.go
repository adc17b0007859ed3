package http1_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// One connection on each side carries all kinds of messages.
func TestKeepAlive(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "o")
		w.Header().Set("X-Remote", r.RemoteAddr)
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		fmt.Fprintf(w, "%s %s?%s %s", r.Method, r.URL.Path, r.URL.RawQuery, b)
	})
	rec := make(records, 1)
	for _, filter := range []edge.Filter{rec, through} {
		tr := transport(t, o)
		c := dial(t, proxy(t, edge.Chain(tr, rec, filter)))
		remote := ""
		for i, test := range []struct{ request, want string }{
			{"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a?b=c "},
			{"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "POST /a? hello"},
			{"POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "POST /chunked? hello world"},
			{"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", ""},
			{"POST /a HTTP/1.1\r\nHost: x\r\n\r\n", "POST /a? "},
			{"GET /z HTTP/1.1\r\nHost: x\r\n\r\n", "GET /z? "},
		} {
			c.say(test.request)
			res := c.head(test.request[:strings.IndexByte(test.request, ' ')])
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != 200 || string(b) != test.want {
				t.Fatalf("%d: got %s %q %v, want %q", i, res.Status, b, err, test.want)
			}
			if r := rec.wait(t); r.err != nil || r.server != "o" || r.tries != 1 || r.sent != int64(len(test.want)) || r.waited <= 0 {
				t.Fatalf("%d: recorded %+v", i, r)
			}
			if filter == rec {
				rec.wait(t)
			}
			if got := res.Header.Get("X-Remote"); remote == "" {
				remote = got
			} else if got != remote {
				t.Errorf("%d: another connection to the origin, %s", i, got)
			}
		}
		if tr.Idle() != 1 {
			t.Errorf("%d idle connections, want 1", tr.Idle())
		}
	}
}

// Requests that come in one segment are answered in order.
func TestPipelined(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.URL.Path, string(b))
	})
	c := dial(t, proxy(t, transport(t, o)))
	c.say("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" +
		"POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi" +
		"\r\nPOST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n" +
		"GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" +
		"GET /5 HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, want := range []string{"/1", "/2hi", "/3ho", "/4"} {
		if _, b := c.whole(); b != want {
			t.Fatalf("got %q, want %q", b, want)
		}
	}
	if rest := c.closed(); rest != "" {
		t.Errorf("got %q behind Connection: close", rest)
	}
}

// Who keeps the connection open: RFC 9112, section 9.3.
func TestPersistence(t *testing.T) {
	addr := proxy(t, fixed(200, "ok"))
	for _, test := range []struct {
		request, connection string
		again               bool
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", true},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close", false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", "close", false},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n", "close", false},
		{"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "close", false},
		{"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", "keep-alive", true},
		{"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", "close", false},
	} {
		c := dial(t, addr)
		c.say(test.request)
		// net/http's reader takes Connection out; it is looked at in the raw.
		head := ""
		for !strings.HasSuffix(head, "\r\n\r\n") {
			b, err := c.r.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			head += string(b)
		}
		io.CopyN(io.Discard, c.r, 2)
		if got := strings.Contains(head, "Connection: "+test.connection+"\r\n"); got != (test.connection != "") {
			t.Errorf("%q: got %q", test.request, head)
		}
		if test.again {
			c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			c.whole()
		} else if rest := c.closed(); rest != "" {
			t.Errorf("%q: got %q behind the response", test.request, rest)
		}
	}
}

// A response of unknown length is chunked, or ends with the connection for a
// client of HTTP/1.0.
func TestUnknownLength(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, "content")
	})
	addr := proxy(t, transport(t, o))
	if res, b := ask(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); b != "content" || len(res.TransferEncoding) != 1 {
		t.Error(res, b)
	}
	res, b := ask(t, addr, "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
	if b != "content" || len(res.TransferEncoding) != 0 || !res.Close {
		t.Error(res, b)
	}
}

// Content that the handler does not want is dropped if it is not much, so that
// the connection can go on; with more to come it is closed, and the client still
// gets to read the response.
func TestUnwantedContent(t *testing.T) {
	cfg := quick
	cfg.DrainBytes = 100 << 10
	_, addr := serve(t, fixed(200, "ok"), cfg)
	c := dial(t, addr)
	for _, n := range []int{5, 10 << 10, 90 << 10} {
		c.say(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", n))
		res, b := c.whole()
		if b != "ok" || res.Close {
			t.Fatal(n, res, b)
		}
		io.CopyN(c.Conn, zeros{}, int64(n))
	}
	c.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	c.whole()
	c.say("0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, b := c.whole(); b != "ok" {
		t.Fatal(b)
	}
	c.say(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 10<<20))
	go io.CopyN(c.Conn, zeros{}, 10<<20)
	if _, b := c.whole(); b != "ok" {
		t.Fatal(b)
	}
	if rest := c.closed(); rest != "" {
		t.Errorf("got %q", rest)
	}
}

// An idle connection gives its buffers back, and goes on when a request comes.
func TestPark(t *testing.T) {
	s, addr := serve(t, fixed(200, "ok"), http1.Config{Tick: quick.Tick, Park: quick.Tick})
	c := dial(t, addr)
	for range 3 {
		c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, b := c.whole(); b != "ok" {
			t.Fatal(b)
		}
		eventually(t, "the connection is parked", func() bool {
			st := s.Stats()
			return st.Parked == 1 && st.Idle == 1 && st.Open == 1 && st.Active == 0
		})
		c.say("GET / HTTP/1.1\r\n") // wakes it, and is no request yet
		eventually(t, "the connection is active", func() bool { return s.Stats().Active == 1 })
		c.say("Host: a\r\n\r\n")
		c.whole()
	}
	eventually(t, "the connection is parked", func() bool { return s.Stats().Parked == 1 })
	c.Close()
	eventually(t, "the connection is gone", func() bool { return s.Stats() == http1.Stats{} })
}

// A connection that stays parked for as long as it may be idle is closed.
func TestParkedTooLong(t *testing.T) {
	_, addr := serve(t, fixed(200, "ok"), http1.Config{Tick: quick.Tick, Park: quick.Tick, Idle: 10 * quick.Tick})
	c := dial(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.whole()
	if rest := c.closed(); rest != "" {
		t.Errorf("got %q", rest)
	}
}

// A filter may make a GET of a HEAD, to see the content, or the reverse. What the
// client gets has to be framed as an answer to what it has asked.
func TestMethodChanged(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	for _, test := range []struct {
		from, to, content string
		length            int64
	}{
		{"HEAD", "GET", "", 5},
		{"GET", "HEAD", "", 0},
		{"GET", "GET", "hello", 5},
	} {
		change := edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error {
			x.Request.Method = test.to
			return next.Serve(x)
		})
		c := dial(t, proxy(t, edge.Chain(transport(t, o), change)))
		for range 2 {
			c.say(test.from + " / HTTP/1.1\r\nHost: x\r\n\r\n")
			res := c.head(test.from)
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != 200 || string(b) != test.content || res.ContentLength != test.length {
				t.Errorf("%s as %s: %s, length %d, %q, %v", test.from, test.to, res.Status, res.ContentLength, b, err)
			}
		}
	}
}
