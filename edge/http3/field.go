package http3

import (
	"fmt"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// checkFields reports the first line that must not be written.
func checkFields(f *edge.Fields) error {
	for name, value := range f.All() {
		if !validName(name) {
			return fmt.Errorf("field name %q", name)
		}
		if !validValue(value) {
			return fmt.Errorf("value of field %s: %q", name, value)
		}
	}
	return nil
}

// validName reports whether s is a token (RFC 9110, section 5.6.2).
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// validValue reports whether s has no control characters but tabs (RFC 9110,
// section 5.5; RFC 9114, section 10.3).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// trim removes white space around a value, which RFC 9114, section 4.2 does not
// allow on the wire.
func trim(s string) string { return strings.Trim(s, " \t") }

// lower returns name as HTTP/3 wants it (RFC 9114, section 4.2).
func lower(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'Z' {
			return strings.ToLower(name)
		}
	}
	return name
}

// validAuthority reports whether s consists of what a host and a port may be made
// of (RFC 3986, section 3.2). There is no user information in it (RFC 9114,
// section 4.3.1).
func validAuthority(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-._~%!$&'()*+,;=:[]", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
