package outside

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

var folder = flag.String("outside", "", "folder of modules that TestOutside runs: see README.md")

// TestOutside runs each module of a folder against its script: the one beside it,
// NAME.txt, or the one that is kept in known. What stands behind an @ in the name of a
// module is a version of it.
func TestOutside(t *testing.T) {
	if *folder == "" {
		t.Skip("no folder of modules is named: go test ./filters/outside -run Outside -args -outside DIR")
	}
	modules, err := filepath.Glob(filepath.Join(*folder, "*.wasm"))
	if err != nil || len(modules) == 0 {
		t.Fatalf("there is no module in %q: %v", *folder, err)
	}
	binary := edgetest.Build(t, "../..")
	for _, module := range modules {
		name := strings.TrimSuffix(filepath.Base(module), ".wasm")
		t.Run(name, func(t *testing.T) { runModule(t, binary, scriptOf(t, name), modules, name) })
	}
}

// TestHTTPWasm runs the filters that http-wasm's reference host has as examples, and for
// its own tests, as its Go module has them built.
func TestHTTPWasm(t *testing.T) {
	download(t, "tck")
	out, err := exec.Command("go", "-C", "tck", "list", "-m", "-f", "{{.Dir}}", "github.com/http-wasm/http-wasm-host-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("known/http-wasm-*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("there is no script: %v", err)
	}
	binary := edgetest.Build(t, "../..")
	for _, script := range scripts {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(script), "http-wasm-"), ".txt")
		var modules []string
		for _, dir := range []string{"examples", "internal/test/testdata/e2e", "internal/test/testdata/error"} {
			found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), dir, name+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			modules = append(modules, found...)
		}
		if len(modules) != 1 {
			t.Fatalf("%s is there %d times", name, len(modules))
		}
		t.Run(name, func(t *testing.T) { runModule(t, binary, script, modules, name) })
	}
}

// runModule runs the script for the one of the modules that is called name.
func runModule(t *testing.T, binary, script string, modules []string, name string) {
	t.Helper()
	t.Parallel() // most of it waits
	edgetest.Run(t, script, func(t testing.TB, work string) edgetest.Proxy {
		link(t, modules, name, work)
		return startPlain(t, binary, work)
	})
}

// scriptOf returns the file that says what a module does.
func scriptOf(t *testing.T, name string) string {
	t.Helper()
	base, _, _ := strings.Cut(name, "@")
	places := []string{
		filepath.Join(*folder, name+".txt"), filepath.Join(*folder, base+".txt"),
		filepath.Join("known", name+".txt"), filepath.Join("known", base+".txt"),
	}
	for _, place := range places {
		if _, err := os.Stat(place); err == nil {
			return place
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Fatalf("nothing says what the module does: write %s", places[0])
	return ""
}

// link puts modules into the directory work: the one called name as filter.wasm, the
// others by their names, or if they have its version by their names without that.
func link(t testing.TB, modules []string, name, work string) {
	t.Helper()
	_, version, versioned := strings.Cut(name, "@")
	links := make(map[string]string)
	for _, module := range modules {
		path, err := filepath.Abs(module)
		if err != nil {
			t.Fatal(err)
		}
		as := strings.TrimSuffix(filepath.Base(module), ".wasm")
		base, of, _ := strings.Cut(as, "@")
		switch {
		case as == name:
			links["filter"] = path
		case versioned && of == version:
			links[base] = path
		case links[as] == "": // that of the version is taken before
			links[as] = path
		}
	}
	for as, path := range links {
		if err := os.Symlink(path, filepath.Join(work, as+".wasm")); err != nil {
			t.Fatal(err)
		}
	}
}

// startPlain starts sluice with the sluice.yaml of a script, which need not say what is
// the same in all.
func startPlain(t testing.TB, binary, work string) edgetest.Proxy {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(work, "sluice.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("\nadmin: off\nstate: state\n")
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return edgetest.Start(t, binary, work)
}
