package metrics

import (
	"fmt"
	"strings"
)

// Source tells a Writer of all that there is to see. It may be called by several
// goroutines at once, each with a Writer of its own.
type Source func(*Writer)

// Writer takes the figures of one scrape. Figures of the same series are added up.
// So are those of series beyond the cap: they become one, whose labels all have
// the value [Other]. A series that the scrape before has shown is shown again, so
// that new ones do not push it out.
//
// Labels are values in the order of the metric's Description. What a metric is not
// described as is a bug, and panics.
type Writer struct {
	limit    int
	known    *families // of the scrape before; nil: there was none
	families *families
	guests   []*Guest
}

type families [metricCount]family

// family is the series of a metric.
type family struct {
	series map[string]*series // by the values of labels
	fresh  int                // of them the scrape before did not have
}

// series is a metric with values for its labels. The next scrape only looks at
// whether it is there.
type series struct {
	labels []string
	value  float64             // of a histogram the sum, in seconds
	count  uint64              // of a histogram
	below  [len(Bounds)]uint64 // likewise; cumulative
}

// Counter tells of a counter.
func (w *Writer) Counter(m Metric, value float64, labels ...string) {
	w.number(m, CounterType, value, labels)
}

// Gauge tells of a gauge.
func (w *Writer) Gauge(m Metric, value float64, labels ...string) {
	w.number(m, GaugeType, value, labels)
}

func (w *Writer) number(m Metric, t Type, value float64, labels []string) {
	s, created := w.find(m, t, labels)
	switch {
	case created:
		s.value = value
	case descriptions[m].Least:
		s.value = min(s.value, value)
	default:
		s.value += value
	}
}

// Histogram tells of a histogram.
func (w *Writer) Histogram(m Metric, h *HistogramSnapshot, labels ...string) {
	s, _ := w.find(m, HistogramType, labels)
	s.value += h.Sum.Seconds()
	s.count += h.Count
	for i, n := range h.cumulative() {
		s.below[i] += n
	}
}

// Requests tells of all that r has counted, unless there was no request at all.
func (w *Writer) Requests(r *Requests, site, route string) {
	list := r.outcomes.list()
	inFlight := r.inFlight.Load()
	if len(list) == 0 && inFlight == 0 {
		return
	}
	for _, c := range list {
		w.Counter(RequestsTotal, float64(c.n.Load()), site, route, c.key.method(), c.key.code(), c.key.proto())
	}
	durations := r.duration.Snapshot()
	w.Histogram(RequestDuration, &durations, site, route)
	w.Gauge(InFlight, float64(inFlight), site, route)
	w.Counter(RequestBytes, float64(r.received.Load()), site, route)
	w.Counter(ResponseBytes, float64(r.sent.Load()), site, route)
	for i := range r.cache {
		if n := r.cache[i].Load(); n > 0 {
			w.Counter(CacheRequests, float64(n), site, route, cacheResults[i])
		}
	}
}

// find returns the series of m with these labels, or the one of all that are
// beyond the cap.
func (w *Writer) find(m Metric, t Type, labels []string) (s *series, created bool) {
	d := &descriptions[m]
	if d.Type != t || len(d.Labels) != len(labels) {
		panic(fmt.Sprintf("BUG: %s is a %s with %d labels, not a %s with %d", d.Name, d.Type, len(d.Labels), t, len(labels)))
	}
	values := make([]string, len(labels))
	for i, v := range labels {
		values[i] = strings.ToValidUTF8(v, "\uFFFD") // others would spoil the whole scrape
	}
	f := &w.families[m]
	k := seriesKey(values)
	if s := f.series[k]; s != nil {
		return s, false
	}
	if !w.admit(m, k) {
		for i := range values {
			values[i] = Other
		}
		k = otherKey(m)
		if s := f.series[k]; s != nil {
			return s, false
		}
	}
	if f.series == nil {
		f.series = make(map[string]*series)
	}
	s = &series{labels: values}
	f.series[k] = s
	return s, true
}

// seriesKey joins values by a byte that UTF-8 does not have.
func seriesKey(values []string) string { return strings.Join(values, "\xff") }

// otherKey is the key of the series of what is beyond the cap.
func otherKey(m Metric) string {
	return strings.TrimSuffix(strings.Repeat(Other+"\xff", len(descriptions[m].Labels)), "\xff")
}

// admit reports whether a series that this scrape has not met yet is shown. Those
// that the scrape before has shown keep their places, which are free one scrape
// after they are gone.
func (w *Writer) admit(m Metric, k string) bool {
	taken := 0
	if w.known != nil {
		known := w.known[m].series
		if known[k] != nil {
			return true
		}
		taken = len(known)
		if known[otherKey(m)] != nil { // which needs no place
			taken--
		}
	}
	f := &w.families[m]
	if taken+f.fresh >= w.limit {
		return false
	}
	f.fresh++
	return true
}
