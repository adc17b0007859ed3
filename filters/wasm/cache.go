package wasm

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// cache keeps compiled code in a directory, so that a module is not compiled again
// when the process starts again. An entry is a directory, named by the digest of the
// rewritten binary, which says all: the module, the rewriter and the limits that are
// written into it. In it are what the runtime writes, which is named by its version
// and the processor, and a code that authenticates that.
//
// Compiled code is run as it is, so who can write it runs code as this process does.
// The directory is nobody else's, and what is in it is not run without the key, which
// is beside it: a directory that was restored, moved, or damaged by its disk is no way
// in. Who can read the key could run code as this process anyway.
type cache struct {
	dir   string
	key   []byte
	limit int64 // bytes
	log   *slog.Logger

	mu   sync.Mutex // guards the following field, and which entries there are
	held int64      // bytes
}

const (
	unfinished   = "new-"    // what directories begin with that are no entries yet
	abandoned    = time.Hour // after which nobody finishes one any more
	authentic    = "mac"     // the file of an entry with the authentication code
	keySize      = 32
	cacheKeyName = ".key" // behind the directory's name
)

// openCache opens a directory, which it makes if there is none.
func openCache(dir string, limit int64, log *slog.Logger) (*cache, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := private(dir, fs.ModeDir); err != nil {
		return nil, err
	}
	c := &cache{dir: dir, limit: limit, log: log}
	var err error
	if c.key, err = readKey(dir + cacheKeyName); err != nil {
		return nil, err
	}
	list, err := c.entries()
	for _, e := range list {
		c.held += e.size
	}
	return c, err
}

// private checks that a file is of a type, and that nobody else may use it.
func private(name string, want fs.FileMode) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.Type() == fs.ModeSymlink:
		return fmt.Errorf("%s is a symbolic link: name what it links to", name)
	case mode.Type() != want:
		return fmt.Errorf("%s is %s, not what belongs there: remove it", name, mode.Type())
	case info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()):
		return fmt.Errorf("%s belongs to user %d, and this process runs as %d: remove it, or change its owner",
			name, info.Sys().(*syscall.Stat_t).Uid, os.Geteuid())
	case mode.Perm()&0o077 != 0:
		return fmt.Errorf("%s may be used by others, by its mode %#o: take that away by chmod go=", name, mode.Perm())
	}
	return nil
}

// readKey returns the key in a file, which it makes if there is none.
func readKey(name string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key)
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".") // for its owner only
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(key)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), name); err == nil { // whole, or not at all
		return key, nil
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := private(name, 0); err != nil {
		return nil, err
	}
	if key, err = os.ReadFile(name); err == nil && len(key) != keySize {
		return nil, fmt.Errorf("%s has %d bytes, and a key has %d: remove it", name, len(key), keySize)
	}
	return key, err
}

// find returns the file in an entry's directory that has the code, or "" if there is no
// such entry that can be used.
func (c *cache) find(name string) (file string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := filepath.Join(c.dir, name)
	file, err := c.check(name)
	if err == nil {
		now := time.Now()
		_ = os.Chtimes(dir, now, now) // it is used: see trim
		return file
	}
	if !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("compiled code is not used, and made anew", "entry", dir, "err", err)
		c.remove(name)
	}
	return ""
}

// keep makes an entry of a directory that has the code and nothing else.
func (c *cache) keep(name, dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	mac, _, err := c.authenticate(dir, name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, authentic), mac, 0o600); err != nil {
		return err
	}
	c.remove(name) // of another process
	entry := filepath.Join(c.dir, name)
	if err := os.Rename(dir, entry); err != nil {
		return err
	}
	c.held += size(entry)
	c.trim()
	return nil
}

// discard removes an entry.
func (c *cache) discard(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(name)
}

// check returns the file of an entry that has the code, or why it cannot be used: that it
// does not exist, or is not authentic.
func (c *cache) check(name string) (file string, err error) {
	dir := filepath.Join(c.dir, name)
	if err := private(dir, fs.ModeDir); err != nil {
		return "", err
	}
	have, err := os.ReadFile(filepath.Join(dir, authentic))
	if err != nil {
		return "", errors.New("is not whole: " + err.Error()) // it exists
	}
	want, file, err := c.authenticate(dir, name)
	if err != nil {
		return "", errors.New("is not whole: " + err.Error()) // it exists
	}
	if !hmac.Equal(have, want) {
		return "", errors.New("is not what was written there: it was changed, or the key was")
	}
	return file, nil
}

// authenticate returns the authentication code of what is in a directory, for an entry
// of a name, and the file that it is of.
func (c *cache) authenticate(dir, name string) (mac []byte, file string, err error) {
	if file, err = only(dir); err != nil {
		return nil, "", err
	}
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	h := hmac.New(sha256.New, c.key)
	fmt.Fprintf(h, "%s\n%s\n", name, file)
	if _, err := io.Copy(h, f); err != nil {
		return nil, "", err
	}
	return h.Sum(nil), file, nil
}

// only returns the file in a directory that has code, of which there is to be one.
func only(dir string) (file string, err error) {
	files, err := code(dir)
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("%s has %d files of code", dir, len(files))
	}
	return files[0], nil
}

// code returns the files in an entry's directory but for its authentication code.
func code(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == authentic {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", path)
		}
		files = append(files, name)
		return nil
	})
	return files, err
}

// entry is one of a cache.
type entry struct {
	name string
	size int64
	used time.Time
}

// entries returns those that there are, and removes what others have left.
func (c *cache) entries() (list []entry, err error) {
	all, err := os.ReadDir(c.dir)
	for _, d := range all {
		info, err := d.Info()
		if err != nil {
			continue // it has gone
		}
		if strings.HasPrefix(d.Name(), unfinished) {
			if time.Since(info.ModTime()) > abandoned {
				_ = os.RemoveAll(filepath.Join(c.dir, d.Name()))
			}
			continue
		}
		list = append(list, entry{d.Name(), size(filepath.Join(c.dir, d.Name())), info.ModTime()})
	}
	return list, err
}

// size returns how many bytes the files in a directory have.
func size(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// trim removes the entries that have not been used for longest, until the others have
// no more than the limit. c.mu is held.
func (c *cache) trim() {
	if c.held <= c.limit {
		return
	}
	list, err := c.entries()
	if err != nil {
		return
	}
	slices.SortFunc(list, func(a, b entry) int { return a.used.Compare(b.used) })
	c.held = 0
	for _, e := range list {
		c.held += e.size
	}
	for _, e := range list {
		if c.held <= c.limit {
			return
		}
		c.remove(e.name)
	}
}

// remove removes an entry, if there is one. c.mu is held.
func (c *cache) remove(name string) {
	dir := filepath.Join(c.dir, name)
	n := size(dir)
	if err := os.RemoveAll(dir); err != nil {
		c.log.Warn("compiled code is not removed", "err", err)
		return
	}
	c.held = max(c.held-n, 0)
}
