package route

import (
	"fmt"
	"strings"
)

// HostEntry is one line of Hosts: "www.example.com", "*.example.com" (one label or
// more before it), or "*" for every name.
type HostEntry[T any] struct {
	Host  string
	Value T
}

// Hosts maps the host of a request to a value: the exact name first, then the
// longest wildcard, then "*". It is immutable.
type Hosts[T any] struct {
	exact    map[string]T
	wildcard map[string]T // by what follows the star: ".example.com"
	other    *T           // of "*"
}

// NewHosts builds a table of hosts. It returns either the table or all that is
// wrong with the entries.
func NewHosts[T any](entries []HostEntry[T]) (*Hosts[T], []Problem) {
	h := &Hosts[T]{exact: map[string]T{}, wildcard: map[string]T{}}
	seen := map[string]int{}
	var problems []Problem
	for i, e := range entries {
		name, err := parseHost(e.Host)
		if err != nil {
			problems = append(problems, Problem{i, -1, err})
			continue
		}
		if first, twice := seen[name]; twice {
			problems = append(problems, Problem{i, first, fmt.Errorf("%q and %q are the same host", entries[first].Host, e.Host)})
			continue
		}
		seen[name] = i
		switch {
		case name == "*":
			h.other = &entries[i].Value
		case name[0] == '*':
			h.wildcard[name[1:]] = e.Value
		default:
			h.exact[name] = e.Value
		}
	}
	if problems != nil {
		return nil, problems
	}
	return h, nil
}

// parseHost returns a pattern in lower case and without a trailing dot.
func parseHost(pattern string) (string, error) {
	if pattern == "*" {
		return pattern, nil
	}
	name := strings.ToLower(strings.TrimSuffix(pattern, "."))
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		return name, nil // an IPv6 address
	}
	rest := strings.TrimPrefix(name, "*.")
	if len(rest) > maxHost {
		return "", fmt.Errorf("host %q is longer than %d characters", pattern, maxHost)
	}
	for label := range strings.SplitSeq(rest, ".") {
		switch {
		case label == "":
			return "", fmt.Errorf("host %q has an empty label", pattern)
		case strings.Contains(label, "*"):
			return "", fmt.Errorf("host %q: * stands for whole labels at the beginning", pattern)
		case strings.Contains(label, ":"):
			return "", fmt.Errorf("host %q: a port does not belong here", pattern)
		}
		for i := range len(label) {
			switch c := label[i]; {
			case c >= 0x80:
				return "", fmt.Errorf("host %q: write the name as DNS has it, in ASCII (xn--...)", pattern)
			case !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'):
				return "", fmt.Errorf("host %q: %q cannot be part of a name", pattern, c)
			}
		}
	}
	return name, nil
}

// maxHost is the greatest length of a name (RFC 1035, section 2.3.4).
const maxHost = 253

// Lookup returns the value for the authority of a request: a host in any case,
// with or without a port or a trailing dot. It allocates nothing.
func (h *Hosts[T]) Lookup(authority string) (value T, ok bool) {
	host := strings.TrimSuffix(Hostname(authority), ".")
	if host != "" && len(host) <= maxHost {
		var memory [maxHost]byte
		lower := memory[:len(host)]
		for i := range len(host) {
			c := host[i]
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			lower[i] = c
		}
		if v, ok := h.exact[string(lower)]; ok {
			return v, true
		}
		if len(h.wildcard) > 0 {
			// A dot that begins the name has no label before it.
			for i := 1; i < len(lower); i++ {
				if lower[i] != '.' {
					continue
				}
				if v, ok := h.wildcard[string(lower[i:])]; ok {
					return v, true
				}
			}
		}
	}
	if h.other != nil {
		return *h.other, true
	}
	return value, false
}

// Hostname returns an authority without its port. The brackets of an IPv6
// address stay.
func Hostname(authority string) string {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.IndexByte(authority[i:], ']') >= 0 {
		return authority
	}
	return authority[:i]
}
