package route

import (
	"fmt"
	"slices"
	"strings"
)

// pattern is the path of an entry, taken apart.
type pattern struct {
	segments []segment
	below    bool     // everything under the segments: "/", "/x/*", "/x/{name...}"
	names    []string // of what it captures, in order; "1" is what a * matched
}

// segment is one part of a path between slashes: a text, or {name}.
type segment struct {
	text string // canonical; of {name} the name
	any  bool   // {name}: whatever it is, but not empty
}

// parsePattern reads "/exact", "/prefix/*", "/users/{id}", "/files/{path...}",
// "/".
func parsePattern(s string) (pattern, error) {
	var p pattern
	rest, ok := strings.CutPrefix(s, "/")
	if !ok {
		return p, fmt.Errorf("path %q does not begin with /", s)
	}
	if strings.ContainsAny(s, "?#") {
		return p, fmt.Errorf("path %q has a query or a fragment; a query is a condition", s)
	}
	if rest == "" {
		p.below = true
		return p, nil
	}
	for more := true; more; {
		var text string
		text, rest, more = strings.Cut(rest, "/")
		switch {
		case text == "*", strings.HasPrefix(text, "{") && strings.HasSuffix(text, "...}"):
			if more {
				return p, fmt.Errorf("path %q goes on after %s, which matches all that follows", s, text)
			}
			p.below = true
			if text == "*" {
				p.names = append(p.names, "1")
			} else if err := p.capture(s, text[1:len(text)-len("...}")]); err != nil {
				return p, err
			}
		case strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}"):
			name := text[1 : len(text)-1]
			if err := p.capture(s, name); err != nil {
				return p, err
			}
			p.segments = append(p.segments, segment{name, true})
		case strings.ContainsAny(text, "*{}"):
			return p, fmt.Errorf("path %q: * and {name} stand for whole segments, and %q is one that they are part of; write %%2A, %%7B, %%7D for the characters", s, text)
		default:
			text, err := literal(s, text)
			if err != nil {
				return p, err
			}
			p.segments = append(p.segments, segment{text, false})
		}
	}
	if len(p.names) > MaxCaptures {
		return p, fmt.Errorf("path %q captures more than %d parts", s, MaxCaptures)
	}
	return p, nil
}

// capture adds a name to what the pattern s captures.
func (p *pattern) capture(s, name string) error {
	switch {
	case !isName(name):
		return fmt.Errorf("path %q: %q is no name; letters, digits and _ make one, and it begins with a letter", s, name)
	case name == "host" || name == "query":
		return fmt.Errorf("path %q: {%s} has a meaning of its own", s, name)
	case slices.Contains(p.names, name):
		return fmt.Errorf("path %q: {%s} comes twice", s, name)
	}
	p.names = append(p.names, name)
	return nil
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z') && (i == 0 || s[i] != '_' && !('0' <= s[i] && s[i] <= '9')) {
			return false
		}
	}
	return s != ""
}

// literal returns the canonical form of a text between the slashes of the
// pattern s, that is of what it is compared with.
func literal(s, text string) (string, error) {
	canonical, err := Canonical("/"+text, nil)
	switch {
	case err != nil:
		return "", fmt.Errorf("path %q: %w", s, err)
	case text == "" && canonical.String() == "/":
		return "", nil
	case canonical.String() == "/":
		return "", fmt.Errorf("path %q: %q is not a name, but a step to another path", s, text)
	case canonical.unclear != 0:
		return "", fmt.Errorf("path %q: servers read %q differently; leave encoded slashes, backslashes and dots with parameters out", s, text)
	}
	return canonical.String()[1:], nil
}
