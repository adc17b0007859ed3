package certs

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"time"
)

// Set chooses certificates for one listener. It is immutable.
type Set struct {
	files    map[string][]*tls.Certificate // by name or wildcard, in the order of the files
	ca       *CA
	names    map[string]struct{} // that the listener has sites for; wildcards too
	any      bool                // there is a site for every name
	fallback string              // whose certificate unknown names get; "" for none
}

// NewSet returns a Set for a listener with sites of these names: "example.com",
// "*.example.com", an IP address, or "*" for any. Certificates of files come
// first, those for exactly the name before wildcards; for what they do not cover
// the authority, if there is one, signs.
//
// A name that no site has is refused (alert unrecognized_name) unless the
// listener has one name only, whose certificate it then gets: see also
// [Set.WithDefault].
func NewSet(pairs []Pair, ca *CA, names []string) *Set {
	s := &Set{files: make(map[string][]*tls.Certificate), ca: ca, names: make(map[string]struct{})}
	for i := range pairs {
		p := &pairs[i]
		for _, n := range p.names {
			s.files[n] = append(s.files[n], &p.cert)
		}
	}
	for _, n := range names {
		if n = canonical(n); n == "*" {
			s.any = true
		} else {
			s.names[n] = struct{}{}
		}
	}
	if len(s.names) == 1 && !s.any {
		for n := range s.names {
			s.fallback = n
		}
	}
	return s
}

// WithDefault returns a Set that gives clients of unknown names, or of none, the
// certificate for name.
func (s *Set) WithDefault(name string) *Set {
	c := *s
	c.fallback = canonical(name)
	return &c
}

// Expiries returns when the certificates of files expire, by the names that they
// are for; of several for a name the first to go.
func (s *Set) Expiries() map[string]time.Time {
	ends := make(map[string]time.Time, len(s.files))
	for name, list := range s.files {
		for _, c := range list {
			if end, ok := ends[name]; !ok || c.Leaf.NotAfter.Before(end) {
				ends[name] = c.Leaf.NotAfter
			}
		}
	}
	return ends
}

// canonical returns a name as certificates spell it: in lower case, an IP address
// without brackets and in its one form.
func canonical(name string) string {
	name = strings.ToLower(strings.Trim(name, "[]"))
	if ip := net.ParseIP(name); ip != nil {
		return ip.String()
	}
	return strings.TrimSuffix(name, ".")
}

// GetCertificate is for tls.Config. It returns nil, nil for a name that is not
// served, which crypto/tls answers with the alert unrecognized_name.
func (s *Set) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := canonical(hello.ServerName)
	if name == "" { // by address (RFC 6066, section 3), or an old client
		return s.byAddress(hello)
	}
	if c := s.fromFiles(hello, name); c != nil {
		return c, nil
	}
	if known := s.known(name); known != "" && s.ca != nil {
		return s.ca.Certificate(known)
	}
	return s.byDefault(hello)
}

func (s *Set) byAddress(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	ip := localIP(hello)
	if ip != "" {
		if c := s.fromFiles(hello, ip); c != nil {
			return c, nil
		}
	}
	if _, ok := s.names[ip]; !ok { // a site for the address goes before a default
		if c, err := s.byDefault(hello); c != nil || err != nil {
			return c, err
		}
	}
	if ip != "" && s.ca != nil {
		return s.ca.Certificate(ip)
	}
	return nil, nil
}

func (s *Set) byDefault(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.fallback == "" {
		return nil, nil
	}
	if c := s.fromFiles(hello, s.fallback); c != nil {
		return c, nil
	}
	if s.ca == nil {
		return nil, nil
	}
	return s.ca.Certificate(s.fallback)
}

// fromFiles returns the file's certificate for name, preferably one of a kind
// that the client can verify.
func (s *Set) fromFiles(hello *tls.ClientHelloInfo, name string) *tls.Certificate {
	list := s.files[name]
	if list == nil {
		list = s.files[wildcard(name)]
	}
	if list == nil {
		return nil
	}
	if len(list) > 1 {
		if i := slices.IndexFunc(list, func(c *tls.Certificate) bool { return hello.SupportsCertificate(c) == nil }); i >= 0 {
			return list[i]
		}
	}
	return list[0]
}

// known returns the name to sign a certificate for, or "" if there is no site of
// that name.
func (s *Set) known(name string) string {
	if _, ok := s.names[name]; ok {
		return name
	}
	if w := wildcard(name); w != "" {
		if _, ok := s.names[w]; ok {
			return w // one certificate for all of them
		}
	}
	if s.any && isHost(name) {
		return name
	}
	return ""
}

// isHost reports whether name is one that a certificate can be for. Clients send
// what they like.
func isHost(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}

// localIP returns the address that the client has connected to, or "" where the
// socket does not say: one of UDP that is bound to all addresses.
func localIP(hello *tls.ClientHelloInfo) string {
	if hello.Conn == nil {
		return ""
	}
	var ip net.IP
	switch a := hello.Conn.LocalAddr().(type) {
	case *net.TCPAddr:
		ip = a.IP
	case *net.UDPAddr:
		ip = a.IP
	}
	if ip == nil || ip.IsUnspecified() {
		return ""
	}
	return ip.String()
}
