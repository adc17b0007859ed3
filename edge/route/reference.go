package route

import (
	"bytes"
	"strings"
)

// uri is a URI reference (RFC 3986, section 4.1), taken apart.
type uri struct {
	scheme       string
	authority    string
	hasAuthority bool
	path         string
	at           int    // of the path
	rest         string // query and fragment, with ? and #
}

// parseReference takes a reference apart (RFC 3986, appendix B). It refuses what
// clients may read in another way: control characters, and backslashes, which
// browsers take for slashes, before the query.
func parseReference(s string) (u uri, ok bool) {
	end := strings.IndexAny(s, "?#")
	if end < 0 {
		end = len(s)
	}
	for i := range end {
		if c := s[i]; c <= ' ' && (c != ' ' || i == 0) || c == 0x7f || c == '\\' {
			return u, false
		}
	}
	if i := strings.IndexAny(s[:end], ":/"); i > 0 && s[i] == ':' {
		if !isScheme(s[:i]) {
			return u, false
		}
		u.scheme, u.at = s[:i], i+1
	}
	if strings.HasPrefix(s[u.at:end], "//") {
		u.hasAuthority = true
		u.at += 2
		n := strings.IndexByte(s[u.at:end], '/')
		if n < 0 {
			n = end - u.at
		}
		u.authority = s[u.at : u.at+n]
		u.at += n
		if strings.IndexByte(u.authority, ' ') >= 0 {
			return u, false
		}
	}
	u.path, u.rest = s[u.at:end], s[end:]
	return u, true
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

// withoutUser returns an authority without userinfo.
func withoutUser(authority string) string {
	return authority[strings.LastIndexByte(authority, '@')+1:]
}

// resolve returns the path that a relative path leads to from a base (RFC 3986,
// sections 5.2.3 and 5.2.4).
func resolve(base, path string) string {
	path = base[:strings.LastIndexByte(base, '/')+1] + path
	out := make([]byte, 0, len(path))
	for path != "" {
		segment, behind, more := strings.Cut(path[1:], "/")
		switch dotSegment(segment) {
		case 2:
			out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
			fallthrough
		case 1:
			if !more {
				out = append(out, '/')
			}
		default:
			out = append(append(out, '/'), segment...)
		}
		path = ""
		if more {
			path = "/" + behind
		}
	}
	return string(out)
}
