// Package examples has no code of its own: its test runs the test.txt of every
// example, a script for edge/edgetest, against a whole proxy with that example's
// module and sluice.yaml.
package examples

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/edgetest"
	"github.com/sluice-edge/sluice/edge/server"
)

func TestExamples(t *testing.T) {
	scripts, err := filepath.Glob("*/test.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("there is no test.txt: %v", err)
	}
	for _, script := range scripts {
		dir := filepath.Dir(script)
		t.Run(dir, func(t *testing.T) {
			modules := build(t, dir)
			edgetest.Run(t, script, func(t testing.TB, work string) edgetest.Proxy {
				for name, binary := range modules {
					if err := os.WriteFile(filepath.Join(work, name), binary, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				return start(t, dir, work)
			})
		})
	}
}

// build returns an example's modules by their file names: those that are kept
// with it, and the one that its Go package is built into.
func build(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	modules := map[string][]byte{}
	kept, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if source, err := os.ReadFile(filepath.Join(dir, "main.go")); err == nil {
		out := filepath.Join(t.TempDir(), dir+".wasm")
		args := []string{"build", "-o", out}
		if bytes.Contains(source, []byte("/sluice/sdk\"\n")) { // a filter; functions import sdk/function
			args = append(args, "-buildmode=c-shared")
		}
		cmd := exec.Command("go", append(args, "./"+dir)...)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
		}
		kept = []string{out}
	}
	for _, name := range kept {
		if modules[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return modules
}

// proxy is a proxy that a script drives.
type proxy struct {
	t         testing.TB
	addresses []string // of sluice.yaml, each with what stands for it
	from      string   // the example's sluice.yaml
	work      string
	*server.Server
	log edgetest.Log
}

func start(t testing.TB, dir, work string) edgetest.Proxy {
	t.Helper()
	p := &proxy{t: t, from: filepath.Join(dir, "sluice.yaml"), work: work}
	list, err := os.ReadFile(filepath.Join(work, "addresses"))
	if err != nil {
		t.Fatal(err)
	}
	p.addresses = strings.Fields(string(list))
	file, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	s, problems, err := server.New(file, server.Options{Log: slog.New(slog.NewTextHandler(&p.log, nil)), Access: &p.log})
	if err != nil || problems.Failed() {
		t.Fatal(errors.Join(err, problems.Err()))
	}
	p.Server = s
	return p
}

// load reads the example's own file, with the addresses of this test.
func (p *proxy) load() (*config.File, error) {
	text, err := os.ReadFile(p.from)
	if err != nil {
		return nil, err
	}
	if len(p.addresses)%2 != 0 {
		return nil, errors.New("addresses: want two on each line")
	}
	for i := 0; i < len(p.addresses); i += 2 {
		if !bytes.Contains(text, []byte(p.addresses[i])) {
			return nil, errors.New("addresses: " + p.from + " does not have " + p.addresses[i])
		}
	}
	text = []byte(strings.NewReplacer(p.addresses...).Replace(string(text)))
	text = append(text, "\nstate: "+filepath.Join(p.work, "state")+"\nadmin: off\n"...)
	file, problems := config.Parse(filepath.Join(p.work, "sluice.yaml"), text, config.Options{})
	return file, problems.Err()
}

// Addr implements edgetest.Proxy.
func (p *proxy) Addr(name string) string {
	for _, url := range p.Addresses() {
		scheme, addr, _ := strings.Cut(url, "://")
		if host, port, _ := net.SplitHostPort(addr); scheme == name || name == ":"+port {
			if ip := net.ParseIP(host); ip.IsUnspecified() {
				return net.JoinHostPort("127.0.0.1", port)
			}
			return addr
		}
	}
	p.t.Fatalf("nothing listens on %q: there are %q", name, p.Addresses())
	return ""
}

// Reload implements edgetest.Proxy.
func (p *proxy) Reload() error {
	file, err := p.load()
	if err != nil {
		return err
	}
	problems, err := p.Apply(file)
	return errors.Join(problems.Err(), err)
}

// Log implements edgetest.Logger.
func (p *proxy) Log() *edgetest.Log { return &p.log }

// Close implements edgetest.Proxy.
func (p *proxy) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Shutdown(ctx)
}
