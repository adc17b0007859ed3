package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/config"
)

// Check finds what the file alone does not show.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"good.map": "/a /b\n", "bad.map": "/a /b\n/c/{d}.html /e\n", "there.wasm": "", "dir/x": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := func(text, want string) { // ""; it is right
		t.Helper()
		file, problems := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(text), config.Options{})
		if problems.Failed() {
			t.Fatal(problems.Err())
		}
		problems, err := Check(file)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case want == "" && problems.Failed():
			t.Errorf("%s\n%v", text, problems.Err())
		case want != "" && (!problems.Failed() || !strings.Contains(problems.Err().Error(), want)):
			t.Errorf("%s\ngot %v, want %q", text, problems.Err(), want)
		}
	}
	site := "sites: { a: { filters: [f], routes: { /: x:1 } } }\n"
	f("sites: { a: { routes: { /*: { redirect: { map: good.map } } } } }", "")
	f("sites: { a: { routes: { /*: { redirect: { map: bad.map } } } } }", "bad.map:2:1")
	f("sites: { a: { routes: { /*: { redirect: { map: none.map } } } } }", "none.map")
	f(site+"filters: { f: { wasm: there.wasm } }", "")
	f(site+"filters: { f: { wasm: uploaded } }", "")
	f(site+"filters: { f: { wasm: none.wasm } }", "none.wasm: no such file")
	f(site+"filters: { f: { wasm: dir } }", "is not a file")
	f("sites: { a: { routes: { /: function:g } } }\nfunctions: { g: { wasm: none.wasm } }", "none.wasm: no such file")
}
