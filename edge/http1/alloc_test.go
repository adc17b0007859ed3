package http1_test

import (
	"bytes"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// answers is an origin that allocates nothing for a request: it answers whenever
// what has come ends as a request does.
func answers(t testing.TB, answer []byte) string {
	return listen(t, func(c net.Conn) {
		for n, b := 0, make([]byte, 4096); ; {
			m, err := c.Read(b[n:])
			if err != nil {
				return
			}
			n += m
			end := "\r\n\r\n"
			if b[0] == 'P' {
				end = "hello"
			}
			if bytes.Contains(b[:n], []byte("chunked")) {
				end = "\r\n0\r\n\r\n"
			}
			if bytes.HasSuffix(b[:n], []byte(end)) {
				c.Write(answer)
				n = 0
			}
		}
	})
}

// forwarded is a filter such as every route has.
var forwarded = edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error {
	x.Request.Fields.Set("X-Forwarded-For", x.Client.IP)
	return next.Serve(x)
})

const (
	getRequest     = "GET /path?q HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"
	postRequest    = "POST /path HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	chunkedRequest = "POST /path HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)

// rounds sends request n times and reads size bytes for each.
func rounds(t testing.TB, c net.Conn, request, b []byte, size, n int) {
	for range n {
		c.Write(request)
		for got := 0; got < size; {
			m, err := c.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			got += m
		}
	}
}

// responseSize returns the size of a response, once everything is warm.
func responseSize(t testing.TB, c *client, request string, content int) int {
	for range 10 {
		c.say(request)
		head, err := rawHead(c.r)
		if err != nil {
			t.Fatal(err)
		}
		size := len(head) + content
		if strings.Contains(head, "chunked") {
			size += 6 + 2 + 5
		}
		if _, err := c.r.Discard(size - len(head)); err != nil {
			t.Fatal(err)
		}
		if c.r.Buffered() == 0 {
			return size
		}
	}
	t.Fatal("the response is larger than it should be")
	return 0
}

// An exchange allocates nothing once the connections are warm; a pumped request
// body costs its goroutine.
func TestAllocs(t *testing.T) {
	kilobyte := strings.Repeat("x", 1024)
	answer := "HTTP/1.1 200 OK\r\nServer: o\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + kilobyte
	chunked := "HTTP/1.1 200 OK\r\nServer: o\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + kilobyte + "\r\n0\r\n\r\n"
	page := fixedPage([]byte(kilobyte))
	for _, test := range []struct {
		name    string
		handler edge.Handler
		request string
		most    float64
	}{
		{"hit", page, getRequest, 0},
		{"proxied GET", transport(t, answers(t, []byte(answer))), getRequest, 0},
		{"proxied GET of chunks", transport(t, answers(t, []byte(chunked))), getRequest, 0},
		{"proxied POST, at hand", transport(t, answers(t, []byte(answer))), postRequest, 0},
		{"proxied POST, pumped", transport(t, answers(t, []byte(answer))), chunkedRequest, 1},
	} {
		c := dial(t, proxyAt(t, edge.Chain(test.handler, forwarded)))
		size := responseSize(t, c, test.request, 1024)
		request, b := []byte(test.request), make([]byte, 4096)
		rounds(t, c.Conn, request, b, size, 100)
		const n = 2000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rounds(t, c.Conn, request, b, size, n)
		runtime.ReadMemStats(&after)
		per := float64(after.Mallocs-before.Mallocs) / n
		t.Logf("%s: %.3f allocations, %.0f bytes an exchange", test.name, per, float64(after.TotalAlloc-before.TotalAlloc)/n)
		if per > test.most+0.1 && !edge.Poisons { // pools keep less under -race
			t.Errorf("%s: %.3f allocations an exchange, want %.0f", test.name, per, test.most)
		}
	}
}

// proxyAt serves h as it is served by default.
func proxyAt(t testing.TB, h edge.Handler) string {
	t.Helper()
	_, addr := serve(t, h, http1.Config{})
	return addr
}

// page is a body that many exchanges share, as a cache's are.
type page []byte

func (p page) Bytes() []byte            { return p }
func (p page) Read([]byte) (int, error) { panic("BUG: read although it is at hand") }
func (p page) Close() error             { return nil }

func fixedPage(b []byte) edge.Handler {
	var body edge.Body = page(b)
	return edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, body, int64(len(b)))
		x.Response.Fields.Add("Content-Type", "text/plain")
		return nil
	})
}

// BenchmarkHit is an answer from memory, 1 KiB.
func BenchmarkHit(b *testing.B) {
	benchmark(b, fixedPage(bytes.Repeat([]byte("x"), 1024)))
}

// BenchmarkProxy is an answer of an origin, 1 KiB. The origin's and the client's
// time are in it.
func BenchmarkProxy(b *testing.B) {
	o := answers(b, []byte("HTTP/1.1 200 OK\r\nServer: o\r\nContent-Length: 1024\r\n\r\n"+strings.Repeat("x", 1024)))
	benchmark(b, edge.Chain(transport(b, o), forwarded))
}

func benchmark(b *testing.B, h edge.Handler) {
	addr := proxyAt(b, h)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		c := dial(b, addr)
		size := responseSize(b, c, getRequest, 1024)
		request, buf := []byte(getRequest), make([]byte, 4096)
		for pb.Next() {
			rounds(b, c.Conn, request, buf, size, 1)
		}
	})
}
