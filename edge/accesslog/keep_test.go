package accesslog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	must(t, errors.Join(err, z.Close()))
	return b.String()
}

// at returns the path of the n-th file that was rotated.
func at(dir string, n int) string {
	return filepath.Join(dir, fmt.Sprintf("access-20261121T0537%02d.123.log", n))
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	for i := 1; i <= 9; i++ {
		save(t, at(dir, i), fmt.Sprintln(i))
	}
	save(t, at(dir, 2)+gzSuffix, zipped(t, "2\n")) // a file in two forms is one
	save(t, at(dir, 8)+gzSuffix, zipped(t, "8\n"))
	others := []string{"access-20261121T053700.123.log.1", "access-notes.log", "error-20261121T053700.123.log"}
	for _, name := range others {
		save(t, filepath.Join(dir, name), "not ours\n")
	}
	must(t, os.Mkdir(filepath.Join(dir, "access-20261121T053699.123.log"), 0o700)) // no such second
	must(t, os.Mkdir(at(dir, 10), 0o700))
	must(t, os.Symlink(path, at(dir, 11)))
	f := open(t, FileConfig{Path: path, Size: 10, Keep: 3})
	must(t, f.Close())
	sameFiles(t, "files", files(t, path), "access-20261121T053699.123.log", others[0], at("", 7), at("", 8), at("", 8)+gzSuffix, at("", 9), at("", 10), at("", 11),
		others[1], "access.log", others[2])
}

// With each rotation the oldest goes.
func TestKeepWhileRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) {
		f := open(t, FileConfig{Path: path, Age: time.Minute, Keep: 2, Compress: true})
		for i := range 5 {
			put(t, f, fmt.Sprintln(i))
			<-time.After(time.Minute)
		}
		must(t, f.Close())
	})
	sameFiles(t, "files", files(t, path), "access-20000101T000300.000.log.gz", "access-20000101T000400.000.log.gz", "access.log")
	if got, want := unzip(t, filepath.Join(filepath.Dir(path), "access-20000101T000400.000.log.gz")), "3\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a process that has died has left is finished, undone or removed at the next
// start.
func TestAfterACrash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	save(t, at(dir, 1), "not compressed\n")
	save(t, at(dir, 2), "half compressed\n")
	save(t, at(dir, 2)+tmpSuffix, zipped(t, "half compressed\n")[:20])
	save(t, at(dir, 3), "compressed, and not removed\n")
	save(t, at(dir, 3)+gzSuffix, zipped(t, "compressed, and not removed\n"))
	save(t, at(dir, 4), "compressed, and then written to\nonce more\n")
	save(t, at(dir, 4)+gzSuffix, zipped(t, "compressed, and then written to\n"))
	save(t, at(dir, 5), "") // a name that was claimed
	hourAgo := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(at(dir, 5), hourAgo, hourAgo))
	save(t, at(dir, 8), "") // one that is being claimed
	save(t, at(dir, 6)+tmpSuffix, "")
	save(t, at(dir, 7), "damaged\n")
	save(t, at(dir, 7)+gzSuffix, "x")
	f := open(t, FileConfig{Path: path, Size: 10, Compress: true})
	must(t, f.Close())
	for i, want := range map[int]string{1: "not compressed\n", 2: "half compressed\n", 3: "compressed, and not removed\n",
		4: "compressed, and then written to\nonce more\n", 7: "damaged\n"} {
		if got := unzip(t, at(dir, i)+gzSuffix); got != want {
			t.Errorf("%d: got %q, want %q", i, got, want)
		}
	}
	sameFiles(t, "files", files(t, path), at("", 1)+gzSuffix, at("", 2)+gzSuffix, at("", 3)+gzSuffix, at("", 4)+gzSuffix, at("", 7)+gzSuffix, at("", 8), "access.log")
}

// A compressed file says what it was, and when.
func TestCompressedHeader(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	save(t, at(dir, 1), "one\n")
	then := time.Date(2026, 11, 21, 5, 37, 2, 0, time.UTC)
	must(t, os.Chtimes(at(dir, 1), then, then))
	f := open(t, FileConfig{Path: path, Size: 10, Compress: true})
	must(t, f.Close())
	z, err := gzip.NewReader(strings.NewReader(read(t, at(dir, 1)+gzSuffix)))
	must(t, err)
	if z.Name != at("", 1) || !z.ModTime.Equal(then) {
		t.Errorf("got %s of %v, want %s of %v", z.Name, z.ModTime, at("", 1), then)
	}
	info, err := os.Stat(at(dir, 1) + gzSuffix)
	must(t, err)
	if !info.ModTime().Equal(then) {
		t.Errorf("got a file of %v, want one of %v", info.ModTime(), then)
	}
}

// A process that has the file open still, and does not know that it was rotated,
// writes to its end, and then finds it gone.
func TestLateWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	late := open(t, FileConfig{Path: path})
	put(t, late, strings.Repeat("early\n", 100_000))
	size, err := late.hold() // as if it was within a write
	must(t, err)
	must(t, os.Rename(path, at(dir, 1)))
	f := open(t, FileConfig{Path: path, Size: 1 << 20, Compress: true, Linger: time.Minute})
	closed := make(chan error, 1)
	go func() { closed <- f.Close() }() // which waits for the housekeeper
	if _, err := late.append(size, []byte("late\n"), time.Now()); err != nil {
		t.Error(err)
	}
	late.release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got, want := unzip(t, at(dir, 1)+gzSuffix), strings.Repeat("early\n", 100_000)+"late\n"; got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	put(t, late, "later\n")
	if got, want := read(t, path), "later\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Close waits for what is being compressed, but not for ever: here for another
// process, which looks after the files of the directory.
func TestCloseGivesUpCompressing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	save(t, at(dir, 1), "one\n")
	busy, err := os.Open(dir)
	must(t, err)
	defer busy.Close()
	must(t, lock(busy, syscall.LOCK_EX))
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := open(t, FileConfig{Path: path, Size: 10, Compress: true, Linger: 3 * time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))})
		put(t, f, "still written\n")
		start := time.Now()
		must(t, f.Close())
		if got, want := time.Since(start), 3*time.Second; got != want {
			t.Errorf("got %v, want Close to wait for %v", got, want)
		}
		if log.Len() > 0 {
			t.Errorf("got %s, want no report", &log)
		}
	})
	sameFiles(t, "files", files(t, path), at("", 1), "access.log")
	must(t, lock(busy, syscall.LOCK_UN))
	must(t, open(t, FileConfig{Path: path, Size: 10, Compress: true}).Close())
	sameFiles(t, "files", files(t, path), at("", 1)+gzSuffix, "access.log")
}

// Compressing that is stopped on the way leaves the file as it was.
func TestStoppedCompressing(t *testing.T) {
	dir := t.TempDir()
	save(t, at(dir, 1), strings.Repeat("a line\n", 100_000))
	f := &File{stop: make(chan struct{})}
	close(f.stop)
	if err := f.compress(at(dir, 1)); !errors.Is(err, errStopped) {
		t.Errorf("got %v, want %v", err, errStopped)
	}
	sameFiles(t, "files", files(t, at(dir, 1)), at("", 1))
	if got, want := len(read(t, at(dir, 1))), 700_000; got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
}

// What cannot be removed or compressed is told now and then, and tried again.
func TestSweepFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	save(t, at(dir, 1), "one\n")
	must(t, os.MkdirAll(filepath.Join(at(dir, 1)+tmpSuffix, "in the way"), 0o700))
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		f := open(t, FileConfig{Path: path, Age: time.Second, Compress: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 15 {
			put(t, f, "line\n")
			<-time.After(time.Second)
		}
		synctest.Wait()
		if got := strings.Count(log.String(), "rotated access logs cannot be looked after"); got != 2 {
			t.Errorf("got %d reports in 15s, want 2: %s", got, &log)
		}
		if !strings.Contains(log.String(), "file exists") {
			t.Errorf("the report says no cause: %s", &log)
		}
		must(t, os.RemoveAll(at(dir, 1)+tmpSuffix))
		put(t, f, "line\n")
		must(t, f.Close())
	})
	if got := allLines(t, path, true); len(got) != 17 {
		t.Errorf("got %d lines, want 17", len(got))
	}
}

// A planted link is not followed.
func TestCompressFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "access.log"), filepath.Join(t.TempDir(), "victim")
	save(t, victim, "victim\n")
	save(t, at(dir, 1), "one\n")
	must(t, os.Symlink(victim, at(dir, 1)+tmpSuffix))
	must(t, os.Symlink(victim, at(dir, 2)))
	f := open(t, FileConfig{Path: path, Size: 10, Keep: 1, Compress: true})
	must(t, f.Close())
	if got, want := read(t, victim), "victim\n"; got != want {
		t.Errorf("got %q, want it untouched", got)
	}
	if got := mode(t, at(dir, 2)).Type(); got != os.ModeSymlink {
		t.Errorf("the link is now %v", got)
	}
}
