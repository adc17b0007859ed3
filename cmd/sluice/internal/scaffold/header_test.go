package scaffold

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/httpwasm"
	"github.com/sluice-edge/sluice/filters/wasm"
	"github.com/sluice-edge/sluice/sdk"
)

// The header for C has the functions that the SDK in Go calls.
func TestHeaderIsWhole(t *testing.T) {
	f := func(name, pattern string) []string {
		t.Helper()
		text, err := fs.ReadFile(sdk.Source(), name)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			all = append(all, string(m[1]))
		}
		slices.Sort(all)
		return all
	}
	got := f("c/sluice.h", `(?m)^SLUICE_IMPORT\((\w+)\)`)
	want := f("guest.go", `(?m)^//go:wasmimport http_handler (\w+)`)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A guest that uses all of the header fits the host, and gets and does what the
// header says.
func TestHeader(t *testing.T) {
	needs(t, "clang", "wasm-ld")
	dir := project(t, "all", Filter, C)
	all, err := os.ReadFile(filepath.Join("testdata", "all.c"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "all.c"), all, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := offline(t, dir, "./build.sh"); out != "" {
		t.Errorf("the compiler says %s", out)
	}
	binary, err := os.ReadFile(filepath.Join(dir, "all.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	e := wasm.NewEngine(wasm.Config{})
	defer e.Close()
	var log bytes.Buffer
	f, err := httpwasm.Load(context.Background(), e, binary, httpwasm.Config{Config: []byte("settings"), Timeout: 10 * time.Second,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	run := func(do string, next edge.HandlerFunc, check func(x *edge.Exchange)) {
		t.Helper()
		x := new(edge.Exchange)
		x.Begin(nil, &edge.Client{Addr: netip.MustParseAddrPort("[2001:db8::1]:1234")}, time.Now())
		defer x.End()
		r := &x.Request
		r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Proto = "POST", "http", "example.org", "/a", "b", "HTTP/1.1"
		r.Body, r.Length = edge.Content([]byte("content")), 7
		if do != "" {
			r.Fields.Add("X-Do", do)
		}
		if err := f.Filter(x, next); err != nil {
			t.Fatal(err)
		}
		check(x)
	}
	content := func(b edge.Body) string {
		t.Helper()
		text, err := io.ReadAll(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	never := func(*edge.Exchange) error {
		t.Error("the request goes on")
		return nil
	}
	run("", never, func(x *edge.Exchange) {
		if got := content(x.Response.Body); x.Response.Status != 403 || got != "no X-Do\n" || x.Response.Fields.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%d %q", x.Response.Status, got)
		}
	})
	run("show", never, func(x *edge.Exchange) {
		want := []string{"settings", "POST", "/a?b", "HTTP/1.1", "[2001:db8::1]:1234", "host", "content-length", "x-do", "1", "2", "that were two", "content", "that was all", ""}
		if got := strings.Split(content(x.Response.Body), "\n"); x.Response.Status != 201 || !slices.Equal(got, want) {
			t.Errorf("%d, got %q, want %q", x.Response.Status, got, want)
		}
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "shown") {
			t.Errorf("logged %s", &log)
		}
	})
	run("next", func(x *edge.Exchange) error {
		r := &x.Request
		if r.Method != "PUT" || r.Path != "/changed" || r.Query != "yes" || r.Fields.Get("X-Sluice-Arm") != "b" || r.Fields.Has("X-Do") {
			t.Errorf("the origin gets %s %s?%s %v", r.Method, r.Path, r.Query, r.Fields)
		}
		if got := content(r.Body); got != "content" || r.Trailers.Get("X-Sum") != "1" {
			t.Errorf("the origin gets %q %v", got, r.Trailers)
		}
		x.Respond(200, nil, 0)
		return nil
	}, func(x *edge.Exchange) {
		if x.Response.Fields.Get("X-Seen") != "yes" {
			t.Errorf("the client gets %v", x.Response.Fields)
		}
	})
}
