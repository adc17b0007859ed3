package wasi

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

func TestAnswer(t *testing.T) {
	f := load(t, "script", Config{Name: "hello", Version: 3})
	x, err := run(t, f, "ho", "")
	if err != nil {
		t.Fatal(err)
	}
	// All of it is at hand: it can be cached, compressed, sent in one write.
	r := &x.Response
	if got := string(edge.Bytes(r.Body)); got != "ok" || r.Length != 2 || r.Status != 200 || r.Fields.Get("Content-Type") != "text/plain" {
		t.Errorf("the response is %+v with %q", r, got)
	}
	if got, err := content(x); got != "ok" || err != nil {
		t.Errorf("the content reads as %q, %v", got, err)
	}
	if run := x.Record.Function; run.Name != "hello" || run.Version != 3 || run.Took <= 0 || run.Failed {
		t.Errorf("the record has %+v", run)
	}
	if s := f.Stats(); s.Calls != 1 || s.Failures != ([wasm.Causes]uint64{}) || s.Took <= 0 || s.Instances != 0 {
		t.Errorf("stats are %+v", s)
	}
	// The guest is done with before the response is delivered, and the next one
	// finds nothing of it.
	for range 3 {
		x, _ := run(t, f, "hm", "")
		if got, _ := content(x); got != "1\n" {
			t.Errorf("the guest has seen %q", got)
		}
	}
}

// environ returns what a request makes of the environment, by name.
func environ(t *testing.T, f *Function, x *edge.Exchange, script string) map[string]string {
	t.Helper()
	defer x.End()
	if err := f.ServeAt(x, script); err != nil {
		t.Fatal(err)
	}
	got, err := content(x)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(got) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if _, twice := all[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		all[name] = value
	}
	return all
}

func TestEnvironment(t *testing.T) {
	f := load(t, "script", Config{Env: []string{"GREETING=hi there", "EMPTY="}})
	check := func(got map[string]string, want ...string) {
		t.Helper()
		for i := 0; i < len(want); i += 2 {
			if v, ok := got[want[i]]; !ok || v != want[i+1] {
				t.Errorf("%s is %q (%v), want %q", want[i], v, ok, want[i+1])
			}
		}
	}
	absent := func(got map[string]string, names ...string) {
		t.Helper()
		for _, name := range names {
			if v, ok := got[name]; ok {
				t.Errorf("%s is %q, and should not be there", name, v)
			}
		}
	}

	x := request("POST", "/app/a%20b/c?hv", edge.Content([]byte("body")), 4,
		"Content-Type", "text/x", "Accept", "a", "X-Two", "1", "Cookie", "a=1", "accept", "b", "cookie", "b=2",
		"Proxy", "http://evil.example", "X_Two", "clash", "X.Dot", "dotted", "Content-Length", "99", "Host", "other.example",
		"Authorization", "Basic Zm9v")
	got := environ(t, f, x, "/app")
	check(got,
		"GREETING", "hi there", "EMPTY", "",
		"GATEWAY_INTERFACE", "CGI/1.1", "SERVER_SOFTWARE", "sluice", "SERVER_PROTOCOL", "HTTP/1.1",
		"SERVER_NAME", "example.org", "SERVER_PORT", "80", "REMOTE_ADDR", "192.0.2.1", "REMOTE_PORT", "1234",
		"REQUEST_METHOD", "POST", "REQUEST_SCHEME", "http", "REQUEST_URI", "/app/a%20b/c?hv", "QUERY_STRING", "hv",
		"SCRIPT_NAME", "/app", "PATH_INFO", "/a b/c", "CONTENT_LENGTH", "4", "CONTENT_TYPE", "text/x", "REQUEST_ID", "id-1",
		"HTTP_HOST", "example.org:8080", "HTTP_ACCEPT", "a, b", "HTTP_COOKIE", "a=1; b=2", "HTTP_X_TWO", "1",
		"HTTP_AUTHORIZATION", "Basic Zm9v")
	absent(got, "HTTP_PROXY", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_X.DOT", "HTTPS", "PATH")
	if len(got) != 2+16+5 {
		t.Errorf("%d variables: %v", len(got), got)
	}

	// What a filter or route has made of the path is what the function sees; the
	// URI is the client's.
	x = request("GET", "/app?hv", nil, 0)
	x.Request.Path = "/stripped"
	x.Request.Scheme, x.Request.Authority, x.Request.Proto = "https", "[2001:db8::1]", "HTTP/2.0"
	client := edge.NewClient(netip.MustParseAddrPort("[2001:db8::2]:5"), netip.MustParseAddrPort("[2001:db8::1]:443"), new(tls.ConnectionState))
	x.Client = &client
	got = environ(t, f, x, "/app")
	check(got, "SCRIPT_NAME", "", "PATH_INFO", "/stripped", "REQUEST_URI", "/app?hv", "HTTPS", "on", "REQUEST_SCHEME", "https",
		"SERVER_NAME", "[2001:db8::1]", "SERVER_PORT", "443", "REMOTE_ADDR", "2001:db8::2", "SERVER_PROTOCOL", "HTTP/2.0")
	absent(got, "CONTENT_LENGTH", "CONTENT_TYPE")

	// Content of which the length is not known has none.
	absent(environ(t, f, request("POST", "/?hv", &streamed{pieces: []string{"a"}}, -1), ""), "CONTENT_LENGTH")

	// A value that looks like a variable is one value.
	got = environ(t, f, request("GET", "/?hv", nil, 0, "X-A", "b\x00HTTP_PROXY=http://evil.example"), "")
	absent(got, "HTTP_PROXY")
}

func TestPaths(t *testing.T) {
	f := func(path, script, name, info string) {
		t.Helper()
		if n, i := split(path, script); n != name || i != info {
			t.Errorf("%q of %q: got %q and %q, want %q and %q", path, script, n, i, name, info)
		}
	}
	f("/hello", "/hello", "/hello", "")
	f("/hello/", "/hello", "/hello", "/")
	f("/hello/a/b", "/hello", "/hello", "/a/b")
	f("/hellos", "/hello", "", "/hellos")
	f("/a%2Fb%20c", "", "", "/a/b c")
	f("/a%00b", "", "", "/a%00b") // NUL would end the value
	f("/a%zz", "", "", "/a%zz")
	f("*", "/hello", "", "*")
}

func TestConfigRefused(t *testing.T) {
	f := func(name, value, want string) {
		t.Helper()
		if err := CheckEnv(name, value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q=%q: error is %v, want one with %q", name, value, err, want)
		}
	}
	f("", "a", "has no name")
	f("A\x00", "a", "NUL")
	f("A", "a\x00", "NUL")
	f("A=", "a", "'='")
	f("HTTP_PROXY", "a", "requests bring it")
	f("REMOTE_USER", "root", "requests bring it")
	if err := CheckEnv("PATH", "/bin"); err != nil {
		t.Error(err)
	}
	e := wasm.NewEngine(wasm.Config{})
	defer e.Close()
	for _, env := range [][]string{{"REMOTE_USER=root"}, {"A=1", "A=2"}, {"A"}, {"=a"}} {
		if f, err := Load(context.Background(), e, guests.Read(t, "script"), Config{Env: env}); err == nil {
			f.Close()
			t.Errorf("%q is accepted", env)
		}
	}
}

// Whatever the fields are, each variable is there once, and none is set that
// fields must not set.
func FuzzEnvironment(f *testing.F) {
	f.Add("X-A", "b", "x-a", "c", "/a%20b", "q")
	f.Add("Proxy", "b", "X_A", "c", "/hello/%00", "")
	f.Add("HTTP-PROXY", "b\x00HTTP_PROXY=c", "Content-Length", "c", "*", "=\x00")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, path, query string) {
		x := request("GET", "/", nil, 0, name1, value1, name2, value2, "Accept", "a", name1, value2)
		defer x.End()
		x.Request.Path, x.Request.Query = path, query
		c := &call{f: &Function{}, x: x, script: "/hello"}
		c.f.env.Add("GIVEN", "1")
		seen := make(map[string]bool)
		for _, kv := range c.environ().All() {
			name, _, ok := strings.Cut(kv, "=")
			if !ok || seen[name] || name == "HTTP_PROXY" || name != "GIVEN" && CheckEnv(name, "") == nil {
				t.Errorf("%q of %q", kv, c.env.All())
			}
			seen[name] = true
		}
	})
}

func TestRefused(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{})
	defer e.Close()
	f := func(name, want string, cfg Config) {
		t.Helper()
		f, err := Load(context.Background(), e, guests.Read(t, name), cfg)
		if err == nil {
			f.Close()
			t.Errorf("%s is accepted", name)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one with %q", name, err, want)
		}
	}
	f("spin", `does not export function "_start"`, Config{})
	f("unknown-abi", `does not export memory "memory"`, Config{})
	f("command", `imports function "http_handler"."set_status_code", which nothing provides`, Config{})
	f("script", "more than the 65536 allowed", Config{Memory: 64 << 10})
	f("early-start", "cannot be started", Config{})
}

func TestArguments(t *testing.T) {
	f := load(t, "script", Config{Name: "hello", Args: []string{"a b", ""}})
	x, err := run(t, f, "ha", "")
	if got, _ := content(x); err != nil || got != "hello\na b\n\n" {
		t.Errorf("arguments are %q, %v", got, err)
	}
}

// What the sandbox lets a command see of the world: no files, clocks rounded to
// 1 ms, random numbers that do not repeat.
func TestSandbox(t *testing.T) {
	f := load(t, "script", Config{})
	x, err := run(t, f, "hf", "")
	if got, _ := content(x); err != nil || got != "8\n63\n" { // EBADF, EPERM
		t.Errorf("files: %q, %v", got, err)
	}
	x, err = run(t, f, "hp", "")
	if got, _ := content(x); err != nil || got != "21\n" { // EFAULT
		t.Errorf("environ_get beyond the memory: %q, %v", got, err)
	}
	x, err = run(t, f, "hk", "")
	got, _ := content(x)
	ns, _ := strconv.ParseInt(strings.TrimSpace(got), 10, 64)
	if d := time.Since(time.Unix(0, ns)); err != nil || ns%1e6 != 0 || d < 0 || d > time.Minute {
		t.Errorf("the clock says %q, %v", got, err)
	}
	var random []string
	for range 10 {
		x, err = run(t, f, "hr", "")
		if got, _ := content(x); err != nil || slices.Contains(random, got) {
			t.Errorf("the random number %q is repeated, %v", got, err)
		} else {
			random = append(random, got)
		}
	}
}

func TestInput(t *testing.T) {
	f := load(t, "script", Config{})
	check := func(what string, body edge.Body, length int64, want string) {
		t.Helper()
		x := request("POST", "/?hc", body, length)
		defer x.End()
		err := f.Serve(x)
		if err == nil {
			var got string
			if got, err = content(x); got != want {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("none", nil, 0, "")
	check("at hand", edge.Content([]byte("content")), 7, "content")
	check("in pieces", &streamed{pieces: []string{"con", "te", "nt"}}, 7, "content")
	check("of unknown length", &streamed{pieces: []string{"con", "te", "nt"}}, -1, "content")
	check("with nothing at times", &streamed{pieces: []string{"con", "", "", "tent"}}, 7, "content")
	long := strings.Repeat("long", 50_000)
	check("long", &streamed{pieces: []string{long}}, -1, long)

	// What goes wrong with the request's content is not the function's failure.
	cut := &edge.Error{Kind: edge.RequestError, Op: "read the content", Err: errors.New("cut")}
	x := request("POST", "/?dh", &streamed{pieces: []string{"con"}, err: cut}, 7)
	defer x.End()
	if err := f.Serve(x); err != cut {
		t.Errorf("content that is cut: %v", err)
	}
	x = request("POST", "/?dh", &streamed{pieces: make([]string, 200)}, 7)
	defer x.End()
	if err := f.Serve(x); err == nil || !strings.Contains(err.Error(), "no data or error") {
		t.Errorf("content that does not come: %v", err)
	}
	if s := f.Stats(); s.Failures != ([wasm.Causes]uint64{}) {
		t.Errorf("stats are %+v", s)
	}
}

// Failures before anything has been handed on are errors, and nothing else.
func TestFailures(t *testing.T) {
	f := func(script string, kind edge.Kind, status int, cause wasm.Cause, text string, cfg Config) {
		t.Helper()
		cfg.Name = "hello"
		fn := load(t, "script", cfg)
		x, err := run(t, fn, script, "")
		e := edge.AsError(err)
		if err == nil || e.Kind != kind || !strings.Contains(err.Error(), "function hello: ") || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error is %v, want one with %q", script, err, text)
			return
		}
		x.Answer(err)
		if x.Response.Status != status || !x.Record.Function.Failed || fn.Stats().Failures[cause] != 1 {
			t.Errorf("%s: status %d, record %+v, stats %+v", script, x.Response.Status, x.Record.Function, fn.Stats())
		}
		if s := fn.Stats(); s.Instances != 0 {
			t.Errorf("%s: stats are %+v", script, s)
		}
	}
	const failed = edge.FunctionFailed
	short := Config{Timeout: 20 * time.Millisecond}
	f("t", failed, 500, wasm.Trapped, "unreachable", Config{})
	f("hot", failed, 500, wasm.Trapped, "unreachable", Config{})
	f("g", failed, 500, wasm.Trapped, "unreachable", Config{Memory: 4 << 20})
	f("l", failed, 500, wasm.TimedOut, "not done within 20ms", short)
	f("hol", failed, 500, wasm.TimedOut, "not done within 20ms", short)
	f("s1000000", failed, 500, wasm.TimedOut, "not done within 20ms", short) // sleep is the guest's time
	f("x3", failed, 500, wasm.Exited, "exit code 3", Config{})
	f("hox3", failed, 500, wasm.Exited, "exit code 3", Config{}) // who knows whether that was all?
	f("", failed, 502, wasm.Misused, "there is none", Config{})
	f("x0", failed, 502, wasm.Misused, "there is none", Config{})
	f("o", failed, 502, wasm.Misused, "line 1 of the output is no field: \"ok\"", Config{})
}

// A command that asks for its environment after the head of its answer has it from
// the request that it was given: by then a route has taken back what it had changed.
func TestLateEnvironment(t *testing.T) {
	f := load(t, "late-environ", Config{})
	x := request("GET", "/asked?a=b", nil, 0, "X-A", "b")
	t.Cleanup(x.End)
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	x.Request.Path, x.Request.Query = "/taken-back", "c=d"
	x.Request.Fields.Set("X-A", "secret")
	got, err := content(x)
	if err != nil {
		t.Fatal(err)
	}
	vars := strings.Split(got, "\x00")
	for _, want := range []string{"PATH_INFO=/asked", "QUERY_STRING=a=b", "HTTP_X_A=b"} {
		if !slices.Contains(vars, want) {
			t.Errorf("%s is not in %q", want, vars)
		}
	}
}
