// Package registry keeps the versions of uploaded modules in a directory,
// content-addressed: a module's file is named by the SHA-256 of what is in it.
//
// At any moment, were the machine to lose power, the directory holds either the
// state before an upload or the state after it: files are written aside, synced
// and renamed, the module's before the one that refers to it. One process uses a
// directory at a time.
package registry

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge/osfile"
)

// Config bounds what a store keeps.
type Config struct {
	Size int64 // largest module, in bytes; default 32 MiB
	Keep int   // versions of a name; the oldest that are not current go first; default 50
}

func (c *Config) setDefaults() {
	if c.Size == 0 {
		c.Size = 32 << 20
	}
	if c.Keep == 0 {
		c.Keep = 50
	}
}

// Largest returns how many bytes a module may have.
func (s *Store) Largest() int64 { return s.cfg.Size }

// Source is where a version came from.
type Source string

// The sources.
const (
	API  Source = "api"
	File Source = "file" // named in the configuration
)

// Version is one module that a name has stood for.
type Version struct {
	Number int       `json:"number"` // from 1, never given twice
	Digest string    `json:"digest"` // SHA-256 in hexadecimal
	ABI    string    `json:"abi"`    // as its check called it
	Bytes  int64     `json:"bytes"`
	Time   time.Time `json:"time"` // when it came first
	Source Source    `json:"source"`
}

// ErrNotFound is wrapped by errors about what the store does not have.
var ErrNotFound = errors.New("not found")

// Damaged is the error of a file that is not as the store has left it.
type Damaged struct {
	Path string
	Err  error  // what is wrong with it
	Cure string // what to do
}

func (d *Damaged) Error() string { return fmt.Sprintf("%s: %v: %s", d.Path, d.Err, d.Cure) }
func (d *Damaged) Unwrap() error { return d.Err }

// ErrTooLarge is wrapped by errors about modules of more than Config.Size bytes.
var ErrTooLarge = errors.New("too large")

// ErrName is wrapped by errors about names that cannot be one.
var ErrName = errors.New("not a name")

// Refused is the error of a module that did not pass its check.
type Refused struct{ Err error }

func (r *Refused) Error() string { return r.Err.Error() }
func (r *Refused) Unwrap() error { return r.Err }

// Store is the modules in one directory. It may be used by several goroutines.
type Store struct {
	dir string
	cfg Config

	// step is told where an upload has come to. For tests, which stop there.
	step func(string)

	syncDir func(string) error // osfile.SyncDir; for tests, which fail there

	mu      sync.Mutex // guards the following fields, and the renaming and removing of files
	names   map[string]*record
	damaged map[string]error // names whose record cannot be read, and why
	held    map[string][]int // versions by name that are kept whatever their age
	open    map[*Upload]bool // uploads that were accepted and may be undone
}

// record is what the store knows of a name, and the JSON of its file.
type record struct {
	Current  int       `json:"current"`        // number of the version; 0: all were only stored
	Since    time.Time `json:"since,omitzero"` // when it became current, or alone was again
	Past     []int     `json:"past,omitempty"` // those that were current before it, the latest last
	Last     int       `json:"last"`           // highest number given
	File     string    `json:"file,omitempty"` // digest that the configuration's file had when it was last seen
	Versions []Version `json:"versions"`       // oldest first
	Retreat  *Retreat  `json:"retreat,omitempty"`
}

// Retreat is why a version became current that nobody has asked for: another one
// did not do well.
type Retreat struct {
	From   int       `json:"from"` // number of the other version
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
}

func (r *record) version(number int) (Version, bool) {
	for _, v := range r.Versions {
		if v.Number == number {
			return v, true
		}
	}
	return Version{}, false
}

func (r *record) clone() *record {
	c := *r
	c.Versions, c.Past = slices.Clone(r.Versions), slices.Clone(r.Past)
	return &c
}

// use makes a version the current one. Whoever asks for one has seen why the version
// before was left.
func (r *record) use(number int) {
	r.Retreat = nil
	if r.Current == number {
		return
	}
	if r.Current != 0 {
		r.Past = append(r.Past, r.Current)
	}
	r.Current, r.Since = number, now()
}

func now() time.Time { return time.Now().UTC().Round(0) }

// forget leaves what is no version any more out of the past, and what would be no
// change.
func (r *record) forget() {
	last := 0
	r.Past = slices.DeleteFunc(r.Past, func(n int) bool {
		_, ok := r.version(n)
		twice := n == last
		if ok {
			last = n
		}
		return !ok || twice
	})
	if n := len(r.Past); n > 0 && r.Past[n-1] == r.Current {
		r.Past = r.Past[:n-1]
	}
	if n := len(r.Past) - maxPast; n > 0 {
		r.Past = slices.Delete(r.Past, 0, n)
	}
}

// maxPast is how often one can go back.
const maxPast = 100

// Open opens the store in dir, which it makes if need be. What an interrupted
// upload has left is removed.
func Open(dir string, cfg Config) (*Store, error) {
	cfg.setDefaults()
	s := &Store{dir: dir, cfg: cfg, names: make(map[string]*record), damaged: make(map[string]error), open: make(map[*Upload]bool), step: func(string) {}, syncDir: osfile.SyncDir}
	for _, d := range []string{s.modules(), s.records(), s.temp()} {
		if err := makeDir(d); err != nil {
			return nil, fmt.Errorf("open module store: %w", err)
		}
	}
	for _, prefix := range []string{uploads, records} {
		if err := osfile.CleanOf(s.temp(), prefix); err != nil {
			return nil, fmt.Errorf("open module store: %w", err)
		}
	}
	files, err := os.ReadDir(s.records())
	if err != nil {
		return nil, fmt.Errorf("open module store: %w", err)
	}
	for _, e := range files {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || CheckName(name) != nil {
			continue
		}
		r, err := s.readRecord(name)
		if err != nil {
			s.damaged[name] = &Damaged{Path: s.recordPath(name), Err: err, Cure: "restore the file from a backup; or remove it, restart, and upload the module again"}
			continue
		}
		s.names[name] = r
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("open module store: %w", err)
	}
	return s, nil
}

func (s *Store) modules() string { return filepath.Join(s.dir, "modules") }
func (s *Store) records() string { return filepath.Join(s.dir, "names") }
func (s *Store) temp() string    { return filepath.Join(s.dir, "tmp") }

// How the names of files begin that are written aside.
const (
	uploads = "upload-"
	records = "record-"
)

func (s *Store) module(digest string) string { return filepath.Join(s.modules(), digest+".wasm") }

var (
	nameShape   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	digestShape = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// CheckName says what keeps a name from being one of a store. The error wraps ErrName.
func CheckName(name string) error {
	if !nameShape.MatchString(name) || strings.Contains(name, "..") {
		return fmt.Errorf("%w: %q: want 1 to 64 of a-z, 0-9, '-', '_' and '.', the first a letter or digit, no \"..\"", ErrName, name)
	}
	return nil
}

// List returns the names that have versions, sorted. Those whose record is damaged
// are among them.
func (s *Store) List() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(func(yield func(string) bool) {
		maps.Keys(s.names)(yield)
		maps.Keys(s.damaged)(yield)
	})
}

// Damage returns the names whose record is damaged, and how.
func (s *Store) Damage() map[string]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.damaged)
}

// find returns what the store knows of a name. s.mu is held.
func (s *Store) find(name string) (*record, error) {
	if err := s.damaged[name]; err != nil {
		return nil, err
	}
	r, ok := s.names[name]
	if !ok {
		return nil, fmt.Errorf("module %q: %w", name, ErrNotFound)
	}
	return r, nil
}

// findVersion returns what the store knows of a version. s.mu is held.
func (s *Store) findVersion(name string, number int) (*record, Version, error) {
	r, err := s.find(name)
	if err != nil {
		return nil, Version{}, err
	}
	v, ok := r.version(number)
	if !ok {
		return nil, Version{}, fmt.Errorf("version %d of module %q: %w", number, name, ErrNotFound)
	}
	return r, v, nil
}

// Versions returns a name's versions, oldest first.
func (s *Store) Versions(name string) ([]Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(r.Versions), nil
}

// Current returns the version that a name stands for. It is the zero Version if all
// that the name has was only stored.
func (s *Store) Current(name string) (Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(name)
	if err != nil {
		return Version{}, err
	}
	v, _ := r.version(r.Current)
	return v, nil
}

// Since returns when the current version became that, and what it has replaced because
// that did not do well: nil if somebody has asked for it.
func (s *Store) Since(name string) (time.Time, *Retreat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(name)
	if err != nil {
		return time.Time{}, nil
	}
	return r.Since, r.Retreat
}

// Use makes a version that there is the current one. Undo makes the store know what it
// knew before, if nobody has changed the name since.
func (s *Store) Use(name string, number int) (v Version, undo func() error, err error) {
	return s.use(name, number, nil)
}

// Retreat is Use where nobody has asked for it, and keeps why.
func (s *Store) Retreat(name string, number int, why Retreat) (v Version, undo func() error, err error) {
	return s.use(name, number, &why)
}

func (s *Store) use(name string, number int, why *Retreat) (v Version, undo func() error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	undo = func() error { return nil }
	before, v, err := s.findVersion(name, number)
	if err != nil || before.Current == number && before.Retreat == nil && why == nil {
		return v, undo, err
	}
	next := before.clone()
	next.use(number)
	if next.Retreat = why; why != nil {
		next.Since = now() // alone again
	}
	next.forget()
	if err := s.commit(name, next); err != nil {
		return v, undo, err
	}
	return v, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.names[name] != next {
			return nil
		}
		return s.commit(name, before)
	}, nil
}

// Renew notes that the current version of a name is again all that there is of it, after
// others were beside it.
func (s *Store) Renew(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, err := s.find(name)
	if err != nil {
		return err
	}
	next := before.clone()
	next.Since = now()
	return s.commit(name, next)
}

// Version returns a version of a name.
func (s *Store) Version(name string, number int) (Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, v, err := s.findVersion(name, number)
	return v, err
}

// ErrFirst is wrapped by the error of Back where there is nothing to go back to.
var ErrFirst = errors.New("there was no version before it")

// Before returns the version that was current before the one that is.
func (s *Store) Before(name string) (Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before(name)
}

// before is Before. s.mu is held.
func (s *Store) before(name string) (Version, error) {
	r, err := s.find(name)
	if err != nil {
		return Version{}, err
	}
	n := len(r.Past) - 1
	if n < 0 {
		return Version{}, fmt.Errorf("go back from version %d of module %q: %w", r.Current, name, ErrFirst)
	}
	v, _ := r.version(r.Past[n])
	return v, nil
}

// Back makes the version current that was so before the one that is.
func (s *Store) Back(name string) (Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.before(name)
	if err != nil {
		return Version{}, err
	}
	next := s.names[name].clone()
	next.Current, next.Since, next.Retreat = v.Number, now(), nil
	next.Past = next.Past[:len(next.Past)-1]
	next.forget()
	return v, s.commit(name, next)
}

// Hold keeps versions, by their names, whatever their age, until it is called
// again.
func (s *Store) Hold(versions map[string][]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = versions
}

// Remove forgets a name. Modules that no other name has are deleted.
func (s *Store) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.damaged[name] == nil {
		if _, err := s.find(name); err != nil {
			return err
		}
	}
	if err := s.commit(name, nil); err != nil {
		return err
	}
	delete(s.damaged, name)
	return s.sweep()
}

// sweep deletes the modules that no name has, nor will have if uploads are undone, nor
// may have if its record is mended. s.mu is held, or nobody else has the store yet.
func (s *Store) sweep() error {
	if len(s.damaged) > 0 {
		return nil
	}
	used := make(map[string]bool)
	use := func(r *record) {
		for _, v := range r.Versions {
			used[v.Digest] = true
		}
	}
	for _, r := range s.names {
		use(r)
	}
	for u := range s.open {
		if u.before != nil {
			use(u.before)
		}
	}
	files, err := os.ReadDir(s.modules())
	if err != nil {
		return err
	}
	for _, e := range files {
		digest, ok := strings.CutSuffix(e.Name(), ".wasm")
		if !ok || !digestShape.MatchString(digest) || used[digest] {
			continue
		}
		if err := os.Remove(s.module(digest)); err != nil {
			return err
		}
	}
	return nil
}
