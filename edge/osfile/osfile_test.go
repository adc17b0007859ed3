package osfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// A directory that cannot be synced may lose the change in a crash: so what was there
// before is put back.
func TestReplaceNotSynced(t *testing.T) {
	broken := errors.New("broken")
	for name, before := range map[string]string{"there": "before", "new": ""} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if before != "" {
			if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := replace(path, []byte("after"), func(string) error {
			if b, err := os.ReadFile(path); string(b) != "after" {
				t.Errorf("%s: synced is %q, %v", name, b, err)
			}
			return broken
		})
		unclear, ok := errors.AsType[*Unclear](err)
		if !errors.Is(err, broken) || ok {
			t.Errorf("%s: got %v, %v", name, err, unclear)
		}
		b, err := os.ReadFile(path)
		if string(b) != before || (before == "") != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: it holds %q, %v", name, b, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 1 {
			t.Errorf("%s: left is %v, %v", name, left, err)
		}

		// Nor can it be put back: who asked is told what is in doubt.
		err = replace(path, []byte("after"), func(string) error {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
			return broken
		})
		if _, ok := errors.AsType[*Unclear](err); !errors.Is(err, broken) || !ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What was left behind goes; what is of others stays, and what links lead to.
func TestClean(t *testing.T) {
	dir, away := t.TempDir(), filepath.Join(t.TempDir(), "away")
	write := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.CreateTemp(dir, aside+"*") // as Replace makes it
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	write(away)
	for _, name := range []string{".new-1", ".new-", ".new-1x", ".new-1.json", "file"} {
		write(filepath.Join(dir, name))
	}
	if err := errors.Join(os.Symlink(away, filepath.Join(dir, ".new-2")), os.MkdirAll(filepath.Join(dir, ".new-3", "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{".new-", ".new-1.json", ".new-1x", ".new-2", ".new-3", "file"}; !slices.Equal(left, want) || err != nil {
		t.Errorf("left is %q, %v; want %q", left, err, want)
	}
	if _, err := os.Stat(away); err != nil {
		t.Error(err)
	}
	if err := Clean(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
