package http2

import (
	"strings"
	"time"
	"unsafe"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

// open makes s the stream of the request whose head has been decoded. It returns
// the stream if it is to be served.
func (c *conn) open(s *stream) (*stream, error) {
	t := &c.sect
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving || c.draining == drainNamed { // RFC 9113, section 6.8
		s.drop(&c.s.streams)
		return nil, nil
	}
	c.last = t.id
	var err error
	switch {
	case len(c.streams) >= c.cfg.Streams: // RFC 9113, section 5.1.2
		err = streamFault(t.id, http2.ErrCodeRefusedStream, "too many streams")
	case t.bad == "" && t.large:
		s.refused = errHeadTooLarge
		s.x.Request.Fields.Reset()
	default:
		err = s.complete(t)
	}
	if err != nil {
		s.drop(&c.s.streams)
		return nil, err
	}
	s.begin(c, t)
	c.streams[t.id] = s
	c.live.Add(1)
	if c.cold.Load() {
		c.warmLater()
	}
	c.s.requests.Add(1)
	c.empties = max(0, c.empties-1)
	return s, nil
}

// warmLater tells the watch of c. c.mu is held, which comes after the server's.
func (c *conn) warmLater() {
	c.mu.Unlock()
	c.s.warm(c)
	c.mu.Lock()
}

// begin makes the stream's exchange. c.mu is held.
func (s *stream) begin(c *conn, t *section) {
	s.c, s.id, s.cond.L = c, t.id, &c.mu
	s.window, s.room = c.initial, int64(c.cfg.StreamWindow)
	s.x.Begin(s, &c.client, time.Now())
	r := &s.x.Request
	r.Proto = "HTTP/2.0"
	// What the client says of the scheme is not to be trusted.
	r.Scheme = "http"
	if c.client.TLS != nil {
		r.Scheme = "https"
	}
	s.declared, s.expect = t.length, t.expect
	r.Length = t.length
	if t.end {
		s.ended, r.Length = true, 0
		return
	}
	r.Body = (*body)(s)
}

var (
	errHeadTooLarge = &edge.Error{Kind: edge.RequestError, Status: 431, Op: "read the request's head"}
	errConnect      = &edge.Error{Kind: edge.RequestError, Status: 501, Op: "serve CONNECT"} // this is no forward proxy
	errExpect       = &edge.Error{Kind: edge.RequestError, Status: 417, Op: "read Expect"}   // RFC 9110, section 10.1.1
)

// complete checks the request, and makes its parts of the pseudo-fields.
func (s *stream) complete(t *section) error {
	r := &s.x.Request
	if t.bad == "" {
		t.check(r)
	}
	if t.bad != "" {
		return streamFault(t.id, http2.ErrCodeProtocol, t.bad)
	}
	if r.Authority == "" {
		r.Authority = t.host
	}
	if r.Method == "CONNECT" {
		s.refused = errConnect
		return nil
	}
	if r.Fields.Has("expect") {
		s.refused = errExpect
	}
	r.Path, r.Query, _ = strings.Cut(r.Path, "?")
	if t.crumbs > 1 {
		s.joinCookies()
	}
	return nil
}

// check applies the rules for whole requests (RFC 9113, section 8.3.1).
func (t *section) check(r *edge.Request) {
	if t.pseudo&hasMethod == 0 || !validName(r.Method) {
		t.malformed("no valid :method")
		return
	}
	if r.Method == "CONNECT" { // RFC 9113, section 8.5
		if t.pseudo != hasMethod|hasAuthority {
			t.malformed("CONNECT with other pseudo-fields than :method and :authority")
		}
	} else {
		if r.Scheme != "http" && r.Scheme != "https" {
			t.malformed("no valid :scheme")
		}
		t.checkPath(r)
	}
	t.checkAuthority(r)
	if t.end && t.length > 0 { // RFC 9113, section 8.1.1
		t.malformed("less content than Content-Length")
	}
}

func (t *section) checkPath(r *edge.Request) {
	switch {
	case r.Path == "":
		t.malformed("no :path")
	case r.Path == "*":
		if r.Method != "OPTIONS" {
			t.malformed(":path is * and the method is not OPTIONS")
		}
	case r.Path[0] != '/' || !all(r.Path, isPath):
		t.malformed("invalid :path")
	}
}

func (t *section) checkAuthority(r *edge.Request) {
	authority := r.Authority
	switch {
	case t.hosts > 1:
		t.malformed("Host twice")
	case t.pseudo&hasAuthority == 0:
		authority = t.host
	case t.hosts == 1 && !edge.EqualFold(t.host, r.Authority):
		t.malformed("Host differs from :authority")
	}
	if !validAuthority(authority) {
		t.malformed("no valid :authority")
	}
}

// validAuthority reports whether s is host[:port] (RFC 9110, section 4.2; RFC
// 9113, section 8.3.1 forbids userinfo).
func validAuthority(s string) bool {
	host, port := s, ""
	if s != "" && s[0] == '[' { // RFC 3986, section 3.2.2
		end := strings.IndexByte(s, ']')
		if end < 0 || strings.Trim(s[1:end], "0123456789abcdefABCDEF:.") != "" || end < 3 {
			return false
		}
		port = s[end+1:]
		if port != "" && port[0] != ':' {
			return false
		}
		return port == "" || validPort(port[1:])
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
	}
	for i := range len(host) {
		if c := host[i]; chars[c]&isAuthority == 0 || c == '[' || c == ']' || c == ':' {
			return false
		}
	}
	return host != "" && validPort(port)
}

func validPort(s string) bool {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		if n = 10*n + int(s[i]-'0'); n > 65535 {
			return false
		}
	}
	return true
}

// joinCookies makes one field of the crumbs (RFC 9113, section 8.2.3).
func (s *stream) joinCookies() {
	f := &s.x.Request.Fields
	start := len(s.text)
	for i := range f.Len() {
		if l := f.At(i); l.Name == "cookie" {
			if len(s.text) > start {
				s.text = append(s.text, "; "...)
			}
			s.text = append(s.text, l.Value...)
		}
	}
	joined := ""
	if len(s.text) > start {
		joined = unsafe.String(&s.text[start], len(s.text)-start)
	}
	f.Set("cookie", joined)
}
