package examples

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

// startExample starts sluice with the module and sluice.yaml of an example, before an
// origin for the address 127.0.0.1:3000, "" for none, and returns its address. Files are
// what the configuration needs, by their names.
func startExample(t *testing.T, dir, origin string, files map[string]string) string {
	t.Helper()
	edgetest.Watch(t, ".", ".")
	work := t.TempDir()
	binary := edgetest.Build(t, "..")
	module, err := os.ReadFile(build(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	files = maps.Clone(files)
	files[dir+".wasm"] = string(module)
	files["addresses"] = "127.0.0.1:8080 " + addr + " http://*:8080 http://*:" + port
	if origin != "" {
		files["addresses"] += " 127.0.0.1:3000 " + origin
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(work, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := configure(filepath.Join(dir, "sluice.yaml"), work); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(edgetest.Start(t, binary, work).Close)
	return addr
}
