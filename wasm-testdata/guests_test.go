package guests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBuilt builds the guests and the examples that are kept, and compares what
// comes out with what is kept. The one in Rust depends on the compiler's version.
func TestBuilt(t *testing.T) {
	same := func(t *testing.T, kept []byte, out string, build *exec.Cmd) {
		t.Helper()
		if msg, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build.Args, err, msg)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, kept) {
			t.Errorf("%v does not make the file that is kept", build.Args)
		}
	}
	needs := func(t *testing.T, what string, programs ...string) {
		t.Helper()
		for _, p := range programs {
			if _, err := exec.LookPath(p); err != nil {
				t.Skipf("%s is not installed: what is kept is taken as it is", what)
			}
		}
	}
	script := func(t *testing.T, dir string, kept []byte) {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out.wasm")
		same(t, kept, out, exec.Command("sh", filepath.Join(dir, "build.sh"), out))
	}
	has := func(dir, file string) bool {
		_, err := os.Stat(filepath.Join(dir, file))
		return err == nil
	}
	t.Run("wat", func(t *testing.T) {
		needs(t, "wat2wasm (Debian: wabt)", "wat2wasm")
		for _, name := range Names(t) {
			if has(name, name+".wat") {
				out := filepath.Join(t.TempDir(), "out.wasm")
				same(t, Read(t, name), out, exec.Command("wat2wasm", filepath.Join(name, name+".wat"), "-o", out))
			}
		}
	})
	t.Run("c", func(t *testing.T) {
		needs(t, "clang with lld", "clang", "wasm-ld")
		for _, name := range Names(t) {
			if has(name, "build.sh") {
				script(t, name, Read(t, name))
			}
		}
	})
	for _, name := range []string{"headers", "hello"} {
		t.Run(name, func(t *testing.T) {
			needs(t, "clang with lld", "clang", "wasm-ld")
			if name == "hello" && !has("/usr/include", "wasm32-wasi") {
				t.Skip("wasi-libc is not installed: what is kept is taken as it is")
			}
			dir := filepath.Join("..", "examples", name)
			kept, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			script(t, dir, kept)
		})
	}
}
