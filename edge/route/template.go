package route

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/sluice-edge/sluice/edge"
)

// Template is the target of a redirect or a rewrite, into which parts of the
// request are inserted: $1 is what the * of the pattern matched, {name} what
// {name} or {name...} did, {path} the whole path if nothing else is called that,
// {host} the host without its port, {query} the query. $$ is a $.
//
// Nothing that a client sends can choose the host of the result, or end the
// field that it is put in.
type Template struct {
	parts []part
	root  bool // a path on the same host
	query bool // there is a ? in the text

	floor string // of ParsePathTemplate: the directory that the text begins with
}

// part is a text, or what is inserted.
type part struct {
	text   string // the text, or the name of a capture
	insert insert
}

type insert uint8

const (
	nothing insert = iota
	capture
	wholePath
	host
	query
)

// ParseTemplate reads a template for requests that match a pattern. It begins
// with /, http://, https:// or {path}.
func ParseTemplate(s, path string) (Template, error) {
	p, err := parsePattern(path)
	if err != nil {
		return Template{}, err
	}
	return parseTemplate(s, &p)
}

func parseTemplate(s string, p *pattern) (Template, error) {
	t := Template{root: true}
	rest := s
	for _, scheme := range []string{"http://", "https://"} {
		if after, ok := strings.CutPrefix(s, scheme); ok {
			t.root, rest = false, after
			t.text(scheme)
		}
	}
	switch {
	case !t.root:
	case strings.HasPrefix(s, "//"), strings.HasPrefix(s, `/\`):
		return Template{}, fmt.Errorf("target %q begins with two slashes: write the scheme", s)
	case !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "{path}"):
		return Template{}, fmt.Errorf("target %q begins neither with / nor with http:// or https://", s)
	}
	authority := !t.root // still in it
	if authority && !strings.HasPrefix(rest, "{host}") && (rest == "" || strings.IndexByte("/?#:@{$", rest[0]) >= 0) {
		return Template{}, fmt.Errorf("target %q has no host", s)
	}
	for rest != "" {
		i := strings.IndexAny(rest, "${}")
		if i < 0 {
			i = len(rest)
		}
		if err := checkText(s, rest[:i], authority); err != nil {
			return Template{}, err
		}
		authority = authority && !strings.ContainsAny(rest[:i], "/?#")
		t.text(rest[:i])
		if rest = rest[i:]; rest == "" {
			break
		}
		var name string
		switch {
		case strings.HasPrefix(rest, "$$"):
			t.text("$")
			rest = rest[2:]
			continue
		case strings.HasPrefix(rest, "$1"):
			name, rest = "1", rest[2:]
			if rest != "" && '0' <= rest[0] && rest[0] <= '9' {
				return Template{}, fmt.Errorf("target %q: there is only $1", s)
			}
		case rest[0] == '$':
			return Template{}, fmt.Errorf("target %q: a $ that is not part of $1 is written $$", s)
		case rest[0] == '}':
			return Template{}, fmt.Errorf("target %q: } without {", s)
		default:
			var closed bool
			name, rest, closed = strings.Cut(rest[1:], "}")
			if !closed {
				return Template{}, fmt.Errorf("target %q: { without }", s)
			}
		}
		in, err := inserted(s, name, p)
		switch {
		case err != nil:
			return Template{}, err
		case !authority, in == host:
		case in == wholePath: // begins with a slash, which ends the authority
			authority = false
		default:
			return Template{}, fmt.Errorf("target %q: a request must not choose the host that it is sent to; put a / before what is inserted", s)
		}
		t.parts = append(t.parts, part{name, in})
	}
	return t, nil
}

// ParsePathTemplate reads a template that makes paths, with a query behind a ? if
// there is one. It begins with / or {path}.
func ParsePathTemplate(s, path string) (Template, error) {
	t, err := ParseTemplate(s, path)
	switch {
	case err != nil:
		return Template{}, err
	case !t.root:
		return Template{}, fmt.Errorf("%q is a URL, and not a path", s)
	case strings.Contains(s, "#"):
		return Template{}, fmt.Errorf("path %q has a fragment, which is nobody's business but the client's", s)
	}
	text, _, _ := strings.Cut(s, "?")
	switch {
	case strings.Contains(text, "{query}"):
		return Template{}, fmt.Errorf("path %q: {query} stands behind a ?", s)
	case strings.Contains(text, "//"):
		return Template{}, fmt.Errorf("path %q has an empty segment", s)
	}
	for segment := range strings.SplitSeq(text, "/") {
		if dotSegment(segment) != 0 {
			return Template{}, fmt.Errorf("path %q: %q is not a name, but a step to another path", s, segment)
		}
	}
	if first := t.parts[0]; first.insert == nothing {
		text, _, _ := strings.Cut(first.text, "?")
		floor, err := Canonical(text[:strings.LastIndexByte(text, '/')+1], nil)
		if err != nil {
			return Template{}, fmt.Errorf("path %q: %w", s, err)
		}
		t.floor = floor.canonical
	}
	return t, nil
}

// inserted returns what a name in the template s stands for.
func inserted(s, name string, p *pattern) (insert, error) {
	switch {
	case slices.Contains(p.names, name):
		return capture, nil
	case name == "path":
		return wholePath, nil
	case name == "host":
		return host, nil
	case name == "query":
		return query, nil
	case name == "1":
		return 0, fmt.Errorf("target %q has $1, but the path ends without *", s)
	}
	have := []string{"{path}", "{host}", "{query}"}
	for _, n := range p.names {
		if n != "1" {
			have = append(have, "{"+n+"}")
		} else {
			have = append(have, "$1")
		}
	}
	return 0, fmt.Errorf("target %q: nothing is called {%s}; have %s", s, name, strings.Join(have, ", "))
}

// checkText refuses what cannot be part of a URI (RFC 3986, section 2).
// An address of IPv6 in the authority has brackets.
func checkText(s, text string, authority bool) error {
	for i := range len(text) {
		c := text[i]
		bracket := authority && (c == '[' || c == ']')
		if !inText[c] && !bracket {
			r, n := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && n == 1 {
				return fmt.Errorf("target %q: the byte 0x%02x must be percent-encoded", s, c)
			}
			return fmt.Errorf("target %q: %q must be percent-encoded", s, r)
		}
		if _, ok := unhex(text, i); c == '%' && !ok {
			return fmt.Errorf("target %q has a malformed percent-encoding", s)
		}
	}
	return nil
}

// text appends a literal part.
func (t *Template) text(s string) {
	t.query = t.query || strings.Contains(s, "?")
	if n := len(t.parts); n > 0 && t.parts[n-1].insert == nothing {
		t.parts[n-1].text += s
	} else if s != "" {
		t.parts = append(t.parts, part{text: s})
	}
}

// Expand returns the template with what it takes from x and from the captures,
// which may be nil if it names none. A ? or & before an empty query is left out.
// Like every string of the exchange the result is valid until the enders have
// run; unless it is very long it is made without allocating.
func (t *Template) Expand(x *edge.Exchange, captures *Captures) string {
	var memory [1024]byte
	b := t.expand(memory[:0], x, captures)
	if t.root {
		b = oneSlash(b)
	}
	return x.Concat(unsafe.String(unsafe.SliceData(b), len(b)))
}

// ExpandPath is Expand for a path that is to be asked for in place of the
// request's, and a query if the template has one. The path is refused where what
// the request inserts would lead, however it is read, out of the directory that
// the template names, see [Canonical].
func (t *Template) ExpandPath(x *edge.Exchange, captures *Captures) (path, query string, hasQuery bool, err error) {
	path, query, _ = strings.Cut(t.Expand(x, captures), "?")
	if err := t.confined(x, captures, path); err != nil {
		return "", "", false, err
	}
	return path, query, t.query, nil
}

// confined refuses a path that t has made if it, or one of the parts of the
// request that are in it, climbs out of its directory.
func (t *Template) confined(x *edge.Exchange, captures *Captures, path string) error {
	if err := confined(x, path, t.floor); err != nil {
		return err
	}
	if captures == nil {
		return nil
	}
	for i := range captures.Len() {
		_, value := captures.At(i)
		if mayClimb(value) {
			if err := confined(x, x.Concat("/", value), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Template) expand(b []byte, x *edge.Exchange, captures *Captures) []byte {
	set := inPath
	for i := range t.parts {
		p := &t.parts[i]
		switch p.insert {
		case nothing:
			b = append(b, p.text...)
			if strings.IndexByte(p.text, '?') >= 0 {
				set = inParameter
			}
		case capture:
			value, _ := captures.Get(p.text)
			b = appendEncoded(b, value, set)
		case wholePath:
			if !strings.HasPrefix(x.Request.Path, "/") { // "*", of OPTIONS
				b = append(b, '/')
			}
			b = appendEncoded(b, x.Request.Path, set)
		case host:
			b = appendEncoded(b, Hostname(x.Request.Authority), inHost)
		case query:
			if x.Request.Query != "" {
				b = appendEncoded(b, x.Request.Query, inQuery)
			} else if n := len(b); n > 0 && (b[n-1] == '?' || b[n-1] == '&') {
				b = b[:n-1]
			}
		}
	}
	return b
}

// oneSlash makes the slashes that begin b one: to a browser what follows two is
// a host (RFC 3986, section 4.2).
func oneSlash(b []byte) []byte {
	for len(b) > 1 && b[0] == '/' && b[1] == '/' {
		b = b[1:]
	}
	return b
}

// What may stand in each part of a URI beside letters and digits (RFC 3986,
// sections 3.2.2, 3.3 and 3.4). The % is there because what is inserted is
// encoded already, but for what a canonical path has decoded.
var (
	inHost  = charset("-._:[]")
	inPath  = charset("-._~!$&'()*+,;=:@/%")
	inQuery = charset("-._~!$&'()*+,;=:@/%?")
	inText  = charset("-._~!$&'()*+,;=:@/%?#")

	// In a query what is inserted stands for itself: it begins no parameter.
	inParameter = charset("-._~!$'()*,:@/%?")
)

// charset returns the set of letters, digits and some more.
func charset(marks string) *[256]bool {
	var set [256]bool
	for c := range set {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		set[c] = letter || '0' <= c && c <= '9' || strings.IndexByte(marks, byte(c)) >= 0
	}
	return &set
}

// appendEncoded appends s and encodes what does not stand for itself.
func appendEncoded(b []byte, s string, set *[256]bool) []byte {
	for i := range len(s) {
		if c := s[i]; set[c] {
			b = append(b, c)
		} else {
			b = appendOctet(b, c)
		}
	}
	return b
}

func appendOctet(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&0xf])
}
