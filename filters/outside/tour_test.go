package outside

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

// TestTour runs the tour of proxy-wasm, tour/test.txt, with the filter in each language.
func TestTour(t *testing.T) {
	edgetest.Watch(t, ".", "tour")
	binary := edgetest.Build(t, "../..")
	for _, language := range []struct {
		name  string
		build func(t *testing.T, out string)
	}{
		{"assemblyscript", buildAssemblyScript},
		{"cpp", buildCPP},
		{"go", buildGo},
		{"rust", buildRust},
	} {
		t.Run(language.name, func(t *testing.T) {
			t.Parallel() // most of it waits
			out := filepath.Join(t.TempDir(), "tour.wasm")
			language.build(t, out)
			module, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			edgetest.Run(t, "tour/test.txt", func(t testing.TB, work string) edgetest.Proxy {
				if err := os.WriteFile(filepath.Join(work, "tour.wasm"), module, 0o600); err != nil {
					t.Fatal(err)
				}
				return startPlain(t, binary, work)
			})
		})
	}
}

// run runs a program that builds something.
func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
}

// buildAssemblyScript builds the tour on npm's @solo-io/proxy-runtime.
func buildAssemblyScript(t *testing.T, out string) {
	t.Helper()
	const compiler = "node_modules/.bin/asc"
	if _, err := os.Stat(filepath.Join("tour/assemblyscript", compiler)); err != nil {
		t.Skip("npm's packages are not here: npm --prefix filters/outside/tour/assemblyscript ci")
	}
	run(t, "tour/assemblyscript", nil, compiler, "assembly/index.ts", "--use", "abort=abort_proc_exit", "--optimize", "-b", out)
}

// buildCPP builds the tour with clang and the C++ library for WASI.
func buildCPP(t *testing.T, out string) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/wasm32-wasi/libc++.a"); err != nil {
		t.Skip("the C++ library for WASI is not installed (Debian: clang lld libc++-dev-wasm32 libclang-rt-14-dev-wasm32)")
	}
	run(t, "tour/cpp", nil, "clang++", "--target=wasm32-wasi", "-mexec-model=reactor", "-std=c++17", "-O2", "-fno-exceptions",
		"-Wall", "-Wextra", "-Werror", "-Wl,--export=malloc", "-Wl,--strip-all", "-o", out, "tour.cc")
}

// buildGo builds the tour on the Go module github.com/tetratelabs/proxy-wasm-go-sdk, to
// which it adds tour/go/testdata/host.go.
func buildGo(t *testing.T, out string) {
	t.Helper()
	download(t, "tour/go")
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		copyFile(t, filepath.Join("tour/go", name), filepath.Join(dir, name))
	}
	run(t, dir, nil, "go", "mod", "vendor")
	copyFile(t, "tour/go/testdata/host.go", filepath.Join(dir, "vendor/github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/internal/sluice.go"))
	run(t, dir, []string{"GOOS=wasip1", "GOARCH=wasm"}, "go", "build", "-buildmode=c-shared", "-o", out, ".")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// buildRust builds the tour with the first rustc that has the library of a target with
// WASI: that of the path, or Debian's.
func buildRust(t *testing.T, out string) {
	t.Helper()
	for _, rustc := range []string{"rustc", "/usr/bin/rustc"} {
		for _, target := range []string{"wasm32-wasip1", "wasm32-wasi"} { // the new name and the old
			dir, err := exec.Command(rustc, "--print", "target-libdir", "--target", target).Output()
			if err != nil {
				continue
			}
			if _, err := os.Stat(strings.TrimSpace(string(dir))); err == nil {
				run(t, "tour/rust", nil, rustc, "--edition", "2021", "--target", target, "--crate-type", "cdylib", "-O", "-C", "strip=symbols", "-o", out, "tour.rs")
				return
			}
		}
	}
	t.Skip("rustc and its library for WASI are not installed (Debian: rustc libstd-rust-dev-wasm32)")
}
