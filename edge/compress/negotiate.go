package compress

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// coding is a content coding that we can make.
type coding uint8

const (
	br coding = iota
	zst
	gz
	codings
)

// String returns the coding's name in Content-Encoding.
func (c coding) String() string { return [codings]string{"br", "zstd", "gzip"}[c] }

// codingOf returns the coding with a name, which compares without regard to case
// (RFC 9110, section 8.4.1).
func codingOf(name string) (coding, bool) {
	switch {
	case edge.EqualFold(name, "br"):
		return br, true
	case edge.EqualFold(name, "zstd"):
		return zst, true
	case edge.EqualFold(name, "gzip"), edge.EqualFold(name, "x-gzip"): // section 8.4.1.3
		return gz, true
	}
	return 0, false
}

// weights is what a client says in Accept-Encoding: thousandths, or -1 where it
// says nothing.
type weights struct {
	codings  [codings]int
	identity int
	others   int // "*"
}

// negotiate returns the coding that the client likes best, the first of prefer
// among equals; false is identity. A client that accepts nothing that we can make,
// not even identity, gets identity nevertheless (RFC 9110, section 12.5.3), and so
// does one that says nothing.
func negotiate(f *edge.Fields, prefer []coding) (coding, bool) {
	w := weights{codings: [codings]int{-1, -1, -1}, identity: -1, others: -1}
	for v := range f.Values("Accept-Encoding") {
		w.parse(v)
	}
	best, at := coding(0), 0
	for _, c := range prefer {
		q := w.codings[c]
		if q < 0 {
			q = w.others
		}
		if q > at {
			best, at = c, q
		}
	}
	return best, at > 0 && at >= w.identity
}

// parse adds the members of one field value. A member that is not well-formed is
// passed over.
func (w *weights) parse(list string) {
	for list != "" {
		var member string
		member, list, _ = strings.Cut(list, ",")
		name, params, weighed := strings.Cut(member, ";")
		name = strings.Trim(name, " \t")
		q := 1000
		if weighed {
			var ok bool
			if q, ok = parseWeight(strings.Trim(params, " \t")); !ok {
				continue
			}
		}
		switch c, known := codingOf(name); {
		case known:
			w.codings[c] = q
		case name == "*":
			w.others = q
		case edge.EqualFold(name, "identity"):
			w.identity = q
		}
	}
}

// parseWeight returns the thousandths of a weight, "q=0.5" (RFC 9110, section
// 12.4.2).
func parseWeight(s string) (int, bool) {
	if len(s) < 3 || len(s) > len("q=0.123") || s[0]|0x20 != 'q' || s[1] != '=' || s[2] != '0' && s[2] != '1' {
		return 0, false
	}
	q, unit := int(s[2]-'0')*1000, 100
	if len(s) > 3 && s[3] != '.' {
		return 0, false
	}
	for i := 4; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		q += int(s[i]-'0') * unit
		unit /= 10
	}
	return q, q <= 1000
}

// hasDirective reports whether Cache-Control has a directive that takes no
// argument.
func hasDirective(f *edge.Fields, name string) bool {
	for v := range f.Values("Cache-Control") {
		for v != "" {
			var member string
			member, v, _ = strings.Cut(v, ",")
			if edge.EqualFold(strings.Trim(member, " \t"), name) {
				return true
			}
		}
	}
	return false
}
