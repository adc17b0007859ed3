package edge

import (
	"iter"
	"strings"
)

// Fields is an ordered list of field lines (RFC 9110, section 5). Names compare
// case-insensitively and keep the spelling that they came with. It never holds
// Host, framing or hop-by-hop fields: engines take those out and put them in.
//
// A copy of the value shares the lines; use Clone or CopyFrom.
type Fields struct{ list []Field }

// Field is one field line.
type Field struct{ Name, Value string }

// emptied returns f without lines, and with its memory.
func (f *Fields) emptied() Fields {
	clear(f.list) // strings of the last exchange must not be found again
	return Fields{f.list[:0]}
}

// Reset removes every line and keeps the memory.
func (f *Fields) Reset() { *f = f.emptied() }

// Len returns the number of field lines.
func (f *Fields) Len() int { return len(f.list) }

// At returns the i-th field line.
func (f *Fields) At(i int) Field { return f.list[i] }

// SetAt replaces the value of the i-th field line.
func (f *Fields) SetAt(i int, value string) { f.list[i].Value = value }

// Get returns the first value of name, or "".
func (f *Fields) Get(name string) string {
	v, _ := f.Lookup(name)
	return v
}

// Lookup returns the first value of name, and whether there is one.
func (f *Fields) Lookup(name string) (value string, ok bool) {
	for i := range f.list {
		if EqualFold(f.list[i].Name, name) {
			return f.list[i].Value, true
		}
	}
	return "", false
}

// Has reports whether there is a line of name.
func (f *Fields) Has(name string) bool {
	_, ok := f.Lookup(name)
	return ok
}

// Values yields the values of name in order.
func (f *Fields) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range f.list {
			if EqualFold(f.list[i].Name, name) && !yield(f.list[i].Value) {
				return
			}
		}
	}
}

// All yields the field lines in order.
func (f *Fields) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range f.list {
			if !yield(f.list[i].Name, f.list[i].Value) {
				return
			}
		}
	}
}

// Add appends a field line.
func (f *Fields) Add(name, value string) { f.list = append(f.list, Field{name, value}) }

// Set replaces every line of name by one, in the place of the first.
func (f *Fields) Set(name, value string) {
	for i := range f.list {
		if EqualFold(f.list[i].Name, name) {
			f.list[i].Value = value
			f.cut(i+1, name)
			return
		}
	}
	f.Add(name, value)
}

// Del removes every line of name.
func (f *Fields) Del(name string) { f.cut(0, name) }

// cut removes the lines of name from the i-th on.
func (f *Fields) cut(i int, name string) {
	for ; i < len(f.list) && !EqualFold(f.list[i].Name, name); i++ {
	}
	if i == len(f.list) {
		return
	}
	kept := f.list[:i]
	for _, l := range f.list[i+1:] {
		if !EqualFold(l.Name, name) {
			kept = append(kept, l)
		}
	}
	clear(f.list[len(kept):])
	f.list = kept
}

// DelFunc removes every line of which del reports true.
func (f *Fields) DelFunc(del func(name, value string) bool) {
	kept := f.list[:0]
	for _, l := range f.list {
		if !del(l.Name, l.Value) {
			kept = append(kept, l)
		}
	}
	clear(f.list[len(kept):])
	f.list = kept
}

// Clone returns a copy that stays valid when the exchange has ended.
func (f *Fields) Clone() Fields {
	c := Fields{make([]Field, len(f.list))}
	for i, l := range f.list {
		c.list[i] = Field{strings.Clone(l.Name), strings.Clone(l.Value)}
	}
	return c
}

// CopyFrom replaces the lines by those of other; the strings are shared.
func (f *Fields) CopyFrom(other *Fields) {
	if n := len(other.list); n < len(f.list) {
		clear(f.list[n:])
	}
	f.list = append(f.list[:0], other.list...)
}

// EqualFold compares two field names, which are ASCII, without regard to case.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if x, y := a[i], b[i]; x != y {
			if x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z' {
				return false
			}
		}
	}
	return true
}

// IsToken reports whether s is a token, as names of fields and methods are: RFC 9110,
// section 5.6.2.
func IsToken(s string) bool {
	for i := range len(s) {
		if !IsTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// IsTokenByte reports whether tokens may have c.
func IsTokenByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// ConnectionField reports whether a field belongs to a connection (RFC 9110, section
// 7.6.1), frames a message, or is Host: engines write these by themselves, and whatever
// [Fields] hold by mistake goes no further.
func ConnectionField(name string) bool {
	switch len(name) { // the lengths are those of the names
	case 2:
		return EqualFold(name, "TE")
	case 4:
		return EqualFold(name, "Host")
	case 7:
		return EqualFold(name, "Upgrade")
	case 10:
		return EqualFold(name, "Connection") || EqualFold(name, "Keep-Alive")
	case 14:
		return EqualFold(name, "Content-Length")
	case 16:
		return EqualFold(name, "Proxy-Connection")
	case 17:
		return EqualFold(name, "Transfer-Encoding")
	}
	return false
}
