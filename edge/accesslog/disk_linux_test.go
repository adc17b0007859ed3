package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// smallDisk mounts a file system of 64 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A full disk costs lines, which are counted and told, and nothing else. When
// there is room again, lines are written again, and none is torn.
func TestRealFullDisk(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "access.log")
	save(t, filepath.Join(dir, "ballast"), strings.Repeat("x", 32<<10))
	line := []byte(strings.Repeat("l", 99) + "\n")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		f, err := OpenFile(FileConfig{Path: path, Log: logger})
		must(t, err)
		l := New(Config{Output: f, Log: logger})
		const each = 100 // bytes: a write of them does not end with a page
		write := func(n int) {
			for range n {
				for range each {
					l.write(line)
				}
				<-time.After(time.Second)
				synctest.Wait()
			}
		}
		whole := func() int {
			text := read(t, path)
			if !strings.HasSuffix(text, "\n") || strings.Count(text, "\n") != len(text)/len(line) {
				t.Errorf("the file of %d bytes has a torn line", len(text))
			}
			return len(text) / len(line)
		}
		write(20)
		if got, want := whole(), 32<<10/len(line); got != want {
			t.Errorf("got %d lines on the disk, want %d", got, want)
		}
		if got, want := l.Dropped(), uint64(20*each-whole()); got != want {
			t.Errorf("got %d lines dropped, want %d", got, want)
		}
		if got := strings.Count(log.String(), `msg="access log lines lost"`); got != 2 || !strings.Contains(log.String(), "no space left on device") {
			t.Errorf("got %d reports in 20s, want 2: %s", got, &log)
		}
		must(t, os.Remove(filepath.Join(dir, "ballast")))
		write(1)
		if got, want := whole(), 32<<10/len(line)+each; got != want {
			t.Errorf("when there is room again: got %d lines, want %d", got, want)
		}
		if !strings.Contains(log.String(), "the access log is written again") {
			t.Errorf("got no word of it: %s", &log)
		}
		must(t, errors.Join(l.Close(), f.Close()))
	})
}

// Nor is there room for the compressed file: the file stays as it is, and is
// compressed later.
func TestCompressOnFullDisk(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "access.log")
	save(t, at(dir, 1), strings.Repeat("one\n", 1000))
	save(t, filepath.Join(dir, "ballast"), strings.Repeat("x", 60<<10))
	var log bytes.Buffer
	cfg := FileConfig{Path: path, Size: 1 << 20, Compress: true, Log: slog.New(slog.NewTextHandler(&log, nil))}
	must(t, open(t, cfg).Close())
	if !strings.Contains(log.String(), "no space left on device") {
		t.Errorf("got no report: %s", &log)
	}
	sameFiles(t, "files", files(t, path), at("", 1), "access.log", "ballast")
	must(t, os.Remove(filepath.Join(dir, "ballast")))
	must(t, open(t, cfg).Close())
	if got, want := unzip(t, at(dir, 1)+gzSuffix), strings.Repeat("one\n", 1000); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

// The end of a file is read under its lock: what a process adds that still writes
// to it, while it is compressed, is in the compressed file too.
func TestCompressWaitsForTheLastWriter(t *testing.T) {
	dir := t.TempDir()
	text := strings.Repeat("early\n", 1000)
	save(t, at(dir, 1), text)
	late, err := os.OpenFile(at(dir, 1), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	t.Cleanup(func() { late.Close() }) // which gives up the lock
	info, err := late.Stat()
	must(t, err)
	must(t, lock(late, syscall.LOCK_EX))

	from, err := os.Open(at(dir, 1))
	must(t, err)
	defer from.Close()
	to, err := os.Create(at(dir, 1) + gzSuffix)
	must(t, err)
	f := &File{stop: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- f.squeeze(to, from, info) }()
	waiting := regexp.MustCompile(fmt.Sprintf(`-> FLOCK .*:%d `, info.Sys().(*syscall.Stat_t).Ino))
	for waits := false; !waits; {
		select {
		case err := <-done:
			t.Fatalf("it has ended, with %v, while the file is locked", err)
		default:
		}
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Skipf("who waits for a lock cannot be seen here: %v", err)
		}
		waits = waiting.Match(locks)
		runtime.Gosched()
	}
	_, err = late.WriteString("late\n")
	must(t, errors.Join(err, lock(late, syscall.LOCK_UN)))
	must(t, <-done)
	if got, want := unzip(t, at(dir, 1)+gzSuffix), text+"late\n"; got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}
