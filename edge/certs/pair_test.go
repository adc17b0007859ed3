package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const month = 30 * 24 * time.Hour

func TestLoad(t *testing.T) {
	a := newTestAuthority(t)
	key := newKey(t)
	leaf := a.sign(t, key, month, false, "Example.ORG", "*.example.org", "127.0.0.1")
	// The certificate and its key in one file; parameters and text around them.
	all := file(t, "all.pem", bytes.Join([][]byte{[]byte("subject=...\n"), keyPEMOf(t, key), certPEMOf(leaf, a.der)}, nil))
	p, warnings, err := Load(all, all)
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	if got, want := p.Names(), []string{"example.org", "*.example.org", "127.0.0.1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if left := time.Until(p.NotAfter()); left < month-time.Hour || left > month {
		t.Errorf("%s left", left)
	}
	f := func(host string, want bool) {
		t.Helper()
		if got := p.Covers(host); got != want {
			t.Errorf("%s: got %v, want %v", host, got, want)
		}
	}
	f("example.org", true)
	f("EXAMPLE.org", true)
	f("www.example.org", true)
	f("a.www.example.org", false)
	f("*.example.org", true)
	f("*.www.example.org", false)
	f("example.com", false)
	f("org", false)
	f("127.0.0.1", true)
	f("[::1]", false)
	f("", false)
}

// Every kind of key that is in use, in every form.
func TestLoadKeys(t *testing.T) {
	a := newTestAuthority(t)
	f := func(key crypto.Signer, typ string, der []byte) {
		t.Helper()
		cert := file(t, "c", certPEMOf(a.sign(t, key, month, false, "a.example")))
		if _, _, err := Load(cert, file(t, "k", pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))); err != nil {
			t.Errorf("%T, %s: %v", key, typ, err)
		}
	}
	ec, rsaKey := newKey(t).(*ecdsa.PrivateKey), newRSAKey(t).(*rsa.PrivateKey)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	f(ec, "EC PRIVATE KEY", sec1)
	f(rsaKey, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	for _, key := range []crypto.Signer{ec, rsaKey, ed} {
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		f(key, "PRIVATE KEY", pkcs8)
	}
}

func TestLoadErrors(t *testing.T) {
	a := newTestAuthority(t)
	key, other := newKey(t), newKey(t)
	leaf := a.sign(t, key, month, false, "example.org")
	cert := file(t, "cert.pem", certPEMOf(leaf))
	good := file(t, "key.pem", keyPEMOf(t, key))
	f := func(certFile, keyFile string, want ...string) {
		t.Helper()
		_, _, err := Load(certFile, keyFile)
		if err == nil {
			t.Errorf("no error, want %q", want)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in %q", w, err)
			}
		}
	}
	f("/no/cert.pem", good, `certificate "/no/cert.pem" does not exist`)
	f(cert, "/no/key.pem", `key "/no/key.pem" does not exist`)
	f(t.TempDir(), good, "not a regular file")
	f(file(t, "der", leaf), good, "is not PEM", "openssl x509 -inform der")
	f(cert, file(t, "der", []byte("x")), "is not PEM")
	f(good, cert, "holds PRIVATE KEY and no CERTIFICATE", "the wrong way round?")
	f(cert, cert, "has no PRIVATE KEY block", "the wrong way round?")
	f(file(t, "cut", certPEMOf(leaf)[:200]), good, "no complete CERTIFICATE")
	f(file(t, "bad", certPEMOf(leaf[:100])), good, "block 1")
	f(cert, file(t, "other", keyPEMOf(t, other)), "does not belong to certificate", cert)
	f(file(t, "order", certPEMOf(a.der, leaf)), good, "wrong order", "number 2 and must come first")
	f(cert, file(t, "enc", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})), "is encrypted", "openssl pkey")
	f(cert, file(t, "dek", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES"}, Bytes: []byte("x")})), "is encrypted")
	f(cert, file(t, "nonsense", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})), "nonsense")
}

func TestWarnings(t *testing.T) {
	a := newTestAuthority(t)
	key := newKey(t)
	good := file(t, "key.pem", keyPEMOf(t, key))
	f := func(cert []byte, keyFile string, want ...string) {
		t.Helper()
		_, warnings, err := Load(file(t, "cert.pem", cert), keyFile)
		if err != nil || len(warnings) != len(want) {
			t.Errorf("got %v, %q, want %q", err, warnings, want)
			return
		}
		for i, w := range want {
			if !strings.Contains(warnings[i], w) {
				t.Errorf("%q is not in %q", w, warnings[i])
			}
		}
	}
	f(certPEMOf(a.sign(t, key, month, false, "a.example")), good)
	f(certPEMOf(a.sign(t, key, -time.Hour, false, "a.example")), good, "expired on")
	f(certPEMOf(a.sign(t, key, 49*time.Hour, false, "a.example")), good, "in 2 days")
	f(certPEMOf(a.sign(t, key, month, false)), good, "names no host")
	other := newTestAuthority(t)
	f(certPEMOf(a.sign(t, key, month, false, "a.example"), other.der), good, "not in order: number 2 has not signed number 1")
	open := filepath.Join(t.TempDir(), "open.pem")
	if err := os.WriteFile(open, keyPEMOf(t, key), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	f(certPEMOf(a.sign(t, key, month, false, "a.example")), open, "mode 0644): chmod 600")
}
