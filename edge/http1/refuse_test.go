package http1_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// What is refused is answered with a status, never reaches a handler, and ends
// the connection, so that nothing behind it is taken for a request.
func TestRefused(t *testing.T) {
	served := make(chan string, 100)
	s, addr := serve(t, edge.HandlerFunc(func(x *edge.Exchange) error {
		served <- strings.Clone(x.Request.Path)
		x.Respond(200, nil, 0)
		return nil
	}), quick)
	get := func(lines ...string) string { return "GET / HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" }
	post := func(lines ...string) string {
		return "POST / HTTP/1.1\r\nHost: a\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\nhello"
	}
	tests := []struct {
		status  int
		request string
	}{
		// The start line: RFC 9112, section 3.
		{400, "GET /\r\nHost: a\r\n\r\n"},
		{400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
		{400, "GET / x HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /a\x00 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1.1\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
		{505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{400, "\x16\x03\x01\x02\x00\x01"}, // a TLS handshake, which never gets an end
		{400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{501, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"},
		{501, strings.Repeat("M", 33) + " / HTTP/1.1\r\nHost: a\r\n\r\n"},
		// Line ends: RFC 9112, section 2.2.
		{400, "GET / HTTP/1.1\nHost: a\n\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: a\r\n\n"},
		{400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, get("Host: a", "X: b\rc")},
		{400, "GET / HTTP/1.1\r\n\rHost: a\r\n\r\n"},
		{400, strings.Repeat("\r\n", 20) + get("Host: a")},
		// The target in absolute form: RFC 9112, section 3.2.2.
		{400, "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET http://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n"},
		{400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		{421, "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
		// Host: RFC 9112, section 3.2.
		{400, "GET / HTTP/1.1\r\n\r\n"},
		{400, get("Host: a", "Host: a")},
		{400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
		{400, get("Host:")},
		{400, get("Host: u@a")},
		{400, get("Host: a:")},
		{400, get("Host: a:65536")},
		{400, get("Host: a:8a")},
		{400, get("Host: a:-1")},
		{400, get("Host: a:1:2")},
		{400, get("Host: :80")},
		{400, get("Host: [::1")},
		{400, get("Host: ::1")},
		{400, get("Host: [1]")},
		{400, get("Host: [::1%25eth0]")},
		{400, get("Host: [::1]x")},
		{400, get(`Host: a\b`)},
		{400, get(`Host: "a"`)},
		{400, get("Host: a/b")},
		{400, get("Host: a#b")},
		{400, get("Host: a?b")},
		{400, get("Host: a b")},
		{400, get("Host: a,b")},
		{400, get("Host: a%00")},
		{400, get("Host: \xc3\xa4")},
		// Field lines: RFC 9112, section 5.
		{400, get("Host : a")},
		{400, get("Host: a", " b")},
		{400, get("Host: a", "\tb")},
		{400, get(" X: y", "Host: a")},
		{400, get("Host: a", "X")},
		{400, get("Host: a", ":")},
		{400, get("Host: a", ": x")},
		{400, get("Host: a", "X Y: z")},
		{400, get("Host: a", "X[]: z")},
		{400, get("Host: a", "X\x00: z")},
		{400, get("Host: a", "X: \x00")},
		{400, get("Host: a", "X: \x07")},
		{400, get("Host: a", "X: \x7f")},
		{417, get("Host: a", "Expect: the-unexpected")},
		{400, get("Host: a", "Connection: a"+strings.Repeat(",a", 70))},
		// Lengths: RFC 9112, section 6.
		{400, post("Content-Length: 5", "Content-Length: 5")},
		{400, post("Content-Length: 5, 5")},
		{400, post("Content-Length: +5")},
		{400, post("Content-Length: -5")},
		{400, post("Content-Length: 0x5")},
		{400, post("Content-Length: 5.0")},
		{400, post("Content-Length: 5 5")},
		{400, post("Content-Length:")},
		{400, post("Content-Length: 18446744073709551621")},
		{400, post("Content-Length: 5", "Transfer-Encoding: chunked")},
		{400, post("Transfer-Encoding: chunked", "Content-Length: 5")},
		{400, post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")},
		{400, post("Transfer-Encoding: chunked, chunked")},
		{400, post("Transfer-Encoding: chunked, gzip")},
		{400, post("Transfer-Encoding:")},
		{501, post("Transfer-Encoding: gzip, chunked")},
		{501, post("Transfer-Encoding: gzip")},
		{501, post("Transfer-Encoding: xchunked")},
		{501, post("Transfer-Encoding: chunked;q=1")},
		{501, post("Transfer-Encoding: \x85chunked")},
		{400, post("Transfer-Encoding: \x0bchunked")},
		{400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		// Limits.
		{414, "GET /" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{414, "GET /" + strings.Repeat("a", 60<<10)},
		{431, get("Host: a", "X: "+strings.Repeat("a", 32<<10))},
		{431, get("Host: a", strings.Repeat("X: y\r\n", 100)+"X: y")},
	}
	const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, test := range tests {
		c := dial(t, addr)
		go c.say(test.request + next) // it may be larger than the sockets' buffers
		res, body := c.whole()
		if res.StatusCode != test.status || !res.Close {
			t.Errorf("%.200q: got %s, want %d and close", test.request, res.Status, test.status)
		}
		if !strings.HasPrefix(body, fmt.Sprint(res.StatusCode)) || res.Header.Get("Proxy-Status") == "" {
			t.Errorf("%.200q: got %v %q, want the failure's page", test.request, res.Header, body)
		}
		if rest := c.closed(); rest != "" {
			t.Errorf("%.200q: got %q behind the refusal", test.request, rest)
		}
	}
	select {
	case path := <-served:
		t.Errorf("a handler has seen %q", path)
	default:
	}
	if got := s.Stats().Refused; got != uint64(len(tests)) {
		t.Errorf("counted %d refusals, want %d", got, len(tests))
	}
}

// The limits are settings, and what is just within them passes.
func TestHeadLimits(t *testing.T) {
	cfg := quick
	cfg.HeaderBytes, cfg.TargetBytes, cfg.Fields, cfg.MethodBytes = 60<<10, 20<<10, 200, 4
	_, addr := serve(t, fixed(200, "ok"), cfg)
	for _, test := range []struct {
		status  int
		request string
	}{
		{200, "GET /" + strings.Repeat("a", 20<<10-1) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{414, "GET /" + strings.Repeat("a", 20<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{200, "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 199) + "\r\n"},
		{431, "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 200) + "\r\n"},
		{200, "POST / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{501, "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{200, sized(60 << 10)},
		{431, sized(60<<10 + 1)},
	} {
		c := dial(t, addr)
		go c.say(test.request)
		if res, _ := c.whole(); res.StatusCode != test.status {
			t.Errorf("%.60q (%d bytes): got %s, want %d", test.request, len(test.request), res.Status, test.status)
		}
	}
}

// sized returns a request whose head has n bytes.
func sized(n int) string {
	const start, end = "GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n"
	return start + strings.Repeat("x", n-len(start)-len(end)) + end
}

// SetConfig is for connections that come later.
func TestSetConfig(t *testing.T) {
	s, addr := serve(t, fixed(200, "ok"), quick)
	before := dial(t, addr)
	before.say(sized(1000))
	before.whole()
	s.SetConfig(http1.Config{HeaderBytes: 100})
	if res, _ := ask(t, addr, sized(1000)); res.StatusCode != 431 {
		t.Error("a new connection: got", res.Status)
	}
	before.say(sized(1000))
	if res, _ := before.whole(); res.StatusCode != 200 {
		t.Error("an old connection: got", res.Status)
	}
}

// What is not refused: each of these is one recipients agree on.
func TestAccepted(t *testing.T) {
	_, addr := serve(t, edge.HandlerFunc(func(x *edge.Exchange) error {
		r := &x.Request
		var body []byte
		if r.Body != nil {
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				return err
			}
		}
		s := fmt.Sprintf("%s %s %s|%s|%s|%s %s", r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Proto, body)
		x.Respond(200, edge.Content([]byte(s)), int64(len(s)))
		return nil
	}), quick)
	for _, test := range []struct{ request, want string }{
		{"GET / HTTP/1.1\r\nHost: a.b-c_d~e:80\r\n\r\n", "GET http a.b-c_d~e:80|/||HTTP/1.1 "},
		{"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET http [::1]:8080|/||HTTP/1.1 "},
		{"GET / HTTP/1.1\r\nHost: [2001:db8::192.0.2.1]\r\n\r\n", "GET http [2001:db8::192.0.2.1]|/||HTTP/1.1 "},
		{"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http a|/||HTTP/1.1 "},
		{"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET http a|/||HTTP/1.1 "},
		{"GET HTTP://A?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET http A|/|q|HTTP/1.1 "},
		{"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http a|*||HTTP/1.1 "},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http a|*||HTTP/1.1 "},
		{"GET / HTTP/1.0\r\n\r\n", "GET http |/||HTTP/1.0 "},
		{"GET http://a/b HTTP/1.0\r\n\r\n", "GET http a|/b||HTTP/1.0 "},
		{"get /%2e%2e//a;b?c?d=%00 HTTP/1.1\r\nhOST:\t a \t\r\n\r\n", "get http a|/%2e%2e//a;b|c?d=%00|HTTP/1.1 "},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello", "POST http a|/||HTTP/1.1 hello"},
		{"POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello", "POST http a|/||HTTP/1.1 hello"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST http a|/||HTTP/1.1 hello"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0005 ;a=b;c=\"d e\"\r\nhello\r\n00;z\r\n\r\n", "POST http a|/||HTTP/1.1 hello"},
	} {
		c := dial(t, addr)
		for i := range len(test.request) { // the parser sees every prefix
			c.say(test.request[i : i+1])
		}
		if res, body := c.whole(); res.StatusCode != 200 || body != test.want {
			t.Errorf("%q: got %s %q, want %q", test.request, res.Status, body, test.want)
		}
	}
}

// Content whose framing is broken is an error for who reads it, and the end of
// the connection.
func TestBrokenContent(t *testing.T) {
	rec := make(records, 1)
	_, addr := serve(t, edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		if _, err := io.ReadAll(x.Request.Body); err != nil {
			return err
		}
		x.Respond(200, nil, 0)
		return nil
	}), rec), quick)
	long := strings.Repeat("x", 5<<10)
	for _, content := range []string{
		"0x5\r\nhello\r\n0\r\n\r\n",
		"-5\r\nhello\r\n0\r\n\r\n",
		"+5\r\nhello\r\n0\r\n\r\n",
		"\r\n\r\n",
		" 5\r\nhello\r\n0\r\n\r\n",
		"5 \r\nhello\r\n0\r\n\r\n",
		"5 x\r\nhello\r\n0\r\n\r\n",
		"5\nhello\r\n0\r\n\r\n",
		"5\r\nhello\n0\r\n\r\n",
		"5\r\nhelloX\r\n0\r\n\r\n",
		"5\r\nhelloXX0\r\n\r\n",
		"5\r\nhello0\r\n\r\n",
		"ffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
		"1000000000000000\r\nhello\r\n0\r\n\r\n",
		"5;a\x00\r\nhello\r\n0\r\n\r\n",
		"5;a\rb\r\nhello\r\n0\r\n\r\n",
		"5;a\nb\r\nhello\r\n0\r\n\r\n",
		"5;" + long + "\r\nhello\r\n0\r\n\r\n",
		strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\na\r\n", 200) + "0\r\n\r\n",
		"0\r\nX: " + long + "\r\n\r\n",
		"0\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n",
		"0\r\nContent-Length: 5\r\n\r\n",
		"0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"0\r\nHost: b\r\n\r\n",
		"0\r\nTrailer: X\r\n\r\n",
		"0\r\nConnection: close\r\n\r\n",
		"0\r\nX : y\r\n\r\n",
		"0\r\nX: y\r\n z\r\n\r\n",
		"0\r\nX: y\nZ: z\r\n\r\n",
		"0\r\n\n",
	} {
		c := dial(t, addr)
		go c.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + content + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		res, _ := c.whole()
		if res.StatusCode/100 != 4 || !res.Close {
			t.Errorf("%.60q: got %s", content, res.Status)
		}
		if rest := c.closed(); rest != "" {
			t.Errorf("%.60q: got %q behind the refusal", content, rest)
		}
		if r := rec.wait(t); edge.AsError(r.err).Kind != edge.RequestError || r.why != "bad-request" {
			t.Errorf("%.60q: recorded %q, %v", content, r.why, r.err)
		}
	}
}
