package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// hinted is an error that knows what to do about it.
type hinted struct{ message, hint string }

func (h *hinted) Error() string { return h.message }

// siteKey is the key of a site, taken apart.
type siteKey struct {
	host   string // lower case; "*", "*.example.com"; IPv6 in brackets
	scheme string // "", "http", "https"
	bind   string // "host:port" or ""
	port   string // "" if none was written
}

// parseSiteKey reads host, "*.host", "*", http(s)://host[:port].
func parseSiteKey(s string) (siteKey, error) {
	var k siteKey
	rest := s
	for _, scheme := range []string{"http", "https"} {
		if r, ok := strings.CutPrefix(strings.ToLower(s), scheme+"://"); ok {
			k.scheme, rest = scheme, r
		}
	}
	if i := strings.Index(rest, "://"); i >= 0 {
		return k, &hinted{"a site has no such scheme", "http:// and https:// can stand before the host"}
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return k, &hinted{"a site is a host, without a path", "put the path under routes"}
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return k, err
	}
	if host, err = parseHost(host, true); err != nil {
		return k, err
	}
	k.host = bracketed(host)
	switch {
	case k.scheme == "" && port != "":
		return k, &hinted{"a port needs a scheme", fmt.Sprintf("write %q", "http://"+strings.ToLower(s))}
	case k.scheme == "":
		return k, nil
	}
	k.port = port
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[k.scheme]
	} else if err := checkListenPort(port); err != nil {
		return k, err
	}
	k.bind = net.JoinHostPort(bindHost(host), port)
	return k, nil
}

// bracketed returns a host as it stands in a URL: IPv6 in brackets.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// bindHost returns where a site of that host listens: everywhere, unless the
// host is an address itself.
func bindHost(host string) string {
	if host == "localhost" {
		return "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	return ""
}

// splitPort splits host[:port]. An IPv6 address has brackets if there is a port.
func splitPort(s string) (host, port string, err error) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", errors.New("[ without ]")
		}
		host, s = s[1:end], s[end+1:]
		if s == "" {
			return host, "", nil
		}
		if s[0] != ':' {
			return "", "", errors.New("behind ] stands : and a port, or nothing")
		}
		return host, s[1:], nil
	}
	if strings.Count(s, ":") > 1 {
		return s, "", nil // IPv6, or wrong
	}
	host, port, _ = strings.Cut(s, ":")
	return host, port, nil
}

// checkPort accepts the ports that one can connect to.
func checkPort(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '0' {
		return fmt.Errorf("%q is no port; 1 to 65535", shorten(s))
	}
	return nil
}

// checkListenPort accepts the ports that one can listen on: 0 takes any that is
// free.
func checkListenPort(s string) error {
	if s == "0" {
		return nil
	}
	return checkPort(s)
}

// parseHost reads a host name or an IP address, and with wild also "*" and
// "*.example.com". It returns it in lower case.
func parseHost(s string, wild bool) (string, error) {
	if s == "" {
		return "", errors.New("the host is empty")
	}
	if strings.Contains(s, ":") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return "", fmt.Errorf("%q is neither a host nor an IP address", shorten(s))
		}
		return a.String(), nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), nil
	}
	host := strings.ToLower(s)
	rest := host
	if wild {
		if host == "*" {
			return host, nil
		}
		rest = strings.TrimPrefix(host, "*.")
	}
	if len(rest) > 253 {
		return "", errors.New("a host name has at most 253 characters")
	}
	for label := range strings.SplitSeq(rest, ".") {
		switch {
		case label == "":
			return "", errors.New("a part of the host name is empty")
		case len(label) > 63:
			return "", errors.New("a part of a host name has at most 63 characters")
		case label[0] == '-', label[len(label)-1] == '-':
			return "", fmt.Errorf("%q begins or ends with -", label)
		}
		for _, c := range label {
			switch {
			case c >= 0x80:
				return "", &hinted{"the host name is not ASCII", "write it as DNS has it, with xn--"}
			case c == '*':
				return "", &hinted{"* stands for a whole first part of a host name", `like "*.example.com", or "*" alone for any host`}
			case c != '-' && !isNameRune(c):
				return "", fmt.Errorf("%q cannot stand in a host name", c)
			}
		}
	}
	return host, nil
}

// parseAddress reads an address to connect to: host:port, or unix:/path, whose
// path it returns as it stands.
func parseAddress(s string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return "", "", errors.New("unix: needs a path")
		}
		return "unix", path, nil
	}
	if i := strings.Index(s, "://"); i >= 0 {
		rest, _, _ := strings.Cut(s[i+3:], "/")
		if strings.HasPrefix(s, "http:") && !strings.Contains(rest, ":") {
			rest += ":80"
		}
		return "", "", &hinted{"it is a URL, and an address is host:port", fmt.Sprintf("write %q", shorten(rest))}
	}
	host, port, err := splitPort(s)
	if err != nil {
		return "", "", err
	}
	if host, err = parseHost(host, false); err != nil {
		return "", "", err
	}
	if port == "" {
		hint := ""
		if net.ParseIP(host) != nil || strings.Contains(host, ".") {
			hint = fmt.Sprintf("write it with one, like %q", net.JoinHostPort(host, "8080"))
		} else if checkPort(host) == nil {
			hint = fmt.Sprintf("write %q", "127.0.0.1:"+host)
		}
		return "", "", &hinted{"it has no port", hint}
	}
	if err := checkPort(port); err != nil {
		return "", "", err
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

// parseListen reads an address to listen on: :port, host:port with an IP address
// or localhost. Port 0 takes any that is free.
func parseListen(s string) (string, error) {
	host, port, err := splitPort(s)
	if err != nil {
		return "", err
	}
	if host != "" {
		if host, err = parseHost(host, false); err != nil {
			return "", err
		}
		if port == "" && checkListenPort(host) == nil {
			return "", &hinted{"it has no colon", fmt.Sprintf("write %q", ":"+host)}
		}
		if bindHost(host) == "" {
			return "", &hinted{"one listens on an IP address, not on a name", `write ":80", or "127.0.0.1:80"`}
		}
		host = bindHost(host)
	}
	if port == "" {
		return "", &hinted{"it has no port", `write it like ":80"`}
	}
	if err := checkListenPort(port); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}
