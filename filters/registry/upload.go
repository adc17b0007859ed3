package registry

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Upload is a module that has been received for a name, and checked.
type Upload struct {
	s      *Store
	name   string
	path   string // aside, until it is accepted
	digest string
	abi    string
	bytes  int64

	before, made *record // what the store knew of the name until it was accepted, and then
	created      int     // number of the version that was made; 0: the name had it before
}

// Accept makes the module the current version of its name. A module that the name
// has had before is not a new version: the old one becomes current again, and
// created is false. It is called once.
func (u *Upload) Accept(from Source) (v Version, created bool, err error) {
	return u.accept(from, true)
}

// Store makes the module a version of its name, as Accept does, and leaves the version
// current that is. It is called instead of Accept.
func (u *Upload) Store(from Source) (v Version, created bool, err error) {
	return u.accept(from, false)
}

func (u *Upload) accept(from Source, current bool) (v Version, created bool, err error) {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.damaged[u.name]; err != nil {
		return Version{}, false, err
	}
	// A file of that name has the same content, unless it was tampered with: then
	// this is the cure.
	if err := os.Rename(u.path, s.module(u.digest)); err != nil {
		return Version{}, false, fmt.Errorf("store module: %w", err)
	}
	s.step("renamed")
	next := &record{}
	u.before = s.names[u.name]
	if u.before != nil {
		next = u.before.clone()
	}
	if v = next.find(u.digest); v.Number == 0 {
		next.Last++
		v, created = Version{next.Last, u.digest, u.abi, u.bytes, now(), from}, true
		next.Versions = append(next.Versions, v)
		u.created = v.Number
	}
	if current {
		next.use(v.Number)
	}
	if from == File {
		next.File = u.digest
	}
	next.prune(s.cfg.Keep, append(slices.Clip(s.held[u.name]), v.Number))
	next.forget()
	if err = s.syncDir(s.modules()); err != nil {
		err = fmt.Errorf("store module: %w", err)
	} else {
		err = s.commit(u.name, next)
	}
	if err != nil {
		return Version{}, false, errors.Join(err, s.sweep()) // the module that nothing refers to
	}
	s.step("recorded")
	u.made = next
	s.open[u] = true
	return v, created, nil
}

// Undo makes the store know what it knew before Accept, which has succeeded: for who
// finds that nothing comes of the upload. What others have changed of the name since
// stays.
func (u *Upload) Undo() error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	now := u.s.names[u.name]
	switch {
	case now == u.made:
		return u.s.commit(u.name, u.before)
	case now == nil, u.created == 0, now.Current == u.created:
		return nil
	}
	next := now.clone()
	next.Versions = slices.DeleteFunc(next.Versions, func(v Version) bool { return v.Number == u.created })
	next.forget()
	return u.s.commit(u.name, next)
}

// Close ends the upload, after which it cannot be undone.
func (u *Upload) Close() error {
	os.Remove(u.path) // it has another name if it was accepted
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if !u.s.open[u] {
		return nil
	}
	delete(u.s.open, u)
	return u.s.sweep()
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
