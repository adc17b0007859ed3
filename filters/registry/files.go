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
)

// Check looks at a module and returns the name of its ABI. An error is wrapped in
// a [Refused].
type Check func(module []byte) (abi string, err error)

// Receive reads a module for name and checks it. check is given all of it, and may
// be nil. It is no version until it is accepted. Who gets the upload closes it.
func (s *Store) Receive(name string, r io.Reader, check Check) (*Upload, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	return s.receive(name, r, check)
}

// Put receives a module and accepts it.
func (s *Store) Put(name string, from Source, r io.Reader, check Check) (v Version, created bool, err error) {
	up, err := s.Receive(name, r, check)
	if err != nil {
		return Version{}, false, err
	}
	v, created, err = up.Accept(from)
	return v, created, errors.Join(err, up.Close())
}

// Seed is Put for the file that the configuration names. Only a file that
// differs from the one seen last becomes current: until then what the API has
// uploaded meanwhile stays. It returns the version that is current, and whether
// that has changed.
func (s *Store) Seed(name string, file []byte, check Check) (v Version, changed bool, err error) {
	if err := CheckName(name); err != nil {
		return Version{}, false, err
	}
	if s.Seen(name, file) {
		v, err = s.Current(name)
		return v, false, err
	}
	up, err := s.receive(name, bytes.NewReader(file), check)
	if err != nil {
		return Version{}, false, err
	}
	v, _, err = up.Accept(File)
	changed = err == nil && (up.before == nil || v.Number != up.before.Current)
	return v, changed, errors.Join(err, up.Close())
}

// Seen reports whether a file is the one that [Store.Seed] was given last for name.
func (s *Store) Seen(name string, file []byte) bool {
	sum := sha256.Sum256(file)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.names[name]
	return ok && r.File == hex.EncodeToString(sum[:])
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

// receive writes a module aside and checks it.
func (s *Store) receive(name string, r io.Reader, check Check) (up *Upload, err error) {
	f, err := os.CreateTemp(s.temp(), uploads)
	if err != nil {
		return nil, fmt.Errorf("store module: %w", err)
	}
	up = &Upload{s: s, name: name, path: f.Name()}
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

// commit makes r, or nothing if it is nil, what the store knows of a name: on disk
// and then in memory. After an error both know what they knew before; if the disk
// cannot be brought back to that, both know r, and the error says so. s.mu is held.
func (s *Store) commit(name string, r *record) error {
	err := s.writeRecord(name, r)
	if err == nil {
		if err = s.syncDir(s.records()); err == nil {
			s.know(name, r)
			return nil
		}
		// Other processes see r; a crash may leave either.
		if back := s.writeRecord(name, s.names[name]); back != nil {
			s.know(name, r)
			err = fmt.Errorf("the change may not last: %w", errors.Join(err, back))
		}
	}
	return fmt.Errorf("record module %q: %w", name, err)
}

// know makes r what the memory has of a name.
func (s *Store) know(name string, r *record) {
	if r == nil {
		delete(s.names, name)
	} else {
		s.names[name] = r
	}
}

// writeRecord replaces the file of a name in one step, or removes it if r is nil.
func (s *Store) writeRecord(name string, r *record) error {
	if r == nil {
		if err := os.Remove(s.recordPath(name)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.temp(), records)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it has been renamed
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	s.step("record written")
	return os.Rename(f.Name(), s.recordPath(name))
}
