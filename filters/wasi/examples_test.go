package wasi

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

func TestExampleHello(t *testing.T) {
	hello, err := os.ReadFile("../../examples/hello/hello.wasm")
	if err != nil {
		t.Fatal(err)
	}
	check := func(f *Function, path, want string) {
		t.Helper()
		x := request("GET", path, nil, 0)
		defer x.End()
		if err := f.ServeAt(x, "/hello"); err != nil {
			t.Fatal(err)
		}
		if got, err := content(x); got != want || err != nil || x.Response.Fields.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
	}
	f := loadBytes(t, hello, Config{Env: []string{"GREETING=Good morning"}})
	check(f, "/hello", "Good morning, world!\n")
	check(f, "/hello/", "Good morning, world!\n")
	check(f, "/hello/ann%20bee", "Good morning, ann bee!\n")
	if l := f.Journal().Lines(); len(l) != 3 || l[0].Text != "greeted 192.0.2.1" {
		t.Errorf("lines are %+v", l)
	}
	check(loadBytes(t, hello, Config{}), "/hello", "Hello, world!\n")
}

func TestExampleMarkdown(t *testing.T) {
	f := loadBytes(t, guests.BuildCommand(t, "github.com/sluice-edge/sluice/examples/markdown"), Config{})
	check := func(method string, body edge.Body, status int, want string) {
		t.Helper()
		x := request(method, "/", body, -1)
		defer x.End()
		if err := f.Serve(x); err != nil {
			t.Fatal(err)
		}
		if got, err := content(x); !strings.Contains(got, want) || err != nil || x.Response.Status != status || x.Response.Length != int64(len(got)) {
			t.Errorf("%s: got %d %q, %v", method, x.Response.Status, got, err)
		}
	}
	check("GET", nil, 200, "<h1>Markdown at the edge</h1>")
	check("POST", &streamed{pieces: []string{"a *b", "* c"}}, 200, "<p>a <em>b</em> c</p>")
	check("POST", &streamed{pieces: []string{strings.Repeat("a", 2<<20)}}, 413, "413 Content Too Large")
	check("PUT", nil, 405, "405")
	x := request("POST", "/", &streamed{pieces: []string{"a"}, err: io.ErrUnexpectedEOF}, -1)
	defer x.End()
	if err := f.Serve(x); err != io.ErrUnexpectedEOF {
		t.Errorf("content that is cut: %v", err)
	}
}

// A program in Rust, of which the test knows that it uses the standard library.
func TestRust(t *testing.T) {
	f := load(t, "rust", Config{Name: "rust", Args: []string{"x"}})
	x := request("POST", "/", edge.Content([]byte("hi")), 2)
	defer x.End()
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	if got, err := content(x); got != "POST \"hi\" [\"rust\", \"x\"]\ntrue 100\ntrue\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	x = request("POST", "/", edge.Content([]byte("panic")), 5)
	defer x.End()
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	if got, err := content(x); edge.AsError(err).Kind != edge.FunctionFailed { // it has slept in between
		t.Errorf("got %q, %v", got, err)
	}
	lines := f.Journal().Lines()
	if len(lines) < 3 || lines[0].Text != "done" || !strings.Contains(lines[2].Text, "asked to") {
		t.Errorf("lines are %+v", lines)
	}
}
