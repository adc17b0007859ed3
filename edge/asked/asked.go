// Package asked makes the request of a description of one, as a client would send it
// over HTTP/1.1: what is explained, and what modules are tried with.
package asked

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/http1"
)

// Request is a request that somebody describes.
type Request struct {
	Scheme    string // of the URL
	Authority string // likewise
	Client    netip.Addr
	head      []byte
}

// Read returns what r describes. What cannot be said in HTTP is a Problem. What can be
// said but is wrong is for the server to refuse.
func Read(r *api.ExplainRequest) (*Request, error) {
	a := &Request{Client: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	if r.Client != "" {
		var err error
		if a.Client, err = netip.ParseAddr(r.Client); err != nil {
			return nil, notRequest("", "%s is no address", shown(r.Client))
		}
	}
	method := r.Method
	if method == "" {
		method = "GET"
	}
	target, err := a.cut(r.URL)
	switch {
	case err != nil:
		return nil, err
	case strings.ContainsAny(method, "\r\n"):
		return nil, notRequest("", "the method %s has a line break", shown(method))
	case target == "" && method == "OPTIONS":
		target = "*" // RFC 9112, section 3.2.4
	case target == "" || target[0] == '?':
		target = "/" + target // RFC 9112, section 3.2.1
	}
	b := append(a.head, method...)
	b = append(append(append(b, ' '), target...), " HTTP/1.1\r\n"...)
	named := false
	for _, f := range r.Headers {
		switch {
		case strings.ContainsAny(f.Name, ":\r\n"):
			return nil, notRequest("", "%s is no name of a field", shown(f.Name))
		case strings.ContainsAny(f.Value, "\r\n"):
			return nil, notRequest("", "the value of %s has a line break", shown(f.Name))
		}
		named = named || edge.EqualFold(f.Name, "Host")
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	if !named {
		b = append(append(append(b, "Host: "...), a.Authority...), "\r\n"...)
	}
	a.head = append(b, "\r\n"...)
	return a, nil
}

// cut takes a URL apart, and returns the target that it has: as it is written, and
// without the fragment, which is not sent (RFC 9110, section 4.2.5). A URL without a
// scheme is one of http.
func (a *Request) cut(url string) (target string, err error) {
	s, _, _ := strings.Cut(url, "#")
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 0x80:
			return "", notRequest("write the path percent-encoded (/caf%C3%A9) and the host as DNS has it (xn--...)", "%s is no URL: it is not ASCII", shown(url))
		case c <= ' ' || c == 0x7f:
			return "", notRequest("write it percent-encoded: a space is %20", "%s is no URL: it has white space or a control character", shown(url))
		}
	}
	a.Scheme = "http"
	if end := strings.IndexAny(s, "/?"); end > 0 && strings.HasPrefix(s[end:], "//") && s[end-1] == ':' {
		a.Scheme, s = strings.ToLower(s[:end-1]), s[end:]
	}
	s = strings.TrimPrefix(s, "//")
	end := strings.IndexAny(s, "/?")
	if end < 0 {
		end = len(s)
	}
	a.Authority = s[:end]
	switch {
	case a.Scheme != "http" && a.Scheme != "https":
		return "", notRequest("", "%s is no URL of http or https", shown(url))
	case a.Authority == "":
		return "", notRequest("write it as http://example.com/path", "%s has no host", shown(url))
	case strings.IndexByte(a.Authority, '@') >= 0:
		// RFC 9110, section 4.2.4: it is not sent. Who has it in mind means a field.
		return "", notRequest("leave it out, or give the field Authorization that clients make of it", "the URL has a user or a password")
	}
	return s[end:], nil
}

// Port returns the port of the URL, or "".
func (a *Request) Port() string {
	if i := strings.LastIndexByte(a.Authority, ':'); i > strings.LastIndexByte(a.Authority, ']') {
		return a.Authority[i+1:]
	}
	return ""
}

// Parse makes req the request as an engine does that has the limits of cfg.
func (a *Request) Parse(cfg http1.Config, req *edge.Request) error {
	return http1.ParseHead(a.head, a.Scheme, cfg, req)
}

func notRequest(hint, format string, args ...any) error {
	return &api.Problem{Title: "not a request", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// shown returns a text of a client for people to read, and no more than a line of it.
func shown(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q...", strings.ToValidUTF8(s[:most], ""))
	}
	return fmt.Sprintf("%q", s)
}
