package http3

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// parse makes the request of r, whose syntax quic-go has checked.
func (e *exchange) parse(r *http.Request) error {
	req := &e.x.Request
	req.Proto = "HTTP/3.0"
	req.Scheme = "https" // quic-go hides :scheme; over QUIC there is always TLS
	req.Method, req.Authority = r.Method, r.Host
	if r.Method == http.MethodConnect {
		return refuse(http.StatusNotImplemented, "CONNECT is not served")
	}
	if !validAuthority(r.Host) {
		return refuse(0, ":authority is %q", r.Host)
	}
	// It begins with '/', or is '*' for OPTIONS.
	for i := range len(r.RequestURI) {
		if c := r.RequestURI[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return refuse(0, ":path has %q in it", c)
		}
	}
	req.Path, req.Query, _ = strings.Cut(r.RequestURI, "?")
	expect := r.Header.Get("Expect")
	if err := e.fields(r); err != nil {
		return err
	}
	if expect != "" {
		// RFC 9110, section 10.1.1: no other expectation is defined.
		if !strings.EqualFold(expect, "100-continue") {
			return refuse(http.StatusExpectationFailed, "Expect is %q", expect)
		}
		e.mu.Lock()
		e.expect = r.ContentLength != 0
		e.mu.Unlock()
	}
	return e.content(r)
}

func refuse(status int, format string, args ...any) error {
	return &edge.Error{Kind: edge.RequestError, Status: status, Op: "read the request's head", Err: fmt.Errorf(format, args...)}
}

// fields copies the request's fields, sorted by name. Those with an underscore are
// left out: behind a gateway interface (RFC 3875, section 4.1.18) they cannot be
// told from others with a hyphen.
func (e *exchange) fields(r *http.Request) error {
	f := &e.x.Request.Fields
	lines, most := 0, e.c.limits.Fields
	e.names = e.names[:0]
	for name, values := range r.Header {
		lines += len(values)
		if strings.IndexByte(name, '_') >= 0 {
			e.c.s.dropped.Add(uint64(len(values)))
		} else if !edge.ConnectionField(name) && !edge.EqualFold(name, "Expect") {
			e.names = append(e.names, name)
		}
	}
	if lines > most {
		return refuse(http.StatusRequestHeaderFieldsTooLarge, "%d fields, more than limits.fields=%d", lines, most)
	}
	slices.Sort(e.names)
	for _, name := range e.names {
		for _, v := range r.Header[name] {
			f.Add(name, v)
		}
	}
	// quic-go has made a map of Trailer's names.
	if len(r.Trailer) > 0 {
		e.names = e.names[:0]
		for name := range r.Trailer {
			e.names = append(e.names, name)
		}
		slices.Sort(e.names)
		f.Add("Trailer", strings.Join(e.names, ", "))
	}
	clear(e.names)
	return nil
}

// content finds out whether the request has content. Without a Content-Length,
// only the end of the stream says that it has none, and comes with the head then.
// So that is waited for where the method has no use for content: a body of
// unknown length would have to be chunked over HTTP/1.1.
func (e *exchange) content(r *http.Request) error {
	req := &e.x.Request
	req.Length = r.ContentLength
	if req.Length == 0 {
		return nil
	}
	if req.Length < 0 {
		switch req.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete, http.MethodTrace:
			some, err := e.body.peek()
			if err != nil {
				return err
			}
			if !some {
				req.Length = 0
				return nil
			}
		}
	}
	req.Body = &e.body
	return nil
}
