// Package certs finds the certificate for a TLS handshake: one from files, or
// one that an internal authority signs. The authority is made once and kept; who
// trusts its certificate trusts the names that are served here.
package certs

import (
	"crypto/tls"
)

// ServerTLS returns the TLS configuration of a listener. A minVersion of 0 means
// TLS 1.2. Sessions are resumed by tickets, whose keys crypto/tls rotates.
func ServerTLS(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), minVersion uint16, protos ...string) *tls.Config {
	if minVersion == 0 {
		minVersion = tls.VersionTLS12
	}
	return &tls.Config{GetCertificate: get, MinVersion: minVersion, NextProtos: protos}
}
