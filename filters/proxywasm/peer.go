package proxywasm

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
)

// session is a property of a connection with TLS.
func session(value func(c *tls.ConnectionState) string) getter {
	return text(func(s *stream) string {
		if c := s.x.Client; c != nil && c.TLS != nil {
			return value(c.TLS)
		}
		return ""
	})
}

func serverName(c *tls.ConnectionState) string { return c.ServerName }

func tlsVersion(c *tls.ConnectionState) string {
	switch c.Version {
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return ""
}

// peer is a property of the client's certificate.
func peer(value func(c *x509.Certificate) string) getter {
	return session(func(c *tls.ConnectionState) string {
		if len(c.PeerCertificates) == 0 {
			return ""
		}
		return value(c.PeerCertificates[0])
	})
}

func subject(c *x509.Certificate) string { return c.Subject.String() }

func dnsName(c *x509.Certificate) string {
	if len(c.DNSNames) == 0 {
		return ""
	}
	return c.DNSNames[0]
}

func uriName(c *x509.Certificate) string {
	if len(c.URIs) == 0 {
		return ""
	}
	return c.URIs[0].String()
}

func digest(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// mutual says whether the client has shown a certificate.
func mutual(b []byte, _ *vm, s *stream) ([]byte, bool) {
	if s == nil {
		return nil, false
	}
	shown := byte(0)
	if c := s.x.Client; c != nil && c.TLS != nil && len(c.TLS.PeerCertificates) > 0 {
		shown = 1
	}
	return append(b, shown), true
}

// termination is why an exchange was cut short.
func termination(s *stream) string {
	if err := s.x.Cancelled(); err != nil {
		return err.Error()
	}
	return ""
}
