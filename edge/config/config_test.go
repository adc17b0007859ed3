package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// parse returns the file of a text that must be right.
func parse(t *testing.T, src string) *File {
	t.Helper()
	f, problems := Parse("sluice.yaml", []byte(src), world)
	if f == nil {
		t.Fatal(problems)
	}
	return f
}

// TestDefaults wants the documented defaults of a file that says next to nothing.
func TestDefaults(t *testing.T) {
	f := parse(t, "sites: { example.com: 127.0.0.1:3000 }")
	r := f.Sites[0].Routes[0]
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"version", f.Version, 1},
		{"listen http", f.Listen.HTTP[0].Address, ":80"},
		{"listen https", f.Listen.HTTPS[0].Address, ":443"},
		{"state", f.State, "/var/lib/sluice"},
		{"tls", f.TLS, TLS{Min: 0x0303, Internal: Internal{Lifetime: 7 * 24 * time.Hour}}},
		{"cache", f.Cache, Store{512 << 20}},
		{"limits", f.Limits, Limits{100_000, 32 << 10, 100, 30 * time.Second, 10}},
		{"log", f.Log, Log{Access{Output: Stdout, Format: "json", Keep: 14, Compress: true}, Stderr, LevelInfo, []string{"authorization", "cookie", "proxy-authorization"}, nil}},
		{"admin", f.Admin, Admin{Listen: Address{Network: "tcp", Address: "127.0.0.1:2024"}}},
		{"route cache", r.Cache, Cache{}},
		{"timeout", r.Timeout, Timeout{5 * time.Second, time.Minute, 30 * time.Second, 30 * time.Second}},
		{"body", r.Body, int64(Unlimited)},
		{"retry", r.Retry, Retry{1}},
		{"filters", len(r.Filters), 0},
		{"prefer", r.Compress.Prefer, []string{"br", "zstd", "gzip"}},
		{"compress", [3]any{r.Compress.Off, r.Compress.Level, r.Compress.Min}, [3]any{false, 0, int64(1 << 10)}},
		{"upstream", f.Upstream(r.To.Upstream).Endpoints[0].Address, "127.0.0.1:3000"},
		{"weight", f.Upstream(r.To.Upstream).Endpoints[0].Weight, 1},
		{"idle", f.Upstream(r.To.Upstream).Connections.Idle, 256},
		{"speak", f.Upstream(r.To.Upstream).Speak, "h1"},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

// TestMerge wants of each route what it says, else what its site says, else what
// the file says.
func TestMerge(t *testing.T) {
	f := parse(t, `
sites:
  example.com:
    to: "127.0.0.1:1"
    filters: [a]
    cache: 10m
    timeout: { connect: 1s, stalled: 2s }
    compress: { level: 9 }
    body: 1MB
    retry: 3 times
    routes:
      /same: ~
      /own: { filters: b, cache: on, timeout: 7s, compress: { min: 2KB }, body: unlimited, retry: off }
      /off: { filters: [none], cache: off, compress: off }
      /none-then: { filters: [none, b], timeout: { stalled: 4s, client-stalled: 5s } }
compress: { prefer: gzip, level: 3 }
limits: { stalled: 11s }
filters: { a: { wasm: a.wasm }, b: { wasm: b.wasm } }
`)
	const s = time.Second
	for _, c := range []struct {
		route   string
		filters string
		cache   Cache
		timeout Timeout
		level   int
		min     int64
		off     bool
		body    int64
		retry   int
	}{
		{"/same", "a", Cache{CacheTTL, 600 * s}, Timeout{1 * s, 60 * s, 2 * s, 11 * s}, 9, 1 << 10, false, 1 << 20, 3},
		{"/own", "a b", Cache{CacheHeaders, 0}, Timeout{1 * s, 7 * s, 2 * s, 11 * s}, 9, 2 << 10, false, Unlimited, 0},
		{"/off", "", Cache{}, Timeout{1 * s, 60 * s, 2 * s, 11 * s}, 9, 1 << 10, true, 1 << 20, 3},
		{"/none-then", "b", Cache{CacheTTL, 600 * s}, Timeout{1 * s, 60 * s, 4 * s, 5 * s}, 9, 1 << 10, false, 1 << 20, 3},
		{"/", "a", Cache{CacheTTL, 600 * s}, Timeout{1 * s, 60 * s, 2 * s, 11 * s}, 9, 1 << 10, false, 1 << 20, 3},
	} {
		r := find(t, f, c.route)
		if got := filterNames(r); got != c.filters {
			t.Errorf("%s: filters %q, want %q", c.route, got, c.filters)
		}
		if r.Cache != c.cache || r.Timeout != c.timeout || r.Body != c.body || r.Retry.Times != c.retry {
			t.Errorf("%s: got %+v, want %+v", c.route, r.Settings, c)
		}
		if x := r.Compress; x.Level != c.level || x.Min != c.min || x.Off != c.off || strings.Join(x.Prefer, " ") != "gzip" {
			t.Errorf("%s: compress %+v, want %+v", c.route, x, c)
		}
		if r.To.Upstream != "127.0.0.1:1" {
			t.Errorf("%s: to %q", c.route, r.To.Upstream)
		}
	}
}

func find(t *testing.T, f *File, name string) *Route {
	t.Helper()
	for i := range f.Sites[0].Routes {
		if r := &f.Sites[0].Routes[i]; r.Name == name {
			return r
		}
	}
	t.Fatalf("no route %q", name)
	return nil
}

// TestRouteNames wants names that differ, also of routes that have none.
func TestRouteNames(t *testing.T) {
	f := parse(t, `
sites:
  example.com:
    routes:
      /: [ { when: { query: { a: 1 } }, respond: 201 }, { when: { query: { a: 2 } }, respond: 202 }, { name: own, respond: 203 , when: { query: { a: 3 } }} ]
      PUT,GET /x: { respond: 204 }
`)
	var got []string
	for _, r := range f.Sites[0].Routes {
		got = append(got, r.Name)
	}
	if want := []string{"/", "/ #2", "own", "GET,PUT /x"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestListen wants the usual ports only where a site needs them, and nothing but
// what is written where something is.
func TestListen(t *testing.T) {
	for src, want := range map[string]string{
		"sites: { a: 127.0.0.1:1 }":                                                "[:80] [:443]",
		"sites: { 'http://a:81': 127.0.0.1:1 }":                                    "[] []",
		"sites: { a: 127.0.0.1:1 }\nlisten: { http: 8080 }":                        "",
		"sites: { a: 127.0.0.1:1 }\nlisten: { http: :8080 }":                       "[:8080] []",
		"sites: { a: 127.0.0.1:1 }\nlisten: { https: ['127.0.0.1:0', '[::1]:0'] }": "[] [127.0.0.1:0 [::1]:0]",
	} {
		f, _ := Parse("sluice.yaml", []byte(src), world)
		got := ""
		if f != nil {
			got = fmt.Sprint(addresses(f.Listen.HTTP), " ", addresses(f.Listen.HTTPS))
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", src, got, want)
		}
	}
}

func addresses(list []Address) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Address)
	}
	return out
}

// TestState wants a directory that who runs the proxy can write to.
func TestState(t *testing.T) {
	f := func(want string, env map[string]string) {
		t.Helper()
		o := Options{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
		f, problems := Parse("", []byte("sites: { a: 127.0.0.1:1 }"), o)
		if f == nil {
			t.Fatal(problems)
		}
		if f.State != want {
			t.Errorf("%v: got %q, want %q", env, f.State, want)
		}
	}
	atHome := "/home/ann/.local/state/sluice"
	if os.Geteuid() == 0 {
		atHome = "/var/lib/sluice"
	}
	f("/var/lib/sluice", nil)
	f("/x/sluice", map[string]string{"XDG_STATE_HOME": "/x", "HOME": "/home/ann"})
	f("/var/lib/sluice", map[string]string{"XDG_STATE_HOME": "relative"})
	f(atHome, map[string]string{"HOME": "/home/ann"})
	f(atHome, map[string]string{"HOME": "/home/ann", "XDG_STATE_HOME": ""})
	f("/run/s", map[string]string{"HOME": "/home/ann", "XDG_STATE_HOME": "/x", "STATE_DIRECTORY": "/run/s:/run/t"})
}

// TestLoad reads from disk: paths begin at the file's directory, and what has no
// end is not read.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "sluice.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "secret"), "a-secret-of-some-length\r\n")
	write(name, "sites: { example.com: { respond: { body: file:secret } } }\nstate: var\nfilters: { x: { wasm: x.wasm, config: { k: env:SLUICE_TEST_KEY } } }\n")
	t.Setenv("SLUICE_TEST_KEY", `a "key"`)
	f, problems := Load(name, Options{})
	if f == nil {
		t.Fatal(problems)
	}
	if got, want := f.Sites[0].Routes[0].Respond.Body, "a-secret-of-some-length"; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	if got, want := f.State, filepath.Join(dir, "var"); got != want {
		t.Errorf("state %q, want %q", got, want)
	}
	if got, want := f.Filter("x").Wasm, filepath.Join(dir, "x.wasm"); got != want {
		t.Errorf("wasm %q, want %q", got, want)
	}
	if got, want := string(f.Filter("x").Config), `{"k":"a \"key\""}`; got != want {
		t.Errorf("config %s, want %s", got, want)
	}
	if d := f.Diag(); !strings.Contains(d.String()+fmt.Sprint(d.Len()), "0") || f.Name() != name {
		t.Errorf("Diag: %v", d)
	}

	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(dir, "big")
	write(big, strings.Repeat("x", maxValueFile+1))
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "none.yaml"), "no such file"},
		{dir, "not a regular file"},
		{pipe, "not a regular file"}, // opening it would wait for a writer
		{"/dev/zero", "not a regular file"},
	} {
		if f, problems := Load(c.path, Options{}); f != nil || !strings.Contains(problems.String(), c.want) {
			t.Errorf("%s: got %v, want %q", c.path, problems, c.want)
		}
		if _, err := readRegular(c.path, maxValueFile); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.path, err, c.want)
		}
	}
	if _, err := readRegular(big, maxValueFile); err == nil || err.Error() != "larger than 1MB" {
		t.Errorf("got %v, want larger than 1MB", err)
	}
	if _, problems := Parse("x", make([]byte, maxFile+1), Options{}); !strings.Contains(problems.String(), "more than 16MB") {
		t.Errorf("got %v", problems)
	}
}

// TestSecrets wants no value of the environment or a file in any message.
func TestSecrets(t *testing.T) {
	const secret = "s3cret"
	told := secret // and what makes more values wrong
	o := world
	o.Env = func(string) (string, bool) { return told, true }
	o.ReadFile = func(string) ([]byte, error) { return []byte(told), nil }
	src, err := os.ReadFile("testdata/admin-secret.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sources := []string{
		string(src),
		"sites: { a: env:X, b: { to: file:x, cache: env:X, body: env:X, timeout: env:X, retry: env:X, filters: env:X, aliases: 'env:X', name: env:X } }",
		"sites: { a: { split: { x: env:X }, by: env:X } }\nupstreams: { x: env:X }\nlisten: { http: env:X }\ncompress: { prefer: env:X, types: env:X, level: env:X }\nversion: env:X\ntls: { min: env:X }",
		"sites: { a: { function: env:X, host: env:X, strip: env:X, add-prefix: env:X, rewrite-answers: env:X, log: env:X } }",
		"sites: { a: { to: 'b:1', rewrite: env:X, fields: { request: { remove: env:X, set: { Host: env:X } }, response: { remove: [env:X, 'env:'] } } } }\ntrust: [env:X, env:Y]\nmetrics: env:X\ninclude: env:X",
		"sites: { a: { split: { 'function:f': 100% }, by: { kind: env:X }, filters: [env:X, 'f@env:X'] } }\nfunctions: { f: { wasm: env:X, memory: env:X, timeout: env:X, concurrency: env:X, env: { HTTP_X: env:X } } }",
		"sites: { a: 'b:1' }\nlog: { access: { file: env:X, format: env:X, rotate: env:X, keep: env:X, compress: env:X } }",
		"sites: { a: 'b:1' }\nlog: { access: env:X, errors: env:X }",
		"sites: { a: { redirect: { map: env:X, to: env:X }, when: { header: { X: env:X } } } }",
		"sites: { a: { redirect: env:X, routes: { /x: { respond: env:X }, /y: { redirect: { to: env:X, status: env:X } } } } }",
	}
	for _, s := range sources {
		for _, told = range []string{secret, "/" + secret + "/*", secret + "@x", "function:" + secret, secret + " {" + secret + "}\x01", "://" + secret, "10.0.0.1/" + secret} {
			_, problems := Parse("sluice.yaml", []byte(s), o)
			if told == secret && problems.Len() == 0 {
				t.Errorf("no problem in %s", s)
			}
			// What is a file's path is no secret.
			for _, p := range problems.Problems() {
				if strings.Contains(p.Message+p.Hint, secret) {
					t.Errorf("%q: a secret is told: %v %s", told, p, p.Hint)
				}
			}
		}
	}
}

// TestFiltersApart wants what one route adds to its site's filters to stay out of
// the next one's.
func TestFiltersApart(t *testing.T) {
	f := parse(t, `
sites:
  example.com:
    to: "127.0.0.1:1"
    filters: [a, b, c]
    routes: { /1: { filters: d }, /2: { filters: e } }
filters: { a: { wasm: x }, b: { wasm: x }, c: { wasm: x }, d: { wasm: x }, e: { wasm: x } }
`)
	for route, want := range map[string]string{"/1": "a b c d", "/2": "a b c e", "/": "a b c"} {
		if got := filterNames(find(t, f, route)); got != want {
			t.Errorf("%s: got %q, want %q", route, got, want)
		}
	}
}

// filterNames returns the names of the filters of a route.
func filterNames(r *Route) string {
	var names []string
	for _, f := range r.Filters {
		names = append(names, f.Name)
	}
	return strings.Join(names, " ")
}
