package sdk

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// apart is what lies here and is not for projects: examples, what builds them, and
// what was built.
var apart = regexp.MustCompile(`^(examples|c/examples|assemblyscript/(examples|node_modules)|rust/target)(/|$)|build\.sh$|\.gitignore$|\.wasm$|Cargo\.lock$|/package(-lock)?\.json$`)

// Source has all that a guest is built of and nothing else.
func TestSource(t *testing.T) {
	var want []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case apart.MatchString(path) && d.IsDir():
			return fs.SkipDir
		case !apart.MatchString(path) && !d.IsDir() && !strings.HasSuffix(path, "_test.go") && path != "source.go":
			want = append(want, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = fs.WalkDir(Source(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		got = append(got, path)
		have, err := fs.ReadFile(Source(), path)
		if err != nil {
			return err
		}
		if lies, err := os.ReadFile(path); err != nil || !bytes.Equal(have, lies) {
			t.Errorf("%s is not the file that lies here: %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The licence is that of the whole.
func TestLicense(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("..", "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"LICENSE", "rust/LICENSE", "assemblyscript/LICENSE"} {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from the one of the module: %v", name, err)
		}
	}
}
