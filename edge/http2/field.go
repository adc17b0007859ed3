package http2

import "golang.org/x/net/http2/hpack"

// static holds the names of HPACK's static table by index (RFC 7541, appendix A),
// as the decoder knows them; staticNames the first index of each.
var static, staticNames = func() (names [staticSize + 1]string, index map[string]uint64) {
	index = make(map[string]uint64)
	for i := 1; i <= staticSize; i++ {
		d := hpack.NewDecoder(0, func(f hpack.HeaderField) { names[i] = f.Name })
		if _, err := d.Write([]byte{0x80 | byte(i)}); err != nil {
			panic("BUG: " + err.Error())
		}
		if _, ok := index[names[i]]; !ok {
			index[names[i]] = uint64(i)
		}
	}
	return names, index
}()

const (
	isToken     = 1 << iota // RFC 9110, section 5.6.2
	isUpper                 // of a token
	isValue                 // RFC 9110, section 5.5
	isPath                  // RFC 3986, section 3.3 and 3.4, and what browsers leave unencoded
	isAuthority             // RFC 3986, section 3.2, without userinfo
)

var chars = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		in := func(set string) bool {
			for j := range len(set) {
				if set[j] == c {
					return true
				}
			}
			return false
		}
		if letter || digit || in("!#$%&'*+-.^_`|~") {
			t[i] |= isToken
		}
		if letter && c&0x20 == 0 {
			t[i] |= isUpper
		}
		if c >= 0x20 && c != 0x7f || c == '\t' {
			t[i] |= isValue
		}
		if 0x21 <= c && c <= 0x7e && c != '#' {
			t[i] |= isPath
		}
		if letter || digit || in("-._~!$&'()*+,;=%:[]") {
			t[i] |= isAuthority
		}
	}
	return t
}()

func all(s string, class byte) bool {
	for i := range len(s) {
		if chars[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// validName reports whether name is one that a field can have.
func validName(name string) bool { return name != "" && all(name, isToken) }

// validLowerName is validName for names that a client sends: RFC 9113, section
// 8.2.1.
func validLowerName(name string) bool {
	for i := range len(name) {
		if chars[name[i]]&(isToken|isUpper) != isToken {
			return false
		}
	}
	return name != ""
}

func validValue(value string) bool { return all(value, isValue) }

// trimmed reports whether value neither begins nor ends with white space (RFC
// 9113, section 8.2.1).
func trimmed(value string) bool {
	return value == "" || !space(value[0]) && !space(value[len(value)-1])
}

func space(c byte) bool { return c == ' ' || c == '\t' }
