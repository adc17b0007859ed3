package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/osfile"
)

// soon is how long before a certificate's end Load begins to warn.
const soon = 14 * 24 * time.Hour

// Pair is a certificate from files, with its key and its chain.
type Pair struct {
	CertFile, KeyFile string

	cert  tls.Certificate
	names []string // lower case; "*.example.com" for all names one label longer
}

// Load reads a certificate and its key, both PEM. The certificate's file holds
// the chain too, the certificate itself first. What is odd but can be served is
// in warnings.
func Load(certFile, keyFile string) (p Pair, warnings []string, err error) {
	certPEM, err := readPEM(certFile, "certificate")
	if err != nil {
		return Pair{}, nil, err
	}
	keyPEM, err := readPEM(keyFile, "key")
	if err != nil {
		return Pair{}, nil, err
	}
	chain, err := parseChain(certFile, certPEM)
	if err != nil {
		return Pair{}, nil, err
	}
	key, err := parseKey(keyFile, keyPEM)
	if err != nil {
		return Pair{}, nil, err
	}
	if err := belongs(certFile, keyFile, chain, key); err != nil {
		return Pair{}, nil, err
	}
	leaf := chain[0]
	p = Pair{CertFile: certFile, KeyFile: keyFile}
	p.cert = tls.Certificate{PrivateKey: key, Leaf: leaf}
	for _, c := range chain {
		p.cert.Certificate = append(p.cert.Certificate, c.Raw)
	}
	for _, n := range leaf.DNSNames {
		p.names = append(p.names, strings.ToLower(n))
	}
	for _, ip := range leaf.IPAddresses {
		p.names = append(p.names, ip.String())
	}
	return p, p.warnings(chain, time.Now()), nil
}

// NotAfter returns when the certificate ends.
func (p *Pair) NotAfter() time.Time { return p.cert.Leaf.NotAfter }

// Names returns the names that the certificate is for. "*.example.com" stands
// for every name that is one label longer.
func (p *Pair) Names() []string { return p.names }

// Covers reports whether the certificate is for host, which may be a wildcard
// itself, or an IP address.
func (p *Pair) Covers(host string) bool {
	host = strings.ToLower(strings.Trim(host, "[]"))
	parent := wildcard(host)
	for _, n := range p.names {
		if n == host || parent != "" && n == parent {
			return true
		}
	}
	return false
}

// wildcard returns the wildcard name that covers name, or "".
func wildcard(name string) string {
	i := strings.IndexByte(name, '.')
	if i <= 0 || i == len(name)-1 {
		return ""
	}
	return "*" + name[i:]
}

// maxPEM is the largest file of certificates or of a key, in bytes.
const maxPEM = 1 << 20

func readPEM(file, what string) ([]byte, error) {
	b, err := osfile.Read(file, maxPEM)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s %q does not exist", what, file)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s %q cannot be read by this user: give it to the user or a group of sluice", what, file)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	case !bytes.Contains(b, []byte("-----BEGIN ")):
		return nil, fmt.Errorf("%s %q is not PEM: for DER, convert it with openssl x509 -inform der (or openssl pkey)", what, file)
	}
	return b, nil
}

func parseChain(file string, b []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	other := ""
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			other = block.Type
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %q: block %d: %w", file, len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 && other != "" {
		return nil, fmt.Errorf("certificate %q holds %s and no CERTIFICATE: are cert and key the wrong way round?", file, other)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("certificate %q has no complete CERTIFICATE block", file)
	}
	return chain, nil
}

func parseKey(file string, b []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, encrypted(file)
			}
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, encrypted(file)
		default: // parameters, or the certificate in the same file
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", file, err)
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("key %q is a %T, which cannot sign", file, key)
		}
		return signer, nil
	}
	return nil, fmt.Errorf("key %q has no PRIVATE KEY block: are cert and key the wrong way round?", file)
}

func encrypted(file string) error {
	return fmt.Errorf("key %q is encrypted: write it unencrypted with openssl pkey -in %s -out NEW", file, file)
}

// belongs checks that key is the first certificate's.
func belongs(certFile, keyFile string, chain []*x509.Certificate, key crypto.Signer) error {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return fmt.Errorf("key %q is of a kind that TLS cannot use: %T", keyFile, key)
	}
	for i, c := range chain {
		if !public.Equal(c.PublicKey) {
			continue
		}
		if i > 0 {
			return fmt.Errorf("certificate %q is in the wrong order: the key's own certificate is number %d and must come first, then who signed it, and so on", certFile, i+1)
		}
		return nil
	}
	return fmt.Errorf("key %q does not belong to certificate %q: they are not a pair", keyFile, certFile)
}

func (p *Pair) warnings(chain []*x509.Certificate, now time.Time) (list []string) {
	warn := func(format string, args ...any) {
		list = append(list, fmt.Sprintf("certificate %q ", p.CertFile)+fmt.Sprintf(format, args...))
	}
	leaf := chain[0]
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		warn("expired on %s: clients refuse it", leaf.NotAfter.Format(time.DateOnly))
	case left < soon:
		warn("expires on %s, in %d days", leaf.NotAfter.Format(time.DateOnly), int(left.Hours()/24))
	}
	if now.Before(leaf.NotBefore) {
		warn("is valid from %s on only", leaf.NotBefore.Format(time.DateTime))
	}
	if len(p.names) == 0 {
		warn("names no host (it has no subject alternative names): clients refuse it")
	}
	for i := 1; i < len(chain); i++ {
		if err := chain[i-1].CheckSignatureFrom(chain[i]); err != nil {
			warn("has a chain that is not in order: number %d has not signed number %d", i+1, i)
			break
		}
	}
	if info, err := os.Stat(p.KeyFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		list = append(list, fmt.Sprintf("key %q can be used by everybody on this machine (mode %04o): chmod 600 it", p.KeyFile, info.Mode().Perm()))
	}
	return list
}
