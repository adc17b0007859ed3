package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/osfile"
)

// edit is a file that is to hold something else than the running proxy has read.
type edit struct {
	path     string
	old, now []byte
}

// editsOf returns the files of a configuration that do not say what is in force.
func editsOf(c api.Configuration) []edit {
	var all []edit
	for _, t := range c.Effective {
		if old := textOf(c.Texts, t.Name); old != t.Text {
			all = append(all, edit{t.Name, []byte(old), []byte(t.Text)})
		}
	}
	return all
}

// check refuses a file that is not what the proxy has read.
func (e *edit) check() error {
	have, err := os.ReadFile(e.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not here: sluice apply --write is to run on the machine of the proxy, and in its directory if that path is relative: %w", e.path, err)
	case err != nil:
		return err
	case !bytes.Equal(have, e.old):
		return fmt.Errorf("%s is not what the proxy has read: it has changed since, or is another file; nothing is written. Look at `sluice diff`, and put the changes into the file by hand, or let the proxy load it", e.path)
	}
	return nil
}

// write replaces the file at once and whole: whoever reads it meanwhile, or after a
// crash, sees the old text or the new one. Its mode and owner stay, and a link to it
// stays a link.
func (e *edit) write() (err error) {
	target, err := filepath.EvalSymlinks(e.path)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", e.path, err)
	}
	defer func() {
		if err != nil {
			tmp.Close() // fails where it is closed already
			os.Remove(tmp.Name())
			err = fmt.Errorf("write %s: %w", e.path, err)
		}
	}()
	if err := keepOwner(tmp, info); err != nil {
		return err
	}
	if err := tmp.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if _, err := tmp.Write(e.now); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := e.check(); err != nil { // an editor may have been faster
		return err
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return err
	}
	return osfile.SyncDir(filepath.Dir(target))
}

// keepOwner gives f the owner and group of another file.
func keepOwner(f *os.File, of fs.FileInfo) error {
	want, ok := of.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if have, ok := info.Sys().(*syscall.Stat_t); ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keep its owner: %w", err)
	}
	return nil
}
