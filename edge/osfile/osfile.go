// Package osfile reads files that others name, and writes files that outlive a crash.
package osfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrIrregular is wrapped by errors about devices, pipes and directories.
var ErrIrregular = errors.New("not a regular file")

// ErrTooLarge is wrapped by errors about files of more bytes than are allowed.
var ErrTooLarge = errors.New("too large")

// Open opens a regular file for reading. It never waits: opening a pipe would, for
// who writes to it.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path) // opening alone does something to some devices
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrIrregular}
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be another by now
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrIrregular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read returns what a regular file of at most limit bytes holds.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Replace writes a file that its owner alone can read, in one step: after a crash
// either what was there before is there, or b. After an error it is what was there
// before, unless the error is an [Unclear].
func Replace(path string, b []byte) error { return replace(path, b, SyncDir) }

func replace(path string, b []byte, syncDir func(string) error) error {
	before, err := Open(path) // which keeps it, whatever its name stands for
	if err == nil {
		defer before.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := put(path, bytes.NewReader(b)); err != nil {
		return err
	}
	err = syncDir(filepath.Dir(path))
	if err == nil {
		return nil
	}
	var back error
	if before == nil {
		back = os.Remove(path)
	} else {
		back = put(path, before)
	}
	if back != nil {
		return &Unclear{errors.Join(err, fmt.Errorf("put back what was there before: %w", back))}
	}
	return err
}

// Unclear is the error of a file that was replaced, of which nobody knows whether
// that lasts.
type Unclear struct{ Err error }

func (u *Unclear) Error() string {
	return "the file is replaced, and may not stay so: " + u.Err.Error()
}
func (u *Unclear) Unwrap() error { return u.Err }

// aside is how the names begin that files have until they are whole.
const aside = ".new-"

// put gives a file of what r has the name path.
func put(path string, r io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), aside+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it has been renamed
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Clean removes what [Replace] has left in a directory when the process was ended.
// Nobody else may be replacing files there.
func Clean(dir string) error { return CleanOf(dir, aside) }

// CleanOf removes the regular files of a directory that [os.CreateTemp] has made
// with a prefix.
func CleanOf(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || strings.Trim(number, "0123456789") != "" || number == "" || !e.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// SyncDir makes what was made, renamed and removed in a directory last.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
