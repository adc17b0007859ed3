package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/sluice-edge/sluice/edge/osfile"
)

// state is the state directory: what outlives a server. Modules and the internal
// authority are there for whichever file is served; what the API has changed, and
// the history, are about one file, and in a directory of its own.
type state struct {
	dir  string
	own  string // of the main file
	lock *os.File
}

// InUse is the error of a state directory that another server has.
type InUse struct {
	Dir string
	PID int // of its process; 0: unknown
}

func (e *InUse) Error() string {
	who := "another sluice"
	if e.PID > 0 {
		who += " (pid " + strconv.Itoa(e.PID) + ")"
	}
	return fmt.Sprintf("the state directory %s belongs to %s, which is running", e.Dir, who)
}

// openState takes the state directory for a server of a main file, until close.
func openState(dir, file string) (*state, error) {
	file = identity(file)
	sum := sha256.Sum256([]byte(file))
	s := &state{dir: dir, own: filepath.Join(dir, "files", hex.EncodeToString(sum[:8]))}
	var err error
	if s.lock, err = lock(dir); err != nil {
		return nil, err
	}
	if err = os.MkdirAll(s.own, 0o700); err == nil { // texts may hold secrets
		name := filepath.Join(s.own, "file")
		if have, err2 := os.ReadFile(name); err2 != nil || string(have) != file {
			err = osfile.Replace(name, []byte(file))
		}
	}
	if err == nil {
		err = osfile.Clean(s.own)
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("open the state directory: %w", err)
	}
	return s, nil
}

// close gives the directory back. It may be called twice.
func (s *state) close() error {
	if err := s.lock.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// lock takes a directory, and makes it if need be. The kernel gives it back when the
// file is closed, at the latest with the process. The file itself stays: who removed
// it could take it from somebody who has just opened it.
func lock(dir string) (f *os.File, err error) {
	if err = os.MkdirAll(dir, 0o700); err == nil {
		f, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("open the state directory: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	for err = syscall.EINTR; err == syscall.EINTR; {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	switch {
	case err == syscall.EWOULDBLOCK:
		return nil, &InUse{dir, readPID(f)}
	case err != nil:
		return nil, fmt.Errorf("lock the state directory: %w", &fs.PathError{Op: "flock", Path: f.Name(), Err: err})
	}
	// For the message above only: a disk may be full.
	f.WriteAt(fmt.Appendf(nil, "%-*d\n", pidDigits, os.Getpid()), 0)
	return f, nil
}

// pidDigits is how many digits the id of a process has at most.
const pidDigits = 10

func readPID(f *os.File) int {
	b := make([]byte, pidDigits)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:n])))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// identity returns what a main file is known by, whatever it is called by: its
// absolute path without links. What is no file keeps its name. So does a file that
// Kubernetes provides: what the links lead to there is a directory of another name
// with each change of the file.
func identity(name string) string {
	path := whole(name)
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil || slices.ContainsFunc(strings.Split(resolved, "/"), func(part string) bool { return strings.HasPrefix(part, "..") }) {
		return path
	}
	return resolved
}

// others calls f with the other files that the API has changed something of, and
// how many changes there are.
func (s *state) others(f func(file string, changes int)) error {
	dirs, err := os.ReadDir(filepath.Dir(s.own))
	if err != nil {
		return err
	}
	for _, d := range dirs {
		dir := filepath.Join(filepath.Dir(s.own), d.Name())
		if dir == s.own {
			continue
		}
		name, err := os.ReadFile(filepath.Join(dir, "file"))
		if err != nil {
			continue // half made
		}
		overlays, err := readOverlays(dir, string(name))
		if err != nil {
			continue // whoever serves that file is told
		}
		shares, err := openSaved(dir)
		if err != nil {
			continue
		}
		if n := len(overlays) + len(shares.splits); n > 0 {
			f(string(name), n)
		}
	}
	return nil
}
