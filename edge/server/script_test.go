package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/edgetest"
	"github.com/sluice-edge/sluice/edge/server"
)

// TestScripts runs what is said in testdata/script against a whole proxy.
func TestScripts(t *testing.T) {
	edgetest.Run(t, "testdata/script/*.txt", startScripted)
}

// scripted is a proxy that a script drives.
type scripted struct {
	t   testing.TB
	dir string
	*server.Server
	log edgetest.Log
	h3  *http3.Transport
}

func startScripted(t testing.TB, dir string) edgetest.Proxy {
	t.Helper()
	p := &scripted{t: t, dir: dir}
	for _, name := range []string{"hello", "answer", "move", "script", "header-set", "deny", "trap", "spin", "upper-buffered"} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	s, problems, err := server.New(file, server.Options{Log: slog.New(slog.NewTextHandler(&p.log, nil)), Access: &p.log})
	if err != nil {
		t.Fatal(err)
	}
	if problems.Failed() {
		t.Fatal(problems)
	}
	p.Server = s
	return p
}

func (p *scripted) load() (*config.File, error) {
	text, err := os.ReadFile(filepath.Join(p.dir, "sluice.yaml"))
	if err != nil {
		return nil, err
	}
	text = append(text, "\nstate: "+filepath.Join(p.dir, "state")+"\nadmin: off\n"...)
	file, problems := config.Parse(filepath.Join(p.dir, "sluice.yaml"), text, config.Options{})
	return file, problems.Err()
}

// Addr implements edgetest.Proxy. A script has one listener of each scheme, or
// names the port.
func (p *scripted) Addr(name string) string {
	for _, url := range p.Addresses() {
		scheme, addr, _ := strings.Cut(url, "://")
		if scheme == name || strings.HasPrefix(name, ":") && strings.HasSuffix(addr, name) {
			return loopback(addr)
		}
	}
	p.t.Fatalf("nothing listens on %q: there are %q", name, p.Addresses())
	return ""
}

// loopback returns where an address is reached that may be every one.
func loopback(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		return "127.0.0.1:" + port
	}
	return addr
}

// Reload implements edgetest.Proxy.
func (p *scripted) Reload() error {
	file, err := p.load()
	if err != nil {
		return err
	}
	problems, err := p.Apply(file, "reload")
	return errors.Join(problems.Err(), err)
}

// HTTP3 implements edgetest.HTTP3er.
func (p *scripted) HTTP3() http.RoundTripper {
	if p.h3 == nil {
		p.h3 = &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	return to(p.Addr("https"), p.h3)
}

// to sends requests to one address, whatever their URL says.
func to(addr string, h3 *http3.Transport) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		if r.Host == "" {
			r.Host = r.URL.Host
		}
		r.URL.Host = addr
		return h3.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Log implements edgetest.Logger.
func (p *scripted) Log() *edgetest.Log { return &p.log }

// Close implements edgetest.Proxy.
func (p *scripted) Close() {
	if p.h3 != nil {
		p.h3.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Shutdown(ctx)
}

var _ io.Writer = (*edgetest.Log)(nil)
