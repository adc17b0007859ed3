package cache

import (
	"encoding/binary"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// appendKey appends the primary key of a request for a target (RFC 9111, section
// 2): GET is implied, HEAD is answered from the same. The arm is no part of it, so
// that an unsafe request invalidates what all arms have stored.
func appendKey(b []byte, site, scheme, authority, path, query string) []byte {
	b = append(append(b, site...), 0)
	b = append(appendLower(b, scheme), 0)
	b = appendLower(b, withoutDefaultPort(scheme, authority))
	b = append(b, path...)
	if query != "" {
		b = append(append(b, '?'), query...)
	}
	return b
}

func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	return b
}

// withoutDefaultPort is the normalisation of RFC 9110, section 4.2.3.
func withoutDefaultPort(scheme, authority string) string {
	port := ":80"
	if edge.EqualFold(scheme, "https") {
		port = ":443"
	}
	return strings.TrimSuffix(strings.TrimSuffix(authority, port), ":")
}

// The selecting fields of a stored response (RFC 9111, section 4.1) are kept as a
// sequence of: length of the name (16 bits), length of the value (32 bits, all
// ones where the request had no such field), name, value. Values are normalised:
// the members of all lines, joined by ", ", in lower case where case means
// nothing.

const absent = 1<<32 - 1

// appendVary appends the selecting fields of a request; false if the response is
// selected by more than fields.
func appendVary(b []byte, response, request *edge.Fields) ([]byte, bool) {
	for list := range response.Values("Vary") {
		for list != "" {
			var name string
			name, list = nextMember(list)
			switch {
			case name == "":
				continue
			case name == "*" || len(name) > 1<<16-1:
				return b, false
			}
			at := len(b)
			b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
			b = binary.LittleEndian.AppendUint32(b, absent)
			b = append(b, name...)
			if !request.Has(name) {
				continue
			}
			start := len(b)
			b = appendNormal(b, request, name)
			binary.LittleEndian.PutUint32(b[at+2:], uint32(len(b)-start))
		}
	}
	return b, true
}

func appendNormal(b []byte, f *edge.Fields, name string) []byte {
	fold, first := foldable(name), true
	for v := range f.Values(name) {
		for v != "" {
			var m string
			m, v = nextMember(v)
			if m == "" {
				continue
			}
			if !first {
				b = append(b, ", "...)
			}
			first = false
			if fold {
				b = appendLower(b, m)
			} else {
				b = append(b, m...)
			}
		}
	}
	return b
}

// foldable reports whether the values of a field compare without regard to case.
func foldable(name string) bool {
	return edge.EqualFold(name, "Accept-Language") || edge.EqualFold(name, "Accept-Encoding") || edge.EqualFold(name, "Accept-Charset")
}

// selects reports whether a stored response answers a request of an arm with
// these fields.
func selects(data []byte, arm string, f *edge.Fields) bool {
	m := metaOf(data)
	key := keyOf(data)
	if text(key[len(key)-int(m.arm):]) != arm {
		return false
	}
	for v := varyOf(data); len(v) != 0; {
		n := int(binary.LittleEndian.Uint16(v))
		size := binary.LittleEndian.Uint32(v[2:])
		name := text(v[6:][:n])
		v = v[6+n:]
		if size == absent {
			if f.Has(name) {
				return false
			}
			continue
		}
		if !f.Has(name) || !normalIs(text(v[:size]), f, name) {
			return false
		}
		v = v[size:]
	}
	return true
}

// normalIs reports whether appendNormal would make want.
func normalIs(want string, f *edge.Fields, name string) bool {
	fold, first := foldable(name), true
	for v := range f.Values(name) {
		for v != "" {
			var m string
			m, v = nextMember(v)
			if m == "" {
				continue
			}
			if !first {
				if !strings.HasPrefix(want, ", ") {
					return false
				}
				want = want[2:]
			}
			first = false
			if len(want) < len(m) || want[:len(m)] != m && !(fold && edge.EqualFold(want[:len(m)], m)) {
				return false
			}
			want = want[len(m):]
		}
	}
	return want == ""
}

// nextMember returns the first member of a list (RFC 9110, section 5.6.1), without
// the white space around it, and what follows its comma. A comma within a quoted
// string ends no member.
func nextMember(list string) (member, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return strings.Trim(list[:i], " \t"), list[i+1:]
		}
	}
	return strings.Trim(list, " \t"), ""
}
