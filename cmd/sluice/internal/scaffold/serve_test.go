package scaffold

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

// TestServe builds each project with its one command, and serves it as its own
// sluice.yaml says.
func TestServe(t *testing.T) {
	f := func(kind Kind, lang Lang, try func(t *testing.T, get func(path string) (int, string, http.Header))) {
		t.Run(string(kind)+" in "+string(lang), func(t *testing.T) {
			if lang == C {
				needs(t, "clang", "wasm-ld")
			}
			dir := project(t, "greet", kind, lang)
			offline(t, dir, "./build.sh")
			address := serve(t, dir)
			try(t, func(path string) (int, string, http.Header) {
				t.Helper()
				res, err := http.Get("http://" + address + path)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				return res.StatusCode, string(b), res.Header
			})
		})
	}
	for _, lang := range []Lang{Go, C} {
		f(Filter, lang, func(t *testing.T, get func(path string) (int, string, http.Header)) {
			if code, body, h := get("/"); code != 200 || body != "hello from the application\n" || h.Get("X-Greeting") != "hello" {
				t.Errorf("/: %d %q %v", code, body, h)
			}
			if code, body, h := get("/teapot"); code != 418 || !strings.HasPrefix(body, "hello") || h.Get("X-Greeting") != "" {
				t.Errorf("/teapot: %d %q %v", code, body, h)
			}
			if code, body, _ := get("/teapots"); code != 200 {
				t.Errorf("/teapots: %d %q", code, body)
			}
		})
	}
	f(Function, Go, func(t *testing.T, get func(path string) (int, string, http.Header)) {
		if code, body, _ := get("/?name=Ann"); code != 200 || body != "hello, Ann\n" {
			t.Errorf("%d %q", code, body)
		}
		if code, body, _ := get("/"); code != 400 {
			t.Errorf("%d %q", code, body)
		}
	})
	f(Function, C, func(t *testing.T, get func(path string) (int, string, http.Header)) {
		if code, body, h := get("/you?a=b"); code != 200 || body != "hello from greet at /you?a=b\n" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
			t.Errorf("%d %q %v", code, body, h)
		}
		if code, body, _ := get("/" + strings.Repeat("a", 5000)); code != 414 {
			t.Errorf("%d %q", code, body)
		}
	})
}

// serve starts a proxy with a project's sluice.yaml, but for its ports, and
// returns its address.
func serve(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "sluice.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // a port that was free may be taken before it is bound
		ports := freePorts(t, 2)
		changed := strings.NewReplacer("127.0.0.1:8080", ports[0], "127.0.0.1:8081", ports[1]).Replace(string(text)) +
			"\nadmin: off\nstate: " + filepath.Join(dir, "state") + "\n"
		file, problems := config.Parse(name, []byte(changed), config.Options{})
		if problems.Len() > 0 {
			t.Fatal(problems)
		}
		s, found, err := server.New(file, server.Options{Log: slog.New(slog.DiscardHandler), Access: io.Discard})
		if err != nil || found.Failed() {
			t.Log(errors.Join(err, found.Err()))
			continue
		}
		t.Cleanup(func() {
			http.DefaultClient.CloseIdleConnections()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			s.Shutdown(ctx)
		})
		return ports[0]
	}
	t.Fatal("no proxy can be started")
	return ""
}

// freePorts returns addresses that nobody listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}
