package server_test

import (
	"os"
	"path/filepath"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// TestCodeIsKept: a start finds the code that another has compiled; the status says
// how sandboxes are put back.
func TestCodeIsKept(t *testing.T) {
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	writeFile(t, filepath.Join(dir, "hello.wasm"), string(guests.Read(t, "hello")))
	path := writeFile(t, filepath.Join(dir, "sluice.yaml"), `
admin: off
log: { access: off }
filters: { hello: { wasm: hello.wasm } }
sites:
  "http://127.0.0.1:0":
    routes: { /: { respond: 200, filters: [hello] } }
`)
	code := filepath.Join(state, "cache", "code")
	var kept []os.FileInfo
	for range 2 {
		log := new(lines)
		s, err := serveFile(t, path, state, log)
		if err != nil {
			t.Fatal(err)
		}
		if how := s.Status().Sandboxes; how == "" {
			t.Error("status does not say how sandboxes are put back")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		list, err := filepath.Glob(filepath.Join(code, "*", "mac"))
		if err != nil || len(list) != 1 {
			t.Fatalf("kept are %v, %v", list, err)
		}
		info, err := os.Stat(list[0])
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, info)
	}
	if !os.SameFile(kept[0], kept[1]) || !kept[0].ModTime().Equal(kept[1].ModTime()) {
		t.Error("the code was made again")
	}
}
