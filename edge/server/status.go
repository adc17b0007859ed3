package server

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/upstream"
)

// Ready says whether the server takes traffic.
func (s *Server) Ready() api.Ready {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return api.Ready{Reason: "draining"}
	}
	return api.Ready{Ready: true}
}

// Status is the health of the server. The version is left to who knows it.
func (s *Server) Status() api.Status {
	ready := s.Ready()
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := s.snapshot.Load()
	now, totals := time.Now(), s.meters.all.Totals()
	st := api.Status{
		Started:   s.started,
		Ready:     ready.Ready,
		Config:    api.Config{File: snap.file.Name(), Loaded: s.applied, Reloads: uint64(s.reloads), Problem: problemOf(s.failed)},
		Requests:  totals.Requests,
		Errors:    totals.Errors,
		Filters:   s.listFilters(),
		Functions: s.listFunctions(),
		Sandboxes: s.Sandboxes(),
	}
	for _, b := range s.bindings {
		st.Listeners = append(st.Listeners, b.describe())
	}
	st.Connections = s.connections()
	st.Latest = describeLatest(s.meters.all.Latest(now))
	for _, site := range snap.sites {
		for _, r := range site.routes {
			if t := r.meter.Totals(); t.Requests > 0 {
				st.Routes = append(st.Routes, api.RouteStatus{Route: fullName(site.name, r.name), Requests: t.Requests, Errors: t.Errors, Latest: describeLatest(r.meter.Latest(now))})
			}
		}
	}
	slices.SortFunc(st.Listeners, func(a, b api.Listener) int { return cmp.Compare(a.Address, b.Address) })
	for _, p := range s.shared.pools {
		u := describePool(p)
		if m := s.shared.upstreams[u.Name]; m != nil {
			u.Latest = describeLatest(m.latest.Latest(now))
		}
		st.Upstreams = append(st.Upstreams, u)
	}
	slices.SortFunc(st.Upstreams, func(a, b api.Upstream) int { return cmp.Compare(a.Name, b.Name) })
	for _, sp := range s.shared.splits {
		st.Splits = append(st.Splits, s.describeSplit(sp))
	}
	slices.SortFunc(st.Splits, func(a, b api.Split) int { return cmp.Compare(a.Route, b.Route) })
	if s.cached() {
		c := s.store.Stats()
		st.Cache = &api.Cache{Bytes: c.Bytes, Limit: snap.file.Cache.Memory, Entries: int64(c.Entries), Hits: s.meters.all.Cache("hit"), Misses: s.meters.all.Cache("miss") + s.meters.all.Cache("revalidated"), Evictions: uint64(c.Evictions)}
	}
	return st
}

// connections returns those of clients by protocol. s.mu is held.
func (s *Server) connections() []api.Connections {
	all := make(map[string]*api.Connections)
	for _, b := range s.bindings {
		b.count(all)
	}
	for b := range s.leaving {
		b.count(all)
	}
	var list []api.Connections
	for _, protocol := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[protocol])
	}
	return list
}

// cached reports whether a route has a cache.
func (s *Server) cached() bool {
	for _, st := range s.snapshot.Load().sites {
		for _, r := range st.routes {
			if r.cache != nil {
				return true
			}
		}
	}
	return false
}

// problemOf returns err as the API shows it; nil for nil.
func problemOf(err error) *api.Problem {
	if err == nil {
		return nil
	}
	p := &api.Problem{Title: "the configuration was not taken", Detail: err.Error()}
	l, ok := errors.AsType[*diag.List](err)
	if !ok {
		return p
	}
	p.Detail = ""
	for _, one := range describeProblems(l) {
		if one.Title == diag.Error.String() {
			p.Problems = append(p.Problems, one)
		}
	}
	return p
}

// describeProblems returns what a list says as the API shows it: errors and warnings
// by their titles.
func describeProblems(l *diag.List) []api.Problem {
	var all []api.Problem
	for _, p := range l.Problems() {
		all = append(all, api.Problem{Title: p.Severity.String(), Detail: p.Message, File: p.Place.File, Line: p.Place.Line, Column: p.Place.Column, Hint: p.Hint})
	}
	return all
}

// describePool returns the pool as the API shows it.
func describePool(p *upstream.Pool) api.Upstream {
	st := p.Status()
	u := api.Upstream{Name: st.Name}
	for _, e := range st.Endpoints {
		shown := api.Endpoint{Address: e.Address, Weight: max(e.Weight, 1), Backup: e.Backup, Active: e.InFlight, Idle: e.Idle, Requests: e.Requests}
		for _, n := range e.Errors {
			shown.Errors += n
		}
		u.Endpoints = append(u.Endpoints, shown)
	}
	return u
}

// Sandboxes says how the sandboxes of guests are put back after each request, and why
// that way.
func (s *Server) Sandboxes() string { return s.wasm.Reset() }
