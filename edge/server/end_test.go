package server

import (
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/accesslog"
	"github.com/sluice-edge/sluice/edge/metrics"
)

// ended returns a server that logs to nobody, and an exchange that has been served
// with all that there is to log and to count.
func ended() (*Server, *edge.Exchange) {
	now := time.Now()
	s := &Server{}
	s.meters.all = metrics.NewRequests(now, metrics.WindowConfig{})
	s.access.Store(accesslog.New(accesslog.Config{Output: io.Discard}))
	snap := &snapshot{meters: make(map[routeName]*metrics.Requests), upstreams: make(map[string]*upstreamMeter)}
	for _, name := range []routeName{{"shop", "/api/*", ""}, {"shop", "/api/*", "canary"}} {
		snap.meters[name] = metrics.NewRequests(now, metrics.WindowConfig{})
	}
	snap.upstreams["api"] = newUpstreamMeter(now, []string{"10.0.0.1:8080"})
	s.snapshot.Store(snap)
	x := new(edge.Exchange)
	client := edge.NewClient(netip.MustParseAddrPort("192.0.2.1:4711"), netip.MustParseAddrPort("198.51.100.1:443"), nil)
	x.Begin(nil, &client, now)
	x.Request = edge.Request{Method: "GET", Scheme: "https", Authority: "shop.example", Path: "/api/items/17", Query: "page=2&sort=price", Proto: "HTTP/2.0"}
	x.Parsed()
	x.Response.Status = 200
	r := &x.Record
	r.ID, r.Site, r.Route, r.Arm, r.Upstream, r.Endpoint, r.Tries, r.Why = "0123456789abcdef01234567", "shop", "/api/*", "canary", "api", "10.0.0.1:8080", 1, "ok"
	r.Cache, r.Encoding, r.Sent, r.Waited = "miss", "br", 5321, 3*time.Millisecond
	r.Filters = append(r.Filters, edge.FilterRun{Name: "auth", Version: 3, Took: 20 * time.Microsecond})
	return s, x
}

// What logs and counts an exchange allocates nothing.
func TestEndAllocs(t *testing.T) {
	s, x := ended()
	defer s.access.Load().Close()
	s.End(x)
	if n := testing.AllocsPerRun(1000, func() { s.End(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Modules that no configuration has are not measured for ever, nor are all versions of
// one.
func TestRunMeters(t *testing.T) {
	var m runMeters
	m.keep(func(string) bool { return false })
	for i := range 1000 {
		m.count(&edge.FilterRun{Name: "auth", Version: i + 1, Took: time.Millisecond}, false)
		m.count(&edge.FilterRun{Name: fmt.Sprint("f", i), Version: 1}, false)
	}
	m.count(&edge.FilterRun{Name: "auth", Version: 1000, Took: time.Millisecond}, false)
	m.keep(func(name string) bool { return name == "auth" })
	if n := len(*m.byVersion.Load()); n != maxMeteredVersions {
		t.Errorf("%d are measured, want %d", n, maxMeteredVersions)
	}
	if h, ok := m.snapshot("auth", 1000); !ok || h.Count != 2 {
		t.Errorf("of the latest: %+v, %v", h, ok)
	}
	if _, ok := m.snapshot("f999", 1); ok {
		t.Error("one that is gone is measured")
	}
}

// BenchmarkEnd measures an exchange's log line and metrics.
func BenchmarkEnd(b *testing.B) {
	s, x := ended()
	defer s.access.Load().Close()
	b.ReportAllocs()
	for b.Loop() {
		s.End(x)
	}
}

// BenchmarkCount measures its metrics alone.
func BenchmarkCount(b *testing.B) {
	s, x := ended()
	defer s.access.Load().Close()
	b.ReportAllocs()
	for b.Loop() {
		s.count(x, time.Now())
	}
}
