package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "internal")
	ca, err := Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if got := mode(dir); got != 0o700 {
		t.Errorf("the directory has mode %04o", got)
	}
	if got := mode(filepath.Join(dir, "ca.key")); got != 0o600 {
		t.Errorf("the key has mode %04o", got)
	}
	if got, want := ca.Path(), filepath.Join(dir, "ca.crt"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if left := time.Until(ca.NotAfter()); left < authorityLifetime-time.Hour {
		t.Errorf("%s left", left)
	}
	again, err := Open(dir, 0)
	if err != nil || !again.cert.Equal(ca.cert) {
		t.Errorf("the second time: another authority, or %v", err)
	}
	entries, _ := os.ReadDir(filepath.Dir(dir))
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}

	// What is wrong with the files is said, and nothing is replaced.
	key := filepath.Join(dir, "ca.key")
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, 0); err == nil || !strings.Contains(err.Error(), "can be used by others (mode 0640): chmod 600") {
		t.Errorf("got %v", err)
	}
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, 0); err == nil || !strings.Contains(err.Error(), "one of ca.crt and ca.key is missing") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(key, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, 0); err == nil || !strings.Contains(err.Error(), "not PEM") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(filepath.Join(ca.Path(), "below-a-file"), 0); err == nil {
		t.Error("a directory below a file")
	}
}

// An empty directory is there already.
func TestOpenEmpty(t *testing.T) {
	if _, err := Open(t.TempDir(), 0); err != nil {
		t.Error(err)
	}
}

// Processes that start at once agree on one authority.
func TestOpenAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "internal")
	var wg sync.WaitGroup
	all := make([]*CA, 16)
	for i := range all {
		wg.Go(func() {
			var err error
			if all[i], err = Open(dir, 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, ca := range all[1:] {
		if ca == nil || !ca.cert.Equal(all[0].cert) {
			t.Fatal("two authorities")
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestExpiringAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "internal")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cert, key, err := newAuthority(time.Now().Add(-authorityLifetime + time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(filepath.Join(dir, "ca.crt"), cert, 0o644), write(filepath.Join(dir, "ca.key"), key, 0o600)); err != nil {
		t.Fatal(err)
	}
	ca, err := Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(ca.NotAfter()); left < authorityLifetime-time.Hour {
		t.Errorf("%s left", left)
	}
	if old, err := filepath.Glob(dir + ".until-*/ca.key"); len(old) != 1 {
		t.Errorf("the old authority: %v, %v", old, err)
	}
}

func TestUse(t *testing.T) {
	a := newTestAuthority(t)
	key := newKey(t)
	k := file(t, "k", keyPEMOf(t, key))
	f := func(want string, ders ...[]byte) *CA {
		t.Helper()
		ca, err := Use(file(t, "c", certPEMOf(ders...)), k, 0)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
		return ca
	}
	f("is not that of an authority", a.sign(t, key, month, false, "a.example"))
	f("expired on", a.sign(t, key, -time.Hour, true))
	ca := f("", a.sign(t, key, month, true), a.der)
	// An intermediate: clients who trust the root only must be able to follow.
	c, err := ca.Certificate("a.example")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(x)
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: "a.example", Roots: a.roots(), Intermediates: pool}); err != nil {
		t.Error(err)
	}
}

func TestCertificate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "internal")
	ca, err := Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(ca.Path())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	f := func(name, host string) {
		t.Helper()
		c, err := ca.Certificate(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots}); err != nil {
			t.Errorf("%s for %s: %v", name, host, err)
		}
		if again, _ := ca.Certificate(name); again != c {
			t.Errorf("%s: made twice", name)
		}
	}
	f("example.org", "example.org")
	f("*.example.org", "www.example.org")
	f("127.0.0.1", "127.0.0.1")
	f("::1", "::1")
	// What is kept is bounded.
	for i := range cached + 10 {
		if _, err := ca.Certificate(fmt.Sprintf("%d.example", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(ca.leaves); n != cached {
		t.Errorf("%d certificates are kept, want %d", n, cached)
	}
}

func TestRenewal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "internal")
	synctest.Test(t, func(t *testing.T) {
		ca, err := Open(dir, 6*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		first, err := ca.Certificate("example.org")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(4*24*time.Hour - time.Second)
		if c, _ := ca.Certificate("example.org"); c != first {
			t.Error("renewed before two thirds of its life are over")
		}
		time.Sleep(2 * time.Second)
		c, err := ca.Certificate("example.org")
		if err != nil || c == first {
			t.Errorf("not renewed: %v", err)
		}
		if left := time.Until(c.Leaf.NotAfter); left != 6*24*time.Hour && left != 6*24*time.Hour-time.Second {
			t.Errorf("the new one ends in %s", left)
		}
		// No certificate outlives who signed it.
		time.Sleep(authorityLifetime - 6*24*time.Hour)
		if c, err = ca.Certificate("late.example"); err != nil || c.Leaf.NotAfter.After(ca.NotAfter()) {
			t.Errorf("got %v, %v", c.Leaf.NotAfter, err)
		}
	})
}

func TestCertificateAtOnce(t *testing.T) {
	ca, err := Open(filepath.Join(t.TempDir(), "internal"), 0)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	made := make(map[string]map[any]bool)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("%d.example", i%5)
				c, err := ca.Certificate(name)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if made[name] == nil {
					made[name] = make(map[any]bool)
				}
				made[name][c] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for name, all := range made {
		if len(all) != 1 {
			t.Errorf("%s: %d certificates", name, len(all))
		}
	}
}
