package http3_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http3"
)

// describe answers with the request as the handler sees it.
func describe(x *edge.Exchange) error {
	r := &x.Request
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s://%s%s?%s %s %d\n", r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Proto, r.Length)
	for name, value := range r.Fields.All() {
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	if r.Body != nil {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n%s\n", content)
		for name, value := range r.Trailers.All() {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return text(x, 200, b.String())
}

func TestRequest(t *testing.T) {
	p := start(t, http3.Config{}, describe)
	c := p.dial(t)
	f := func(send func(s *stream), want string) {
		t.Helper()
		s := p.open(t, c)
		send(s)
		s.Close()
		if h := s.head(); !strings.HasPrefix(h, ":status: 200\n") {
			t.Fatalf("got %q", h)
		}
		_, b, err := s.next()
		if got := string(b); got != want || err != nil {
			t.Errorf("got %q, %v\nwant %q", got, err, want)
		}
	}
	f(func(s *stream) { s.request("GET", "/a/b%20c?d=e?f") },
		"GET https://example.org/a/b%20c?d=e?f HTTP/3.0 0\n")
	// An underscore could pass for a hyphen.
	f(func(s *stream) { s.request("GET", "/", "x_forwarded_for", "1.2.3.4", "x-a", "1") },
		"GET https://example.org/? HTTP/3.0 0\nX-A: 1\n")
	f(func(s *stream) { s.request("POST", "/"); s.frame(0x1, block("x_a", "1", "x-b", "2")) },
		"POST https://example.org/? HTTP/3.0 -1\n\n\nx-b: 2\n")
	f(func(s *stream) { s.request("OPTIONS", "*") },
		"OPTIONS https://example.org*? HTTP/3.0 0\n")
	// Sorted by name, the order within a name kept; TE, Expect and Host are not for handlers.
	f(func(s *stream) {
		s.request("GET", "/", "x-b", "2", "x-a", "1", "x-b", "1", "te", "trailers", "host", "example.org", "cookie", "a=1", "cookie", "b=2")
	}, "GET https://example.org/? HTTP/3.0 0\nCookie: a=1; b=2\nX-A: 1\nX-B: 2\nX-B: 1\n")
	// Content of a length that is known, and not known.
	f(func(s *stream) { s.request("POST", "/", "content-length", "5"); s.frame(0, []byte("hello")) },
		"POST https://example.org/? HTTP/3.0 5\n\nhello\n")
	f(func(s *stream) { s.request("POST", "/"); s.frame(0, []byte("he")); s.frame(0, []byte("llo")) },
		"POST https://example.org/? HTTP/3.0 -1\n\nhello\n")
	f(func(s *stream) { s.request("POST", "/", "content-length", "0") },
		"POST https://example.org/? HTTP/3.0 0\n")
	f(func(s *stream) { s.request("POST", "/") },
		"POST https://example.org/? HTTP/3.0 -1\n\n\n")
	// GET with content after all; its first byte is not lost.
	f(func(s *stream) { s.request("GET", "/"); s.frame(0, []byte("hello")) },
		"GET https://example.org/? HTTP/3.0 -1\n\nhello\n")
	f(func(s *stream) { s.request("DELETE", "/"); s.frame(0, []byte("x")) },
		"DELETE https://example.org/? HTTP/3.0 -1\n\nx\n")
	// Trailers, announced and not; frames of unknown types, and empty ones, between.
	f(func(s *stream) {
		s.request("POST", "/", "trailer", "x-sum")
		s.frame(0, nil)
		s.frame(0x21, []byte("grease"))
		s.frame(0, []byte("hello"))
		s.frame(0x1, block("x-sum", "1", "x-other", "2"))
		s.frame(0x4021, make([]byte, 2000))
	}, "POST https://example.org/? HTTP/3.0 -1\nTrailer: X-Sum\n\nhello\nx-sum: 1\nx-other: 2\n")

	c.CloseWithError(0x100, "")
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := p.Stats().DroppedFields; n != 2 {
		t.Errorf("%d fields dropped, want 2", n)
	}
}

// What the handler must never see, and what the client gets.
func TestRefused(t *testing.T) {
	p := start(t, http3.Config{Fields: 5}, func(x *edge.Exchange) error {
		if x.Request.Body != nil {
			if _, err := io.Copy(io.Discard, x.Request.Body); err != nil {
				return err
			}
		}
		if x.Request.Path == "/content" {
			return text(x, 200, "")
		}
		t.Errorf("the handler was called: %s %s", x.Request.Method, x.Request.Path)
		return text(x, 200, "")
	})
	c := p.dial(t)
	many := []string{"a", "1", "b", "1", "c", "1", "d", "1", "e", "1", "f", "1"}
	f := func(send func(s *stream), want string) {
		t.Helper()
		s := p.open(t, c)
		send(s)
		s.Close()
		typ, payload, err := s.next()
		got := fmt.Sprint(err)
		if err == nil && typ == 0x1 {
			got, _, _ = strings.Cut(decode(t, payload), "\n")
		}
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(func(s *stream) { s.request("GET", "/#fragment") }, ":status: 400")
	f(func(s *stream) { s.request("GET", "/a b") }, ":status: 400")
	f(func(s *stream) { s.request("GET", "/\xc3\xa4") }, ":status: 400")
	f(func(s *stream) { s.request("GET", "/", many...) }, ":status: 431")
	f(func(s *stream) { s.request("POST", "/", "expect", "200-ok") }, ":status: 417")
	f(func(s *stream) { s.frame(0x1, block(":method", "CONNECT", ":authority", "example.org:443")) }, ":status: 501")
	f(func(s *stream) {
		s.frame(0x1, block(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "example.org", ":path", "/"))
	}, ":status: 501")
	f(func(s *stream) {
		s.frame(0x1, block(":method", "GET", ":scheme", "https", ":authority", "exa mple.org", ":path", "/"))
	}, ":status: 400")
	f(func(s *stream) {
		s.frame(0x1, block(":method", "GET", ":scheme", "foo", ":authority", "a@example.org", ":path", "/"))
	}, ":status: 400")
	// Malformed: H3_MESSAGE_ERROR, 0x10e = 270.
	f(func(s *stream) { s.request("GET", "/", "connection", "close") }, "code 270")
	f(func(s *stream) { s.request("GET", "/", "transfer-encoding", "chunked") }, "code 270")
	f(func(s *stream) { s.request("GET", "/", "te", "gzip") }, "code 270")
	f(func(s *stream) { s.request("GET", "/", "X-Upper", "1") }, "code 270")
	f(func(s *stream) { s.request("GET", "/", "host", "other.example") }, "code 270")
	f(func(s *stream) { s.request("GET", "http://example.org/") }, "code 270")
	f(func(s *stream) { s.request("GET", "/", "content-length", "1", "content-length", "2") }, "code 270")
	f(func(s *stream) { s.request("POST", "/content", "content-length", "5"); s.frame(0, []byte("hell")) }, "code 270")
	f(func(s *stream) { s.request("POST", "/content", "content-length", "5"); s.frame(0, []byte("hello!")) }, "code 270")
	f(func(s *stream) { s.request("POST", "/content"); s.frame(0x1, block(":path", "/")) }, "code 270")
	f(func(s *stream) { s.request("POST", "/content"); s.frame(0x1, block("x", "a\nb")) }, "code 270")
	f(func(s *stream) { s.request("POST", "/content"); s.frame(0x1, block("content-length", "3")) }, "code 270")
	f(func(s *stream) { s.request("POST", "/content"); s.frame(0x1, block(many...)) }, ":status: 431")
	f(func(s *stream) { s.request("POST", "/content"); s.frame(0x1, block("x", strings.Repeat("a", 40<<10))) }, ":status: 431")
	// The connection has survived all of that.
	f(func(s *stream) { s.request("GET", "/content") }, ":status: 200")
	if n := p.Stats().Rejected; n != 9 {
		t.Errorf("%d requests rejected, want 9", n)
	}
}

// refuser is a handler that is told of what the engine refuses.
type refuser struct{ told chan error }

func (r refuser) Serve(x *edge.Exchange) error { return text(x, 200, "") }

func (r refuser) Refuse(x *edge.Exchange, err error) {
	x.Answer(err)
	x.Response.Fields.Add("X-Path", x.Request.Path)
	r.told <- err
}

func TestRefuser(t *testing.T) {
	h := refuser{make(chan error, 1)}
	p := startHandler(t, http3.Config{}, h)
	c := p.dial(t)
	s := p.open(t, c)
	s.request("POST", "/path", "expect", "much")
	if got := s.head(); !strings.HasPrefix(got, ":status: 417\n") || !strings.HasSuffix(got, "\nx-path: /path") {
		t.Errorf("got %q", got)
	}
	if err := <-h.told; err == nil {
		t.Error("no error")
	}
}

// Frames that make no sense end the connection.
func TestConnectionErrors(t *testing.T) {
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		if x.Request.Body != nil {
			if n, err := io.Copy(io.Discard, x.Request.Body); err != nil {
				return err
			} else if n != 3 {
				t.Errorf("%d bytes passed for whole", n)
			}
		}
		return text(x, 200, "")
	})
	f := func(send func(s *stream), want string) {
		t.Helper()
		c := p.dial(t)
		s := p.open(t, c)
		s.request("POST", "/")
		send(s)
		s.Close()
		<-c.Context().Done()
		if _, err := c.AcceptStream(t.Context()); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f(func(s *stream) { s.frame(0x4, nil) }, "0x105")
	f(func(s *stream) { s.frame(0x6, nil) }, "0x105")
	f(func(s *stream) { s.frame(0x1, block("a", "b")); s.frame(0x0, []byte("x")) }, "0x105")
	f(func(s *stream) { s.frame(0x1, block("a", "b")); s.frame(0x1, block("a", "b")) }, "0x105")
	f(func(s *stream) { s.Write([]byte{0x0, 10, 'a', 'b'}) }, "0x106") // DATA of 10 bytes, cut short
	f(func(s *stream) { s.Write([]byte{0x0}) }, "0x106")
	f(func(s *stream) { s.Write([]byte{0x0, 0x40}) }, "0x106")
	f(func(s *stream) { s.Write([]byte{0x1, 10, 0}) }, "0x106")
	f(func(s *stream) { s.Write([]byte{0x21, 10, 0}) }, "0x106")
	f(func(s *stream) { s.frame(0x1, []byte{0, 0, 0xff, 0xff}) }, "0x200")
}

func TestHeaderBytes(t *testing.T) {
	p := start(t, http3.Config{HeaderBytes: 1000}, func(x *edge.Exchange) error { return text(x, 200, "") })
	f := func(size, want int) {
		t.Helper()
		r, _ := http.NewRequest("GET", p.url("/"), nil)
		r.Header.Set("X", strings.Repeat("a", size))
		res, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d bytes: got %d, want %d", size, res.StatusCode, want)
		}
	}
	f(100, 200)
	f(900, 431)
	p.SetConfig(http3.Config{HeaderBytes: 2000})
	f(900, 431) // the connection keeps the limits that it began with
	p.client.CloseIdleConnections()
	f(900, 200)
}

func TestResponse(t *testing.T) {
	respond := map[string]func(x *edge.Exchange) error{
		"/":       func(x *edge.Exchange) error { return text(x, 200, "hello") },
		"/empty":  func(x *edge.Exchange) error { x.Respond(201, nil, 0); return nil },
		"/204":    func(x *edge.Exchange) error { return text(x, 204, "hello") },
		"/205":    func(x *edge.Exchange) error { return text(x, 205, "hello") },
		"/304":    func(x *edge.Exchange) error { return text(x, 304, "hello") },
		"/299":    func(x *edge.Exchange) error { return text(x, 299, "hello") },
		"/stream": func(x *edge.Exchange) error { x.Respond(200, &pieces{"hel", "lo"}, -1); return nil },
		"/fields": func(x *edge.Exchange) error {
			text(x, 200, "")
			f := &x.Response.Fields
			f.Add("X-B", "1")
			f.Add("X-A", " 2\t")
			f.Add("x-b", "3")
			f.Add("Date", "today")
			for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "TE", "Content-Length", "Host"} {
				f.Add(name, "x")
			}
			return nil
		},
		"/bad-name":  func(x *edge.Exchange) error { text(x, 200, ""); x.Response.Fields.Add("a b", "1"); return nil },
		"/bad-value": func(x *edge.Exchange) error { text(x, 200, ""); x.Response.Fields.Add("a", "1\r\nb: 2"); return nil },
		"/bad-nul":   func(x *edge.Exchange) error { text(x, 200, ""); x.Response.Fields.Add("a", "\x00"); return nil },
		"/no-status": func(x *edge.Exchange) error { return nil },
		"/101":       func(x *edge.Exchange) error { x.Respond(101, nil, 0); return nil },
		"/tunnel": func(x *edge.Exchange) error {
			x.Respond(200, nil, 0)
			x.Response.Tunnel = func(edge.Stream) error { return nil }
			return nil
		},
		"/length":     func(x *edge.Exchange) error { x.Respond(200, edge.Content([]byte("hello")), 4); return nil },
		"/no-content": func(x *edge.Exchange) error { x.Respond(200, nil, 4); return nil },
		"/error":      func(x *edge.Exchange) error { return &edge.Error{Kind: edge.ConnectionTimeout, Op: "connect"} },
		"/panic":      func(x *edge.Exchange) error { panic("at the disco") },
	}
	p := start(t, http3.Config{}, func(x *edge.Exchange) error { return respond[x.Request.Path](x) })
	c := p.dial(t)
	f := func(method, path, head, content string) {
		t.Helper()
		s := p.open(t, c)
		s.request(method, path)
		s.Close()
		got := s.head()
		var all strings.Builder
		for {
			_, b, err := s.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Errorf("%s %s: %v", method, path, err)
				break
			}
			all.Write(b)
		}
		if got != head || all.String() != content {
			t.Errorf("%s %s: got %q and %q\nwant %q and %q", method, path, got, all.String(), head, content)
		}
	}
	f("GET", "/", ":status: 200\ncontent-length: 5", "hello")
	f("HEAD", "/", ":status: 200\ncontent-length: 5", "")
	f("GET", "/empty", ":status: 201\ncontent-length: 0", "")
	f("GET", "/204", ":status: 204", "")
	f("GET", "/205", ":status: 205\ncontent-length: 0", "")
	f("GET", "/304", ":status: 304", "")
	f("GET", "/299", ":status: 299\ncontent-length: 5", "hello")
	f("GET", "/stream", ":status: 200", "hello")
	f("HEAD", "/stream", ":status: 200", "")
	f("GET", "/fields", ":status: 200\ncontent-length: 0\nx-b: 1\nx-a: 2\nx-b: 3\ndate: today", "")
	const internal = ":status: 500\ncontent-length: 26\ncontent-type: text/plain; charset=utf-8\nproxy-status: sluice; error=proxy_internal_error"
	for _, path := range []string{"/bad-name", "/bad-value", "/bad-nul", "/no-status", "/101", "/tunnel", "/length", "/no-content", "/panic"} {
		f("GET", path, internal, "500 Internal Server Error\n")
	}
	f("GET", "/error", ":status: 504\ncontent-length: 20\ncontent-type: text/plain; charset=utf-8\nproxy-status: sluice; error=connection_timeout", "504 Gateway Timeout\n")
	if log := p.log.String(); !strings.Contains(log, "at the disco") || !strings.Contains(log, "message_test.go") {
		t.Errorf("the log has no panic with its stack: %s", log)
	}
}

// pieces is a body of unknown length that gives a piece a Read.
type pieces []string

func (p *pieces) Close() error { return nil }

func (p *pieces) Read(b []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*p)[0])
	*p = (*p)[1:]
	return n, nil
}

func TestInform(t *testing.T) {
	late := make(chan error, 1)
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		var f edge.Fields
		f.Add("Link", "</style.css>; rel=preload")
		f.Add("Connection", "close")
		if err := x.Inform(103, &f); err != nil {
			t.Error(err)
		}
		for _, status := range []int{100, 101, 200} {
			if x.Inform(status, nil) == nil {
				t.Errorf("Inform took %d", status)
			}
		}
		f.Add("bad name", "")
		if x.Inform(103, &f) == nil {
			t.Error("Inform took a bad name")
		}
		text(x, 200, "")
		x.Response.Body, x.Response.Length = &informer{x, late}, -1
		x.Response.Fields.Add("X-Final", "1")
		return nil
	})
	var early []string
	r, _ := http.NewRequest("GET", p.url("/"), nil)
	r = r.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			early = append(early, fmt.Sprint(code, h))
			return nil
		},
	}))
	res, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if got, want := strings.Join(early, " "), "103 map[Link:[</style.css>; rel=preload]]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if res.StatusCode != 200 || res.Header.Get("X-Final") != "1" || res.Header.Get("Link") != "" {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	if <-late == nil {
		t.Error("Inform worked behind the final head")
	}
}

// informer is a body that informs while it is read, which is too late.
type informer struct {
	x    *edge.Exchange
	late chan error
}

func (i *informer) Close() error { return nil }
func (i *informer) Read([]byte) (int, error) {
	i.late <- i.x.Inform(103, nil)
	return 0, io.EOF
}

func TestContinue(t *testing.T) {
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		if x.Request.Path == "/refused" {
			return text(x, 403, "")
		}
		return describe(x)
	})
	c := p.dial(t)

	s := p.open(t, c)
	s.request("POST", "/", "expect", "100-continue", "content-length", "5")
	if got, want := s.head(), ":status: 100"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.frame(0, []byte("hello"))
	s.Close()
	if got := s.head(); !strings.HasPrefix(got, ":status: 200\n") {
		t.Errorf("got %q", got)
	}
	if _, b, err := s.next(); err != nil || string(b) != "POST https://example.org/? HTTP/3.0 5\n\nhello\n" {
		t.Errorf("got %q, %v", b, err)
	}

	// Nobody wants the content: no 100.
	s = p.open(t, c)
	s.request("POST", "/refused", "expect", "100-continue", "content-length", "5")
	if got := s.head(); !strings.HasPrefix(got, ":status: 403\n") {
		t.Errorf("got %q", got)
	}
}

func TestAltSvc(t *testing.T) {
	if got, want := http3.AltSvc(8443), `h3=":8443"; ma=86400`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
