package registry

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk that is full at any step of an upload: the error says so, what was there before
// is there after, with nothing besides, and when there is room again so it is for uploads.
func TestDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("a small file system cannot be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(disk, "state")
	s := open(t, dir, Config{})
	put(t, s, "a", "one")
	const page = 4096
	failed, done := 0, 0
	for free := range 8 { // pages: a module of two, and what the records take
		filler := filepath.Join(disk, "filler")
		fill(t, filler)
		left, err := os.Stat(filler)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filler, left.Size()-int64(free*page)); err != nil {
			t.Fatal(err)
		}
		before, modules := versions(t, s), entries(t, dir, "modules")
		module := bytes.Repeat([]byte{byte('a' + free)}, 2*page)
		_, created, err := s.Put("a", API, bytes.NewReader(module), nil)
		if err != nil {
			failed++
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
				t.Errorf("with %d pages: %v", free, err)
			}
			if got := versions(t, s); got != before || entries(t, dir, "modules") != modules || entries(t, dir, "tmp") != 0 {
				t.Errorf("with %d pages there is %s, %d modules, %d files aside; before there was %s", free, got, entries(t, dir, "modules"), entries(t, dir, "tmp"), before)
			}
		} else if done++; !created {
			t.Errorf("with %d pages nothing is created", free)
		}
		if again := open(t, dir, Config{}); versions(t, again) != versions(t, s) {
			t.Errorf("with %d pages a new process finds %s, not %s", free, versions(t, again), versions(t, s))
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Put("a", API, bytes.NewReader(module), nil); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
	}
	if failed < 3 || done == 0 {
		t.Errorf("%d uploads have failed, %d not: the disk was not full at each step", failed, done)
	}
}

// fill fills what is left of the disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// versions says what there is of the name a.
func versions(t *testing.T, s *Store) string {
	t.Helper()
	list, err := s.Versions("a")
	if err != nil {
		t.Fatal(err)
	}
	current, err := s.Current("a")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d of %v", current.Number, list)
}
