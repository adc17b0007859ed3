package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// DefaultLifetime is how long a certificate of the internal authority is valid.
	DefaultLifetime = 7 * 24 * time.Hour

	authorityLifetime = 10 * 365 * 24 * time.Hour
	backdated         = time.Hour // for clients whose clock is behind
	cached            = 1024      // certificates that are kept at once
)

// CA is the internal authority. It signs certificates for single names when they
// are asked for, keeps them in memory, and replaces them in the last third of
// their life.
type CA struct {
	path     string // of the authority's certificate
	cert     *x509.Certificate
	chain    [][]byte // what clients need besides: empty for a root, which they have
	key      crypto.Signer
	lifetime time.Duration

	signing sync.Mutex   // held while a certificate is made
	mu      sync.RWMutex // guards the following field
	leaves  map[string]leaf
}

type leaf struct {
	cert  *tls.Certificate
	renew time.Time
}

// Open returns the authority that is kept in dir, as ca.crt and ca.key. It makes
// it if there is none, or if it is about to expire. The certificates that it
// signs live for lifetime; 0 means DefaultLifetime.
func Open(dir string, lifetime time.Duration) (*CA, error) {
	ca, err := open(dir, lifetime)
	if err != nil {
		return nil, err
	}
	if ca == nil || time.Until(ca.cert.NotAfter) < ca.lifetime {
		if ca != nil {
			aside := fmt.Sprintf("%s.until-%s", dir, ca.cert.NotAfter.UTC().Format("20060102"))
			if err := os.Rename(dir, aside); err != nil {
				return nil, fmt.Errorf("put the expiring authority aside: %w", err)
			}
		}
		if err := create(dir); err != nil {
			return nil, fmt.Errorf("make the internal authority: %w", err)
		}
		if ca, err = open(dir, lifetime); err == nil && ca == nil {
			err = fmt.Errorf("internal authority: %s has vanished", dir)
		}
	}
	return ca, err
}

// Use returns an authority whose certificate and key are kept elsewhere.
func Use(certFile, keyFile string, lifetime time.Duration) (*CA, error) {
	p, _, err := Load(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c := p.cert.Leaf
	if !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, fmt.Errorf("certificate %q is not that of an authority: it must not sign others", certFile)
	}
	if time.Now().After(c.NotAfter) {
		return nil, fmt.Errorf("certificate %q expired on %s: nobody accepts what it signs", certFile, c.NotAfter.Format(time.DateOnly))
	}
	if lifetime <= 0 {
		lifetime = DefaultLifetime
	}
	ca := &CA{path: certFile, cert: c, key: p.cert.PrivateKey.(crypto.Signer), lifetime: lifetime, leaves: make(map[string]leaf)}
	if c.CheckSignatureFrom(c) != nil { // an intermediate
		ca.chain = p.cert.Certificate
	}
	return ca, nil
}

// open returns nil if there is no authority in dir.
func open(dir string, lifetime time.Duration) (*CA, error) {
	certFile, keyFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	_, certErr := os.Stat(certFile)
	key, keyErr := os.Stat(keyFile)
	noCert, noKey := errors.Is(certErr, fs.ErrNotExist), errors.Is(keyErr, fs.ErrNotExist)
	if noCert && !noKey { // both may have appeared between the two looks
		_, certErr = os.Stat(certFile)
		noCert = errors.Is(certErr, fs.ErrNotExist)
	}
	switch {
	case noCert && noKey:
		return nil, nil
	case noCert || noKey:
		return nil, fmt.Errorf("internal authority: one of ca.crt and ca.key is missing in %s: bring it back, or remove the directory: then a new authority is made, which clients have to trust anew", dir)
	case keyErr == nil && key.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("internal authority: %s can be used by others (mode %04o): chmod 600 it, or if others may have read it, remove %s", keyFile, key.Mode().Perm(), dir)
	}
	ca, err := Use(certFile, keyFile, lifetime)
	if err != nil {
		return nil, fmt.Errorf("internal authority: %w", err)
	}
	return ca, nil
}

// Path returns the file with the authority's certificate, for clients to trust.
func (ca *CA) Path() string { return ca.path }

// NotAfter returns when the authority's certificate ends.
func (ca *CA) NotAfter() time.Time { return ca.cert.NotAfter }

// Certificate returns a certificate for name: a host's, a wildcard, or an IP
// address.
func (ca *CA) Certificate(name string) (*tls.Certificate, error) {
	if c := ca.kept(name); c != nil {
		return c, nil
	}
	ca.signing.Lock()
	defer ca.signing.Unlock()
	if c := ca.kept(name); c != nil { // made while we waited
		return c, nil
	}
	l, err := ca.sign(name)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %q: %w", name, err)
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if len(ca.leaves) >= cached {
		for old := range ca.leaves { // whichever comes first
			delete(ca.leaves, old)
			break
		}
	}
	ca.leaves[name] = l
	return l.cert, nil
}

func (ca *CA) kept(name string) *tls.Certificate {
	ca.mu.RLock()
	defer ca.mu.RUnlock()
	if l, ok := ca.leaves[name]; ok && time.Now().Before(l.renew) {
		return l.cert
	}
	return nil
}

func (ca *CA) sign(name string) (leaf, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return leaf{}, err
	}
	now := time.Now()
	end := now.Add(ca.lifetime)
	if end.After(ca.cert.NotAfter) {
		end = ca.cert.NotAfter
	}
	t := &x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"sluice"}},
		NotBefore:   now.Add(-backdated),
		NotAfter:    end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.cert, key.Public(), ca.key)
	if err != nil {
		return leaf{}, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return leaf{}, err
	}
	return leaf{
		cert:  &tls.Certificate{Certificate: append([][]byte{der}, ca.chain...), PrivateKey: key, Leaf: parsed},
		renew: now.Add(end.Sub(now) * 2 / 3),
	}, nil
}
