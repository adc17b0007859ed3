package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// fakeConfig is an admin API whose configuration is files. It reads one again when it
// says what is in force.
func fakeConfig(t *testing.T, c api.Configuration) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/config", func(w http.ResponseWriter, _ *http.Request) {
		now := c
		now.Texts = slices.Clone(c.Texts)
		for i, t := range c.Effective {
			if b, err := os.ReadFile(t.Name); err == nil && string(b) == t.Text {
				now.Texts[i].Text = t.Text
			}
		}
		answer(w, 200, now)
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, api.Status{}) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Setenv("SLUICE_ADMIN", s.URL)
	t.Setenv("SLUICE_TOKEN", "")
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// apply --write replaces files whole, and keeps what they are.
func TestApplyWrite(t *testing.T) {
	dir := t.TempDir()
	main, real, more := filepath.Join(dir, "sluice.yaml"), filepath.Join(dir, "real.yaml"), filepath.Join(dir, "more.yaml")
	write(t, real, "old\n", 0o604)
	write(t, more, "same\n", 0o600)
	if os.Getuid() == 0 {
		if err := os.Chown(real, 12, 34); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("real.yaml", main); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(main)
	if err != nil {
		t.Fatal(err)
	}
	fakeConfig(t, api.Configuration{File: main,
		Texts:     []api.Text{{Name: main, Text: "old\n"}, {Name: more, Text: "same\n"}},
		Effective: []api.Text{{Name: main, Text: "new\n"}, {Name: more, Text: "same\n"}}})

	if got := sluice(t, "apply", "--write", "--dry-run"); !strings.Contains(got, "-old\n+new\n") || !strings.HasSuffix(got, "exit 0\n") || read(t, main) != "old\n" {
		t.Errorf("dry run: got %s, and the file has %q", got, read(t, main))
	}
	if got, want := sluice(t, "apply", "--write"), main+" is written\n--- exit 0\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := read(t, real); got != "new\n" {
		t.Errorf("the file has %q", got)
	}
	if to, err := os.Readlink(main); err != nil || to != "real.yaml" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	after, err := os.Stat(main)
	if err != nil {
		t.Fatal(err)
	}
	was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	if after.Mode() != before.Mode() || is.Uid != was.Uid || is.Gid != was.Gid {
		t.Errorf("got %v of %d:%d, want %v of %d:%d", after.Mode(), is.Uid, is.Gid, before.Mode(), was.Uid, was.Gid)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("got %v, %v, want three files", left, err)
	}

	// Again; and then the file is not what was read.
	if got, want := sluice(t, "apply", "--write"), "--- stderr\nThe files say already what is in force.\n--- exit 0\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	write(t, real, "edited\n", 0o604)
	got := sluice(t, "apply", "--write")
	if !strings.Contains(got, "is not what the proxy has read") || !strings.HasSuffix(got, "exit 1\n") {
		t.Errorf("got %s", got)
	}
}

// If one of several files cannot be written, none is.
func TestApplyWriteAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, a, "old\n", 0o644)
	c := api.Configuration{File: a, Texts: []api.Text{{Name: a, Text: "old\n"}, {Name: b, Text: "old\n"}}, Effective: []api.Text{{Name: a, Text: "new\n"}, {Name: b, Text: "new\n"}}}
	fakeConfig(t, c)
	f := func(want string) {
		t.Helper()
		if got := sluice(t, "apply", "--write"); !strings.Contains(got, want) || !strings.HasSuffix(got, "exit 1\n") {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := read(t, a); got != "old\n" {
			t.Errorf("the first file has %q", got)
		}
	}
	f("b.yaml is not here")
	write(t, b, "edited\n", 0o644)
	f("b.yaml is not what the proxy has read")
	if got := read(t, b); got != "edited\n" {
		t.Errorf("the second file has %q", got)
	}
}

// An editor that is faster wins.
func TestEditRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	write(t, path, "edited\n", 0o644)
	e := &edit{path, []byte("old\n"), []byte("new\n")}
	if err := e.write(); err == nil || read(t, path) != "edited\n" {
		t.Errorf("got %v, and the file has %q", err, read(t, path))
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("got %v, %v, want one file", left, err)
	}
}

func TestApplyWriteWithoutFile(t *testing.T) {
	fakeConfig(t, api.Configuration{Texts: []api.Text{{Name: "demo", Text: "a"}}, Effective: []api.Text{{Name: "demo", Text: "b"}}})
	if got, want := sluice(t, "apply", "--write"), "--- stderr\nsluice: the proxy runs without a configuration file: there is nothing to write to\n--- exit 1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
