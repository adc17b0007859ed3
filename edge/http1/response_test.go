package http1_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// What an origin may not send is a 502, and nothing of it reaches the client.
func TestResponsesRefused(t *testing.T) {
	ok := func(lines ...string) string {
		return "HTTP/1.1 200 OK\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\nhello"
	}
	const (
		protocol = edge.ProtocolError
		coding   = edge.ResponseTransferCoding
		size     = edge.ResponseHeaderSectionSize
		cut      = edge.ConnectionTerminated
	)
	for _, test := range []struct {
		kind     edge.Kind
		response string
	}{
		{protocol, "HTTP/9.9 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTQ/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/1.1 600 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/1.1 200 O\x00K\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"},
		{protocol, "\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{protocol, ok("Content-Length: 5", "Content-Length: 6")},
		{protocol, ok("Content-Length: 5", "Content-Length: 5")},
		{protocol, ok("Content-Length: 5, 5")},
		{protocol, ok("Content-Length: -5")},
		{protocol, ok("Content-Length: +5")},
		{protocol, ok("Content-Length: abc")},
		{protocol, ok("Content-Length:")},
		{protocol, ok("Content-Length: 5", "Transfer-Encoding: chunked")},
		{coding, ok("Transfer-Encoding: gzip, chunked")},
		{coding, ok("Transfer-Encoding: chunked, gzip")},
		{coding, ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")},
		{coding, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{protocol, ok("X: a\x00b", "Content-Length: 5")},
		{protocol, ok("X: a\rb", "Content-Length: 5")},
		{protocol, ok("X: a", " b", "Content-Length: 5")},
		{protocol, ok("X : a", "Content-Length: 5")},
		{protocol, ok("X Y: a", "Content-Length: 5")},
		{protocol, ok("X", "Content-Length: 5")},
		{protocol, ok(": x", "Content-Length: 5")},
		{size, ok("X: "+strings.Repeat("x", 64<<10), "Content-Length: 5")},
		{size, ok(strings.Repeat("X: y\r\n", 256) + "Content-Length: 5")},
		{protocol, strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 17) + ok("Content-Length: 5")},
		{edge.UpgradeFailed, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"},
		{cut, "!close"},
		{cut, "HTTP/1.1 200 OK\r\nContent-Le!close"},
		{cut, "hello world!close"},
		{cut, "HTTP/1.1 100 Continue\r\n\r\n!close"},
	} {
		o := rawOrigin(t, func(*http.Request, int) string { return test.response })
		rec := make(records, 1)
		tr := transport(t, o)
		c := dial(t, proxy(t, edge.Chain(tr, rec)))
		c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res := c.head("GET")
		for res.StatusCode == 102 {
			res = c.head("GET")
		}
		if b, _ := io.ReadAll(res.Body); res.StatusCode != 502 || string(b) != "502 Bad Gateway\n" {
			t.Errorf("%.80q: got %s %q", test.response, res.Status, b)
		}
		if r := rec.wait(t); edge.AsError(r.err).Kind != test.kind {
			t.Errorf("%.80q: got %v, want %v", test.response, r.err, test.kind)
		}
		if tr.Idle() != 0 {
			t.Errorf("%.80q: the connection is kept", test.response)
		}
	}
}

// A response that is cut short is not passed off as whole.
func TestResponsesCutShort(t *testing.T) {
	for _, response := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello!close",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n!close",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n!close",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n!close",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
	} {
		o := rawOrigin(t, func(*http.Request, int) string { return response })
		for _, filter := range []edge.Filter{edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error { return next.Serve(x) }), through} {
			rec := make(records, 1)
			tr := transport(t, o)
			addr := proxy(t, edge.Chain(tr, rec, filter))
			for _, version := range []string{"1.1", "1.0"} {
				c := dial(t, addr)
				c.say("GET / HTTP/" + version + "\r\nHost: a\r\n\r\n")
				res := c.head("GET")
				b, err := io.ReadAll(res.Body)
				if res.StatusCode != 200 || err == nil || string(b) != "hello" && err == io.ErrUnexpectedEOF {
					t.Errorf("%q, to HTTP/%s: got %s %q %v, want an error behind hello", response, version, res.Status, b, err)
				}
				if r := rec.wait(t); r.err == nil || r.why != "upstream-cut" && r.why != "upstream-bad" {
					t.Errorf("%q: recorded %q, %v", response, r.why, r.err)
				}
			}
			if tr.Idle() != 0 {
				t.Errorf("%q: the connection is kept", response)
			}
		}
	}
}

// Bytes behind a response are never served to the next request.
func TestUnsolicitedBytes(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
	for _, test := range []struct{ method, response, body string }{
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 43\r\n\r\n", ""},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n", ""},
	} {
		late := make(chan struct{})
		o := listen(t, func(c net.Conn) {
			defer c.Close()
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			if strings.Contains(string(b[:n]), "/next") {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnext")
				return
			}
			if strings.Contains(string(b[:n]), "/late") {
				io.WriteString(c, test.response)
				<-late
				io.WriteString(c, poison)
				late <- struct{}{}
			} else {
				io.WriteString(c, test.response+poison)
			}
			c.Read(b)
		})
		tr := transport(t, o)
		c := dial(t, proxy(t, tr))
		for _, path := range []string{"/", "/late"} {
			c.say(test.method + " " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
			res := c.head(test.method)
			if b, err := io.ReadAll(res.Body); string(b) != test.body || err != nil {
				t.Errorf("%q: got %q %v", test.response, b, err)
			}
			if path == "/" && tr.Idle() != 0 {
				t.Errorf("%q: the connection is kept", test.response)
			}
			if path == "/late" {
				eventually(t, "the connection is idle", func() bool { return tr.Idle() == 1 })
				late <- struct{}{}
				<-late
			}
			c.say("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, b := c.whole(); b != "next" {
				t.Errorf("%q%s: the next request got %q", test.response, path, b)
			}
		}
	}
}

// A head that does not fit the exchange's buffer is read all the same, within
// the limit.
func TestLargeResponseHead(t *testing.T) {
	for _, n := range []int{10 << 10, 16<<10 - 100, 20 << 10, 40 << 10, 63 << 10} {
		o := origin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", n))
			w.Header().Set("Trailer", "Sum")
			w.(http.Flusher).Flush()
			io.WriteString(w, "content")
			w.Header().Set("Sum", "1")
		})
		rec := make(records, 1)
		c := dial(t, proxy(t, edge.Chain(transport(t, o), rec)))
		for range 3 {
			c.say("GET / HTTP/1.1\r\nHost: a\r\nCookie: " + strings.Repeat("y", min(n, 30<<10)) + "\r\n\r\n")
			res, b := c.whole()
			if len(res.Header.Get("X")) != n || b != "content" || res.Trailer.Get("Sum") != "1" {
				t.Fatalf("%d: got %s with %d bytes, %q", n, res.Status, len(res.Header.Get("X")), b)
			}
			rec.wait(t)
		}
	}
}

// Origins of HTTP/1.0, and such as close, are none of the client's business.
func TestOldOrigins(t *testing.T) {
	for _, test := range []struct {
		response string
		idle     int
	}{
		{"HTTP/1.0 200 OK\r\n\r\nhello!close", 0},
		{"HTTP/1.1 200 OK\r\n\r\nhello!close", 0},
		{"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 1},
		{"HTTP/1.1 200 \r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 0},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", 1},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1},
	} {
		o := rawOrigin(t, func(*http.Request, int) string { return test.response })
		tr := transport(t, o)
		c := dial(t, proxy(t, tr))
		for range 2 {
			c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if res, b := c.whole(); res.StatusCode != 200 || b != "hello" || res.Close {
				t.Errorf("%q: got %v %q", test.response, res, b)
			}
		}
		eventually(t, fmt.Sprintf("%q: %d idle connections", test.response, test.idle), func() bool { return tr.Idle() == test.idle })
	}
}

// The connection is given back before a slow client has taken the response.
func TestConnectionGivenBackEarly(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	tr := http1.NewTransport("tcp", o, http1.TransportConfig{})
	defer tr.Retire()
	idle := make(chan int, 1)
	h := edge.HandlerFunc(func(x *edge.Exchange) error {
		err := tr.Serve(x)
		idle <- tr.Idle()
		return err
	})
	ask(t, proxy(t, h), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if n := <-idle; n != 1 {
		t.Errorf("%d idle connections before the response was delivered, want 1", n)
	}
}
