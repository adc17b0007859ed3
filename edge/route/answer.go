package route

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// Answer makes the request what the client has asked for again, and changes the
// fields of the answer that lead back to the origin, Location, Content-Location,
// Refresh and Set-Cookie, to what is right for the client. It is called whatever
// has become of the exchange. Where nothing is to be changed it allocates nothing.
//
// What is the origin's own is a URL of the endpoint's address, of the host that
// was asked for, and of none; with a port, if there is one, that one of these has.
// A field that is malformed stays as it is, unless it has the endpoint's address
// in it: then it goes.
func (r *Rewrite) Answer(x *edge.Exchange, was *Asked) {
	asked := x.Request.Authority
	path := x.Request.Path
	was.Restore(x)
	if r.keepAnswers {
		return
	}
	a := answer{x: x, rewrite: r, was: was, asked: asked, path: path}
	dropped := false
	f := &x.Response.Fields
	for i := range f.Len() {
		var value string
		was := f.At(i)
		switch name := was.Name; {
		case len(name) == len("Location") && edge.EqualFold(name, "Location"),
			len(name) == len("Content-Location") && edge.EqualFold(name, "Content-Location"):
			value = a.reference(was.Value)
		case len(name) == len("Refresh") && edge.EqualFold(name, "Refresh"):
			value = a.refresh(was.Value)
		case len(name) == len("Set-Cookie") && edge.EqualFold(name, "Set-Cookie"):
			value = a.cookie(was.Value)
		default:
			continue
		}
		if value != was.Value {
			f.SetAt(i, value)
			dropped = dropped || value == ""
		}
	}
	if dropped {
		f.DelFunc(func(name, value string) bool {
			return value == "" && (edge.EqualFold(name, "Location") || edge.EqualFold(name, "Content-Location") || edge.EqualFold(name, "Refresh"))
		})
	}
}

// answer is the way back of one exchange.
type answer struct {
	x       *edge.Exchange
	rewrite *Rewrite
	was     *Asked
	asked   string // the authority that the origin was asked for
	path    string // likewise

	found    bool // the following fields are valid, see prefixes
	from, to string
}

// reference returns a URI reference of the origin (RFC 3986, section 4.1) as the
// client must see it; "" if it must not.
func (a *answer) reference(s string) string {
	u, ok := parseReference(s)
	switch {
	case !ok:
		return a.malformed(s)
	case u.scheme != "" && !edge.EqualFold(u.scheme, "http") && !edge.EqualFold(u.scheme, "https"):
		return s
	case u.scheme != "" && !u.hasAuthority: // of a browser's own: http:/path
		return a.malformed(s)
	case !u.hasAuthority:
		return a.relative(s, &u)
	}
	host, port := splitPort(withoutUser(u.authority))
	client := a.x.Request.Authority
	switch {
	case host == "":
		return a.malformed(s)
	case a.isClient(&u, host, port):
		path, ok := a.back(u.path)
		if !ok {
			return s
		}
		return a.x.Concat(s[:u.at], path, u.rest)
	case !a.isOwn(host, port):
		return s
	}
	path, ok := a.back(u.path)
	if !ok {
		if path = u.path; path == "" {
			path = "/"
		}
	}
	switch {
	case client == "": // of a client of HTTP/1.0
		return a.x.Concat(noHost(path), u.rest)
	case u.scheme == "":
		return a.x.Concat("//", client, path, u.rest)
	}
	return a.x.Concat(a.x.Request.Scheme, "://", client, path, u.rest)
}

// relative returns a reference that has a path at most.
func (a *answer) relative(s string, u *uri) string {
	if u.path == "" || !a.was.mapped {
		return s
	}
	if u.path[0] == '/' {
		path, ok := a.back(u.path)
		if !ok {
			return s
		}
		return a.x.Concat(noHost(path), u.rest)
	}
	// It leads from where the origin has been asked to somewhere, and from where
	// the client has asked maybe to somewhere else.
	there := resolve(a.path, u.path)
	want, ok := a.back(there)
	if !ok {
		want = there
	}
	if resolve(a.was.path, u.path) == want {
		return s
	}
	return a.x.Concat(noHost(want), u.rest)
}

// noHost makes the slashes that begin a path one: what follows two is a host (RFC
// 3986, section 4.2).
func noHost(path string) string {
	for strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	return path
}

// back returns what one of the origin's paths is to the client. ok is false where
// it stays the same, or is none that the client could get at.
func (a *answer) back(path string) (client string, ok bool) {
	if !a.was.mapped {
		return "", false
	}
	if a.rewrite.template != nil && a.rewrite.tail == "" {
		// Only of the path that was asked for is it known what it is to the client.
		return a.was.path, path == a.path
	}
	if path == "" {
		path = "/"
	}
	from, to := a.prefixes()
	rest, ok := stripped(path, from)
	if !ok {
		return "", false
	}
	if rest == "" && to == "" {
		rest = "/"
	}
	return a.x.Concat(to, rest), true
}

// prefixes returns what the origin's paths begin with, in canonical form, and what
// the client's begin with instead, as it is sent.
func (a *answer) prefixes() (from, to string) {
	r := a.rewrite
	if r.template == nil {
		return r.addCanonical, a.was.to
	}
	if !a.found {
		a.found = true
		if p, err := Canonical(a.was.from, nil); err == nil {
			a.from = p.canonical
		}
		if p, err := Canonical(a.was.path, nil); err == nil && a.was.tail >= 0 {
			a.to = string(appendEncoded(nil, p.canonical[:len(p.canonical)-a.was.tail], inPath))
		}
	}
	return a.from, a.to
}

// isClient reports whether a URL is of the authority that the client has asked
// for, and that the origin was told.
func (a *answer) isClient(u *uri, host, port string) bool {
	client, its := splitPort(a.x.Request.Authority)
	if !edge.EqualFold(host, client) {
		return false
	}
	scheme := u.scheme
	if scheme == "" {
		scheme = a.x.Request.Scheme
	}
	return orDefault(port, scheme) == orDefault(its, a.x.Request.Scheme) || port == "" && its == ""
}

func orDefault(port, scheme string) string {
	switch {
	case port != "":
		return port
	case edge.EqualFold(scheme, "https"):
		return "443"
	}
	return "80"
}

// isOwn reports whether a host and a port are the origin's. A port that neither
// the endpoint nor the host asked for has is that of something else.
func (a *answer) isOwn(host, port string) bool {
	endpoint, first := splitPort(a.x.Record.Endpoint)
	asked, second := splitPort(a.asked)
	if a.rewrite.host == HostKeep {
		asked = ""
	}
	return (sameHost(host, endpoint) || sameHost(host, asked)) && (port == "" || port == first || port == second)
}

func sameHost(a, b string) bool {
	return b != "" && edge.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// malformed returns a value that is no reference, or "" if it tells the endpoint's
// address.
func (a *answer) malformed(s string) string {
	endpoint := a.x.Record.Endpoint
	if endpoint == "" {
		return s
	}
	if host := Hostname(endpoint); isAddress(host) {
		endpoint = host
	}
	if containsFold(s, endpoint) {
		return ""
	}
	return s
}

func containsFold(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if edge.EqualFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// refresh returns a value of Refresh, "5; url=/path", as browsers read it (HTML,
// section 4.2.4.3, "shared declarative refresh steps").
func (a *answer) refresh(s string) string {
	i := strings.IndexAny(s, ";,")
	if i < 0 {
		return a.malformed(s)
	}
	at := i + 1 // of the URL
	skip := func() {
		for at < len(s) && (s[at] == ' ' || s[at] == '\t') {
			at++
		}
	}
	skip()
	if len(s)-at >= 3 && edge.EqualFold(s[at:at+3], "url") {
		start := at
		at += 3
		skip()
		if at < len(s) && s[at] == '=' {
			at++
			skip()
		} else {
			at = start
		}
	}
	end := len(s)
	if at < len(s) && (s[at] == '"' || s[at] == '\'') {
		if n := strings.IndexByte(s[at+1:], s[at]); n >= 0 {
			end = at + 1 + n
		}
		at++
	}
	url := s[at:end]
	to := a.reference(url)
	switch {
	case to == url:
		return s
	case to == "":
		return ""
	}
	return a.x.Concat(s[:at], to, s[end:])
}
