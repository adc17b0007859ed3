package edge

import "strings"

// Cookie returns the value of the first cookie of that name in the Cookie
// fields, without the quotes that may surround it (RFC 6265, section 4.2.1).
// Names of cookies are case-sensitive. HTTP/2 and HTTP/3 may spread cookies over
// several lines (RFC 9113, section 8.2.3).
func (f *Fields) Cookie(name string) (value string, ok bool) {
	for i := range f.list {
		if !EqualFold(f.list[i].Name, "Cookie") {
			continue
		}
		for rest := f.list[i].Value; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			n, v, found := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !found || n != name {
				continue
			}
			if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
				v = v[1 : len(v)-1]
			}
			return v, true
		}
	}
	return "", false
}
