package server

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"

	"github.com/sluice-edge/sluice/edge/certs"
	"github.com/sluice-edge/sluice/edge/config"
)

// secrets is the certificates of a configuration, by bound address.
type secrets map[string]*certs.Set

// certificates builds the certificates of the file.
func (b *builder) certificates() *secrets {
	var pairs []certs.Pair
	for _, c := range b.file.TLS.Certificates {
		pair, warnings, err := certs.Load(c.Cert, c.Key)
		if err != nil {
			b.problems.Errorf(c.Place, "%v", err)
			continue
		}
		for _, w := range warnings {
			b.problems.Warnf(c.Place, "%s", w)
		}
		pairs = append(pairs, pair)
	}
	all := make(secrets)
	hosts := make(map[string][]string)
	sites := make(map[string][]string) // the hosts without aliases
	for i := range b.file.Sites {
		site := &b.file.Sites[i]
		for _, a := range addresses(b.file, site) {
			if !a.encrypted {
				continue
			}
			sites[a.key()] = append(sites[a.key()], site.Host)
			hosts[a.key()] = append(hosts[a.key()], site.Host)
			for _, alias := range site.Aliases {
				hosts[a.key()] = append(hosts[a.key()], alias.Host)
			}
			if isPublic(site.Host) && !covered(pairs, site.Host) {
				b.problems.Warnf(site.Place, "%s has no certificate that browsers trust: the internal authority signs for it", site.Host).Hint = "name its certificate under tls: certificates:"
			}
		}
	}
	for address, names := range hosts {
		set := certs.NewSet(pairs, b.s.ca, names)
		if only := sites[address]; len(only) == 1 {
			set = set.WithDefault(only[0])
		}
		all[address] = set
	}
	return &all
}

// certificates returns what the TLS handshakes of an address ask for a
// certificate.
func (s *Server) certificates(address string) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		set := (*s.secrets.Load())[address]
		if set == nil {
			return nil, nil // bound no more: crypto/tls answers with unrecognized_name
		}
		return set.GetCertificate(hello)
	}
}

// isPublic reports whether a host's name looks as if strangers were to reach it.
func isPublic(host string) bool {
	if host == "*" || net.ParseIP(strings.Trim(host, "[]")) != nil {
		return false
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch strings.ToLower(last) {
	case "localhost", "internal", "local", "test", "example", "invalid", "lan", "home", host:
		return false // RFC 6761, RFC 6762, RFC 8375, or without any dot
	}
	return true
}

func covered(pairs []certs.Pair, host string) bool {
	for i := range pairs {
		if pairs[i].Covers(host) {
			return true
		}
	}
	return false
}

// openCA returns the authority that the file names, or else the one in the state
// directory.
func openCA(f *config.File) (*certs.CA, error) {
	if own := f.TLS.Internal.CA; own != nil {
		return certs.Use(own.Cert, own.Key, f.TLS.Internal.Lifetime)
	}
	return certs.Open(filepath.Join(f.State, "internal"), f.TLS.Internal.Lifetime)
}
