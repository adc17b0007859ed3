package proxywasm

import (
	"encoding/binary"
	"slices"
	"strings"
	"unsafe"
)

// maxPairs bounds a list of pairs, of which each takes 10 bytes at least.
const maxPairs = 4096

// pairs writes a list of pairs: how many there are, the lengths of each key and value,
// and each key and value with a NUL behind it.
type pairs struct {
	b     []byte // who has appended a key or value to it calls end
	sizes int    // where in b the next length belongs
	from  int    // where in b the next text begins
}

// newPairs begins a list of n pairs behind b.
func newPairs(b []byte, n int) pairs {
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	sizes := len(b)
	b = slices.Grow(b, 8*n)[:sizes+8*n]
	return pairs{b, sizes, len(b)}
}

// end ends a key or value.
func (p *pairs) end() {
	binary.LittleEndian.PutUint32(p.b[p.sizes:], uint32(len(p.b)-p.from))
	p.b = append(p.b, 0)
	p.sizes, p.from = p.sizes+4, len(p.b)
}

// pairList is a list of pairs, which is read where it is.
type pairList struct {
	n     int // that are left
	sizes []byte
	text  string
}

// parsePairs returns a list, which is valid for as long as b is, and whether it is one.
// No bytes at all are an empty list, as is one that is 0.
func parsePairs(b []byte) (list pairList, ok bool) {
	if len(b) == 0 || len(b) == 1 && b[0] == 0 {
		return pairList{}, true
	}
	if len(b) < 4 {
		return pairList{}, false
	}
	n := binary.LittleEndian.Uint32(b)
	sizes := b[4:]
	if n > maxPairs || uint64(n)*8 > uint64(len(sizes)) {
		return pairList{}, false
	}
	list = pairList{n: int(n), sizes: sizes[:8*n], text: asText(sizes[8*n:])}
	at := uint64(0)
	for i := 0; i < len(list.sizes); i += 4 {
		at += uint64(binary.LittleEndian.Uint32(list.sizes[i:]))
		if at >= uint64(len(list.text)) || list.text[at] != 0 {
			return pairList{}, false
		}
		at++
	}
	return list, true
}

// next returns the next pair, of which there is one.
func (l *pairList) next() (name, value string) {
	l.n--
	return l.cut(), l.cut()
}

func (l *pairList) cut() (s string) {
	n := binary.LittleEndian.Uint32(l.sizes)
	s, l.text, l.sizes = l.text[:n], l.text[n+1:], l.sizes[4:]
	return s
}

// asText returns b as text, which changes as b does.
func asText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

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
