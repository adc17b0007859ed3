package wasi

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// metaVariables are the names that requests bring besides HTTP_*. Those of RFC
// 3875, section 4.1, that are never set are among them, so that nobody takes what
// the file says for what a server says.
var metaVariables = map[string]bool{
	"AUTH_TYPE": true, "CONTENT_LENGTH": true, "CONTENT_TYPE": true, "GATEWAY_INTERFACE": true, "HTTPS": true,
	"PATH_INFO": true, "PATH_TRANSLATED": true, "QUERY_STRING": true, "REMOTE_ADDR": true, "REMOTE_HOST": true,
	"REMOTE_IDENT": true, "REMOTE_PORT": true, "REMOTE_USER": true, "REQUEST_ID": true, "REQUEST_METHOD": true,
	"REQUEST_SCHEME": true, "REQUEST_URI": true, "SCRIPT_NAME": true, "SERVER_NAME": true, "SERVER_PORT": true,
	"SERVER_PROTOCOL": true, "SERVER_SOFTWARE": true,
}

// environ returns the command's environment: what the configuration grants, and
// the request's head as it is when this is called first.
func (c *call) environ() *wasm.Environ {
	e, r := &c.env, &c.x.Request
	if c.made {
		return e
	}
	c.made = true
	e.Grow(48, 2<<10)
	e.AddAll(&c.f.env)
	e.Add("GATEWAY_INTERFACE", "CGI/1.1")
	e.Add("SERVER_SOFTWARE", "sluice")
	e.Add("SERVER_PROTOCOL", r.Proto)
	e.Add("SERVER_NAME", hostname(r.Authority))
	e.Add("REQUEST_METHOD", r.Method)
	e.Add("REQUEST_SCHEME", r.Scheme)
	if r.Scheme == "https" {
		e.Add("HTTPS", "on")
	}
	e.Add("REQUEST_URI", c.uri())
	script, info := split(r.Path, c.script)
	e.Add("SCRIPT_NAME", script)
	e.Add("PATH_INFO", info)
	e.Add("QUERY_STRING", r.Query) // RFC 3875, section 4.1.7: also an empty one
	e.Add("REQUEST_ID", c.x.Record.ID)
	if cl := c.x.Client; cl != nil {
		e.Add("REMOTE_ADDR", cl.IP)
		e.Add("REMOTE_PORT", port(cl.Addr))
		e.Add("SERVER_PORT", port(cl.Local))
	}
	// RFC 3875, section 4.1.2: only with content, of which the length is known.
	if r.Body != nil && r.Length >= 0 {
		e.Add("CONTENT_LENGTH", strconv.FormatInt(r.Length, 10))
	}
	if v, ok := r.Fields.Lookup("Content-Type"); ok {
		e.Add("CONTENT_TYPE", v)
	}
	if r.Authority != "" {
		e.Add("HTTP_HOST", r.Authority)
	}
	c.fields()
	return e
}

// uri is the path and query as the client sent them.
func (c *call) uri() string {
	path, query := c.x.Record.Path, c.x.Record.Query
	if path == "" {
		path, query = c.x.Request.Path, c.x.Request.Query
	}
	if query == "" {
		return path
	}
	return path + "?" + query
}

// split divides a path into the function's own and what follows it, decoded (RFC
// 3875, section 4.1.5).
func split(path, script string) (name, info string) {
	if rest, ok := strings.CutPrefix(path, script); ok && (rest == "" || rest[0] == '/') {
		name, path = script, rest
	}
	if strings.IndexByte(path, '%') < 0 {
		return name, path
	}
	info, err := url.PathUnescape(path)
	if err != nil || strings.IndexByte(info, 0) >= 0 {
		return name, path
	}
	return name, info
}

// hostname returns an authority without its port.
func hostname(authority string) string {
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		return authority[:i]
	}
	return authority
}

func port(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }

// fields adds the request's fields as HTTP_* (RFC 3875, section 4.1.18), lines of
// one name joined. Authorization is among them: nobody else looks at it.
func (c *call) fields() {
	f := &c.x.Request.Fields
	for i := range f.Len() {
		l := f.At(i)
		var buf [64]byte
		name, ok := variable(buf[:0], l.Name)
		if !ok || slices.ContainsFunc(skipped, func(s string) bool { return edge.EqualFold(s, l.Name) }) || repeated(f, i) {
			continue
		}
		c.env.Add(string(name), l.Value)
		sep := ", " // RFC 9110, section 5.2
		if edge.EqualFold(l.Name, "Cookie") {
			sep = "; " // RFC 9113, section 8.2.3
		}
		for j := i + 1; j < f.Len(); j++ {
			if more := f.At(j); edge.EqualFold(more.Name, l.Name) {
				c.env.Extend(sep, more.Value)
			}
		}
	}
}

// skipped are the fields that are no HTTP_* variable: two have variables of
// their own, and HTTP_PROXY is a setting of HTTP clients that who sends a request
// must not make (CVE-2016-5385).
var skipped = []string{"Content-Type", "Content-Length", "Proxy", "Host"}

// repeated reports whether the i-th field has a line before.
func repeated(f *edge.Fields, i int) bool {
	for j := range i {
		if edge.EqualFold(f.At(j).Name, f.At(i).Name) {
			return true
		}
	}
	return false
}

// variable appends the name of a field's variable. It has none if its name could
// clash with another's, having an underscore, or is not of letters, digits and
// hyphens.
func variable(b []byte, field string) ([]byte, bool) {
	b = append(b, "HTTP_"...)
	for i := range len(field) {
		switch c := field[i]; {
		case 'a' <= c && c <= 'z':
			b = append(b, c-'a'+'A')
		case 'A' <= c && c <= 'Z' || '0' <= c && c <= '9':
			b = append(b, c)
		case c == '-':
			b = append(b, '_')
		default:
			return nil, false
		}
	}
	return b, true
}
