package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/config"
	testdata "github.com/sluice-edge/sluice/wasm-testdata"
)

// Check finds what the file alone does not show.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"good.map": "/a /b\n", "bad.map": "/a /b\n/c/{d}.html /e\n", "there.wasm": string(testdata.Read(t, "deny")), "empty.wasm": "", "keeper.wasm": string(testdata.Read(t, "keeper")), "command.wasm": string(testdata.Read(t, "script")), "dir/x": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := func(text, want string) { // ""; it is right
		t.Helper()
		file, problems := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(text+"\nstate: state\n"), config.Options{})
		if problems.Failed() {
			t.Fatal(problems.Err())
		}
		problems, err := Check(t.Context(), file)
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
	f(site+"filters: { f: { wasm: empty.wasm } }", "empty.wasm: not a valid WebAssembly module")
	f(site+"filters: { f: { wasm: there.wasm, abi: proxy-wasm } }", "is an http-wasm filter, and abi says proxy-wasm")
	f(site+"filters: { f: { wasm: there.wasm, root: x } }", "root is for those of proxy-wasm")
	f(site+"filters: { f: { wasm: keeper.wasm } }", `write "allow: { kv: [NAMESPACE] }"`)
	f(site+"filters: { f: { wasm: keeper.wasm, allow: { kv: [counts] } } }", "")
	f(site+"filters: { f: { wasm: command.wasm } }", "is a WASI command")
	f("sites: { a: { routes: { /: function:g } } }\nfunctions: { g: { wasm: command.wasm } }", "")
	f("sites: { a: { routes: { /: function:g } } }\nfunctions: { g: { wasm: empty.wasm } }", "empty.wasm: not a valid WebAssembly module")
	if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
		t.Error("there is a state directory")
	}
}
