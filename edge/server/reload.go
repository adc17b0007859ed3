package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluice-edge/sluice/edge/cache"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
)

// Apply makes file the configuration in force, with what the API has changed of it
// and still holds, or changes nothing: if the list has errors, or err is not nil,
// the one before goes on. Nothing that is being served is cut. Cause is for the
// history.
func (s *Server) Apply(file *config.File, cause string) (problems *diag.List, err error) {
	defer s.ahead(file).release()
	s.changing.Lock()
	defer s.changing.Unlock()
	with, overlays := s.overlaid(file, s.overlays)
	return s.apply(with, file.Texts(), overlays, cause)
}

// apply makes file the configuration in force: what base says, with overlays.
// s.changing is held.
func (s *Server) apply(file *config.File, base []config.Text, overlays []overlay, cause string) (problems *diag.List, err error) {
	defer func() {
		why := err
		if err == nil {
			why = problems.Err()
		}
		s.Refused(why)
	}()
	if s.draining {
		return file.Diag(), errors.New("the server is shutting down")
	}
	b := &builder{s: s, file: file, problems: file.Diag()}
	used := newShared()
	b.used = &used
	store, err := s.storeFor(file.Cache)
	if err != nil {
		return b.problems, fmt.Errorf("make the cache's store: %w", err)
	}
	b.store = store
	if before := s.snapshot.Load(); before != nil {
		s.hold(before.file, file)
	} else {
		s.hold(file)
	}
	snap, needed := b.build()
	secrets := b.certificates()
	if b.problems.Failed() {
		b.discard()
		return b.problems, nil
	}
	lines, err := s.openLog(file.Log)
	if err != nil {
		b.discard()
		return b.problems, err
	}
	opened, err := s.open(needed, file)
	if err != nil {
		b.discard()
		if lines != s.accessLog {
			lines.close()
		}
		return b.problems, err
	}
	if err := s.saveOverlays(overlays); err != nil {
		b.discard()
		for _, bd := range opened {
			bd.close()
		}
		if lines != s.accessLog {
			lines.close()
		}
		return b.problems, err
	}
	s.goLive(&next{b, snap, secrets, lines, base, overlays, needed, opened})
	s.forgetShares()
	if err := s.history.add(file.Texts(), cause, s.applied); err != nil {
		s.log.Warn("the history could not be written", "error", err)
	}
	return b.problems, nil
}

// forgetShares drops what the API has changed of splits that the configuration in
// force does not have. s.changing is held.
func (s *Server) forgetShares() {
	left := s.saved.of(s.shared.splits)
	gone := len(s.saved.splits) - len(left)
	if gone == 0 {
		return
	}
	s.log.Warn("the file has other splits now, and wins: shares that the API had changed are gone", "splits", gone)
	if err := s.saved.write(left); err != nil {
		s.log.Warn("the shares that are gone could not be forgotten", "error", err)
		return // the next reload tries again
	}
	s.mu.Lock()
	s.saved.splits = left
	s.mu.Unlock()
}

// next is all that a configuration goes live with.
type next struct {
	*builder
	snap     *snapshot
	secrets  *secrets
	lines    *accessLog
	base     []config.Text
	overlays []overlay
	needed   []address
	opened   []*binding
}

// goLive puts a configuration in force. s.changing is held.
func (s *Server) goLive(n *next) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, used, file := s.snapshot.Load(), n.used, n.file
	s.base, s.overlays = n.base, n.overlays
	for name, m := range s.shared.meters { // an exchange of a route that goes is counted to its end
		if _, ok := used.meters[name]; !ok && m.Totals().InFlight > 0 {
			used.meters[name], n.snap.meters[name] = m, m
		}
	}
	for _, bd := range n.opened {
		s.bindings[bd.key] = bd
	}
	for address, e := range n.snap.entrances {
		e.altSvc = s.bindings[address].altSvc()
	}
	for _, p := range n.pending {
		p.deploy()
	}
	for address, bd := range s.bindings {
		if n.snap.entrances[address] == nil {
			bd.door.last.Store(old.entrances[address])
		}
	}
	s.secrets.Store(n.secrets)
	s.snapshot.Store(n.snap)
	for _, bd := range n.opened {
		bd.start()
	}
	s.closeUnused(n.needed)
	before := s.shared
	s.shared = *used
	before.retire(used)
	s.logTo(n.lines, file.Log)
	if s.store != n.store {
		if s.store != nil {
			s.store.Close() // what is being read stays valid
		}
		s.store = n.store
	}
	for _, bd := range s.bindings {
		bd.configure(file)
	}
	s.hold(file)
	isFilter := func(name string) bool { return file.Filter(name) != nil }
	isFunction := func(name string) bool { return file.Function(name) != nil }
	s.meters.filters.keep(isFilter)
	s.meters.programs.keep(isFunction)
	s.filters.forget(isFilter)
	s.functions.forget(isFunction)
	s.keepMeters(file)
	s.reschedule(file, n.functions)
	s.applied = time.Now()
	if old != nil {
		s.reloads++
	}
}

// open binds the addresses that are not bound yet. s.changing is held. Unless all
// can be bound none is.
func (s *Server) open(needed []address, f *config.File) (opened []*binding, err error) {
	for _, a := range needed {
		if have := s.bindings[a.key()]; have != nil {
			if (have.certificate != nil) != a.encrypted {
				err = fmt.Errorf("%s cannot change between http and https while it is in use: restart sluice, or use another port", a.address)
				break
			}
			continue
		}
		var b *binding
		if b, err = s.bind(a, f); err != nil {
			break
		}
		opened = append(opened, b)
	}
	if err != nil {
		for _, b := range opened {
			b.close()
		}
		return nil, err
	}
	return opened, nil
}

// closeUnused stops accepting where nothing is served any more. What is being
// served there ends in its own time. s.mu is held.
func (s *Server) closeUnused(needed []address) {
	keep := make(map[string]bool)
	for _, a := range needed {
		keep[a.key()] = true
	}
	for address, b := range s.bindings {
		if keep[address] {
			continue
		}
		delete(s.bindings, address)
		s.leave(b)
	}
}

// storeFor returns the store that c asks for: the one that there is, or a new one.
// s.changing is held.
func (s *Server) storeFor(c config.Store) (*cache.Store, error) {
	if old := s.snapshot.Load(); old != nil && old.file.Cache == c {
		return s.store, nil
	}
	return cache.NewStore(cache.Config{Memory: c.Memory})
}

// discard gives back what was made for a snapshot that will not be.
func (b *builder) discard() {
	b.used.retire(&b.s.shared)
	for _, p := range b.pending {
		p.discard()
	}
	if b.store != b.s.store {
		b.store.Close()
	}
}
