package route

import (
	"errors"
	"strings"
	"unsafe"
)

// Path is a request's path in the one form in which paths are compared.
//
// In it every octet that was percent-encoded stands for itself, except for %25
// and %2F, which would otherwise be taken for the start of an encoding and for a
// separator; and there are no dot segments (RFC 3986, section 6.2.2). So it is
// its own canonical form.
type Path struct {
	canonical string
	received  string
	unclear   reading // what other servers may read differently
}

// String returns the canonical form. It aliases what was given to Canonical: the
// path itself, or the scratch.
func (p Path) String() string { return p.canonical }

// reading is a set of liberties that servers take with a path. Some origins do
// and some don't, so where a liberty would lead to another route, a rule of ours
// could be passed by: LookupPath refuses that.
type reading uint8

const (
	slashes     reading = 1 << iota // %2F is a slash
	backslashes                     // a backslash is a slash
	merged                          // several slashes are one
	parameters                      // "..;x" is "..", and ";x" nothing
	strict      reading = 0
)

// Errors of Canonical and of LookupPath. The request is answered with 400.
var (
	errNotAbsolute = errors.New("path does not begin with /")
	errMalformed   = errors.New("malformed percent-encoding in path")
	errNUL         = errors.New("NUL in path")
	errClimbs      = errors.New("path climbs above the root")
	errAmbiguous   = errors.New("path leads to another route where an encoded slash, a backslash, an empty segment or a parameter is read differently")
)

// Canonical returns the canonical form of a path. Malformed encodings, NUL, and
// dot segments that climb above the root are refused.
//
// A path that is canonical already is returned as it is. Any other is built in
// scratch, if its capacity is that of the path; else memory is allocated. "*",
// of OPTIONS, is canonical.
func Canonical(path string, scratch []byte) (Path, error) {
	if path == "*" {
		return Path{canonical: path, received: path}, nil
	}
	if path == "" || path[0] != '/' {
		return Path{}, errNotAbsolute
	}
	clean, unclear := true, strict
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case 0:
			return Path{}, errNUL
		case '\\':
			unclear |= backslashes
		case '/':
			if i+1 < len(path) {
				switch path[i+1] {
				case '/':
					unclear |= merged
				case ';':
					unclear |= merged | parameters
				case '.':
					clean = clean && !mayBeDots(path[i+1:])
				}
			}
		case '%':
			c, ok := unhex(path, i)
			switch {
			case !ok:
				return Path{}, errMalformed
			case c == 0:
				return Path{}, errNUL
			case c == '%':
			case c == '/':
				unclear |= slashes
				clean = clean && path[i+2] == 'F'
			case c == '\\':
				unclear |= backslashes
				clean = false
			case c == ';' && path[i-1] == '/':
				unclear |= merged | parameters
				clean = false
			default:
				clean = false
			}
		}
	}
	if unclear&(slashes|backslashes) != 0 {
		unclear |= merged | parameters // may show once there are more slashes
	}
	p := Path{canonical: path, received: path, unclear: unclear}
	if clean {
		return p, nil
	}
	b, dotted, err := unfold(path, scratch, strict)
	if err != nil {
		return Path{}, err
	}
	p.unclear |= dotted
	p.canonical = unsafe.String(unsafe.SliceData(b), len(b))
	return p, nil
}

// mayBeDots reports whether s, which begins with a dot, may begin with a dot
// segment. Names like .well-known do not.
func mayBeDots(s string) bool {
	s = strings.TrimPrefix(s[1:], ".")
	return s == "" || strings.IndexByte("/;%", s[0]) >= 0
}

// unhex returns the octet that the three characters at path[i:] encode.
func unhex(path string, i int) (c byte, ok bool) {
	if i+2 >= len(path) {
		return 0, false
	}
	hi, lo := hex(path[i+1]), hex(path[i+2])
	return hi<<4 | lo&0xf, hi < 16 && lo < 16
}

// hex returns the value of a hexadecimal digit, or 255.
func hex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 255
}

// unfold decodes path, which has no malformed encoding, into b's memory, and
// removes its dot segments (RFC 3986, section 5.2.4), in the given reading.
// dotted is parameters if a dot segment has any.
func unfold(path string, b []byte, how reading) (out []byte, dotted reading, err error) {
	if cap(b) < len(path) {
		b = make([]byte, 0, len(path))
	}
	b = b[:0]
	start := 0 // of the last segment in b, behind its slash
	for i := 0; i <= len(path); i++ {
		c, encoded := byte('/'), false // the end closes a segment too
		if i < len(path) {
			c = path[i]
			if c == '%' {
				c, _ = unhex(path, i)
				i += 2
				encoded = true
			}
		}
		separates := c == '/' && (!encoded || how&slashes != 0) || c == '\\' && how&backslashes != 0
		if !separates {
			switch {
			case encoded && c == '%':
				b = append(b, "%25"...)
			case encoded && c == '/':
				b = append(b, "%2F"...)
			default:
				b = append(b, c)
			}
			continue
		}
		end := i == len(path)
		if len(b) == 0 { // the slash that begins the path
			b = append(b, '/')
			start = 1
			continue
		}
		name, with := dots(b[start:])
		if with {
			dotted = parameters
			if how&parameters == 0 {
				name = 0
			}
		}
		switch {
		case name == 1:
			b = b[:start]
		case name == 2:
			if start == 1 {
				return nil, dotted, errClimbs
			}
			b = b[:start-1]
			for b[len(b)-1] != '/' {
				b = b[:len(b)-1]
			}
			start = len(b)
		case how&merged != 0 && how&parameters != 0 && len(b) > start && b[start] == ';':
			b = b[:start] // a segment that is empty but for its parameters
		case end:
		case how&merged != 0 && len(b) == start:
		default:
			b = append(b, '/')
			start = len(b)
		}
	}
	return b, dotted, nil
}

// dots returns 1 if a segment is ".", 2 if it is "..", else 0, and whether
// parameters follow it.
func dots(segment []byte) (n int, parameters bool) {
	for n < len(segment) && segment[n] == '.' {
		n++
	}
	if n == 0 || n > 2 {
		return 0, false
	}
	if n == len(segment) {
		return n, false
	}
	if segment[n] == ';' {
		return n, true
	}
	return 0, false
}

// readings yields what the path becomes in each other reading that it leaves
// open, valid until the next. ok is false where it climbs above the root.
func (p Path) readings(yield func(path string, ok bool) bool) {
	memory := make([]byte, 0, len(p.received))
	for how := reading(1); how <= p.unclear; how++ {
		if how&^p.unclear != 0 {
			continue
		}
		b, _, err := unfold(p.received, memory, how)
		if !yield(unsafe.String(unsafe.SliceData(b), len(b)), err == nil) {
			return
		}
	}
}
