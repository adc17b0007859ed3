package route

import (
	"strings"
	"unsafe"

	"github.com/sluice-edge/sluice/edge"
)

// cookie returns a Set-Cookie line (RFC 6265, section 4.1) whose Path is the
// client's, and which has no Domain if that is the origin's own host.
func (a *answer) cookie(s string) string {
	pair, attributes, _ := strings.Cut(s, ";")
	if attributes == "" {
		return s
	}
	name := strings.TrimLeft(pair, " \t")
	const hostPrefix = "__Host-"
	fixed := len(name) >= len(hostPrefix) && edge.EqualFold(name[:len(hostPrefix)], hostPrefix) // its path is /
	var memory [256]byte
	var out []byte // nil: nothing has changed so far
	at := len(pair)
	for at < len(s) {
		end := strings.IndexByte(s[at+1:], ';')
		if end < 0 {
			end = len(s)
		} else {
			end += at + 1
		}
		attribute := s[at:end] // with the semicolon before it
		name, value, _ := strings.Cut(attribute[1:], "=")
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
		switch {
		case edge.EqualFold(name, "Domain") && a.ownDomain(value):
			if out == nil {
				out = append(memory[:0], s[:at]...)
			}
		case !fixed && edge.EqualFold(name, "Path"):
			path, ok := a.cookiePath(value)
			if !ok || path == value {
				if out != nil {
					out = append(out, attribute...)
				}
				break
			}
			if out == nil {
				out = append(memory[:0], s[:at]...)
			}
			out = append(append(out, "; Path="...), path...)
		case out != nil:
			out = append(out, attribute...)
		}
		at = end
	}
	if out == nil {
		return s
	}
	return a.x.Concat(unsafe.String(unsafe.SliceData(out), len(out)))
}

// ownDomain reports whether a Domain is the host of the origin and not that of
// the client.
func (a *answer) ownDomain(domain string) bool {
	domain = Hostname(strings.TrimPrefix(domain, "."))
	if domain == "" || sameHost(domain, Hostname(a.x.Request.Authority)) {
		return false
	}
	return sameHost(domain, Hostname(a.x.Record.Endpoint)) || a.rewrite.host != HostKeep && sameHost(domain, Hostname(a.asked))
}

// cookiePath returns what a Path of the origin is to the client. A path above
// those that the origin is asked for stands for all of the client's.
func (a *answer) cookiePath(path string) (string, bool) {
	if !a.was.mapped || !a.rewrite.Invertible() || !strings.HasPrefix(path, "/") {
		return "", false
	}
	from, to := a.prefixes()
	rest, ok := stripped(path, from)
	if !ok {
		p, err := Canonical(path, nil)
		if err != nil {
			return "", false
		}
		if _, above := stripped(from, strings.TrimSuffix(p.canonical, "/")); !above {
			return "", false
		}
		rest = ""
		if a.rewrite.template != nil {
			to = a.rewrite.static // what is to be sent to all that the template makes
		}
	}
	if rest == "/" {
		rest = ""
	}
	if to+rest == "" {
		return "/", true
	}
	return a.x.Concat(to, rest), true
}
