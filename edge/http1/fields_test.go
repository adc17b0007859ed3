package http1_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// capture is an origin that tells the heads of requests, and answers with
// response.
func capture(t *testing.T, response string) (addr string, heads chan string) {
	heads = make(chan string, 10)
	return listen(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			head, err := rawHead(r)
			if err != nil {
				return
			}
			heads <- head
			io.WriteString(c, response)
		}
	}), heads
}

func rawHead(r *bufio.Reader) (string, error) {
	head := ""
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if head += line; err != nil {
			return head, err
		}
	}
	return head, nil
}

// Fields that belong to one connection do not pass, those that it names neither;
// the others keep their order and spelling. RFC 9110, section 7.6.1.
func TestHopByHop(t *testing.T) {
	o, heads := capture(t, "HTTP/1.1 200 Fine\r\nX-b: 1\r\nConnection: X-Secret, keep-alive\r\nKEEP-alive: timeout=5\r\nx-secret: 1\r\n"+
		"Proxy-Connection: x\r\nContent-Length: 0\r\nUpgrade: h2\r\nX-a:  2 \r\nTE: x\r\nProxy-Authenticate: Basic\r\nunder_score: kept\r\nX-b: 3\r\n\r\n")
	s, addr := serve(t, transport(t, o), quick)
	c := dial(t, addr)
	c.say("GET /p?q HTTP/1.1\r\nx-B: 1\r\nhost: Example.org:80\r\nConnection: X-Secret, close-not\r\nconnection: \tX-Other\r\nX-Secret: 1\r\nx-other: 2\r\nclose-not: 3\r\n" +
		"TE: trailers\r\nKeep-Alive: 300\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nHTTP2-Settings: x\r\nX-A:\t2\t\r\nunder_score: 1\r\nContent_Length: 5\r\nEmpty:\r\nX-B: 3\r\n\r\n")
	want := "GET /p?q HTTP/1.1\r\nHost: Example.org:80\r\nx-B: 1\r\nX-A: 2\r\nEmpty: \r\nX-B: 3\r\n\r\n"
	if got := <-heads; got != want {
		t.Errorf("the origin got %q, want %q", got, want)
	}
	got, _ := rawHead(c.r)
	want = "HTTP/1.1 200 OK\r\nX-b: 1\r\nX-a: 2\r\nProxy-Authenticate: Basic\r\nunder_score: kept\r\nX-b: 3\r\nContent-Length: 0\r\n\r\n"
	if got != want {
		t.Errorf("the client got %q, want %q", got, want)
	}
	if n := s.Stats().DroppedFields; n != 2 {
		t.Errorf("dropped %d fields, want 2", n)
	}
}

// What filters leave in fields and request cannot forge a head: framing and
// hop-by-hop fields are the engines', and line breaks an error.
func TestForgedFields(t *testing.T) {
	o, heads := capture(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	tr := transport(t, o)
	for _, test := range []struct {
		what   string
		forge  func(r *edge.Request)
		status int
	}{
		{"framing", func(r *edge.Request) {
			for _, name := range []string{"Content-Length", "Transfer-Encoding", "Connection", "keep-alive", "Host", "TE", "Upgrade", "Proxy-Connection", "Expect"} {
				r.Fields.Add(name, "chunked")
			}
		}, 200},
		{"line break in a value", func(r *edge.Request) { r.Fields.Add("X", "a\r\nY: b") }, 500},
		{"LF in a value", func(r *edge.Request) { r.Fields.Add("X", "a\nY: b") }, 500},
		{"CR in a value", func(r *edge.Request) { r.Fields.Add("X", "a\rY: b") }, 500},
		{"NUL in a value", func(r *edge.Request) { r.Fields.Add("X", "a\x00") }, 500},
		{"name", func(r *edge.Request) { r.Fields.Add("X: y\r\nZ", "a") }, 500},
		{"name with a colon", func(r *edge.Request) { r.Fields.Add("Transfer-Encoding:", "chunked") }, 500},
		{"empty name", func(r *edge.Request) { r.Fields.Add("", "a") }, 500},
		{"method", func(r *edge.Request) { r.Method = "GET / HTTP/1.1\r\nX:" }, 500},
		{"path", func(r *edge.Request) { r.Path = "/ HTTP/1.1\r\nX:" }, 500},
		{"query", func(r *edge.Request) { r.Query = "a b" }, 500},
		{"authority", func(r *edge.Request) { r.Authority = "a\r\nX: y" }, 500},
		{"upgrade", func(r *edge.Request) { r.Upgrade = "a\r\nX: y" }, 500},
	} {
		addr := proxy(t, edge.HandlerFunc(func(x *edge.Exchange) error {
			test.forge(&x.Request)
			return tr.Serve(x)
		}))
		res, _ := ask(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if res.StatusCode != test.status {
			t.Errorf("%s: got %s, want %d", test.what, res.Status, test.status)
		}
		if res.StatusCode == 200 {
			if got := <-heads; got != "GET / HTTP/1.1\r\nHost: a\r\n\r\n" {
				t.Errorf("%s: the origin got %q", test.what, got)
			}
		}
	}
	select {
	case head := <-heads:
		t.Errorf("the origin got %q", head)
	default:
	}
}

func TestForgedResponse(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        string
	}{
		{"Content-Length", "5", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"transfer-encoding", "chunked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"Connection", "close", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"Host", "b", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"X", "a\r\nSet-Cookie: b", "HTTP/1.1 500 Internal Server Error\r\n"},
		{"X", "a\nSet-Cookie: b", "HTTP/1.1 500 Internal Server Error\r\n"},
		{"X", "a\x00", "HTTP/1.1 500 Internal Server Error\r\n"},
		{"X: y\r\nZ", "a", "HTTP/1.1 500 Internal Server Error\r\n"},
	} {
		addr := proxy(t, edge.HandlerFunc(func(x *edge.Exchange) error {
			x.Respond(200, edge.Content([]byte("ok")), 2)
			x.Response.Fields.Add(test.name, test.value)
			return nil
		}))
		c := dial(t, addr)
		c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.closeWriteAfter(len(test.want))
		if got := c.closed(); !strings.HasPrefix(got, test.want) || strings.Contains(got, "Set-Cookie") {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// closeWriteAfter waits until n bytes have come, and says that there is no more
// to ask.
func (c *client) closeWriteAfter(n int) {
	c.r.Peek(n)
	c.closeWrite()
}

// Trailers come when it is too late to refuse: those that may not stand are left
// out.
func TestForgedTrailers(t *testing.T) {
	addr := proxy(t, edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, wrapped{edge.Content([]byte("ok"))}, -1)
		for name, value := range map[string]string{"X": "a\r\nY: b", "Content-Length": "5", "a b": "c", "Transfer-Encoding": "chunked"} {
			x.Response.Trailers.Add(name, value)
		}
		x.Response.Trailers.Add("Sum", "1")
		return nil
	}))
	c := dial(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	want := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0002\r\nok\r\n0\r\nSum: 1\r\n\r\n"
	c.closeWriteAfter(len(want))
	if got := c.closed(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// How a response is framed, by status and method: RFC 9112, section 6.
func TestFraming(t *testing.T) {
	for _, test := range []struct {
		method  string
		status  int
		body    edge.Body
		length  int64
		want    string
		version string
	}{
		{"GET", 200, nil, 0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "1.1"},
		{"GET", 299, nil, -1, "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", "1.1"},
		{"GET", 200, edge.Content([]byte("ok")), 2, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "1.1"},
		{"GET", 200, edge.Content([]byte("ok")), -1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "1.1"},
		{"GET", 200, wrapped{edge.Content([]byte("ok"))}, -1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0002\r\nok\r\n0\r\n\r\n", "1.1"},
		{"HEAD", 200, nil, 7, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "1.1"},
		{"HEAD", 200, nil, -1, "HTTP/1.1 200 OK\r\n\r\n", "1.1"},
		{"HEAD", 200, wrapped{edge.Content([]byte("ok"))}, -1, "HTTP/1.1 200 OK\r\n\r\n", "1.1"},
		{"GET", 204, nil, 0, "HTTP/1.1 204 No Content\r\n\r\n", "1.1"},
		{"GET", 204, edge.Content([]byte("ok")), 2, "HTTP/1.1 204 No Content\r\n\r\n", "1.1"},
		{"GET", 304, nil, 0, "HTTP/1.1 304 Not Modified\r\n\r\n", "1.1"},
		{"GET", 304, nil, 7, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "1.1"},
		{"GET", 0, nil, 0, "HTTP/1.1 500 Internal Server Error\r\n", "1.1"},
		{"GET", 103, nil, 0, "HTTP/1.1 500 Internal Server Error\r\n", "1.1"},
		{"GET", 1000, nil, 0, "HTTP/1.1 500 Internal Server Error\r\n", "1.1"},
		{"GET", 200, wrapped{edge.Content([]byte("ok"))}, -1, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", "1.0"},
	} {
		c := dial(t, proxy(t, edge.HandlerFunc(func(x *edge.Exchange) error {
			x.Respond(test.status, test.body, test.length)
			return nil
		})))
		c.say(fmt.Sprintf("%s / HTTP/%s\r\nHost: a\r\n\r\n", test.method, test.version))
		c.closeWriteAfter(len(test.want))
		got := c.closed()
		if exact := !strings.Contains(test.want, " 500 "); exact && got != test.want || !strings.HasPrefix(got, test.want) {
			t.Errorf("%s %d %d: got %q, want %q", test.method, test.status, test.length, got, test.want)
		}
	}
}

// A body that lies about its length never makes a message that looks whole, nor
// one that runs into the next.
func TestLyingBody(t *testing.T) {
	for _, length := range []int64{1, 5} {
		rec := make(records, 1)
		c := dial(t, proxy(t, edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
			x.Respond(200, edge.Content([]byte("two")[:2]), length)
			return nil
		}), rec)))
		c.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res := c.head("GET")
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("length %d: got %q and no error", length, b)
		}
		if r := rec.wait(t); edge.AsError(r.err).Kind != edge.InternalError {
			t.Errorf("length %d: recorded %v", length, r.err)
		}
	}
}
