package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluice-edge/sluice/edge/osfile"
)

// Check looks at a module and returns the name of its ABI. An error is wrapped in
// a [Refused].
type Check func(module []byte) (abi string, err error)

// Put reads a module, checks it and makes it the current version of name. check
// is given all of it, and may be nil. A module that
// name has had before is not a new version: the old one becomes current again,
// and created is false.
func (s *Store) Put(name string, from Source, r io.Reader, check Check) (v Version, created bool, err error) {
	if err := CheckName(name); err != nil {
		return Version{}, false, err
	}
	up, err := s.receive(r, check)
	if err != nil {
		return Version{}, false, err
	}
	defer up.discard()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accept(name, from, up)
}

// Try is Put that keeps nothing.
func (s *Store) Try(name string, r io.Reader, check Check) error {
	if err := CheckName(name); err != nil {
		return err
	}
	up, err := s.receive(r, check)
	if err == nil {
		up.discard()
	}
	return err
}

// Seed is Put for the file that the configuration names. Only a file that
// differs from the one seen last becomes current: until then what the API has
// uploaded meanwhile stays. It returns the version that is current, and whether
// that has changed.
func (s *Store) Seed(name string, file []byte, check Check) (v Version, changed bool, err error) {
	if err := CheckName(name); err != nil {
		return Version{}, false, err
	}
	sum := sha256.Sum256(file)
	s.mu.Lock()
	if r, ok := s.names[name]; ok && r.File == hex.EncodeToString(sum[:]) {
		v, _ = r.version(r.Current)
		s.mu.Unlock()
		return v, false, nil
	}
	s.mu.Unlock()

	up, err := s.receive(bytes.NewReader(file), check)
	if err != nil {
		return Version{}, false, err
	}
	defer up.discard()
	s.mu.Lock()
	defer s.mu.Unlock()
	before := 0
	if r, ok := s.names[name]; ok {
		before = r.Current
	}
	v, _, err = s.accept(name, File, up)
	return v, err == nil && v.Number != before, err
}

// Load returns the bytes of a module. A file that has been tampered with is an
// error.
func (s *Store) Load(digest string) ([]byte, error) {
	if !digestShape.MatchString(digest) {
		return nil, fmt.Errorf("module %q: %w", digest, ErrNotFound)
	}
	b, err := os.ReadFile(s.module(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("module %s: %w", digest, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("load module: %w", err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("load module: %s has been changed: the SHA-256 of its content is %x", s.module(digest), sum)
	}
	return b, nil
}

// upload is a module that has been received and not yet accepted.
type upload struct {
	path   string // aside
	digest string
	abi    string
	bytes  int64
}

func (u *upload) discard() { os.Remove(u.path) } // it has been renamed if it was accepted

// receive writes a module aside and checks it.
func (s *Store) receive(r io.Reader, check Check) (up *upload, err error) {
	f, err := os.CreateTemp(s.temp(), "upload-")
	if err != nil {
		return nil, fmt.Errorf("store module: %w", err)
	}
	up = &upload{path: f.Name()}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	s.step("created")
	hash := sha256.New()
	var copied int64
	src := &failing{r: io.LimitReader(r, s.cfg.Size+1)}
	copied, err = io.Copy(io.MultiWriter(f, hash), src)
	switch {
	case src.err != nil:
		return nil, fmt.Errorf("receive module: %w", src.err)
	case err != nil:
		return nil, fmt.Errorf("store module: %w", err)
	case copied > s.cfg.Size:
		return nil, fmt.Errorf("module is more than the %d bytes allowed: %w", s.cfg.Size, ErrTooLarge)
	}
	s.step("written")
	up.bytes, up.digest = copied, hex.EncodeToString(hash.Sum(nil))
	if check != nil {
		b := make([]byte, copied)
		if _, err = f.ReadAt(b, 0); err != nil && err != io.EOF {
			return nil, fmt.Errorf("store module: %w", err)
		}
		if up.abi, err = check(b); err != nil {
			return nil, &Refused{err}
		}
	}
	if err = f.Sync(); err != nil {
		return nil, fmt.Errorf("store module: %w", err)
	}
	s.step("synced")
	return up, nil
}

// failing remembers an error of what is read, to tell it from one of writing.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// accept makes an upload the current version of name. s.mu is held.
func (s *Store) accept(name string, from Source, up *upload) (v Version, created bool, err error) {
	// A file of that name has the same content, unless it was tampered with: then
	// this is the cure.
	if err := os.Rename(up.path, s.module(up.digest)); err != nil {
		return Version{}, false, fmt.Errorf("store module: %w", err)
	}
	s.step("renamed")
	if err := osfile.SyncDir(s.modules()); err != nil {
		return Version{}, false, fmt.Errorf("store module: %w", err)
	}
	next := &record{}
	if r, ok := s.names[name]; ok {
		next = r.clone()
	}
	if v, created = next.find(up.digest), false; v.Number == 0 {
		next.Last++
		v, created = Version{next.Last, up.digest, up.abi, up.bytes, time.Now().UTC().Round(0), from}, true
		next.Versions = append(next.Versions, v)
	}
	next.use(v.Number)
	if from == File {
		next.File = up.digest
	}
	next.prune(s.cfg.Keep, s.held[name])
	next.forget()
	if err := s.writeRecord(name, next); err != nil {
		if _, ok := s.names[name]; !ok || created {
			s.sweep() // the module that nothing refers to
		}
		return Version{}, false, err
	}
	s.names[name] = next
	s.step("recorded")
	return v, created, s.sweep()
}

func (r *record) find(digest string) Version {
	for _, v := range r.Versions {
		if v.Digest == digest {
			return v
		}
	}
	return Version{}
}

// prune drops the oldest versions beyond keep, but for the current one and those
// that are held.
func (r *record) prune(keep int, held []int) {
	for i := 0; len(r.Versions) > keep && i < len(r.Versions); {
		if n := r.Versions[i].Number; n == r.Current || slices.Contains(held, n) {
			i++
			continue
		}
		r.Versions = append(r.Versions[:i], r.Versions[i+1:]...)
	}
}

func (s *Store) recordPath(name string) string { return filepath.Join(s.records(), name+".json") }

func (s *Store) readRecord(name string) (*record, error) {
	path := s.recordPath(name)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, ok := r.version(r.Current); !ok {
		return nil, fmt.Errorf("%s: there is no version %d, which is to be current", path, r.Current)
	}
	for _, v := range r.Versions {
		if !digestShape.MatchString(v.Digest) || v.Number < 1 || v.Number > r.Last {
			return nil, fmt.Errorf("%s: version %d is not valid", path, v.Number)
		}
	}
	r.forget()
	return r, nil
}

// writeRecord replaces the file of a name in one step.
func (s *Store) writeRecord(name string, r *record) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.temp(), "record-")
	if err != nil {
		return fmt.Errorf("record module %q: %w", name, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		s.step("record written")
		err = os.Rename(f.Name(), s.recordPath(name))
	}
	if err == nil {
		err = osfile.SyncDir(s.records())
	}
	if err != nil {
		return fmt.Errorf("record module %q: %w", name, err)
	}
	return nil
}
