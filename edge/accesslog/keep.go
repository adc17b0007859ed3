package accesslog

import (
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

var errStopped = errors.New("stopped")

// keepHouse looks after the files that were rotated, until Close.
func (f *File) keepHouse() {
	defer close(f.over)
	var told time.Time
	sweep := func(path string) {
		err := f.sweep(path)
		now := time.Now()
		if err == nil || errors.Is(err, errStopped) || f.cfg.Log == nil || !told.IsZero() && now.Sub(told) < reportEvery {
			return
		}
		f.cfg.Log.Error("rotated access logs cannot be looked after", "file", path, "error", err)
		told = now
	}
	for {
		select {
		case path := <-f.rotated:
			sweep(path)
		case <-f.closing:
			select {
			case path := <-f.rotated:
				sweep(path)
			default:
			}
			return
		}
	}
}

// old is a file that was rotated: either or both of two forms of it.
type old struct {
	stamp       string
	plain, gzip bool
}

// sweep removes the files beyond Keep, compresses the others, and finishes or
// undoes what a process that has died has left of that. What fails is tried again
// after the next rotation.
func (f *File) sweep(real string) error {
	dir, err := f.lockDir(filepath.Dir(real))
	if err != nil {
		return err
	}
	defer dir.Close()
	all, err := f.list(dir, real)
	if err != nil {
		return err
	}
	if f.cfg.Keep > 0 && len(all) > f.cfg.Keep {
		for _, o := range all[f.cfg.Keep:] {
			err = errors.Join(err, o.remove(real))
		}
		all = all[:f.cfg.Keep]
	}
	if err != nil || !f.cfg.Compress {
		return err
	}
	for _, o := range slices.Backward(all) {
		if o.plain {
			if err := f.compress(o.path(real)); err != nil {
				return err
			}
		}
	}
	return nil
}

// lockDir opens a directory and locks it, so that one process at a time looks
// after the files in it.
func (f *File) lockDir(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for errors.Is(lock(dir, syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
		if wait(f.stop, time.Second) {
			dir.Close()
			return nil, errStopped
		}
	}
	return dir, nil
}

// claimed is how long an empty file is left alone: another process may be about to
// give a full one its name. After that, it died before it could.
const claimed = time.Hour

// list returns the files that were rotated, the newest first. What is left of
// compressing one, or of its rotation, is removed.
func (f *File) list(dir *os.File, real string) ([]old, error) {
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	found := make(map[string]old)
	for _, e := range entries {
		stamp, suffix, ok := parseRotated(filepath.Base(real), e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(filepath.Dir(real), e.Name())
		o := found[stamp]
		o.stamp = stamp
		switch suffix {
		case tmpSuffix:
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			continue
		case gzSuffix:
			o.gzip = true
		default:
			info, err := e.Info()
			switch {
			case errors.Is(err, os.ErrNotExist):
				continue
			case err != nil:
				return nil, err
			case info.Size() > 0:
				o.plain = true
			case time.Since(info.ModTime()) < claimed:
				continue
			default:
				if err := os.Remove(path); err != nil {
					return nil, err
				}
				continue
			}
		}
		found[stamp] = o
	}
	all := make([]old, 0, len(found))
	for _, o := range found {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b old) int { return cmp.Compare(b.stamp, a.stamp) })
	return all, nil
}

// path returns where o is as long as it is not compressed.
func (o *old) path(real string) string {
	stem, ext := splitExt(real)
	return stem + "-" + o.stamp + ext
}

func (o *old) remove(real string) error {
	var err error
	if o.plain {
		err = remove(o.path(real))
	}
	if o.gzip {
		err = errors.Join(err, remove(o.path(real)+gzSuffix))
	}
	return err
}

// remove removes a file, unless somebody was quicker.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// compress replaces the file at path by a compressed one, which is whole when it
// gets its name. Another process may not know yet that the file was rotated, and
// write to it, so its end is read under its lock: who has waited for that finds
// the file gone.
func (f *File) compress(path string) error {
	from, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	lock(from, syscall.LOCK_EX)
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if isWhole(path+gzSuffix, info.Size()) { // but for the removal, a process had done it
		return os.Remove(path)
	}
	lock(from, syscall.LOCK_UN)
	to, err := os.OpenFile(path+tmpSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	likeness(to, info)
	err = f.squeeze(to, from, info)
	if err == nil {
		err = os.Chtimes(to.Name(), info.ModTime(), info.ModTime())
	}
	if err == nil {
		err = os.Rename(to.Name(), path+gzSuffix)
	}
	if err != nil {
		os.Remove(to.Name()) // or the next sweep does
		return err
	}
	return os.Remove(path)
}

// squeeze writes the file from compressed, and leaves it locked.
func (f *File) squeeze(to, from *os.File, info os.FileInfo) (err error) {
	defer func() { err = errors.Join(err, to.Close()) }()
	z, err := gzip.NewWriterLevel(to, gzip.BestSpeed) // requests want the processor too
	if err != nil {
		return err
	}
	z.Name, z.ModTime = filepath.Base(from.Name()), info.ModTime()
	if err := f.copy(z, from); err != nil {
		return err
	}
	if err := to.Sync(); err != nil { // the most of it before the lock
		return err
	}
	lock(from, syscall.LOCK_EX)
	if err := f.copy(z, from); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return to.Sync()
}

// copy copies until from has no more, or Close has waited long enough.
func (f *File) copy(to io.Writer, from io.Reader) error {
	var chunk [64 << 10]byte
	for {
		select {
		case <-f.stop:
			return errStopped
		default:
		}
		n, err := from.Read(chunk[:])
		if n > 0 {
			if _, err := to.Write(chunk[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// isWhole reports whether path is a compressed file of size bytes: its last four
// say so, modulo 2^32 (RFC 1952, section 2.3.1).
func isWhole(path string, size int64) bool {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	var last [4]byte
	_, err = file.ReadAt(last[:], info.Size()-int64(len(last)))
	return err == nil && binary.LittleEndian.Uint32(last[:]) == uint32(size)
}
