package cache

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// responseControl is what Cache-Control says in a response (RFC 9111, section
// 5.2.2). Ages are in seconds; -1: not said.
type responseControl struct {
	maxAge, sMaxAge                                 int64
	noStore, noCache, private, public               bool
	mustRevalidate, proxyRevalidate, mustUnderstand bool
}

// requestControl is what Cache-Control says in a request (section 5.2.1).
type requestControl struct {
	maxAge, minFresh, maxStale     int64
	noStore, noCache, onlyIfCached bool
}

// maxDelta is the greatest number of seconds, and what a greater one stands for
// (RFC 9111, section 1.2.2).
const maxDelta = 1 << 31

func parseResponseControl(f *edge.Fields) responseControl {
	c := responseControl{maxAge: -1, sMaxAge: -1}
	for v := range f.Values("Cache-Control") {
		for v != "" {
			var d directive
			d, v = nextDirective(v)
			switch {
			case d.is("max-age"):
				c.maxAge = d.lesser(c.maxAge)
			case d.is("s-maxage"):
				c.sMaxAge = d.lesser(c.sMaxAge)
			case d.is("no-store"):
				c.noStore = true
			case d.is("no-cache") && d.value != "", d.is("private") && d.value != "":
				// Those fields are left out: see qualifies.
			case d.is("no-cache"):
				c.noCache = true
			case d.is("private"):
				c.private = true
			case d.is("public"):
				c.public = true
			case d.is("must-revalidate"):
				c.mustRevalidate = true
			case d.is("proxy-revalidate"):
				c.proxyRevalidate = true
			case d.is("must-understand"):
				c.mustUnderstand = true
			}
		}
	}
	return c
}

func parseRequestControl(f *edge.Fields) requestControl {
	c := requestControl{maxAge: -1, minFresh: -1, maxStale: -1}
	said := false
	for v := range f.Values("Cache-Control") {
		said = true
		for v != "" {
			var d directive
			d, v = nextDirective(v)
			switch {
			case d.is("max-age"):
				c.maxAge = d.lesser(c.maxAge)
			case d.is("min-fresh"):
				if n, ok := parseDelta(d.value); ok {
					c.minFresh = max(c.minFresh, n)
				}
			case d.is("max-stale") && !d.argued:
				c.maxStale = maxDelta // any
			case d.is("max-stale"):
				if n, ok := parseDelta(d.value); ok {
					c.maxStale = n
				}
			case d.is("no-store"):
				c.noStore = true
			case d.is("no-cache"):
				c.noCache = true
			case d.is("only-if-cached"):
				c.onlyIfCached = true
			}
		}
	}
	if !said {
		// RFC 9111, section 5.4: for clients of HTTP/1.0.
		for v := range f.Values("Pragma") {
			for v != "" {
				var d directive
				d, v = nextDirective(v)
				c.noCache = c.noCache || d.is("no-cache")
			}
		}
	}
	return c
}

// directive is one member of Cache-Control.
type directive struct {
	name, value string // without the quotes
	argued      bool   // there is a value, maybe ""
}

func (d *directive) is(name string) bool { return edge.EqualFold(d.name, name) }

// lesser returns the lesser of two ages, since of two that contradict each other
// the more restrictive counts (RFC 9111, section 4.2.1). A value that is no number
// means stale.
func (d *directive) lesser(have int64) int64 {
	n, _ := parseDelta(d.value)
	if have >= 0 {
		n = min(n, have)
	}
	return n
}

// nextDirective returns the first directive of a list and what follows its comma.
// White space around "=" is not allowed (RFC 9111, section 5.2), and makes the
// directive one that nobody knows, or its value one that is no number.
func nextDirective(list string) (d directive, rest string) {
	list = strings.TrimLeft(list, " \t,")
	end := strings.IndexAny(list, "=,")
	if end < 0 {
		return directive{name: strings.TrimRight(list, " \t")}, ""
	}
	d.name, rest = list[:end], list[end+1:]
	if list[end] == ',' {
		d.name = strings.TrimRight(d.name, " \t")
		return d, rest
	}
	d.argued = true
	if rest == "" || rest[0] != '"' {
		d.value, rest, _ = strings.Cut(rest, ",")
		d.value = strings.TrimRight(d.value, " \t")
		return d, rest
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			d.value = rest[1:i]
			_, rest, _ = strings.Cut(rest[i+1:], ",")
			return d, rest
		}
	}
	d.value = rest[1:] // the quote is never closed: all that follows is in it
	return d, ""
}

// parseDelta returns a number of seconds, at most maxDelta.
func parseDelta(s string) (n int64, ok bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), maxDelta)
	}
	return n, true
}

// parseAge returns the value of Age. Of a list the first member counts, and what
// is no number is ignored (RFC 9111, section 5.1).
func parseAge(f *edge.Fields) int64 {
	v, _, _ := strings.Cut(f.Get("Age"), ",")
	n, _ := parseDelta(strings.Trim(v, " \t"))
	return n
}
