package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// open returns a File that is closed at the end of the test.
func open(t *testing.T, cfg FileConfig) *File {
	t.Helper()
	f, err := OpenFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// put writes lines, of which all must be taken.
func put(t *testing.T, f *File, lines string) {
	t.Helper()
	if n, err := f.Write([]byte(lines)); err != nil || n != len(lines) {
		t.Errorf("write %q: %d, %v", lines, n, err)
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

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func TestFileIsMade(t *testing.T) {
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "log", "sluice", "access.log")
	f := open(t, FileConfig{Path: path})
	put(t, f, "one\n")
	must(t, f.Close())
	if got, want := mode(t, path), os.FileMode(0o640); got != want {
		t.Errorf("file: got %v, want %v", got, want)
	}
	if got, want := mode(t, filepath.Dir(path)), os.ModeDir|0o750; got != want {
		t.Errorf("directory: got %v, want %v", got, want)
	}
	must(t, os.Chmod(path, 0o600))
	f = open(t, FileConfig{Path: path})
	put(t, f, "two\nthree\n")
	if got, want := read(t, path), "one\ntwo\nthree\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := mode(t, path), os.FileMode(0o600); got != want {
		t.Errorf("a file that is there: got %v, want it left as %v", got, want)
	}
	must(t, f.Close())
	if _, err := f.Write([]byte("late\n")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: got %v, want %v", err, os.ErrClosed)
	}
	if err := f.Reopen(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Reopen after Close: got %v, want %v", err, os.ErrClosed)
	}
	must(t, f.Close())
}

// What somebody has left of a line is ended before the next.
func TestTornEndIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	save(t, path, "one\ntw")
	f := open(t, FileConfig{Path: path})
	put(t, f, "three\n")
	other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	defer other.Close()
	other.WriteString("fo")
	put(t, f, "five\n")
	put(t, f, "six\n")
	if got, want := read(t, path), "one\ntw\nthree\nfo\nfive\nsix\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	must(t, os.Truncate(path, 0)) // logrotate's copytruncate
	put(t, f, "seven\n")
	if got, want := read(t, path), "seven\n"; got != want {
		t.Errorf("after somebody has emptied it: got %q, want %q", got, want)
	}
}

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	save(t, filepath.Join(dir, "file"), "")
	f := func(path, want string) {
		t.Helper()
		if file, err := OpenFile(FileConfig{Path: path}); err == nil {
			file.Close()
			t.Errorf("%s: it can be opened", path)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", path, err, want)
		}
	}
	f(pipe, "not a regular file; stdout and stderr are written by these words")
	f("/dev/null", "not a regular file")
	f(dir, "is a directory")
	f(filepath.Join(dir, "file", "access.log"), "make the directory of the access log: mkdir "+filepath.Join(dir, "file")+": not a directory")
}

// As logrotate does it: the renamed file is written to until Reopen.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	f := open(t, FileConfig{Path: path})
	put(t, f, "one\n")
	must(t, os.Rename(path, path+".1"))
	put(t, f, "two\n")
	if _, err := os.Lstat(path); err == nil {
		t.Error("the file is there again before Reopen")
	}
	must(t, f.Reopen())
	if got := read(t, path); got != "" {
		t.Errorf("after Reopen: got %q, want a new file", got)
	}
	put(t, f, "three\n")
	must(t, f.Reopen()) // and nothing has changed
	put(t, f, "four\n")
	if got, want := read(t, path+".1"), "one\ntwo\n"; got != want {
		t.Errorf("old file: got %q, want %q", got, want)
	}
	if got, want := read(t, path), "three\nfour\n"; got != want {
		t.Errorf("new file: got %q, want %q", got, want)
	}

	// Nothing can be opened there: the old one goes on.
	must(t, os.Rename(path, path+".2"))
	must(t, os.Mkdir(path, 0o700))
	if err := f.Reopen(); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("got %v, want that it is a directory", err)
	}
	put(t, f, "five\n")
	if got, want := read(t, path+".2"), "three\nfour\nfive\n"; got != want {
		t.Errorf("old file: got %q, want %q", got, want)
	}
}

// A file that was removed is made anew, its directory too.
func TestRemovedFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	path := filepath.Join(dir, "access.log")
	f := open(t, FileConfig{Path: path})
	put(t, f, "one\n")
	must(t, os.RemoveAll(dir))
	put(t, f, "two\n")
	if got, want := read(t, path), "two\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	must(t, os.RemoveAll(dir)) // and now nothing can be made there
	save(t, dir, "")
	if n, err := f.Write([]byte("three\n")); n != 0 || err == nil {
		t.Errorf("got %d, %v, want an error", n, err)
	}
	must(t, os.Remove(dir))
	put(t, f, "four\n")
	if got, want := read(t, path), "four\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Of a line that the disk takes a part of nothing stays.
func TestPartialWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	f := open(t, FileConfig{Path: path})
	full := errors.New("no space left on device")
	room := 0
	f.write = func(file *os.File, p []byte) (int, error) {
		n, _ := file.Write(p[:min(room, len(p))])
		if room -= n; n < len(p) {
			return n, full
		}
		return n, nil
	}
	check := func(lines string, wantN int, want string) {
		t.Helper()
		n, err := f.Write([]byte(lines))
		if n != wantN || (err != nil) != (wantN < len(lines)) {
			t.Errorf("%q: got %d, %v, want %d", lines, n, err, wantN)
		}
		if got := read(t, path); got != want {
			t.Errorf("%q: got %q, want %q", lines, got, want)
		}
	}
	room = 6
	check("one\ntwo\nthree\n", 4, "one\n")
	room = 2
	check("four\n", 0, "one\n")
	check("five\n", 0, "one\n")
	room = 100
	check("six\n", 4, "one\nsix\n")

	// Who does not heed the lock has written behind the part of the line: it stays,
	// and is ended.
	f.write = func(file *os.File, p []byte) (int, error) {
		file.Write(p[:3])
		other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		defer other.Close()
		other.WriteString("<other>")
		return 3, full
	}
	check("seven\n", 0, "one\nsix\nsev<other>")
	f.write = func(*os.File, []byte) (int, error) { return 0, full }
	check("eight\n", 0, "one\nsix\nsev<other>")
	f.write = (*os.File).Write
	check("nine\n", 5, "one\nsix\nsev<other>\nnine\n")
}

// A disk that does not answer costs lines. Who waits for it gives up.
func TestStuckFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) {
		f, err := OpenFile(FileConfig{Path: path, Linger: 3 * time.Second})
		must(t, err)
		stuck := make(chan struct{})
		f.write = func(file *os.File, p []byte) (int, error) {
			<-stuck
			return file.Write(p)
		}
		l := New(Config{Output: f})
		l.write([]byte("one\n"))
		<-time.After(time.Second)
		start := time.Now()
		for what, do := range map[string]func() error{"Reopen": f.Reopen, "Close": f.Close} {
			if err := do(); !errors.Is(err, errFileStuck) {
				t.Errorf("%s: got %v, want %v", what, err, errFileStuck)
			}
		}
		if err := l.Close(); !errors.Is(err, errStuck) {
			t.Errorf("got %v, want %v", err, errStuck)
		}
		if got, want := time.Since(start), 8*time.Second; got != want {
			t.Errorf("got %v, want it all to give up after %v", got, want)
		}
		close(stuck)
		synctest.Wait()
		must(t, f.Close())
	})
	if got, want := read(t, path), "one\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSymbolicLinks(t *testing.T) {
	dir, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(data, 0o700))
	link, real := filepath.Join(dir, "access.log"), filepath.Join(data, "real.log")
	must(t, os.Symlink(real, link)) // which is not there yet
	synctest.Test(t, func(t *testing.T) {
		f := open(t, FileConfig{Path: link, Size: 10})
		put(t, f, "one\ntwo\nthree\n")
		must(t, f.Close())
	})
	if got := mode(t, link).Type(); got != os.ModeSymlink {
		t.Errorf("the link is now %v", got)
	}
	if got, want := read(t, real), "three\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := read(t, filepath.Join(data, "real-20000101T000000.000.log")), "one\ntwo\n"; got != want {
		t.Errorf("rotated, beside the real file: got %q, want %q", got, want)
	}
}

// Two that have the file open, as two processes do, lose and tear nothing, while
// both rotate and compress it.
func TestTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	var log syncBuffer
	cfg := FileConfig{Path: path, Size: 4 << 10, Compress: true, Linger: time.Minute, Log: slog.New(slog.NewTextHandler(&log, nil))}
	var all sync.WaitGroup
	const batches, lines = 200, 5
	for w := range 2 {
		f := open(t, cfg)
		all.Go(func() {
			for i := range batches {
				var b bytes.Buffer
				for j := range lines {
					fmt.Fprintf(&b, "writer %d, batch %d, line %d of a length that varies%s\n", w, i, j, strings.Repeat(".", i%37))
				}
				if n, err := f.Write(b.Bytes()); err != nil || n != b.Len() {
					t.Errorf("got %d, %v", n, err)
				}
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	count := make(map[string]int)
	for _, line := range allLines(t, path, true) {
		count[line]++
	}
	for w := range 2 {
		for i := range batches {
			for j := range lines {
				line := fmt.Sprintf("writer %d, batch %d, line %d of a length that varies%s\n", w, i, j, strings.Repeat(".", i%37))
				if count[line] != 1 {
					t.Errorf("%d times %q", count[line], line)
				}
			}
		}
	}
	if len(count) != 2*batches*lines {
		t.Errorf("got %d different lines, want %d", len(count), 2*batches*lines)
	}
	if log.String() != "" {
		t.Error(log.String())
	}
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var _ io.WriteCloser = (*File)(nil)
