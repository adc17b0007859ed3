package osfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("file"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": "file", "pipe-link": "pipe", "loop": "loop"} {
		if err := os.Symlink(to, path(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path  string
		limit int64
		want  error
	}{
		{path("file"), 5, nil},
		{path("link"), 100, nil},
		{path("file"), 4, ErrTooLarge},
		{path("pipe"), 5, ErrIrregular}, // nobody writes to it
		{path("pipe-link"), 5, ErrIrregular},
		{dir, 5, ErrIrregular},
		{"/dev/zero", 5, ErrIrregular},
		{path("none"), 5, fs.ErrNotExist},
		{path("loop"), 5, syscall.ELOOP},
	} {
		b, err := Read(c.path, c.limit)
		if !errors.Is(err, c.want) || err == nil && string(b) != "12345" {
			t.Errorf("%s, %d bytes: %q, %v; want %v", c.path, c.limit, b, err, c.want)
		}
		if failed, ok := errors.AsType[*fs.PathError](err); err != nil && (!ok || failed.Path != c.path) {
			t.Errorf("%s: %v does not name it", c.path, err)
		}
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"first", "second"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if string(b) != text || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	// What cannot be replaced leaves nothing behind.
	if err := os.MkdirAll(filepath.Join(dir, "taken", "by"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(filepath.Join(dir, "taken"), nil); err == nil {
		t.Error("a directory was replaced")
	}
	if err := Replace(filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left is %v, %v", left, err)
	}
}
