package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// isFull reports whether the next line belongs into another file.
func (f *File) isFull(size int64, p []byte, now time.Time) bool {
	switch {
	case size == 0:
		return false
	case f.overdue:
		return true
	case f.cfg.Size > 0 && size+int64(firstLine(p)) > f.cfg.Size:
		return true
	}
	return f.cfg.Age > 0 && !f.last.IsZero() && f.period(now) > f.period(f.last)
}

// period numbers the files that Age makes.
func (f *File) period(t time.Time) int64 { return t.UnixNano() / int64(f.cfg.Age) }

// firstLine returns the length of p's first line.
func firstLine(p []byte) int {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return i + 1
	}
	return len(p)
}

// room returns the length of the lines of p that the file takes, of which there
// is one at least.
func (f *File) room(size int64, p []byte) int {
	if f.cfg.Size <= 0 || size+int64(len(p)) <= f.cfg.Size {
		return len(p)
	}
	first := firstLine(p)
	if room := f.cfg.Size - size; room > int64(first) {
		return bytes.LastIndexByte(p[:room], '\n') + 1
	}
	return first
}

// rotate gives the file its name for good and begins another. The turn and the
// lock are held.
func (f *File) rotate(now time.Time) error {
	at, err := os.Stat(f.real)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(at, f.info):
		f.drop() // somebody else has renamed it
		return nil
	case err != nil:
		return err
	}
	to, err := claim(f.real, now)
	if err != nil {
		return err
	}
	if err := os.Rename(f.real, to); err != nil {
		os.Remove(to) // is empty
		return err
	}
	old, from := f.file, f.real
	if err := f.begin(at); err != nil {
		if _, lerr := os.Lstat(from); errors.Is(lerr, fs.ErrNotExist) {
			err = errors.Join(err, os.Rename(to, from))
		}
		return err
	}
	old.Close()
	select { // of two, the last will do: the housekeeper looks at all files
	case <-f.rotated:
	default:
	}
	f.rotated <- from
	return nil
}

// begin makes the file anew, like the one of info, and opens it.
func (f *File) begin(info os.FileInfo) error {
	// What changes its owner must be ours: with O_EXCL nobody's link is followed.
	if file, err := os.OpenFile(f.real, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode); err == nil {
		likeness(file, info)
		file.Close() // is empty
	}
	return f.open() // the same, or what somebody else was quicker to make
}

// likeness gives a file the permissions and, if we may, the owner that info has.
func likeness(file *os.File, info os.FileInfo) {
	file.Chmod(info.Mode().Perm()) // it is ours
	if have := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 {
		file.Chown(int(have.Uid), int(have.Gid)) // a container's root may lack the right
	}
}

// claim makes an empty file of a name that nothing has, and returns its path.
func claim(real string, now time.Time) (string, error) {
	for range 1000 {
		to := rotatedPath(real, now)
		file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if err == nil {
			file.Close()
			// Now, as before it may be made of a file that has the name until then.
			if _, err = os.Lstat(to + gzSuffix); errors.Is(err, fs.ErrNotExist) {
				return to, nil
			}
			os.Remove(to) // is ours
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		now = now.Add(time.Millisecond)
	}
	return "", fmt.Errorf("names like %s are taken", rotatedPath(real, now))
}

// stampLayout is the time in the name of a file that was rotated.
const stampLayout = "20060102T150405.000"

const (
	gzSuffix  = ".gz"
	tmpSuffix = ".gz.tmp"
)

// rotatedPath returns the path that the file at real gets: before its extension,
// so that whatever goes by that goes on.
func rotatedPath(real string, t time.Time) string {
	stem, ext := splitExt(real)
	return stem + "-" + t.UTC().Format(stampLayout) + ext
}

func splitExt(path string) (stem, ext string) {
	ext = filepath.Ext(path)
	if filepath.Base(path) == ext { // ".access" has none
		ext = ""
	}
	return path[:len(path)-len(ext)], ext
}

// parseRotated returns the time in the name of a file that was made of one called
// base, and what is behind the name: "", gzSuffix or tmpSuffix. Only what rotate
// and compress make is ok.
func parseRotated(base, name string) (stamp, suffix string, ok bool) {
	stem, ext := splitExt(base)
	rest, ok := strings.CutPrefix(name, stem+"-")
	if !ok || len(rest) < len(stampLayout) {
		return "", "", false
	}
	stamp = rest[:len(stampLayout)]
	if t, err := time.Parse(stampLayout, stamp); err != nil || t.Format(stampLayout) != stamp {
		return "", "", false
	}
	suffix, ok = strings.CutPrefix(rest[len(stampLayout):], ext)
	return stamp, suffix, ok && (suffix == "" || suffix == gzSuffix || suffix == tmpSuffix)
}
