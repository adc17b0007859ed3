package route

import (
	"fmt"
	"slices"
	"strings"
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

// Vars is what a template takes its parts from.
type Vars struct {
	Captures  *Captures // may be nil if the template names none
	Path      string    // canonical
	Authority string
	Query     string
}

// ParseTemplate reads a template for requests that match a pattern. It begins
// with /, http://, https:// or {path}.
func ParseTemplate(s, path string) (Template, error) {
	p, err := parsePattern(path)
	if err != nil {
		return Template{}, err
	}
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
		authority = authority && strings.IndexAny(rest[:i], "/?#") < 0
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
		in, err := inserted(s, name, &p)
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
		if !plain(c) && c != '%' && c != '?' && c != '#' && !bracket {
			return fmt.Errorf("target %q: %q must be percent-encoded", s, c)
		}
		if _, ok := unhex(text, i); c == '%' && !ok {
			return fmt.Errorf("target %q has a malformed percent-encoding", s)
		}
	}
	return nil
}

// text appends a literal part.
func (t *Template) text(s string) {
	if n := len(t.parts); n > 0 && t.parts[n-1].insert == nothing {
		t.parts[n-1].text += s
	} else if s != "" {
		t.parts = append(t.parts, part{text: s})
	}
}

// Append appends the expanded template to b. A ? or & before an empty query is
// left out.
func (t *Template) Append(b []byte, v *Vars) []byte {
	start := len(b)
	for i := range t.parts {
		p := &t.parts[i]
		switch p.insert {
		case nothing:
			b = append(b, p.text...)
		case capture:
			value, _ := v.Captures.Get(p.text)
			b = appendEncoded(b, value, "")
		case wholePath:
			b = appendEncoded(b, v.Path, "")
		case host:
			b = appendEncoded(b, Hostname(v.Authority), "/@")
		case query:
			if v.Query != "" {
				b = appendQuery(b, v.Query)
			} else if n := len(b); n > start && (b[n-1] == '?' || b[n-1] == '&') {
				b = b[:n-1]
			}
		}
	}
	if t.root {
		b = oneSlash(b, start)
	}
	return b
}

// oneSlash makes the slashes at b[start:] one: to a browser what follows two is
// a host (RFC 3986, section 4.2).
func oneSlash(b []byte, start int) []byte {
	n := start
	for n < len(b) && b[n] == '/' {
		n++
	}
	if n <= start+1 {
		return b
	}
	return slices.Delete(b, start, n-1)
}

// appendEncoded appends a part of a canonical path, in which % begins an
// encoding already. Characters of also are encoded as well.
func appendEncoded(b []byte, s, also string) []byte {
	for i := range len(s) {
		c := s[i]
		if (plain(c) || c == '%') && strings.IndexByte(also, c) < 0 {
			b = append(b, c)
		} else {
			b = appendOctet(b, c)
		}
	}
	return b
}

// appendQuery appends a query as it came, but for what may not be in one.
func appendQuery(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; plain(c) || c == '%' || c == '?' {
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

// plain reports whether c stands for itself in a path: pchar and the slash
// (RFC 3986, section 3.3).
func plain(c byte) bool {
	letter := 'a' <= c|0x20 && c|0x20 <= 'z'
	return letter || '0' <= c && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=:@/", c) >= 0 && c != 0
}
