package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// fixedOrigin answers each request at once, and allocates nothing for it.
func fixedOrigin(t testing.TB, answer string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b, whole := make([]byte, 4096), []byte(answer)
				for n := 0; ; {
					m, err := c.Read(b[n:])
					if err != nil {
						return
					}
					if n += m; bytes.HasSuffix(b[:n], []byte("\r\n\r\n")) {
						c.Write(whole)
						n = 0
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

const measured = `
admin: off
sites:
  "http://*:PORT":
    name: s
    routes:
      /:       $ORIGIN
      /c/*:    { to: $ORIGIN, cache: 10m }
      /split:  { name: split, split: { one: 50%, two: 50% }, by: client }
      /strip/*:    { to: $ORIGIN, strip: /strip, add-prefix: /v2, host: upstream }
      /rewrite/*:  { to: $ORIGIN, rewrite: "/x/$1?from=us", host: shop.internal }
      /fields/*:   { to: $ORIGIN, fields: { request: { set: { X-A: b }, remove: [Accept] }, response: { set: { X-C: d } } } }
upstreams: { one: $ORIGIN, two: $ORIGIN }
`

// Through every stage, from socket to access log, an exchange allocates nothing
// once all is warm.
func TestAllocs(t *testing.T) {
	at := port(t)
	answer := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nEtag: \"1\"\r\nContent-Length: 2048\r\n\r\n" + strings.Repeat("x", 2048)
	p := startIn(t, t.TempDir(), measured, "PORT", at[strings.LastIndexByte(at, ':')+1:], "$ORIGIN", fixedOrigin(t, answer))
	p.access.only = "nothing"
	for _, test := range []struct{ name, path, fields string }{
		{"proxied", "/", ""},
		{"proxied, a split", "/split", ""},
		{"proxied, encoded path", "/%41/b", ""},
		{"proxied, another path and host", "/strip/a", ""},
		{"proxied, rewritten", "/rewrite/a", ""},
		{"proxied, other fields", "/fields/a", ""},
		{"hit", "/c/x", ""},
		{"hit of a kept form", "/c/x", "Accept-Encoding: gzip, br\r\n"},
		{"not modified", "/c/x", "If-None-Match: \"1\"\r\n"},
	} {
		request := []byte("GET " + test.path + " HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\nAccept: */*\r\n" + test.fields + "\r\n")
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		warm := bufio.NewReader(c)
		for range 3 {
			c.Write(request)
			res, err := http.ReadResponse(warm, nil)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode >= 400 {
				t.Fatalf("%s: %s", test.name, res.Status)
			}
			io.Copy(io.Discard, res.Body)
		}
		b := make([]byte, 16<<10)
		size := 0 // of a response, whose head may grow by digits of Age
		one := func() {
			c.Write(request)
			for n := 0; ; {
				m, err := c.Read(b[n:])
				if err != nil {
					t.Fatal(err)
				}
				n += m
				if end := bytes.Index(b[:n], []byte("\r\n\r\n")); end >= 0 && n >= end+4+contentLength(b[:end+2]) {
					size = n
					return
				}
			}
		}
		for range 200 {
			one()
		}
		const n = 2000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			one()
		}
		runtime.ReadMemStats(&after)
		per := float64(after.Mallocs-before.Mallocs) / n
		t.Logf("%s: %.3f allocations, %.0f bytes an exchange (%d bytes)", test.name, per, float64(after.TotalAlloc-before.TotalAlloc)/n, size)
		if per > 0.1 && !edge.Poisons { // pools keep less under -race
			t.Errorf("%s: %.3f allocations an exchange, want 0", test.name, per)
		}
	}
}

// contentLength returns what the head's Content-Length says; 0 without one.
func contentLength(head []byte) (n int) {
	const name = "Content-Length: "
	i := bytes.Index(head, []byte(name))
	if i < 0 {
		return 0
	}
	for _, c := range head[i+len(name):] {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// The whole way of an exchange, client and origin included.
func BenchmarkExchange(b *testing.B) {
	at := port(b)
	answer := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024)
	p := startIn(b, b.TempDir(), measured, "PORT", at[strings.LastIndexByte(at, ':')+1:], "$ORIGIN", fixedOrigin(b, answer))
	p.access.only = "nothing"
	for _, path := range []string{"/", "/c/x"} {
		b.Run(path, func(b *testing.B) {
			c, err := net.Dial("tcp", at)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			request, buf := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: example.org\r\n\r\n", path), make([]byte, 16<<10)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(request)
				for n := 0; ; {
					m, err := c.Read(buf[n:])
					if err != nil {
						b.Fatal(err)
					}
					n += m
					if end := bytes.Index(buf[:n], []byte("\r\n\r\n")); end >= 0 && n >= end+4+contentLength(buf[:end+2]) {
						break
					}
				}
			}
		})
	}
}
