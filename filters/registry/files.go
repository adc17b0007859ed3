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
	"syscall"
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
	if err := s.usable(name); err != nil {
		return nil, err
	}
	return s.receive(name, r, check)
}

// usable returns the damage of a name's record.
func (s *Store) usable(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged[name]
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
	if err := s.usable(name); err != nil {
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

// Load returns the bytes of a module. One that has been tampered with is a [Damaged].
func (s *Store) Load(digest string) ([]byte, error) {
	if !digestShape.MatchString(digest) {
		return nil, fmt.Errorf("module %q: %w", digest, ErrNotFound)
	}
	path := s.module(digest)
	b, err := readFile(path, s.cfg.Size)
	if err == nil {
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != digest {
			err = fmt.Errorf("has been changed: the SHA-256 of its content is %x, and was %s", sum, digest)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the file is %w", ErrNotFound)
	}
	if err != nil {
		return nil, &Damaged{Path: path, Err: err, Cure: "upload the module again"}
	}
	return b, nil
}

// readFile reads a regular file of the store. What a link leads to is not the store's.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, errors.New("is a symbolic link, and was a file")
	}
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no regular file, and was one")
	}
	if err != nil {
		return nil, plain(err)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("has more than %d bytes", most)
	}
	return b, plain(err)
}

// plain returns an error without the path that it is about.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// makeDir makes a directory of the store, if there is none.
func makeDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = &Damaged{Path: path, Err: errors.New("is a symbolic link, and was a directory"), Cure: "put the directory itself there"}
	}
	return err
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

// maxRecord is the largest record of a name that is read, in bytes.
const maxRecord = 4 << 20

func (s *Store) readRecord(name string) (*record, error) {
	b, err := readFile(s.recordPath(name), maxRecord)
	if err != nil {
		return nil, err
	}
	r := new(record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("is no record of a module: %w", err)
	}
	if _, ok := r.version(r.Current); !ok && r.Current != 0 {
		return nil, fmt.Errorf("has no version %d, which is to be current", r.Current)
	}
	last := 0
	for _, v := range r.Versions {
		if !digestShape.MatchString(v.Digest) || v.Number <= last || v.Number > r.Last {
			return nil, fmt.Errorf("has a version %d that is not valid", v.Number)
		}
		last = v.Number
	}
	if len(r.Versions) == 0 {
		return nil, errors.New("has no version")
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
