// Package examples has the same four filters as the SDKs of the other languages
// have below examples. Its tests build and run all of them alike.
package examples

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/httpwasm"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// lang is an SDK, and where its examples are.
type lang struct {
	name, dir string
	ready     func(t testing.TB) []string // the environment to build in; skips if there is no toolchain
}

var langs = []lang{
	{"go", ".", func(testing.TB) []string { return nil }},
	{"c", "../c/examples", func(t testing.TB) []string {
		needs(t, "clang")
		needs(t, "wasm-ld")
		return nil
	}},
	{"rust", "../rust/examples", rust},
	{"assemblyscript", "../assemblyscript/examples", func(t testing.TB) []string {
		needs(t, "npx")
		if _, err := os.Stat("../assemblyscript/node_modules/assemblyscript"); err != nil {
			t.Skip("npm ci was not run in sdk/assemblyscript")
		}
		return nil
	}},
}

func needs(t testing.TB, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is not installed", tool)
	}
}

// rust looks for a toolchain that has the target: the first in the path, or
// Debian's.
func rust(t testing.TB) []string {
	for _, path := range []string{os.Getenv("PATH"), "/usr/bin:" + os.Getenv("PATH")} {
		cmd := exec.Command("sh", "-c", `command -v cargo >/dev/null && rustc --print target-libdir --target wasm32-unknown-unknown`)
		cmd.Env = append(os.Environ(), "PATH="+path)
		dir, err := cmd.Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(dir))); err == nil {
			return []string{"PATH=" + path, "CARGO_TARGET_DIR=" + t.TempDir()}
		}
	}
	t.Skip("cargo and the library of wasm32-unknown-unknown are not installed (Debian: cargo rustc libstd-rust-dev-wasm32)")
	return nil
}

// built are the modules of each language, built once in a process.
var built sync.Map // of func() (map[string][]byte, error), by name

func (l lang) build(t testing.TB) map[string][]byte {
	t.Helper()
	env := l.ready(t)
	once, _ := built.LoadOrStore(l.name, sync.OnceValues(func() (map[string][]byte, error) {
		out := t.TempDir()
		cmd := exec.Command("sh", filepath.Join(l.dir, "build.sh"), out)
		cmd.Env = append(os.Environ(), env...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", cmd.Args, err, text)
		}
		all := make(map[string][]byte)
		for _, name := range []string{"headers", "auth", "rewrite", "body"} {
			b, err := os.ReadFile(filepath.Join(out, name+".wasm"))
			if err != nil {
				return nil, err
			}
			all[name] = b
		}
		return all, nil
	}))
	all, err := once.(func() (map[string][]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// engine compiles for all tests.
var engine = sync.OnceValue(func() *wasm.Engine { return wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) })

// compiled are the modules that were compiled, once in a process: those of Go take
// long with the race detector.
var compiled sync.Map // of func() (*wasm.Module, error), by *byte

func compile(t testing.TB, binary []byte) *wasm.Module {
	t.Helper()
	once, _ := compiled.LoadOrStore(&binary[0], sync.OnceValues(func() (*wasm.Module, error) {
		return httpwasm.Compile(context.Background(), engine(), binary)
	}))
	m, err := once.(func() (*wasm.Module, error))()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func load(t testing.TB, binary []byte, config string) (*httpwasm.Filter, *bytes.Buffer, error) {
	t.Helper()
	log := new(bytes.Buffer)
	f, err := httpwasm.New(compile(t, binary), httpwasm.Config{
		Config: []byte(config), Timeout: time.Minute, Start: time.Minute, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err == nil {
		t.Cleanup(f.Close)
	}
	return f, log, err
}

// Each example does the same in each language. A line is what a client asks, what
// the origin answers, and what becomes of both.
func TestExamples(t *testing.T) {
	for _, l := range langs {
		t.Run(l.name, func(t *testing.T) {
			all := l.build(t)
			for _, name := range []string{"headers", "auth", "rewrite", "body"} {
				t.Run(name, func(t *testing.T) { examples[name](t, all[name]) })
			}
		})
	}
}

var examples = map[string]func(t *testing.T, binary []byte){
	"headers": func(t *testing.T, binary []byte) {
		g := filter(t, binary, "")
		g.run("/", "X-Seen: before|X-Debug: 1|X-Debug: 2", "text/plain", "hello",
			"GET / X-Seen=before,headers X-Through=sluice", "200 X-Sluice-Filter=headers hello")
		g.run("/", "X-Through: nobody", "text/plain", "hello",
			"GET / X-Seen=headers X-Through=sluice", "200 X-Sluice-Filter=headers hello")
	},
	"auth": func(t *testing.T, binary []byte) {
		refused(t, binary, "", "ann", "ann ", " key", "ann key\nbob")
		g := filter(t, binary, "ann change-me\n\nbob other key\n")
		denied := "401 Www-Authenticate=ApiKey 401 Unauthorized\n"
		g.run("/", "", "", "", "", denied)
		g.run("/", "X-Api-Key: ", "", "", "", denied)
		g.run("/", "X-Api-Key: guess|X-User: ann", "", "", "", denied)
		g.run("/", "X-Api-Key: change-me2", "", "", "", denied)
		g.run("/", "X-Api-Key: change-mE", "", "", "", denied)
		g.run("/", "X-Api-Key: change-me|X-User: root", "text/plain", "secret", "GET / X-User=ann", "200 secret")
		g.run("/", "X-Api-Key: other key", "text/plain", "secret", "GET / X-User=bob", "200 secret")
	},
	"rewrite": func(t *testing.T, binary []byte) {
		refused(t, binary, "", "/a", "/a b", "a /b", "/a /b\nc")
		g := filter(t, binary, "/api/v1/ /v1/\n/a /much/longer\n/api/ /never\n")
		g.run("/", "", "text/plain", "", "GET /", "200 ")
		g.run("/api/v1/users?id=7", "", "text/plain", "", "GET /v1/users?id=7", "200 ")
		g.run("/api/v1", "", "text/plain", "", "GET /much/longerpi/v1", "200 ")
		g.run("/a?b", "", "text/plain", "", "GET /much/longer?b", "200 ")
		g.run("/"+strings.Repeat("b", 5000), "", "text/plain", "", "GET /"+strings.Repeat("b", 5000), "200 ")
	},
	"body": func(t *testing.T, binary []byte) {
		refused(t, binary, "", "cat", " dog")
		g := filter(t, binary, "cat elephant")
		f := func(contentType, from, to string) {
			t.Helper()
			g.run("/", "Accept-Encoding: gzip", contentType, from, "GET /", "200 "+to)
		}
		f("text/plain", "", "")
		f("text/plain", "ca", "ca")
		f("text/html; charset=utf-8", "cat", "elephant")
		f("text/html", "a cat, two cats; cacat", "a elephant, two elephants; caelephant")
		f("image/png", "cat", "cat")
		for at := 16384 - 4; at <= 16384+1; at++ { // over the end of a piece
			pad := strings.Repeat("x", at)
			f("text/plain", pad+"cat"+pad+"ca", pad+"elephant"+pad+"ca")
		}
		filter(t, binary, "cat ").run("/", "", "text/plain", "a cat", "GET /", "200 a ")
	},
}

// refused checks that a filter refuses configurations, and says why.
func refused(t *testing.T, binary []byte, configs ...string) {
	t.Helper()
	for _, c := range configs {
		if _, log, err := load(t, binary, c); err == nil || !strings.Contains(log.String()+err.Error(), "configuration: want ") {
			t.Errorf("configuration %q: error is %v, logged %s", c, err, log)
		}
	}
}

// guest is a filter under test.
type guest struct {
	t *testing.T
	f *httpwasm.Filter
}

func filter(t *testing.T, binary []byte, config string) *guest {
	t.Helper()
	f, log, err := load(t, binary, config)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if why := f.Stats().Fresh; len(why) > 0 {
		t.Errorf("each request makes an instance: %s", why)
	}
	return &guest{t, f}
}

// shown are the fields that the lines of tests have.
var shown = []string{"X-Seen", "X-Through", "X-Debug", "X-User", "X-Api-Key", "Accept-Encoding", "Www-Authenticate", "X-Sluice-Filter"}

func show(head string, f *edge.Fields) string {
	for _, name := range shown {
		if all := slices.Collect(f.Values(name)); all != nil {
			head += " " + name + "=" + strings.Join(all, ",")
		}
	}
	return head
}

// run sends a request with fields, which an origin answers with content of a type,
// and compares what the origin gets, "" for nothing, and what the client gets.
func (g *guest) run(uri, fields, contentType, content, origin, client string) {
	g.t.Helper()
	x := new(edge.Exchange)
	x.Begin(nil, &edge.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234")}, time.Now())
	defer x.End()
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Proto = "GET", "http", "example.org", "HTTP/1.1"
	r.Path, r.Query, _ = strings.Cut(uri, "?")
	for field := range strings.SplitSeq(fields, "|") {
		if name, value, ok := strings.Cut(field, ": "); ok {
			r.Fields.Add(name, value)
		}
	}
	got := ""
	err := g.f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
		got = "GET " + r.Path
		if r.Query != "" {
			got += "?" + r.Query
		}
		got = show(got, &r.Fields)
		x.Respond(200, edge.Content([]byte(content)), int64(len(content)))
		x.Response.Fields.Set("Content-Type", contentType)
		return nil
	}))
	if err != nil {
		g.t.Fatal(err)
	}
	if got != origin {
		g.t.Errorf("%s: the origin gets %q, want %q", uri, got, origin)
	}
	var b []byte
	if x.Response.Body != nil {
		if b, err = io.ReadAll(x.Response.Body); err != nil {
			g.t.Fatal(err)
		}
	}
	if got := show(fmt.Sprint(x.Response.Status), &x.Response.Fields) + " " + string(b); got != client {
		g.t.Errorf("%s: the client gets %q, want %q", uri, got, client)
	}
}

// BenchmarkHeaders is what a request costs with the same filter in each language.
func BenchmarkHeaders(b *testing.B) {
	next := edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, nil, 0)
		return nil
	})
	for _, l := range langs {
		b.Run(l.name, func(b *testing.B) {
			binary := l.build(b)["headers"]
			f, _, err := load(b, binary, "")
			if err != nil {
				b.Fatal(err)
			}
			x := new(edge.Exchange)
			client := &edge.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234")}
			now := time.Now()
			for b.Loop() {
				x.Begin(nil, client, now)
				r := &x.Request
				r.Method, r.Scheme, r.Authority, r.Path, r.Proto = "GET", "http", "example.org", "/", "HTTP/1.1"
				if err := f.Filter(x, next); err != nil || !x.Response.Fields.Has("X-Sluice-Filter") {
					b.Fatal(x.Response.Status, err)
				}
				x.End()
			}
			b.ReportMetric(float64(len(binary)), "module-bytes")
		})
	}
}
