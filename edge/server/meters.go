package server

import (
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/metrics"
)

// meters is what the server counts of exchanges apart from their routes.
type meters struct {
	all      *metrics.Requests
	filters  runMeters
	programs runMeters // of functions
}

// upstreamMeter is what is counted of the exchanges with one upstream.
type upstreamMeter struct {
	latest    *metrics.Window
	endpoints map[string]*endpointMeter // by address; never changed
}

type endpointMeter struct {
	waited  metrics.Histogram
	retries atomic.Uint64
}

func newUpstreamMeter(now time.Time, addresses []string) *upstreamMeter {
	m := &upstreamMeter{latest: metrics.NewWindow(now, metrics.WindowConfig{}), endpoints: make(map[string]*endpointMeter)}
	for _, a := range addresses {
		m.endpoints[a] = new(endpointMeter)
	}
	return m
}

// count counts an exchange that has asked the upstream.
func (m *upstreamMeter) count(now time.Time, r *edge.Record, failed bool) {
	m.latest.Observe(now, r.Waited, failed)
	if e := m.endpoints[r.Endpoint]; e != nil {
		e.waited.Observe(r.Waited)
		if r.Tries > 1 {
			e.retries.Add(uint64(r.Tries - 1))
		}
	}
}

// runMeters measures the runs of modules, by version.
type runMeters struct {
	byVersion atomic.Pointer[map[run]*runMeter] // copied when there is a new version
	mu        sync.Mutex                        // held by who copies
}

type run struct {
	name    string
	version int
}

// runMeter is what is measured of one version.
type runMeter struct {
	took   metrics.Histogram
	errors atomic.Uint64 // exchanges that failed, of whatever cause
	traps  atomic.Uint64 // those in which the module itself did
}

// count counts a part in an exchange.
func (m *runMeters) count(r *edge.FilterRun, failed bool) {
	key := run{r.Name, r.Version}
	one := m.find(key)
	if one == nil {
		one = m.of(key)
	}
	one.took.Observe(r.Took)
	if failed {
		one.errors.Add(1)
	}
	if r.Failed {
		one.traps.Add(1)
	}
}

// find returns what is measured of a version; nil: nothing yet.
func (m *runMeters) find(key run) *runMeter {
	if all := m.byVersion.Load(); all != nil {
		return (*all)[key]
	}
	return nil
}

func (m *runMeters) of(key run) *runMeter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if one := m.find(key); one != nil {
		return one
	}
	next := make(map[run]*runMeter)
	if all := m.byVersion.Load(); all != nil {
		for k, one := range *all {
			if k.name != key.name || k.version+maxMeteredVersions > key.version {
				next[k] = one
			}
		}
	}
	one := new(runMeter)
	next[key] = one
	m.byVersion.Store(&next)
	return one
}

// keep forgets the modules of which it is not true: who makes up names for them must
// not fill the memory.
func (m *runMeters) keep(is func(name string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.byVersion.Load()
	if all == nil {
		return
	}
	next := maps.Clone(*all)
	maps.DeleteFunc(next, func(r run, _ *runMeter) bool { return !is(r.name) })
	m.byVersion.Store(&next)
}

// maxMeteredVersions is how many versions of a module are measured beside the
// latest: those that go out while another comes in, and those that are pinned.
const maxMeteredVersions = 20

// snapshot returns what has been measured of a version.
func (m *runMeters) snapshot(name string, version int) (metrics.HistogramSnapshot, bool) {
	if one := m.find(run{name, version}); one != nil {
		return one.took.Snapshot(), true
	}
	return metrics.HistogramSnapshot{}, false
}

// End implements edge.Ender: the exchange is over, counted and logged.
func (s *Server) End(x *edge.Exchange) {
	r := &x.Record
	if r.Why == "" {
		r.Why = outcome(r)
	}
	end := time.Now()
	s.count(x, end)
	if !r.Unlogged {
		s.access.Load().Log(x, end)
	}
	if r.Err != nil && failed(x) {
		s.complain(r)
	}
}

// complaints is how many failed exchanges a second the error log tells of one by
// one; of the rest it tells the number.
const complaints = 20

// complain tells the operator of an exchange that has failed: where, and why.
func (s *Server) complain(r *edge.Record) {
	attrs := []any{"id", r.ID, "site", r.Site, "route", r.Route, "why", r.Why}
	if r.Upstream != "" {
		attrs = append(attrs, "upstream", r.Upstream, "endpoint", r.Endpoint)
	}
	s.troubles.Log(slog.LevelWarn, "a request has failed", append(attrs, "error", r.Err)...)
}

// count counts an exchange that has ended now.
func (s *Server) count(x *edge.Exchange, now time.Time) {
	r, snap := &x.Record, s.snapshot.Load()
	o := metrics.Outcome{
		Method: r.Method, Proto: x.Request.Proto, Status: x.Response.Status, Cache: r.Cache,
		Duration: now.Sub(r.Start), Received: r.Received, Sent: r.Sent, Failed: failed(x),
	}
	s.meters.all.Count(now, &o)
	if c := snap.meters[routeName{r.Site, r.Route, ""}]; c != nil {
		c.Count(now, &o)
	}
	if r.Arm != "" {
		if c := snap.meters[routeName{r.Site, r.Route, r.Arm}]; c != nil {
			c.Count(now, &o)
		}
	}
	if r.Upstream != "" {
		if m := snap.upstreams[r.Upstream]; m != nil {
			m.count(now, r, o.Failed)
		}
	}
	for i := range r.Filters {
		s.meters.filters.count(&r.Filters[i], o.Failed)
	}
	if r.Function.Name != "" {
		s.meters.programs.count(&r.Function, o.Failed)
	}
}

// failed reports whether an exchange counts as an error: it was answered with 5xx,
// or its answer broke off.
func failed(x *edge.Exchange) bool {
	switch status := x.Response.Status; {
	case status >= 500:
		return true
	case x.Record.Err == nil || status >= 400:
		return false
	}
	return edge.AsError(x.Record.Err).Kind != edge.ClientGone
}

// outcome returns the code of an exchange that did not fail before its response
// was made.
func outcome(r *edge.Record) string {
	switch {
	case r.Err != nil:
		return edge.AsError(r.Err).Kind.Why()
	case r.Cache == "hit", r.Cache == "pass":
		return r.Cache
	case r.Cache == "stale":
		return "hit-stale"
	}
	return "ok"
}
