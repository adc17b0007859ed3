// Package guests has the modules that tests run: each folder is one, with its
// source and a line about what it does. Those in WAT are built and kept here;
// those in Go are built by the tests.
package guests

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

//go:embed */*.wasm
var built embed.FS

// Read returns the built guest of a folder.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := built.ReadFile(name + "/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Names returns the folders that have a built guest.
func Names(t testing.TB) []string {
	t.Helper()
	list, err := built.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.Name()
	}
	return names
}

// goGuests are the guests that this process has built, by package and mode.
var goGuests sync.Map // of func() ([]byte, error)

// Build builds a guest in Go that exports functions by its import path, once in a
// process.
func Build(t testing.TB, pkg string) []byte {
	t.Helper()
	return buildOnce(t, pkg, "-buildmode=c-shared")
}

// BuildCommand builds a guest in Go that is a command, likewise.
func BuildCommand(t testing.TB, pkg string) []byte {
	t.Helper()
	return buildOnce(t, pkg, "-buildmode=exe")
}

func buildOnce(t testing.TB, pkg, mode string) []byte {
	t.Helper()
	once, _ := goGuests.LoadOrStore(pkg+" "+mode, sync.OnceValues(func() ([]byte, error) { return build(pkg, mode) }))
	b, err := once.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func build(pkg, mode string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", mode, "-o", out, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}
