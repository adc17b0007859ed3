package http2

import (
	"hash/maphash"
	"math/bits"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-edge/sluice/edge"
)

const (
	tableSize  = 4096 // of both dynamic tables (RFC 9113, section 6.5.2)
	entrySize  = 32   // what an entry counts beside its strings (RFC 7541, section 4.1)
	staticSize = 61

	staticStatus        = 8
	staticContentLength = 28
)

// encoder compresses field sections (RFC 7541). It keeps its table's strings
// itself: those of an exchange are not valid for as long as the table is. A field
// enters the table when it is sent for the second time, so values that never
// recur cost no copy and displace nothing.
type encoder struct {
	seed    maphash.Seed
	index   [128]place  // by hash: fields of the table
	seen    [128]uint32 // by hash: fields that were sent once
	entries []entry     // the table, oldest first
	first   uint32      // number of the oldest
	size    int
	max     int // what the client allows, at most tableSize

	announce bool // max has changed since the last section
	least    int  // and this was its least value
	scratch  []byte
}

// place says that the field with a hash is the table's entry with a number.
type place struct{ hash, number uint32 }

type entry struct{ name, value string }

func (e *entry) size() int { return len(e.name) + len(e.value) + entrySize }

func newEncoder() *encoder {
	return &encoder{seed: maphash.MakeSeed(), first: 1, max: tableSize, least: tableSize}
}

// resize takes over the client's SETTINGS_HEADER_TABLE_SIZE.
func (e *encoder) resize(size uint32) {
	e.max = int(min(size, tableSize))
	e.announce = true
	e.least = min(e.least, e.max)
	e.evict(0)
}

// begin starts a field section. RFC 7541, section 4.2: a change of the table's
// size is announced at its beginning, the least value first.
func (e *encoder) begin(b []byte) []byte {
	if e.announce {
		if e.least < e.max {
			// It was less in between. x/net's decoder takes two changes only if
			// the first leaves nothing.
			e.evict(e.max)
			b = appendInteger(b, 0x20, 5, 0)
		}
		b = appendInteger(b, 0x20, 5, uint64(e.max))
		e.announce, e.least = false, e.max
	}
	return b
}

// evict removes the oldest entries until another of the given size has room.
func (e *encoder) evict(room int) {
	n := 0
	for ; n < len(e.entries) && e.size+room > e.max; n++ {
		e.size -= e.entries[n].size()
	}
	clear(e.entries[:n])
	e.entries = e.entries[n:]
	e.first += uint32(n)
}

// status encodes :status.
func (e *encoder) status(b []byte, status int) []byte {
	switch status { // RFC 7541, appendix A
	case 200:
		return append(b, 0x80|8)
	case 204:
		return append(b, 0x80|9)
	case 206:
		return append(b, 0x80|10)
	case 304:
		return append(b, 0x80|11)
	case 400:
		return append(b, 0x80|12)
	case 404:
		return append(b, 0x80|13)
	case 500:
		return append(b, 0x80|14)
	}
	var digits [4]byte
	return e.known(b, staticStatus, ":status", strconv.AppendInt(digits[:0], int64(status), 10))
}

// length encodes content-length.
func (e *encoder) length(b []byte, n int64) []byte {
	var digits [20]byte
	return e.known(b, staticContentLength, "content-length", strconv.AppendInt(digits[:0], n, 10))
}

// known encodes a field whose name has a place in the static table.
func (e *encoder) known(b []byte, static uint64, name string, value []byte) []byte {
	// The string is not kept: insert clones.
	return e.encode(b, static, name, unsafe.String(&value[0], len(value)))
}

// field encodes a field line whose name and value are valid. The strings are not
// kept.
func (e *encoder) field(b []byte, name, value string) []byte {
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' { // RFC 9113, section 8.2.1
			e.scratch = appendLower(e.scratch[:0], name)
			name = unsafe.String(&e.scratch[0], len(e.scratch))
			break
		}
	}
	return e.encode(b, 0, name, value)
}

func (e *encoder) encode(b []byte, static uint64, name, value string) []byte {
	hash := uint32(maphash.String(e.seed, name)) ^ bits.RotateLeft32(uint32(maphash.String(e.seed, value)), 7)
	at := &e.index[hash%uint32(len(e.index))]
	if i := at.number - e.first; at.hash == hash && i < uint32(len(e.entries)) {
		if f := &e.entries[i]; f.name == name && f.value == value {
			return appendInteger(b, 0x80, 7, staticSize+uint64(len(e.entries))-uint64(i))
		}
	}
	if static == 0 {
		static = staticNames[name]
	}
	seen := &e.seen[hash%uint32(len(e.seen))]
	size := len(name) + len(value) + entrySize
	switch {
	case name == "set-cookie": // RFC 7541, section 7.1.3
		b = appendInteger(b, 0x10, 4, static)
	case *seen != hash || size > e.max/4:
		*seen = hash
		b = appendInteger(b, 0, 4, static)
	default:
		b = appendInteger(b, 0x40, 6, static)
		e.evict(size)
		at.hash, at.number = hash, e.first+uint32(len(e.entries))
		e.entries = append(e.entries, entry{strings.Clone(name), strings.Clone(value)})
		e.size += size
	}
	if static == 0 {
		b = appendString(b, name)
	}
	return appendString(b, value)
}

func appendString(b []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		b = appendInteger(b, 0x80, 7, n)
		return hpack.AppendHuffmanString(b, s)
	}
	b = appendInteger(b, 0, 7, uint64(len(s)))
	return append(b, s...)
}

// appendInteger encodes v with a prefix of n bits (RFC 7541, section 5.1) behind
// the bits of first.
func appendInteger(b []byte, first byte, n int, v uint64) []byte {
	limit := uint64(1)<<n - 1
	if v < limit {
		return append(b, first|byte(v))
	}
	b = append(b, first|byte(limit))
	for v -= limit; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
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

// fields encodes those of f that may be sent, and drops what frames a message or
// belongs to the connection (RFC 9113, section 8.2.2), and what no field can hold.
func (e *encoder) fields(b []byte, f *edge.Fields) []byte {
	for i := range f.Len() {
		l := f.At(i)
		if !validName(l.Name) || !validValue(l.Value) || edge.ConnectionField(l.Name) {
			continue
		}
		b = e.field(b, l.Name, l.Value)
	}
	return b
}
