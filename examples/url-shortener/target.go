package main

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/sluice-edge/sluice/sdk/function"
)

// maxURL is the longest target, in bytes.
const maxURL = 2048

// target returns where a link leads to, as it goes into Location; or what is wrong with
// it. Who follows a link trusts it as they trust us: it leads to the web by http or
// https, runs nothing (javascript:, data:), and does not come back here.
func (s *shortener) target(r *function.Request, text string) (string, error) {
	if len(text) > maxURL {
		return "", &failure{422, "url is too long"}
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return "", &failure{422, "url has characters that have to be encoded"} // RFC 3986, section 2
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Opaque != "" {
		return "", &failure{422, "url is not one of http or https with a host"}
	}
	if u.User != nil {
		return "", &failure{422, "url has a user, which looks like a host"} // RFC 3986, section 7.6
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "" || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") != "" {
		return "", &failure{422, "url has a host that is no name or address"}
	}
	// Under its own names it would lead to itself, or to another link.
	for _, own := range append(strings.Fields(s.getenv("HOSTS")), r.Host) {
		if name, _, err := net.SplitHostPort(own); err == nil {
			own = name
		}
		if strings.EqualFold(strings.Trim(own, "[]."), host) {
			return "", &failure{422, "url leads here"}
		}
	}
	if s.getenv("PRIVATE") != "yes" && isPrivate(host) {
		return "", &failure{422, "url leads to a private network"}
	}
	return u.String(), nil
}

// isPrivate reports whether a host is an address, or a name, of this computer or of its
// network.
func isPrivate(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || !strings.ContainsAny(host, ".:") {
		return true // RFC 6761, section 6.3; a name without a dot is local, and 2130706433 is 127.0.0.1
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		// 0x7f.1 and 127.1 are addresses for browsers (the URL standard, section 3.5).
		last := host[strings.LastIndexByte(host, '.')+1:]
		return last != "" && last[0] >= '0' && last[0] <= '9'
	}
	addr = addr.Unmap()
	return !addr.IsGlobalUnicast() || addr.IsPrivate()
}
