// Package examples has no code of its own: its test runs the test.txt of every
// example, a script for edge/edgetest, against sluice with that example's module
// and sluice.yaml.
package examples

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

func TestExamples(t *testing.T) {
	edgetest.Watch(t, ".", ".")
	scripts, err := filepath.Glob("*/test.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("there is no test.txt: %v", err)
	}
	binary := edgetest.Build(t, "..")
	for _, script := range scripts {
		dir := filepath.Dir(script)
		t.Run(dir, func(t *testing.T) {
			modules := build(t, dir)
			edgetest.Run(t, script, func(t testing.TB, work string) edgetest.Proxy {
				for _, module := range modules {
					data, err := os.ReadFile(module)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(work, filepath.Base(module)), data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if err := configure(filepath.Join(dir, "sluice.yaml"), work); err != nil {
					t.Fatal(err)
				}
				return edgetest.Start(t, binary, work)
			})
		})
	}
}

func goBuild(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
}

// build returns an example's modules: the one that its Go package or its crate is
// built into, or those that are kept with it.
func build(t *testing.T, dir string) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "Cargo.toml")); err == nil {
		return []string{buildRust(t, dir)}
	}
	source, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if errors.Is(err, fs.ErrNotExist) {
		kept, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
		if err != nil || len(kept) == 0 {
			t.Fatalf("%s has neither main.go nor a module: %v", dir, err)
		}
		return kept
	}
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), dir+".wasm")
	args := []string{"-o", out, "./" + dir}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil { // what it imports is no matter of sluice's own module
		if text, err := exec.Command("go", "-C", dir, "mod", "download").CombinedOutput(); err != nil {
			t.Skipf("modules of %s cannot be downloaded: %s", dir, text)
		}
		args = []string{"-C", dir, "-tags=no_fs_access", "-o", out, "."}
	}
	if bytes.Contains(source, []byte("/sluice/sdk\"\n")) { // a filter: functions are commands
		args = append(args[:len(args)-1:len(args)-1], "-buildmode=c-shared", args[len(args)-1])
	}
	goBuild(t, []string{"GOOS=wasip1", "GOARCH=wasm"}, args...)
	return []string{out}
}

// buildRust builds a crate by its build.sh, with a toolchain that has the target: the
// first in the path, or Debian's.
func buildRust(t *testing.T, dir string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), dir+".wasm")
	for _, path := range []string{os.Getenv("PATH"), "/usr/bin:" + os.Getenv("PATH")} {
		env := append(os.Environ(), "PATH="+path, "CARGO_TARGET_DIR="+t.TempDir())
		find := exec.Command("sh", "-c", `command -v cargo >/dev/null && test -d "$(rustc --print target-libdir --target wasm32-unknown-unknown)"`)
		find.Env = env
		if find.Run() != nil {
			continue
		}
		cmd := exec.Command("sh", filepath.Join(dir, "build.sh"), out)
		cmd.Env = env
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
		}
		return out
	}
	t.Skip("cargo and the library of wasm32-unknown-unknown are not installed (Debian: cargo rustc libstd-rust-dev-wasm32)")
	return ""
}

// configure writes sluice.yaml of the directory work: that of the example, with
// the addresses that the script's file "addresses" gives for those in it.
func configure(from, work string) error {
	list, err := os.ReadFile(filepath.Join(work, "addresses"))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	addresses := strings.Fields(string(list))
	if len(addresses)%2 != 0 {
		return errors.New("addresses: want two on each line")
	}
	for i := 0; i < len(addresses); i += 2 {
		if !bytes.Contains(text, []byte(addresses[i])) {
			return fmt.Errorf("addresses: %s does not have %s", from, addresses[i])
		}
	}
	changed := strings.NewReplacer(addresses...).Replace(string(text)) + "\nadmin: off\nstate: state\n"
	return os.WriteFile(filepath.Join(work, "sluice.yaml"), []byte(changed), 0o644)
}
