package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// project makes a project in a directory of the test.
func project(t *testing.T, name string, kind Kind, lang Lang) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "below", name)
	if err := New(dir, name, kind, lang); err != nil {
		t.Fatal(err)
	}
	return dir
}

// list returns the files below dir.
func list(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// needs skips a test where a tool is missing.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

// toolchain skips a test where there is none for a language, and returns the path to
// find it in. In dir, a project in AssemblyScript gets its compiler from the SDK's
// directory, if npm ci has put it there.
func toolchain(t *testing.T, dir string, lang Lang) string {
	t.Helper()
	search := os.Getenv("PATH")
	switch lang {
	case C:
		needs(t, "clang", "wasm-ld")
	case Rust:
		for _, path := range []string{search, "/usr/bin:" + search} {
			cmd := exec.Command("sh", "-c", "command -v cargo >/dev/null && rustc --print target-libdir --target wasm32-unknown-unknown")
			cmd.Env = append(os.Environ(), "PATH="+path)
			if out, err := cmd.Output(); err == nil {
				if _, err := os.Stat(strings.TrimSpace(string(out))); err == nil {
					return path
				}
			}
		}
		t.Skip("cargo and the library of wasm32-unknown-unknown are not installed")
	case AssemblyScript:
		needs(t, "npx")
		from, err := filepath.Abs("../../../../sdk/assemblyscript/node_modules")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(from, "assemblyscript")); err != nil {
			t.Skip("npm ci was not run in sdk/assemblyscript")
		}
		if err := os.Symlink(from, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	return search
}

// offline runs a command in dir, for which there is no network.
func offline(t *testing.T, dir string, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", command, err, out)
	}
	return string(out)
}

func TestFiles(t *testing.T) {
	f := func(kind Kind, lang Lang, want ...string) {
		t.Helper()
		if got := list(t, project(t, "greet", kind, lang)); !slices.Equal(got, want) {
			t.Errorf("%s in %s: got %q, want %q", kind, lang, got, want)
		}
	}
	inGo := []string{"README.md", "build.sh", "go.mod", "main.go", "main_test.go", "sluice.yaml", "sluice/LICENSE", "sluice/go.mod",
		"sluice/sdk/config/config.go", "sluice/sdk/function/function.go", "sluice/sdk/function/native.go", "sluice/sdk/function/response.go",
		"sluice/sdk/guest.go", "sluice/sdk/host.go", "sluice/sdk/internal/pieces/pieces.go", "sluice/sdk/message.go", "sluice/sdk/native.go",
		"sluice/sdk/proxy/fetch.go", "sluice/sdk/proxy/guest.go", "sluice/sdk/proxy/kv.go", "sluice/sdk/proxy/metrics.go", "sluice/sdk/proxy/native.go",
		"sluice/sdk/proxy/proxy.go", "sluice/sdk/sdk.go"}
	inC := []string{"README.md", "build.sh", "greet.c", "sluice.h", "sluice.yaml"}
	f(Filter, Go, inGo...)
	f(Function, Go, inGo...)
	f(Filter, C, inC...)
	f(Function, C, inC...)
	inRust := []string{"Cargo.toml", "README.md", "build.sh", "main.rs", "sluice.yaml", "sluice/Cargo.toml", "sluice/LICENSE",
		"sluice/examples/auth.rs", "sluice/examples/body.rs", "sluice/examples/headers.rs", "sluice/examples/rewrite.rs",
		"sluice/src/fetch.rs", "sluice/src/guest.rs", "sluice/src/host.rs", "sluice/src/kv.rs", "sluice/src/lib.rs", "sluice/src/message.rs",
		"sluice/src/metrics.rs", "sluice/src/proxy.rs", "sluice/src/system.rs"}
	f(Filter, Rust, inRust...)
	f(Function, Rust, inRust...)
	inAS := []string{"README.md", "build.sh", "main.ts", "package-lock.json", "package.json", "sluice.yaml", "sluice/LICENSE"}
	for _, name := range []string{"fetch", "host", "index", "kv", "message", "metrics", "proxy", "system"} {
		inAS = append(inAS, "sluice/assembly/"+name+".ts")
	}
	f(Filter, AssemblyScript, inAS...)
	f(Function, AssemblyScript, inAS...)
}

// The compiler of AssemblyScript is the one that the SDK is tested with.
func TestPins(t *testing.T) {
	packages := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(b), `"node_modules/assemblyscript"`)
		if !ok {
			t.Fatalf("%s does not have assemblyscript", name)
		}
		return rest
	}
	want := packages("../../../../sdk/assemblyscript/package-lock.json")
	for _, kind := range []Kind{Filter, Function} {
		if got := packages(filepath.Join(project(t, "greet", kind, AssemblyScript), "package-lock.json")); got != want {
			t.Errorf("%s: got %s, want %s", kind, got, want)
		}
	}
}

// A project in Go is formatted, passes vet and its own test, and go mod tidy has
// nothing to do, all without a network.
func TestGoProject(t *testing.T) {
	for _, kind := range []Kind{Filter, Function} {
		t.Run(string(kind), func(t *testing.T) {
			dir := project(t, "greet_2-x", kind, Go)
			for _, name := range list(t, dir) {
				if filepath.Ext(name) != ".go" {
					continue
				}
				text, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if tidy, err := format.Source(text); err != nil || !bytes.Equal(tidy, text) {
					t.Errorf("%s is not as gofmt has it: %v", name, err)
				}
			}
			offline(t, dir, "go", "vet", "./...")
			if out := offline(t, dir, "go", "test", "-count=1", "-v", "."); !strings.Contains(out, "--- PASS") {
				t.Errorf("go test says %s", out)
			}
			before, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err != nil {
				t.Fatal(err)
			}
			offline(t, dir, "go", "mod", "tidy")
			if after, err := os.ReadFile(filepath.Join(dir, "go.mod")); err != nil || !bytes.Equal(before, after) {
				t.Errorf("go mod tidy makes of go.mod %s, %v", after, err)
			}
		})
	}
}

// A project in Rust is built by the first cargo of the path that has the target, and
// says what to install if none has.
func TestRustToolchain(t *testing.T) {
	dir := project(t, "greet", Filter, Rust)
	bin, tools := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// As rustup has it, before the target is added: the place is known, and empty.
	write("cargo", "#!/bin/sh\nexit 3\n")
	write("rustc", "#!/bin/sh\necho "+filepath.Join(bin, "none")+"\n")
	for _, tool := range []string{"sh", "cat", "cp", "dirname"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Skipf("%s is not installed", tool)
		}
		if err := os.Symlink(path, filepath.Join(tools, tool)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{tools, bin + ":" + tools, ":" + bin + "::" + tools} {
		cmd := exec.Command(filepath.Join(dir, "build.sh"))
		cmd.Env = []string{"PATH=" + path}
		out, err := cmd.CombinedOutput()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "\n  rustup target add wasm32-unknown-unknown\n  apt-get install cargo") {
			t.Errorf("with the path %s: %v\n%s", path, err, out)
		}
	}
	t.Setenv("PATH", bin+":"+toolchain(t, dir, Rust))
	offline(t, dir, "./build.sh")
	if _, err := os.Stat(filepath.Join(dir, "greet.wasm")); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	f := func(name string, kind Kind, lang Lang, want string) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "new")
		err := New(dir, name, kind, lang)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", name, err, want)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: the directory is there: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, "-a", "_a", "1a", "A", "aB", "å", "a b", "a.b", "a\n", "a\x00", `a"`, "{{.Name}}", strings.Repeat("a", 65)} {
		f(name, Filter, Go, fmt.Sprintf("%q is not a name", name))
	}
	f("none", Filter, C, "no filter at all")
	f("a", "filters", Go, `"filters" is not a kind of project: have filter, function`)
	f("a", Filter, "perl", `in the language "perl": have go, c`)
	f("a", Filter, "", `in the language "": have go, c`)
	f("a", Filter, "../filter-go", "have go, c")
}

// Nothing is overwritten, whatever is there.
func TestOccupied(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, ".hidden")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := func(dir, want string) {
		t.Helper()
		err := New(dir, "greet", Filter, C)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
	f(dir, "it is not empty (it has .hidden)")
	f(mine, "not a directory")
	f(filepath.Join(mine, "below"), "not a directory")
	link := filepath.Join(t.TempDir(), "link") // to nothing
	if err := os.Symlink(filepath.Join(dir, "nothing"), link); err != nil {
		t.Fatal(err)
	}
	f(link, "no such file")
	if got := list(t, dir); !slices.Equal(got, []string{".hidden"}) {
		t.Errorf("files are %q", got)
	}
	if text, err := os.ReadFile(mine); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

// An empty directory will do, such as the one that somebody has just made.
func TestEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := New(dir, "greet", Filter, C); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(list(t, dir), "greet.c") {
		t.Errorf("files are %q", list(t, dir))
	}
	t.Chdir(t.TempDir())
	if err := New(".", "greet", Filter, C); err != nil {
		t.Fatal(err)
	}
}

// What cannot be written as a whole is taken back, and nothing else.
func TestUndo(t *testing.T) {
	parent := t.TempDir()
	there := filepath.Join(parent, "there")
	if err := os.Mkdir(there, 0o755); err != nil {
		t.Fatal(err)
	}
	w := writer{dir: filepath.Join(there, "a", "b")}
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	if err := w.write(file{"c/d", 0o644, []byte("text")}); err != nil {
		t.Fatal(err)
	}
	if err := w.write(file{"c/d", 0o644, []byte("other")}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error of a file that is there: %v", err)
	}
	if err := w.write(file{"c/d/e", 0o644, nil}); err == nil {
		t.Error("a file has a file below it")
	}
	if err := w.undo(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(there); err != nil || len(entries) != 0 {
		t.Errorf("%v are left, %v", entries, err)
	}
}
