package guests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBuilt builds each guest from its WAT, and the example in C, and compares
// what comes out with what is kept.
func TestBuilt(t *testing.T) {
	same := func(kept []byte, out string, build *exec.Cmd) {
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
	t.Run("wat", func(t *testing.T) {
		if _, err := exec.LookPath("wat2wasm"); err != nil {
			t.Skip("wat2wasm (Debian: wabt) is not installed: the built guests are taken as they are")
		}
		for _, name := range Names(t) {
			out := filepath.Join(t.TempDir(), "out.wasm")
			same(Read(t, name), out, exec.Command("wat2wasm", filepath.Join(name, name+".wat"), "-o", out))
		}
	})
	t.Run("c", func(t *testing.T) {
		for _, tool := range []string{"clang", "wasm-ld"} {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skip("clang and lld are not installed: examples/headers/headers.wasm is taken as it is")
			}
		}
		dir := filepath.Join("..", "examples", "headers")
		kept, err := os.ReadFile(filepath.Join(dir, "headers.wasm"))
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out.wasm")
		same(kept, out, exec.Command("sh", filepath.Join(dir, "build.sh"), out))
	})
}
