package proxywasm

import (
	"encoding/binary"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// maxPairs bounds a list of pairs, of which each takes 10 bytes at least.
const maxPairs = 4096

// appendPairs appends a list of pairs: how many there are, the lengths of each key and
// value, and each key and value with a NUL behind it.
func appendPairs(b []byte, list []edge.Field) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for _, p := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Name)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Value)))
	}
	for _, p := range list {
		b = append(append(b, p.Name...), 0)
		b = append(append(b, p.Value...), 0)
	}
	return b
}

// parsePairs returns a copy of the pairs of a list, and whether it is one. No bytes at
// all are an empty list.
func parsePairs(b []byte) (list []edge.Field, ok bool) {
	if len(b) == 0 {
		return nil, true
	}
	if len(b) < 4 {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	sizes := b[4:]
	if n > maxPairs || uint64(n)*8 > uint64(len(sizes)) {
		return nil, false
	}
	text := string(sizes[8*n:])
	next := func(size uint32) (s string, ok bool) {
		if uint64(size) >= uint64(len(text)) || text[size] != 0 {
			return "", false
		}
		s, text = text[:size], text[size+1:]
		return s, true
	}
	list = make([]edge.Field, 0, n)
	for i := range n {
		name, ok := next(binary.LittleEndian.Uint32(sizes[8*i:]))
		value, ok2 := next(binary.LittleEndian.Uint32(sizes[8*i+4:]))
		if !ok || !ok2 {
			return nil, false
		}
		list = append(list, edge.Field{Name: name, Value: value})
	}
	return list, true
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s can be a field's value (RFC 9110, section 5.5).
func isValue(s string) bool { return !strings.ContainsAny(s, "\r\n\x00") }

// isPath reports whether s is a path, and perhaps a query, that a request can be sent
// with (RFC 9112, section 3.2.1).
func isPath(s string) bool {
	return strings.HasPrefix(s, "/") &&
		!strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' })
}

// isAuthority reports whether s can be a host and a port: it has no delimiter of another
// part of a URI (RFC 3986, section 3.2.2).
func isAuthority(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`/?#@\<>"`, c)
	})
}
