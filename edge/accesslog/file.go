package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// FileConfig says which file lines go to, and when another is begun. The zero
// value of a field means its default.
type FileConfig struct {
	Path     string        // of the file, which is made if need be, as its directory is
	Size     int64         // bytes that the file has at most, unless its only line has more. Default 0: any number
	Age      time.Duration // what the file spans at most: another is begun with the first line behind a multiple of Age (UTC; a day ends at midnight). Default 0: anything
	Keep     int           // files kept beside the current one; the oldest are removed. Default 0: all
	Compress bool          // files that are kept are compressed (gzip). Default no
	Linger   time.Duration // how long Close waits for files that are being compressed. Default 5s
	Log      *slog.Logger  // is told of files that cannot be renamed, removed or compressed. Default nil: nobody is
}

// File is a file that lines are appended to. Where Size or Age says so, it is
// renamed to NAME-20261121T053702.123.EXT, by the time in UTC, and another is
// begun.
//
// Several processes may have the same file open, as they do while one replaces
// another: each holds the lock of the file (flock) as long as it writes, and looks
// afterwards whether the file has gone. No line is then lost or torn.
type File struct {
	cfg     FileConfig
	rotated chan string   // real path of a file that was rotated
	closing chan struct{} // closed by Close: what is to be done is done, and no more comes
	stop    chan struct{} // closed by Close when it has waited long enough
	over    chan struct{} // closed by the housekeeper when it has ended
	turn    chan struct{} // full while somebody has the following fields: a lock that one need not wait for

	file    *os.File    // nil: to be opened
	info    os.FileInfo // of file, as it was opened
	real    string      // path of file without symbolic links
	end     int64       // where our last write ended; -1: unknown
	torn    bool        // the file ends within a line
	last    time.Time   // when it was written to, by us or before we opened it
	retry   time.Time   // no rotation is tried before
	overdue bool        // the last rotation has failed
	closed  bool

	write func(*os.File, []byte) (int, error) // (*os.File).Write, except in tests of what that may return
}

var (
	errFileStuck = errors.New("the file takes nothing: its disk or who holds its lock does not answer")
	errRegular   = errors.New("not a regular file; stdout and stderr are written by these words")
)

// fileMode is that of a file that we make: clients' addresses are not for
// everybody.
const (
	fileMode = 0o640
	dirMode  = 0o750
)

// OpenFile opens the file, and finishes what a process that has died left half
// done. Close ends it.
func OpenFile(cfg FileConfig) (*File, error) {
	if cfg.Linger <= 0 {
		cfg.Linger = 5 * time.Second
	}
	f := &File{
		cfg:     cfg,
		rotated: make(chan string, 1),
		closing: make(chan struct{}),
		stop:    make(chan struct{}),
		over:    make(chan struct{}),
		turn:    make(chan struct{}, 1),
		write:   (*os.File).Write,
	}
	if err := f.open(); err != nil {
		return nil, err
	}
	if cfg.Size <= 0 && cfg.Age <= 0 {
		close(f.over)
		return f, nil
	}
	f.rotated <- f.real
	go f.keepHouse()
	return f, nil
}

// open opens the file, and makes it if it is not there. The turn is held.
func (f *File) open() error {
	if err := os.MkdirAll(filepath.Dir(f.cfg.Path), dirMode); err != nil {
		return fmt.Errorf("make the directory of the access log: %w", err)
	}
	var err error
	for range 3 { // another process may rename what we have just opened
		if err = f.tryOpen(); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}

func (f *File) tryOpen() error {
	// Without O_NONBLOCK a pipe would wait for its reader. Reading is for its end.
	file, err := os.OpenFile(f.cfg.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, fileMode)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is %w", f.cfg.Path, errRegular)
	}
	real := ""
	if err == nil {
		real, err = filepath.EvalSymlinks(f.cfg.Path)
	}
	if err != nil {
		file.Close()
		return err
	}
	f.use(file, info, real)
	return nil
}

// use makes file the one that is written to.
func (f *File) use(file *os.File, info os.FileInfo, real string) {
	f.file, f.info, f.real, f.end, f.torn, f.last, f.overdue = file, info, real, -1, false, time.Time{}, false
	if info.Size() > 0 {
		f.last = info.ModTime()
	}
}

// drop closes the file, so that the next write opens it. The turn is held.
func (f *File) drop() {
	if f.file != nil {
		f.file.Close() // nothing is buffered
		f.file = nil
	}
}

// Reopen goes on in a new file of the same path, if that is not the one at hand
// any more: for who has renamed it. If that fails, the old one is written to.
func (f *File) Reopen() error {
	if !f.enter() {
		return fmt.Errorf("open the access log %s anew: %w", f.cfg.Path, errFileStuck)
	}
	defer f.leave()
	if f.closed {
		return os.ErrClosed
	}
	old := f.file
	if err := f.open(); err != nil {
		return err
	}
	if old != nil {
		old.Close()
	}
	return nil
}

// Close ends the file. It waits for files that are being compressed, but not for
// long: those that are not done are left to the next who opens the file.
func (f *File) Close() error {
	if !f.enter() {
		return fmt.Errorf("close the access log %s: %w", f.cfg.Path, errFileStuck)
	}
	if f.closed {
		f.leave()
		return nil
	}
	f.closed = true
	f.drop()
	f.leave()
	close(f.closing)
	if !wait(f.over, f.cfg.Linger) {
		close(f.stop)
		if !wait(f.over, time.Second) {
			return fmt.Errorf("close the access log %s: %w", f.cfg.Path, errFileStuck)
		}
	}
	return nil
}

// wait reports whether c is closed within d.
func wait(c <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return false
	}
}

// enter takes the turn. It fails if who has it does not give it back.
func (f *File) enter() bool {
	t := time.NewTimer(f.cfg.Linger)
	defer t.Stop()
	select {
	case f.turn <- struct{}{}:
		return true
	case <-t.C:
		return false
	}
}

func (f *File) leave() { <-f.turn }

// Write appends p, which is whole lines, and begins other files on the way as need
// be. If it fails, n is where in p the lines end that are in the file, and nothing
// is left of the next, or the next call ends what is left of it first.
func (f *File) Write(p []byte) (n int, err error) {
	f.turn <- struct{}{}
	defer f.leave()
	for rotations := 0; n < len(p); {
		done, err := f.some(p[n:], rotations < maxRotations)
		if err != nil {
			return n + done, err
		}
		if rotations++; done > 0 {
			n, rotations = n+done, 0
		}
	}
	return n, nil
}

// maxRotations is how often a file is given up, for those that others fill or
// replace, before a line is written.
const maxRotations = 3

// some writes as many lines of p as the file has room for, or begins another.
func (f *File) some(p []byte, mayRotate bool) (int, error) {
	size, err := f.hold()
	if err != nil {
		return 0, err
	}
	defer f.release()
	now := time.Now()
	switch {
	case !f.isFull(size, p, now):
		p = p[:f.room(size, p)]
	case mayRotate && !now.Before(f.retry):
		err := f.rotate(now)
		if err == nil {
			return 0, nil
		}
		f.overdue, f.retry = true, now.Add(reportEvery)
		if f.cfg.Log != nil {
			f.cfg.Log.Error("the access log cannot be rotated, and grows", "file", f.cfg.Path, "error", err)
		}
	}
	return f.append(size, p, now)
}

// hold takes the lock of the file, and returns its size. A file that somebody has
// removed is opened anew.
func (f *File) hold() (size int64, err error) {
	for range 3 {
		if f.closed {
			return 0, os.ErrClosed
		}
		if f.file == nil {
			if err := f.open(); err != nil {
				return 0, err
			}
		}
		lock(f.file, syscall.LOCK_EX) // a file system without locks is for one process at a time
		info, err := f.file.Stat()
		if err != nil {
			f.release()
			return 0, err
		}
		if info.Sys().(*syscall.Stat_t).Nlink > 0 {
			return info.Size(), f.look(info.Size())
		}
		f.drop()
	}
	return 0, fmt.Errorf("the access log %s is removed as soon as it is made", f.cfg.Path)
}

func (f *File) release() {
	if f.file != nil {
		lock(f.file, syscall.LOCK_UN) // as above
	}
}

// look finds out whether the file ends within a line that somebody else has left.
func (f *File) look(size int64) error {
	if size == f.end {
		return nil
	}
	f.torn = false
	if size > 0 {
		var last [1]byte
		if _, err := f.file.ReadAt(last[:], size-1); err != nil && err != io.EOF {
			f.release()
			return fmt.Errorf("read the end of the access log: %w", err)
		}
		f.torn = last[0] != '\n'
	}
	return nil
}

// append writes p behind what is there. The lock is held.
func (f *File) append(size int64, p []byte, now time.Time) (int, error) {
	f.end = -1
	if f.torn {
		if _, err := f.write(f.file, []byte{'\n'}); err != nil {
			return 0, err
		}
		f.torn = false
		size++
	}
	n, err := f.write(f.file, p)
	if err == nil {
		f.end, f.last = size+int64(n), now
		return n, nil
	}
	whole := bytes.LastIndexByte(p[:n], '\n') + 1
	if n > whole {
		f.cut(size, n, whole)
	}
	return whole, err
}

// cut takes off what was written of a line. Who does not heed our lock may have
// written behind it, and a file may be one that can only be appended to: look
// finds the line that then stays.
func (f *File) cut(size int64, written, whole int) {
	if info, err := f.file.Stat(); err == nil && info.Size() == size+int64(written) {
		f.file.Truncate(size + int64(whole))
	}
}

// lock locks or unlocks file (flock): for all that have opened it, in this process
// too.
func lock(file *os.File, how int) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for {
			if failed = syscall.Flock(int(fd), how); failed != syscall.EINTR {
				return
			}
		}
	})
	return errors.Join(err, failed)
}
