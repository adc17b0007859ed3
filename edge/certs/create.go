package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluice-edge/sluice/edge/osfile"
)

// create makes an authority in dir. Certificate and key appear together, by
// renaming a directory: if another process is faster, its authority counts.
func create(dir string) error {
	certPEM, keyPEM, err := newAuthority(time.Now())
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(parent, filepath.Base(dir)+".new-") // mode 0700
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh) // nothing is there once it is renamed
	if err := write(filepath.Join(fresh, "ca.key"), keyPEM, 0o600); err != nil {
		return err
	}
	if err := write(filepath.Join(fresh, "ca.crt"), certPEM, 0o644); err != nil {
		return err
	}
	os.Remove(dir) // if it is empty
	err = os.Rename(fresh, dir)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		if ca, openErr := open(dir, 0); openErr == nil && ca != nil {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return osfile.SyncDir(parent)
}

func newAuthority(now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	t := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"sluice"}, CommonName: "sluice internal authority on " + host},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs no other authority
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return certPEM, keyPEM, nil
}

// write writes a file that is on the disk when it returns.
func write(path string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}
