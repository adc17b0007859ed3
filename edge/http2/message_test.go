package http2

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

// RFC 9113, sections 8.1.1, 8.2 and 8.3: malformed requests are stream errors, and
// never reach the handler.
func TestMalformedRequests(t *testing.T) {
	served := 0
	addr := listen(t, serve(func(x *edge.Exchange) error {
		if x.Request.Path != "/" {
			served++
		}
		return ok(x)
	}, Config{Resets: 1000}))
	p := dial(t, addr)
	id := uint32(1)
	bad := func(lines ...string) {
		t.Helper()
		p.request(id, true, lines...)
		a := p.answer(id)
		if !a.resetSet || a.reset != http2.ErrCodeProtocol || len(a.heads) > 0 {
			t.Errorf("%q: %+v, want a reset with PROTOCOL_ERROR", lines, a)
		}
		id += 2
	}
	m, s, a, path := ":method: GET", ":scheme: http", ":authority: example.org", ":path: /x"
	bad(s, a, path)                                  // no method
	bad(m, a, path)                                  // no scheme
	bad(m, s, a)                                     // no path
	bad(m, s, path)                                  // neither authority nor host
	bad(m, s, a, ":path: ")                          // empty path
	bad(m, s, a, ":path: x")                         // relative
	bad(m, s, a, ":path: http://example.org/x")      // absolute
	bad(m, s, a, ":path: *")                         // for OPTIONS only
	bad(m, s, a, ":path: /x y")                      // space
	bad(m, s, a, ":path: /x#y")                      // fragment
	bad(m, s, a, ":path: /x\x80")                    // beyond ASCII
	bad(m, s, ":authority: ", path)                  // empty authority
	bad(m, s, ":authority: u@example.org", path)     // userinfo
	bad(m, s, ":authority: example.org/x", path)     // path
	bad(m, s, ":authority: example.org:65536", path) // port
	bad(m, s, ":authority: example.org:x", path)
	bad(m, s, ":authority: [::1", path)
	bad(m, s, ":authority: [g]", path)
	bad(m, s, ":authority: :80", path)
	bad(m, s, a, path, "host: example.com") // differs
	bad(m, s, path, "host: a", "host: a")   // twice
	bad(m, s, a, path, "host: example.org", "host: example.org")
	bad(m, m, s, a, path) // a pseudo-field twice
	bad(m, s, s, a, path)
	bad(m, s, a, a, path)
	bad(m, s, a, path, path)
	bad(m, s, a, path, ":protocol: websocket") // not offered (RFC 8441)
	bad(m, s, a, path, ":status: 200")
	bad(m, s, a, "x: y", path) // behind a field
	bad(":method: G T", s, a, path)
	bad(":method: ", s, a, path)
	bad(m, ":scheme: ftp", a, path)
	bad(m, s, a, path, "X: y") // upper case
	bad(m, s, a, path, "x y: z")
	bad(m, s, a, path, "x\x00: z")
	bad(m, s, a, path, "é: z")
	bad(m, s, a, path, "x: a\x00b")
	bad(m, s, a, path, "x: a\rb")
	bad(m, s, a, path, "x: a\nb")
	bad(m, s, a, path, "x: a\x7f")
	bad(m, s, a, path, "x: a ") // white space around it
	bad(m, s, a, path, "x:  a")
	bad(m, s, a, path, "x: a\t")
	bad(m, s, a, path, "connection: close") // connection-specific
	bad(m, s, a, path, "keep-alive: 1")
	bad(m, s, a, path, "proxy-connection: close")
	bad(m, s, a, path, "transfer-encoding: chunked")
	bad(m, s, a, path, "upgrade: h2c")
	bad(m, s, a, path, "te: gzip")
	bad(m, s, a, path, "te: trailers, deflate")
	bad(m, s, a, path, "content-length: 1") // and no content
	bad(m, s, a, path, "content-length: -1")
	bad(m, s, a, path, "content-length: +0")
	bad(m, s, a, path, "content-length: ")
	bad(m, s, a, path, "content-length: 0, 0")
	bad(m, s, a, path, "content-length: 0", "content-length: 0")
	bad(m, s, a, path, "content-length: 9999999999999999999")
	bad(":method: CONNECT", s, a, path) // RFC 9113, section 8.5
	bad(":method: CONNECT", a, path)
	bad(":method: CONNECT", "host: example.org:443")
	p.alive(id)
	if served != 0 {
		t.Errorf("%d malformed requests were served", served)
	}
}

// What is unusual and right reaches the handler, as it is to see it.
func TestRequests(t *testing.T) {
	var got string
	addr := listen(t, serve(func(x *edge.Exchange) error {
		r := &x.Request
		got = fmt.Sprintf("%s %s %s %s?%s %s %d %q", r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Proto, r.Length, r.Upgrade)
		for n, v := range r.Fields.All() {
			got += fmt.Sprintf(" %s=%s", n, v)
		}
		return ok(x)
	}, Config{}))
	p := dial(t, addr)
	id := uint32(1)
	good := func(want string, lines ...string) {
		t.Helper()
		p.request(id, true, lines...)
		if a := p.answer(id); a.status() != "200" {
			t.Errorf("%q: status %s, want 200", lines, a.status())
		} else if got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", lines, got, want)
		}
		id += 2
	}
	m, s, a, path := ":method: GET", ":scheme: http", ":authority: example.org", ":path: /x"
	good(`GET http example.org /x? HTTP/2.0 0 ""`, m, s, a, path)
	good(`GET http example.org /x?a=b?c HTTP/2.0 0 ""`, m, s, a, ":path: /x?a=b?c")
	good(`GET http example.org /x? HTTP/2.0 0 ""`, m, ":scheme: https", a, path) // the connection knows better
	good(`OPTIONS http example.org *? HTTP/2.0 0 ""`, ":method: OPTIONS", s, a, ":path: *")
	good(`BREW http [::1]:8080 /%7Ex? HTTP/2.0 0 ""`, ":method: BREW", s, ":authority: [::1]:8080", ":path: /%7Ex")
	good(`GET http example.org /x? HTTP/2.0 0 ""`, m, s, path, "host: example.org")     // no :authority
	good(`GET http example.org /x? HTTP/2.0 0 ""`, m, s, a, path, "host: EXAMPLE.ORG")  // the same
	good(`GET http example.org /x? HTTP/2.0 0 ""`, m, s, a, path, "te: trailers")       // dropped
	good(`GET http example.org /x? HTTP/2.0 0 ""`, m, s, a, path, "content-length: 0")  // framing is not a field
	good(`GET http example.org /x? HTTP/2.0 0 "" x= y=é`, m, s, a, path, "x: ", "y: é") // empty, obs-text
	good(`GET http example.org /x? HTTP/2.0 0 "" x=1 x=2`, m, s, a, path, "x: 1", "x: 2")
	good(`GET http example.org /x? HTTP/2.0 0 "" cookie=a=b`, m, s, a, path, "cookie: a=b")
	good(`GET http example.org /x? HTTP/2.0 0 "" cookie=a=b; c=d; e=f x=y`,
		m, s, a, path, "cookie: a=b", "x: y", "cookie: c=d", "cookie: e=f") // RFC 9113, section 8.2.3
	p.alive(id)
}

// What is well-formed and refused is answered.
func TestRefusedRequests(t *testing.T) {
	addr := listen(t, serve(func(x *edge.Exchange) error {
		if x.Request.Path != "/" {
			t.Errorf("%s %s is served", x.Request.Method, x.Request.Path)
		}
		return ok(x)
	}, Config{}))
	p := dial(t, addr)
	id := uint32(1)
	refused := func(want string, lines ...string) {
		t.Helper()
		p.request(id, true, lines...)
		if got := p.answer(id).status(); got != want {
			t.Errorf("%.80q: status %q, want %s", lines, got, want)
		}
		id += 2
	}
	x := []string{":method: GET", ":scheme: http", ":authority: example.org", ":path: /x"}
	refused("501", ":method: CONNECT", ":authority: example.org:443")
	refused("417", with(x, "expect: a miracle")...)
	refused("431", with(x, "x: "+strings.Repeat("y", 33<<10))...)                         // Config.HeaderBytes
	refused("431", with(x, strings.Split(strings.Repeat("x: y\n", 99), "\n")[:99]...)...) // Config.Fields, with the pseudo-fields
	p.alive(id)                                                                           // and the tables are in step

	// A section within the limits arrives in several frames.
	p.request(id+2, true, with(get, "x: "+strings.Repeat("y", 20<<10))...)
	if got := p.answer(id + 2).status(); got != "200" {
		t.Errorf("a head of 20 KiB: status %q, want 200", got)
	}
}

// Far beyond the limit nothing is kept, and the connection ends.
func TestFieldSectionTooLarge(t *testing.T) {
	p := dial(t, listen(t, serve(ok, Config{HeaderBytes: 4 << 10})))
	p.request(1, true, with(get, "x: "+strings.Repeat("\x01y", 16<<10))...)
	if got, want := p.goAway().ErrCode, http2.ErrCodeEnhanceYourCalm; got != want {
		t.Errorf("GOAWAY %v, want %v", got, want)
	}
	p.closed()
}

// Framing of content: lengths, trailers, frames behind the end.
func TestContentFraming(t *testing.T) {
	addr := listen(t, serve(echo, Config{}))
	trailers := func(p *peer, end bool, lines ...string) {
		b := p.block(lines...)
		p.check(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b, EndHeaders: true, EndStream: end}))
	}
	bad := func(want http2.ErrCode, name string, send func(p *peer)) {
		t.Helper()
		p := dial(t, addr)
		send(p)
		for {
			a := p.answer(1)
			if a.resetSet && a.reset == http2.ErrCodeNo {
				continue // asked to stop before it was wrong
			}
			if a.reset != want {
				t.Errorf("%s: %+v, want a reset with %v", name, a, want)
			}
			break
		}
		p.alive(3)
	}
	bad(http2.ErrCodeProtocol, "less than Content-Length", func(p *peer) {
		p.request(1, false, with(post, "content-length: 3")...)
		p.check(p.fr.WriteData(1, true, []byte("ab")))
	})
	bad(http2.ErrCodeProtocol, "more than Content-Length", func(p *peer) {
		p.request(1, false, with(post, "content-length: 3")...)
		p.check(p.fr.WriteData(1, false, []byte("ab")))
		p.check(p.fr.WriteData(1, false, []byte("cd")))
	})
	bad(http2.ErrCodeProtocol, "less, with trailers", func(p *peer) {
		p.request(1, false, with(post, "content-length: 3")...)
		p.check(p.fr.WriteData(1, false, []byte("ab")))
		trailers(p, true, "x: y")
	})
	bad(http2.ErrCodeProtocol, "HEADERS amid content", func(p *peer) {
		p.request(1, false, post...)
		trailers(p, false, "x: y")
	})
	bad(http2.ErrCodeProtocol, "pseudo-field in trailers", func(p *peer) {
		p.request(1, false, post...)
		trailers(p, true, ":path: /")
	})
	bad(http2.ErrCodeProtocol, "connection field in trailers", func(p *peer) {
		p.request(1, false, post...)
		trailers(p, true, "connection: close")
	})
	bad(http2.ErrCodeProtocol, "trailers beyond the limit", func(p *peer) {
		p.request(1, false, post...)
		trailers(p, true, strings.Split(strings.Repeat("x: y\n", 101), "\n")[:101]...)
	})
	bad(http2.ErrCodeProtocol, "a window opened by nothing", func(p *peer) {
		p.request(1, false, post...)
		p.check(p.fr.WriteWindowUpdate(1, 0))
	})
	bad(http2.ErrCodeFlowControl, "a window beyond 2^31-1", func(p *peer) {
		p.request(1, false, post...)
		p.check(p.fr.WriteWindowUpdate(1, maxWindow))
	})
	bad(http2.ErrCodeProtocol, "a stream that depends on itself", func(p *peer) {
		p.check(p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(post...), EndHeaders: true,
			Priority: http2.PriorityParam{StreamDep: 1}}))
	})
}
