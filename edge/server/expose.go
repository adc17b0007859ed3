package server

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/filters/deploy"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Metrics tells w of all that is measured.
func (s *Server) Metrics(w *metrics.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// In order: beyond the cap the first series have places of their own.
	names := slices.SortedFunc(maps.Keys(s.shared.meters), func(a, b routeName) int {
		return cmp.Or(cmp.Compare(a.site, b.site), cmp.Compare(a.route, b.route), cmp.Compare(a.arm, b.arm))
	})
	for _, name := range names {
		m := s.shared.meters[name]
		if name.arm == "" {
			w.Requests(m, name.site, name.route)
		} else if n := m.Totals().Requests; n > 0 {
			w.Counter(metrics.SplitRequests, float64(n), name.site, name.route, name.arm)
		}
	}
	s.exposeUpstreams(w)
	s.exposeModules(w)
	s.exposeSchedules(w)
	s.exposeGuests(w)
	for _, c := range s.shared.compressors {
		for _, st := range c.Stats() {
			w.Counter(metrics.CompressIn, float64(st.In), st.Coding)
			w.Counter(metrics.CompressOut, float64(st.Out), st.Coding)
		}
	}
	if s.cached() {
		c := s.store.Stats()
		w.Gauge(metrics.CacheBytes, float64(c.Bytes))
		w.Gauge(metrics.CacheEntries, float64(c.Entries))
		w.Counter(metrics.CacheEvictions, float64(c.Evictions))
	}
	for _, set := range *s.secrets.Load() {
		for name, end := range set.Expiries() {
			w.Gauge(metrics.CertNotAfter, float64(end.Unix()), name)
		}
	}
	taken := 1.0
	if s.failed != nil {
		taken = 0
	}
	w.Gauge(metrics.ConfigReloaded, taken)
	w.Counter(metrics.ConfigReloads, float64(s.reloads))
	for _, c := range s.connections() {
		proto := map[string]string{"http/1.1": "h1"}[c.Protocol]
		if proto == "" {
			proto = c.Protocol
		}
		w.Gauge(metrics.Connections, float64(c.Active), proto, "active")
		w.Gauge(metrics.Connections, float64(c.Tunnels), proto, "tunnel")
		w.Gauge(metrics.Connections, float64(max(c.Open-c.Active-c.Tunnels, 0)), proto, "idle")
	}
	w.Counter(metrics.AccessLogDropped, float64(s.access.Load().Dropped()))
}

// exposeUpstreams tells of the endpoints. s.mu is held.
func (s *Server) exposeUpstreams(w *metrics.Writer) {
	for _, p := range s.shared.pools {
		st := p.Status()
		m := s.shared.upstreams[st.Name]
		for _, e := range st.Endpoints {
			w.Counter(metrics.UpstreamRequests, float64(e.Requests), st.Name, e.Address)
			for kind, n := range e.Errors {
				w.Counter(metrics.UpstreamErrors, float64(n), st.Name, e.Address, kind.String())
			}
			w.Gauge(metrics.UpstreamInFlight, float64(e.InFlight), st.Name, e.Address)
			w.Gauge(metrics.UpstreamIdle, float64(e.Idle), st.Name, e.Address)
			if m == nil || m.endpoints[e.Address] == nil {
				continue
			}
			waited := m.endpoints[e.Address].waited.Snapshot()
			w.Histogram(metrics.UpstreamDuration, &waited, st.Name, e.Address)
			w.Counter(metrics.UpstreamRetries, float64(m.endpoints[e.Address].retries.Load()), st.Name, e.Address)
		}
	}
}

// exposeModules tells of the versions of filters and functions that are live, and of
// those in shadow. s.mu is held.
func (s *Server) exposeModules(w *metrics.Writer) {
	for _, f := range s.shared.filters {
		d := f.live.acquire()
		if d == nil {
			continue
		}
		for _, v := range d.running {
			st, number := v.guest.Stats(), strconv.Itoa(v.number)
			if h, ok := s.meters.filters.snapshot(f.name, v.number); ok {
				w.Histogram(metrics.FilterDuration, &h, f.name, number)
			}
			exposeFailures(w, metrics.FilterErrors, &st, f.name, number)
			w.Gauge(metrics.FilterMemory, float64(st.Bytes), f.name, number)
			w.Gauge(metrics.FilterInstances, float64(st.Instances), f.name, number)
		}
		exposeShadow(w, metrics.FilterShadow, d.shadow, f.name)
		d.release()
	}
	exposeRollbacks(w, metrics.FilterRollbacks, s.filters)
	for _, f := range s.shared.functions {
		d := f.live.acquire()
		if d == nil {
			continue
		}
		for _, v := range d.running {
			st, number := v.guest.Stats(), strconv.Itoa(v.number)
			w.Counter(metrics.FunctionRequests, float64(st.Calls), f.name, number)
			if h, ok := s.meters.programs.snapshot(f.name, v.number); ok {
				w.Histogram(metrics.FunctionDuration, &h, f.name, number)
			}
			exposeFailures(w, metrics.FunctionErrors, &st, f.name, number)
		}
		exposeShadow(w, metrics.FunctionShadow, d.shadow, f.name)
		d.release()
	}
	exposeRollbacks(w, metrics.FunctionRollbacks, s.functions)
}

// exposeRollbacks tells how often guards have rolled back.
func exposeRollbacks(w *metrics.Writer, m metrics.Metric, l *library) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.pasts)) {
		w.Counter(m, float64(l.pasts[name].rollbacks.Load()), name)
	}
}

func exposeFailures(w *metrics.Writer, m metrics.Metric, st *wasm.Stats, name, number string) {
	for cause, n := range st.Failures {
		if n > 0 {
			w.Counter(m, float64(n), name, number, wasm.Cause(cause).String())
		}
	}
}

func exposeShadow(w *metrics.Writer, m metrics.Metric, shadow *deploy.Shadow, name string) {
	if shadow == nil {
		return
	}
	r := shadow.Report()
	dropped := uint64(0)
	for _, n := range r.Dropped {
		dropped += n
	}
	for verdict, n := range map[string]uint64{"same": r.Same, "differs": r.Differs, "failed": r.Failed, "dropped": dropped} {
		if n > 0 {
			w.Counter(m, float64(n), name, strconv.Itoa(r.Version), verdict)
		}
	}
}

// describeLatest returns the traffic of the last minute as the API shows it.
func describeLatest(l metrics.Latest) api.Latest {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	h := &l.Durations
	return api.Latest{Requests: h.Count, Rate: l.Rate(), Errors: l.ErrorShare(), P50: ms(h.Quantile(.5)), P95: ms(h.Quantile(.95)), P99: ms(h.Quantile(.99)), Max: ms(h.Max)}
}
