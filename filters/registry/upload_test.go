package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files returns what a directory holds, for comparison.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s: %s\n", path, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func receive(t *testing.T, s *Store, name, module string) *Upload {
	t.Helper()
	up, err := s.Receive(name, strings.NewReader(module), nil)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func accept(t *testing.T, up *Upload) Version {
	t.Helper()
	v, _, err := up.Accept(API)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// An upload that is undone leaves everything as it was, to the byte.
func TestUndo(t *testing.T) {
	f := func(what, module string, prepare func(*Store)) {
		t.Helper()
		dir := t.TempDir()
		s := open(t, dir, Config{Keep: 3})
		prepare(s)
		before := files(t, dir)
		up := receive(t, s, "a", module)
		v := accept(t, up)
		if now, err := s.Current("a"); now != v || err != nil {
			t.Errorf("%s: accepted is %+v, current %+v, %v", what, v, now, err)
		}
		put(t, s, "other", "makes the store sweep")
		if err := s.Remove("other"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(up.Undo(), up.Close()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if after := files(t, dir); after != before {
			t.Errorf("%s: left is\n%s\nwant\n%s", what, after, before)
		}
		open(t, dir, Config{})
	}
	f("the first version", "new", func(*Store) {})
	f("another", "new", func(s *Store) { put(t, s, "a", "1") })
	f("one more than are kept", "new", func(s *Store) {
		for i := range 3 {
			put(t, s, "a", fmt.Sprint(i))
		}
	})
	f("one that it had", "1", func(s *Store) {
		put(t, s, "a", "1")
		put(t, s, "a", "2")
	})
	f("the current one", "1", func(s *Store) { put(t, s, "a", "1") })
	f("of a name that shares it", "1", func(s *Store) { put(t, s, "b", "1") })
}

// What others have done since stays.
func TestUndoLate(t *testing.T) {
	f := func(what string, current int, versions string, meanwhile func(*Store)) {
		t.Helper()
		s := open(t, t.TempDir(), Config{})
		put(t, s, "a", "1")
		up := receive(t, s, "a", "2")
		accept(t, up)
		meanwhile(s)
		if err := errors.Join(up.Undo(), up.Close()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		v, _ := s.Current("a")
		list, _ := s.Versions("a")
		var have []string
		for _, v := range list {
			have = append(have, fmt.Sprint(v.Number))
			if _, err := s.Load(v.Digest); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if v.Number != current || strings.Join(have, " ") != versions {
			t.Errorf("%s: current is %d of %v, want %d of %s", what, v.Number, have, current, versions)
		}
		if before, err := s.Before("a"); err == nil && before.Number == 2 && current != 2 {
			t.Errorf("%s: what was undone can be gone back to", what)
		}
	}
	f("another version", 3, "1 3", func(s *Store) { put(t, s, "a", "3") })
	f("the old one again", 1, "1", func(s *Store) { put(t, s, "a", "1") })
	f("used again", 2, "1 2", func(s *Store) {
		put(t, s, "a", "1")
		put(t, s, "a", "2")
	})
	f("removed", 0, "", func(s *Store) {
		if err := s.Remove("a"); err != nil {
			t.Error(err)
		}
	})
}

// What is closed without having been accepted leaves nothing.
func TestNotAccepted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{Size: 8})
	refused := errors.New("refused")
	if err := receive(t, s, "a", "module").Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Receive("a", strings.NewReader("module"), func([]byte) (string, error) { return "", refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	if _, err := s.Receive("a", strings.NewReader("too large"), nil); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := s.Receive("../a", strings.NewReader("module"), nil); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	if all := files(t, dir); all != "" {
		t.Errorf("left is %s", all)
	}
}

// A directory that cannot be synced may lose what was done to it in a crash. So it is
// undone, and what is in force is what was before, with this process and the next.
func TestSyncFails(t *testing.T) {
	broken := errors.New("broken")
	f := func(what string, do func(*Store) error) {
		t.Helper()
		for _, sub := range []string{"names", "modules"} {
			dir := t.TempDir()
			s := open(t, dir, Config{})
			put(t, s, "a", "1")
			put(t, s, "a", "2")
			before := files(t, dir)
			s.syncDir = func(d string) error {
				if d == filepath.Join(dir, sub) {
					return broken
				}
				return nil
			}
			err := do(s)
			if !errors.Is(err, broken) && sub == "names" {
				t.Errorf("%s: %v", what, err)
			}
			if err == nil {
				continue // it has no module to do with
			}
			if after := files(t, dir); after != before {
				t.Errorf("%s: left is\n%s\nwant\n%s", what, after, before)
			}
			for _, s := range []*Store{s, open(t, dir, Config{})} {
				if v, err := s.Current("a"); v.Number != 2 || err != nil {
					t.Errorf("%s: current is %d, %v", what, v.Number, err)
				}
			}
			if list := s.List(); len(list) != 1 {
				t.Errorf("%s: names are %v", what, list)
			}
		}
	}
	push := func(s *Store, name, module string) error {
		_, _, err := s.Put(name, API, strings.NewReader(module), nil)
		return err
	}
	f("a version", func(s *Store) error { return push(s, "a", "3") })
	f("one that it had", func(s *Store) error { return push(s, "a", "1") })
	f("a name", func(s *Store) error { return push(s, "b", "new") })
	f("use", func(s *Store) error { return third(s.Use("a", 1)) })
	f("back", func(s *Store) error { return second(s.Back("a")) })
	f("remove", func(s *Store) error { return s.Remove("a") })
}

// Where not even that can be done, memory and disk agree at least.
func TestSyncAndUndoFail(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{})
	put(t, s, "a", "1")
	s.syncDir = func(d string) error {
		if d != filepath.Join(dir, "names") {
			return nil
		}
		return errors.Join(errors.New("broken"), os.RemoveAll(filepath.Join(dir, "tmp")))
	}
	if _, _, err := s.Put("a", API, strings.NewReader("2"), nil); err == nil || !strings.Contains(err.Error(), "may not last") {
		t.Errorf("got %v", err)
	}
	for _, s := range []*Store{s, open(t, dir, Config{})} {
		v, err := s.Current("a")
		if v.Number != 2 || err != nil {
			t.Errorf("current is %d, %v", v.Number, err)
		}
		if b, err := s.Load(v.Digest); string(b) != "2" || err != nil {
			t.Errorf("its module is %q, %v", b, err)
		}
	}
}

// What an interrupted upload has left goes; what is of others stays, and so does what
// links lead to.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Config{})
	tmp, away := filepath.Join(dir, "tmp"), filepath.Join(t.TempDir(), "away")
	for _, path := range []string{away, tmp + "/upload-1234", tmp + "/record-77", tmp + "/upload-", tmp + "/upload-1x", tmp + "/mine"} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(away, tmp+"/upload-5"), os.MkdirAll(tmp+"/record-6/full", 0o700)); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Config{})
	if _, err := os.Stat(away); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(tmp)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got, want := strings.Join(left, " "), "mine record-6 upload- upload-1x upload-5"; got != want || err != nil {
		t.Errorf("left is %s, %v; want %s", got, err, want)
	}
}
