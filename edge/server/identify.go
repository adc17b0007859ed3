package server

import (
	"fmt"
	"net/netip"
	"strings"
	"unsafe"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
)

// armField tells filters and origins which arm of the route's split x belongs to,
// and is how a filter chooses one.
const armField = hostmod.ArmField

// identify says who asks, in the fields that origins look at. Whatever the
// client said of itself there is replaced, since any client can say anything,
// unless it is a trusted hop, which speaks of its own client.
func identify(x *edge.Exchange) {
	r := &x.Request
	trusted := x.Record.Trusted
	r.Fields.DelFunc(func(name, value string) bool {
		switch {
		case len(name) > 12 && edge.EqualFold(name[:12], "x-forwarded-"):
			return !trusted || edge.EqualFold(name, "x-forwarded-for")
		case len(name) == 12 && (edge.EqualFold(name, "x-request-id") || edge.EqualFold(name, armField)),
			len(name) == len(scheduledField) && edge.EqualFold(name, scheduledField),
			len(name) == 9 && edge.EqualFold(name, "x-real-ip"),
			len(name) == 5 && edge.EqualFold(name, "proxy"): // becomes HTTP_PROXY in a CGI environment
			return true
		case len(name) == 9 && edge.EqualFold(name, "forwarded"):
			return !trusted
		}
		// Origins that map '-' to '_' would take one name for another.
		return strings.IndexByte(name, '_') >= 0
	})
	peer := x.Client.IP
	r.Fields.Add("X-Request-Id", x.Record.ID)
	r.Fields.Add("X-Forwarded-For", x.Concat(x.Record.Forwarded, peer))
	if !trusted || !r.Fields.Has("X-Forwarded-Host") {
		r.Fields.Add("X-Forwarded-Host", r.Authority)
	}
	if !trusted || !r.Fields.Has("X-Forwarded-Proto") {
		r.Fields.Add("X-Forwarded-Proto", r.Scheme)
	}
	r.Fields.Add("X-Real-IP", x.Record.ClientIP)
	// RFC 7239, section 6: an IPv6 address is quoted and in brackets; section 4:
	// so is a host that has a colon.
	open, shut := "", ""
	if strings.IndexByte(peer, ':') >= 0 {
		open, shut = `"[`, `]"`
	}
	r.Fields.Add("Forwarded", x.Concat("for=", open, peer, shut, `;host="`, r.Authority, `";proto=`, r.Scheme))
	via := "1.1 " + edge.Pseudonym
	switch r.Proto {
	case "HTTP/2.0":
		via = "2.0 " + edge.Pseudonym
	case "HTTP/3.0":
		via = "3.0 " + edge.Pseudonym
	case "HTTP/1.0":
		via = "1.0 " + edge.Pseudonym
	}
	r.Fields.Add("Via", via) // RFC 9110, section 7.6.3
}

// count notes how many proxies of ours x has come through, and refuses it if they are
// more than most: it goes round in a loop.
func count(x *edge.Exchange, most int) error {
	n := 0
	for v := range x.Request.Fields.Values("Via") {
		for rest := v; rest != ""; {
			var hop string
			hop, rest, _ = strings.Cut(rest, ",")
			if receivedBy(hop) == edge.Pseudonym {
				n++
			}
		}
	}
	x.Record.Hops = n + 1
	if n > most {
		return &edge.Error{Kind: edge.LoopDetected, Op: "take the request",
			Err: fmt.Errorf("it has come through sluice %d times, as Via says, more than the %d of limits.hops", n, most)}
	}
	return nil
}

// receivedBy returns the recipient of an element of Via (RFC 9110, section 7.6.3).
func receivedBy(hop string) string {
	const blank = " \t"
	hop = strings.TrimLeft(hop, blank)
	i := strings.IndexAny(hop, blank)
	if i < 0 {
		return ""
	}
	by := strings.TrimLeft(hop[i:], blank)
	if i = strings.IndexAny(by, blank); i >= 0 {
		return by[:i]
	}
	return by
}

// believe takes from a trusted hop who its client is, and the request's id and
// scheme. A hop that is not trusted, or says nothing that makes sense, is the
// client itself.
func believe(x *edge.Exchange, trust []netip.Prefix) {
	if !isTrusted(trust, x.Record.ClientAddr) {
		return
	}
	rec, f := &x.Record, &x.Request.Fields
	rec.Trusted = true
	if id := f.Get("X-Request-Id"); isRequestID(id) {
		rec.ID = id
	}
	switch f.Get("X-Forwarded-Proto") {
	case "https":
		x.Request.Scheme = "https"
	case "http":
		x.Request.Scheme = "http"
	}
	if f.Has("X-Forwarded-For") {
		for v := range f.Values("X-Forwarded-For") {
			rec.Forwarded = x.Concat(rec.Forwarded, v, ", ")
		}
		believeChain(x, trust, f, "X-Forwarded-For", chainAddress)
	} else if f.Has("Forwarded") {
		believeChain(x, trust, f, "Forwarded", elementAddress)
	}
}

// believeChain walks a list that every hop has appended its client to, from the
// nearest hop on, as far as the hops are trusted.
func believeChain(x *edge.Exchange, trust []netip.Prefix, f *edge.Fields, name string, address func(element string) (netip.Addr, bool)) {
	n := 0
	for range f.Values(name) {
		n++
	}
	for i := n - 1; i >= 0; i-- {
		rest := nth(f, name, i)
		for {
			element := rest
			comma := strings.LastIndexByte(rest, ',')
			if comma >= 0 {
				element, rest = rest[comma+1:], rest[:comma]
			}
			a, ok := address(strings.Trim(element, " \t"))
			if !ok {
				return
			}
			x.Record.ClientAddr = a
			x.Record.ClientIP = addressText(x, a)
			if !isTrusted(trust, a) {
				return
			}
			if comma < 0 {
				break
			}
		}
	}
}

// nth returns the i-th value of a field.
func nth(f *edge.Fields, name string, i int) string {
	for v := range f.Values(name) {
		if i == 0 {
			return v
		}
		i--
	}
	return ""
}

func addressText(x *edge.Exchange, a netip.Addr) string {
	var b [48]byte
	text := a.AppendTo(b[:0])
	return x.Concat(unsafe.String(unsafe.SliceData(text), len(text)))
}

// chainAddress reads an element of X-Forwarded-For: an address, which some hops
// write with a port.
func chainAddress(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// elementAddress reads the for parameter of an element of Forwarded (RFC 7239,
// section 4). An obfuscated identifier is no address.
func elementAddress(s string) (netip.Addr, bool) {
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, ";")
		name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
		if ok && edge.EqualFold(name, "for") {
			return chainAddress(strings.Trim(value, `"`))
		}
	}
	return netip.Addr{}, false
}

func isTrusted(trust []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range trust {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// isRequestID reports whether an id from outside can stand in logs and fields.
func isRequestID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+/=:", c) >= 0) {
			return false
		}
	}
	return true
}
