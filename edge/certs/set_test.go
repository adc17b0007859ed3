package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// Which certificate a client gets, over real handshakes.
func TestSet(t *testing.T) {
	a := newTestAuthority(t)
	exact := a.pair(t, newKey(t), "www.example.org")
	wild := a.pair(t, newKey(t), "*.example.org", "example.org")
	ca, err := Open(filepath.Join(t.TempDir(), "internal"), 0)
	if err != nil {
		t.Fatal(err)
	}
	roots := a.roots()
	roots.AddCert(ca.cert)

	f := func(s *Set, name string, want string) {
		t.Helper()
		addr := serve(t, ServerTLS(s.GetCertificate, 0))
		conf := &tls.Config{InsecureSkipVerify: true, ServerName: name}
		c, err := tls.Dial("tcp", addr, conf)
		if err != nil {
			if want == "" && strings.Contains(err.Error(), "unrecognized name") {
				return
			}
			t.Errorf("%q: %v, want %q", name, err, want)
			return
		}
		defer c.Close()
		leaf := c.ConnectionState().PeerCertificates[0]
		var names []string
		names = append(names, leaf.DNSNames...)
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q: got a certificate for %q, want %q", name, got, want)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	files := []Pair{wild, exact}
	both := NewSet(files, ca, []string{"www.example.org", "*.example.org", "Internal.example", "*.wild.example", "127.0.0.1"})
	f(both, "www.example.org", "www.example.org")
	f(both, "WWW.example.org", "www.example.org")
	f(both, "other.example.org", "*.example.org example.org")
	f(both, "example.org", "*.example.org example.org")
	f(both, "a.b.example.org", "") // a wildcard is for one label
	f(both, "internal.example", "internal.example")
	f(both, "a.wild.example", "*.wild.example")
	f(both, "a.b.wild.example", "")
	f(both, "unknown.example", "")
	f(both, "", "127.0.0.1")
	f(both.WithDefault("www.example.org"), "unknown.example", "www.example.org")
	f(both.WithDefault("internal.example"), "unknown.example", "internal.example")
	f(both.WithDefault("www.example.org"), "", "127.0.0.1") // there is a site for the address
	f(both, "unknown.example", "")                          // WithDefault has left it alone

	// The only site.
	only := NewSet(files, ca, []string{"www.example.org"})
	f(only, "unknown.example", "www.example.org")
	f(only, "", "www.example.org")
	f(NewSet(nil, ca, []string{"localhost"}), "unknown.example", "localhost")
	f(NewSet(nil, ca, []string{"[::1]"}), "", "::1")

	// Any name.
	any := NewSet(files, ca, []string{"*"})
	f(any, "whatever.example", "whatever.example")
	f(any, "www.example.org", "www.example.org")
	f(any, "", "127.0.0.1")
	f(any, "with space.example", "")
	f(any, strings.Repeat("a", 64)+".example", "")
	f(any, strings.Repeat("a.", 127)+"example", "")

	// Without an authority.
	bare := NewSet(files, nil, []string{"www.example.org", "internal.example"})
	f(bare, "www.example.org", "www.example.org")
	f(bare, "internal.example", "")
	f(bare, "", "")
	f(NewSet(nil, nil, []string{"a.example"}), "a.example", "")

	// A file for the address itself.
	address := a.pair(t, newKey(t), "127.0.0.1", "address.example")
	f(NewSet([]Pair{address}, ca, []string{"a.example"}), "", "address.example 127.0.0.1")
}

// Of two certificates for a name the client gets one that it can verify.
func TestKinds(t *testing.T) {
	a := newTestAuthority(t)
	s := NewSet([]Pair{a.pair(t, newKey(t), "a.example"), a.pair(t, newRSAKey(t), "a.example")}, nil, []string{"a.example"})
	addr := serve(t, ServerTLS(s.GetCertificate, tls.VersionTLS12))
	f := func(suite uint16, want x509.PublicKeyAlgorithm) {
		t.Helper()
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: a.roots(), ServerName: "a.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := c.ConnectionState().PeerCertificates[0].PublicKeyAlgorithm; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, x509.ECDSA)
	f(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, x509.RSA)
}

func TestServerTLS(t *testing.T) {
	a := newTestAuthority(t)
	s := NewSet([]Pair{a.pair(t, newKey(t), "a.example")}, nil, []string{"a.example"})
	f := func(min, max uint16, wantProto string, ok bool) {
		t.Helper()
		addr := serve(t, ServerTLS(s.GetCertificate, min, "h2", "http/1.1"))
		conf := &tls.Config{RootCAs: a.roots(), ServerName: "a.example", MinVersion: tls.VersionTLS10, MaxVersion: max, NextProtos: []string{"http/1.1", "h2"},
			ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for _, resumed := range []bool{false, true} {
			c, err := tls.Dial("tcp", addr, conf)
			if (err == nil) != ok {
				t.Errorf("%x to %x: %v", min, max, err)
			}
			if err != nil {
				return
			}
			c.Read(make([]byte, 100)) // the ticket comes with it
			state := c.ConnectionState()
			c.Close()
			if state.NegotiatedProtocol != wantProto || state.DidResume != resumed {
				t.Errorf("got %q, resumed %v, want %q, %v", state.NegotiatedProtocol, state.DidResume, wantProto, resumed)
			}
		}
	}
	f(0, 0, "h2", true)
	f(0, tls.VersionTLS12, "h2", true)
	f(0, tls.VersionTLS11, "", false)
	f(tls.VersionTLS13, tls.VersionTLS12, "", false)
}

// A UDP socket that is bound to every address does not say which was meant.
func TestLocalIP(t *testing.T) {
	f := func(a net.Addr, want string) {
		t.Helper()
		if got := localIP(&tls.ClientHelloInfo{Conn: conn{local: a}}); got != want {
			t.Errorf("%v: got %q, want %q", a, got, want)
		}
	}
	f(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, "127.0.0.1")
	f(&net.UDPAddr{IP: net.IPv6loopback}, "::1")
	f(&net.UDPAddr{IP: net.IPv6unspecified}, "")
	f(&net.UDPAddr{}, "")
	f(&net.UnixAddr{}, "")
	if got := localIP(&tls.ClientHelloInfo{}); got != "" {
		t.Errorf("got %q", got)
	}
}

type conn struct {
	net.Conn
	local net.Addr
}

func (c conn) LocalAddr() net.Addr { return c.local }
