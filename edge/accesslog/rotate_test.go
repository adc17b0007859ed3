package accesslog

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// names of the files in the directory of path.
func files(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// allLines returns the lines of all files in the directory of path, of which those
// that were rotated are compressed or not.
func allLines(t *testing.T, path string, compressed bool) []string {
	t.Helper()
	var all []string
	for _, name := range files(t, path) {
		at := filepath.Join(filepath.Dir(path), name)
		text := ""
		switch {
		case at == path:
			text = read(t, at)
		case strings.HasSuffix(name, gzSuffix) != compressed:
			t.Errorf("file %s: want compressed files: %v", name, compressed)
		case compressed:
			text = unzip(t, at)
		default:
			text = read(t, at)
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			t.Errorf("%s ends with %q", name, text[max(0, len(text)-20):])
		}
		all = slices.AppendSeq(all, strings.Lines(text))
	}
	return all
}

func unzip(t *testing.T, path string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(read(t, path)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(b)
}

func sameFiles(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRotateBySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) { // 2000-01-01T00:00:00Z, and no time passes
		f := open(t, FileConfig{Path: path, Size: 10})
		put(t, f, "11\n22\n33\n44\n55\n") // 9 bytes fit
		put(t, f, "666\n")                // fills it
		put(t, f, "a line of more than that\n")
		put(t, f, "7\n8")
		put(t, f, "\n")
		must(t, f.Close())
	})
	dir := filepath.Dir(path) + "/"
	sameFiles(t, "files", files(t, path), "access-20000101T000000.000.log", "access-20000101T000000.001.log", "access-20000101T000000.002.log", "access.log")
	for name, want := range map[string]string{
		"access-20000101T000000.000.log": "11\n22\n33\n",
		"access-20000101T000000.001.log": "44\n55\n666\n",
		"access-20000101T000000.002.log": "a line of more than that\n",
		"access.log":                     "7\n8\n",
	} {
		if got := read(t, dir+name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// An age ends at its multiples, in UTC, with the first line behind one; also for a
// file that a process before has written.
func TestRotateByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) { // 2000-01-01T00:00:00Z
		cfg := FileConfig{Path: path, Age: 24 * time.Hour, Size: 100}
		f := open(t, cfg)
		<-time.After(23 * time.Hour)
		put(t, f, "saturday\n")
		<-time.After(59*time.Minute + 59*time.Second)
		put(t, f, "saturday, late\n")
		<-time.After(time.Second)
		put(t, f, "sunday\n")
		must(t, f.Close())
		must(t, os.Chtimes(path, time.Now(), time.Now()))

		<-time.After(12 * time.Hour)
		f = open(t, cfg) // the same day
		put(t, f, "sunday, later\n")
		must(t, f.Close())
		must(t, os.Chtimes(path, time.Now(), time.Now()))

		<-time.After(36 * time.Hour)
		f = open(t, cfg)
		put(t, f, "tuesday\n")
		<-time.After(72 * time.Hour)
		put(t, f, strings.Repeat("f", 90)+"\n"+strings.Repeat("g", 90)+"\n") // both limits
		must(t, f.Close())
	})
	dir := filepath.Dir(path) + "/"
	for name, want := range map[string]string{
		"access-20000102T000000.000.log": "saturday\nsaturday, late\n",
		"access-20000104T000000.000.log": "sunday\nsunday, later\n",
		"access-20000107T000000.000.log": "tuesday\n",
		"access-20000107T000000.001.log": strings.Repeat("f", 90) + "\n",
		"access.log":                     strings.Repeat("g", 90) + "\n",
	} {
		if got := read(t, dir+name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := files(t, path); len(got) != 5 {
		t.Errorf("got the files %q, want 5", got)
	}
}

// A clock that was set back begins no file.
func TestClockSetBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) {
		save(t, path, "from the future\n")
		future := time.Now().Add(1000 * time.Hour)
		must(t, os.Chtimes(path, future, future))
		f := open(t, FileConfig{Path: path, Age: time.Hour})
		put(t, f, "now\n")
		must(t, f.Close())
	})
	sameFiles(t, "files", files(t, path), "access.log")
}

// A name that is taken, by whatever, is never taken twice.
func TestRotateOverwritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	at := func(ms int) string {
		return filepath.Join(filepath.Dir(path), fmt.Sprintf("access-20000101T000000.%03d.log", ms))
	}
	save(t, at(0), "there\n")
	save(t, at(1)+gzSuffix, "there\n")
	must(t, os.Mkdir(at(2), 0o700))
	must(t, os.Symlink(filepath.Join(filepath.Dir(path), "elsewhere"), at(3)))
	synctest.Test(t, func(t *testing.T) {
		f := open(t, FileConfig{Path: path, Size: 5})
		put(t, f, "one\ntwo\n")
		must(t, f.Close())
	})
	if got, want := read(t, at(4)), "one\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := read(t, at(0))+read(t, at(1)+gzSuffix), "there\nthere\n"; got != want {
		t.Errorf("got %q, want what was there", got)
	}
	if got := mode(t, at(3)).Type(); got != os.ModeSymlink {
		t.Errorf("the link is now %v", got)
	}
	sameFiles(t, "files", files(t, path), "access-20000101T000000.000.log", "access-20000101T000000.001.log.gz", "access-20000101T000000.002.log",
		"access-20000101T000000.003.log", "access-20000101T000000.004.log", "access.log")
}

// The new file has the permissions of the old.
func TestRotateKeepsPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	save(t, path, "one\n")
	must(t, os.Chmod(path, 0o664))
	f := open(t, FileConfig{Path: path, Size: 5, Compress: true})
	put(t, f, "two\n")
	must(t, f.Close())
	for _, name := range files(t, path) {
		if got := mode(t, filepath.Join(filepath.Dir(path), name)); got != 0o664 {
			t.Errorf("%s: got %v, want %v", name, got, os.FileMode(0o664))
		}
	}
}

// Somebody else has put another file in the place: it is not ours to rename.
func TestReplacedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	f := open(t, FileConfig{Path: path, Size: 10})
	put(t, f, "one\ntwo\n")
	must(t, os.Rename(path, path+".1"))
	save(t, path, "other\n")
	put(t, f, "3\n")    // still fits the old one
	put(t, f, "four\n") // does not, and does not fit the other either
	must(t, f.Close())
	if got, want := read(t, path+".1"), "one\ntwo\n3\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := read(t, path), "four\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := len(files(t, path)); got != 3 {
		t.Errorf("got %d files, want 3", got)
	}
}

// A file that cannot be rotated grows, and the operator is told now and then.
func TestRotationFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 250)) // with a time the name is too long
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := open(t, FileConfig{Path: path, Size: 10, Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 30 {
			put(t, f, "12345678\n")
			<-time.After(500 * time.Millisecond)
		}
		must(t, f.Close())
		if got := strings.Count(log.String(), "the access log cannot be rotated, and grows"); got != 2 {
			t.Errorf("got %d reports in 15s, want 2: %s", got, &log)
		}
		if !strings.Contains(log.String(), "file name too long") {
			t.Errorf("the report says no cause: %s", &log)
		}
	})
	if got, want := read(t, path), strings.Repeat("12345678\n", 30); got != want {
		t.Errorf("got %q, want all lines", got)
	}
}

// What has failed is tried again, not only when the next age begins.
func TestRotationIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	for ms := range 1000 { // in the way of what is begun in the second hour
		save(t, rotatedPath(path, time.Date(2000, 1, 1, 1, 0, 0, ms*1e6, time.UTC)), "taken\n")
	}
	synctest.Test(t, func(t *testing.T) { // 2000-01-01T00:00:00Z
		var log bytes.Buffer
		f := open(t, FileConfig{Path: path, Age: time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))})
		put(t, f, "first hour\n")
		<-time.After(time.Hour)
		put(t, f, "second hour\n")
		<-time.After(9 * time.Second)
		put(t, f, "not yet\n")
		<-time.After(time.Second)
		put(t, f, "rotated\n")
		must(t, f.Close())
		if got := strings.Count(log.String(), "are taken"); got != 1 {
			t.Errorf("got %d reports, want 1: %s", got, &log)
		}
	})
	if got, want := read(t, filepath.Join(filepath.Dir(path), "access-20000101T010010.000.log")), "first hour\nsecond hour\nnot yet\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := read(t, path), "rotated\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Many exchanges end while files are rotated, compressed and opened anew: each has
// its line, once.
func TestRotationUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	f := open(t, FileConfig{Path: path, Size: 16 << 10, Compress: true, Linger: time.Minute})
	l := New(Config{Output: f, Format: mustParse(t, "{id} {request}"), Flush: 1 << 10, Delay: time.Millisecond, Buffer: 64 << 20})
	var all sync.WaitGroup
	const writers, lines = 8, 1000
	for w := range writers {
		all.Go(func() {
			x := full(time.Now())
			for i := range lines {
				x.Record.ID = fmt.Sprintf("%d-%d", w, i)
				l.Log(x, time.Now())
			}
		})
	}
	all.Go(func() {
		for range 100 {
			if err := f.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	must(t, l.Close())
	must(t, f.Close())
	count := make(map[string]int)
	for _, line := range allLines(t, path, true) {
		id, rest, _ := strings.Cut(line, " ")
		count[id]++
		if rest != "POST /cart?item=7&n=2 HTTP/2.0\n" {
			t.Errorf("torn line %q", line)
		}
	}
	for w := range writers {
		for i := range lines {
			if id := fmt.Sprintf("%d-%d", w, i); count[id] != 1 {
				t.Errorf("%d lines of %s", count[id], id)
			}
		}
	}
	if len(count) != writers*lines || l.Dropped() != 0 {
		t.Errorf("got %d lines, %d dropped, want %d", len(count), l.Dropped(), writers*lines)
	}
	if n := len(files(t, path)); n < writers*lines*30/(16<<10) {
		t.Errorf("got %d files only", n)
	}
}

func TestParseRotated(t *testing.T) {
	f := func(base, name, wantSuffix string, want bool) {
		t.Helper()
		stamp, suffix, ok := parseRotated(base, name)
		if ok != want || ok && (suffix != wantSuffix || stamp != "20261121T053702.123") {
			t.Errorf("%s, %s: got %q, %q, %v", base, name, stamp, suffix, ok)
		}
	}
	f("access.log", "access-20261121T053702.123.log", "", true)
	f("access.log", "access-20261121T053702.123.log.gz", ".gz", true)
	f("access.log", "access-20261121T053702.123.log.gz.tmp", ".gz.tmp", true)
	f("access", "access-20261121T053702.123", "", true)
	f(".access", ".access-20261121T053702.123.gz", ".gz", true)
	f("access.log", "access.log", "", false)
	f("access.log", "access-20261121T053702.123", "", false)
	f("access.log", "access-20261121T053702.123.log.bak", "", false)
	f("access.log", "access-20261121T053702.123.log.gz.gz", "", false)
	f("access.log", "access-20261121T053702,123.log", "", false)
	f("access.log", "access-20261321T053702.123.log", "", false)
	f("access.log", "access-2026-11-21.log", "", false)
	f("access.log", "access-old-20261121T053702.123.log", "", false)
	f("access-old.log", "access-20261121T053702.123.log", "", false)
	stamp := time.Date(2026, 11, 21, 6, 37, 2, 123456789, time.FixedZone("", 3600))
	if got, want := rotatedPath("/a.b/access", stamp), "/a.b/access-20261121T053702.123"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What the file says is told apart by its parts alone.
func FuzzParseRotated(f *testing.F) {
	f.Add("access.log", "access-20261121T053702.123.log.gz")
	f.Add("", "-20261121T053702.123")
	f.Fuzz(func(t *testing.T, base, name string) {
		stamp, suffix, ok := parseRotated(base, name)
		if !ok {
			return
		}
		stem, ext := splitExt(base)
		if stem+"-"+stamp+ext+suffix != name {
			t.Errorf("got %q, %q of %q, %q", stamp, suffix, base, name)
		}
	})
}

// Where somebody is quick to plant a link, what it leads to is not made anybody's.
func TestRotateChangesNoOwnerThroughALink(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "access.log"), filepath.Join(dir, "victim")
	save(t, victim, "")
	must(t, os.Chmod(victim, 0o600))
	f := open(t, FileConfig{Path: path})
	must(t, os.Chmod(path, 0o666))
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Remove(path))
	must(t, os.Symlink(victim, path))
	must(t, f.begin(info))
	if got := mode(t, victim); got != 0o600 {
		t.Errorf("got %v, want it left as it was", got)
	}
}

// Where others fill every file that is begun, a line goes into a full one at last.
func TestNoEndlessRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	f := open(t, FileConfig{Path: path, Size: 5})
	put(t, f, "one\n")
	if n, err := f.some([]byte("two\n"), false); n != 4 || err != nil {
		t.Errorf("got %d, %v, want the line written", n, err)
	}
	if got, want := read(t, path), "one\ntwo\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
