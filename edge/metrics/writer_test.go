package metrics

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// scrapes is what a handler that shows few series keeps from scrape to scrape.
type scrapes struct {
	limit int
	known *families
}

// counters tells of a metric with the one label encoding, as "a=1 b=2", and
// returns its series, in order.
func (s *scrapes) counters(text string) string {
	w := Writer{limit: s.limit, known: s.known, families: new(families)}
	for _, f := range strings.Fields(text) {
		name, value, _ := strings.Cut(f, "=")
		var n float64
		fmt.Sscan(value, &n)
		w.Counter(CompressIn, n, name)
	}
	s.known = w.families
	var out []string
	for _, k := range slices.Sorted(maps.Keys(w.families[CompressIn].series)) {
		one := w.families[CompressIn].series[k]
		out = append(out, fmt.Sprintf("%s=%g", strings.Join(one.labels, ","), one.value))
	}
	return strings.Join(out, " ")
}

func TestCap(t *testing.T) {
	f := func(s *scrapes, text, want string) {
		t.Helper()
		if got := s.counters(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	s := &scrapes{limit: 3}
	f(s, "a=1 b=2", "a=1 b=2")
	f(s, "a=1 b=2 c=3 d=4 e=5", "_other=9 a=1 b=2 c=3")
	f(s, "x=7 a=1 d=4 b=2 c=3", "_other=11 a=1 b=2 c=3")        // those that were shown stay
	f(s, "a=1 d=4 c=3", "_other=4 a=1 c=3")                     // the place of b is not free yet
	f(s, "a=1 d=4 x=7 c=3", "_other=7 a=1 c=3 d=4")             // now it is
	f(s, "d=4 d=1 a=1 x=1 x=2 c=3 x=4", "_other=7 a=1 c=3 d=5") // told of twice
	f(s, "_other=1 x=1", "_other=2")                            // of that name by itself
	f(s, "a=1 b=2 c=3", "a=1 b=2 c=3")                          // the other needs no place
	f(s, "", "")
	f(s, "a=1 b=2 c=3", "a=1 b=2 c=3")
	f(&scrapes{limit: 1}, "a=1 b=2 c=3", "_other=5 a=1")
	f(&scrapes{limit: 3}, "c=3 b=2 a=1 d=4", "_other=4 a=1 b=2 c=3") // of new ones the first
}

// What is beyond the cap is added up, of every type, and of times the least counts.
func TestCapOfAllTypes(t *testing.T) {
	w := Writer{limit: 1, families: new(families)}
	var h Histogram
	h.Observe(time.Second)
	h.Observe(time.Minute)
	snap := h.Snapshot()
	for i, name := range []string{"a", "b", "c"} {
		w.Counter(SplitRequests, float64(i+1), "s", "r", name)
		w.Gauge(UpstreamIdle, float64(i+1), "u", name)
		w.Gauge(CertNotAfter, float64(9-i), name)
		w.Histogram(FilterDuration, &snap, "f", name)
		w.Gauge(CacheBytes, 7) // has one series only
	}
	get := func(m Metric, labels ...string) *series {
		t.Helper()
		s := w.families[m].series[seriesKey(labels)]
		if s == nil {
			t.Fatalf("%s has no series %q", m, labels)
		}
		return s
	}
	f := func(want float64, m Metric, labels ...string) {
		t.Helper()
		if got := get(m, labels...).value; got != want {
			t.Errorf("%s %q: got %g, want %g", m, labels, got, want)
		}
	}
	f(1, SplitRequests, "s", "r", "a")
	f(5, SplitRequests, Other, Other, Other)
	f(1, UpstreamIdle, "u", "a")
	f(5, UpstreamIdle, Other, Other)
	f(9, CertNotAfter, "a")
	f(7, CertNotAfter, Other)
	f(61, FilterDuration, "f", "a")
	f(122, FilterDuration, Other, Other)
	f(21, CacheBytes)
	o := get(FilterDuration, Other, Other)
	if first, last := o.below[0], o.below[len(o.below)-1]; o.count != 4 || first != 0 || last != 2 {
		t.Errorf("histograms: %d in all, %d and %d in the first and last bucket; want 4, 0, 2", o.count, first, last)
	}
}

// Names that are no UTF-8 are shown as what they can be, and those that become the
// same are one.
func TestNamesThatAreNotUTF8(t *testing.T) {
	s := &scrapes{limit: 3}
	if got, want := s.counters("\xff=1 a\xc3b=2 \xfe\xff=3 é=4"), "a\uFFFDb=2 é=4 \uFFFD=4"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Labels of which one ends where another begins are not taken for each other.
func TestLabelsAreApart(t *testing.T) {
	w := newWriter()
	w.Gauge(UpstreamIdle, 1, "a", "bc")
	w.Gauge(UpstreamIdle, 1, "ab", "c")
	w.Gauge(UpstreamIdle, 1, "a\xff", "c")
	w.Gauge(UpstreamIdle, 1, "a", "\xffc")
	w.Gauge(UpstreamIdle, 1, "", "")
	if n := len(w.families[UpstreamIdle].series); n != 5 {
		t.Errorf("%d series, want 5", n)
	}
}

// What the table does not say is a bug.
func TestBugs(t *testing.T) {
	f := func(want string, tell func(*Writer)) {
		t.Helper()
		defer func() {
			if got := recover(); got != want {
				t.Errorf("got panic %q, want %q", got, want)
			}
		}()
		tell(newWriter())
	}
	f("BUG: sluice_inflight is a gauge with 2 labels, not a counter with 2", func(w *Writer) { w.Counter(InFlight, 1, "a", "b") })
	f("BUG: sluice_inflight is a gauge with 2 labels, not a gauge with 1", func(w *Writer) { w.Gauge(InFlight, 1, "a") })
	f("BUG: sluice_cache_bytes is a gauge with 0 labels, not a gauge with 1", func(w *Writer) { w.Gauge(CacheBytes, 1, "a") })
	f("BUG: sluice_cache_evictions_total is a counter with 0 labels, not a histogram with 0", func(w *Writer) { w.Histogram(CacheEvictions, new(HistogramSnapshot)) })
}
