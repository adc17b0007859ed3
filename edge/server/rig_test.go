package server_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

// proxy is a running server and its configuration.
type proxy struct {
	t testing.TB
	*server.Server
	dir    string
	access *lines
	log    *lines
}

// startIn runs a server of a configuration in a directory, with $NAME replaced by
// what vars has for it. It is shut down when the test ends.
func startIn(t testing.TB, dir, text string, vars ...string) *proxy {
	t.Helper()
	p := &proxy{t: t, dir: dir, access: new(lines), log: new(lines)}
	file := p.parse(text, vars...)
	s, problems, err := server.New(file, server.Options{Log: slog.New(slog.NewTextHandler(p.log, nil)), Access: p.access})
	if err != nil {
		t.Fatal(err)
	}
	if problems.Failed() {
		t.Fatal(problems)
	}
	p.Server = s
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // cut what a test has left open
		s.Shutdown(ctx)
	})
	return p
}

func (p *proxy) parse(text string, vars ...string) *config.File {
	p.t.Helper()
	text = strings.NewReplacer(vars...).Replace(text) + "\nstate: " + filepath.Join(p.dir, "state") + "\n"
	file, problems := config.Parse(filepath.Join(p.dir, "sluice.yaml"), []byte(text), config.Options{})
	if problems.Failed() {
		p.t.Fatal(problems)
	}
	return file
}

// apply makes another configuration the one in force.
func (p *proxy) apply(text string, vars ...string) {
	p.t.Helper()
	problems, err := p.Apply(p.parse(text, vars...), "reload")
	if err != nil {
		p.t.Fatal(err)
	}
	if problems.Failed() {
		p.t.Fatal(problems)
	}
}

// lines collects what is logged.
type lines struct {
	only string // part of the lines that are kept; set before anything is served

	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(b) {
		if bytes.Contains(line, []byte(l.only)) {
			l.text.Write(line)
		}
	}
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// port returns an address of loopback that was free a moment ago.
func port(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// origin serves h on loopback with net/http, which is not ours.
func origin(t testing.TB, h http.HandlerFunc) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// module returns a module of wasm-testdata.
func module(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "wasm-testdata", name, name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// get fetches a URL, and returns the response with its whole content.
func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}
