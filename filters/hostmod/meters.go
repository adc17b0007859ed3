package hostmod

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Kind is what a guest's metric is.
type Kind uint8

// The kinds, as metric_define has them.
const (
	Counter Kind = iota
	Gauge
	Histogram
	kinds // number of kinds
)

// MeterConfig bounds what the metrics of guests are. The zero value of a field means
// its default.
type MeterConfig struct {
	Series int // that one filter or function may define; default 100
	Labels int // of one; default 4
}

// Buckets is how many buckets a histogram has with an upper bound: 1, 2, 4 ... 2^30.
const Buckets = 31

const (
	maxName  = 200 // bytes of a name: filters of Envoy put labels into those of metrics
	maxLabel = 128 // bytes of a label's value
)

// Registry is the metrics of all guests of a proxy.
type Registry struct {
	cfg MeterConfig

	mu    sync.Mutex            // guards the following fields
	kinds map[string]family     // by name: all guests mean the same by it
	sets  map[[2]string]*Meters // by role and name
}

// family is what metrics of a name have in common.
type family struct {
	kind   Kind
	labels string // names, joined by NUL
	users  int    // series
}

// NewRegistry returns a registry without metrics.
func NewRegistry(cfg MeterConfig) *Registry {
	if cfg.Series == 0 {
		cfg.Series = 100
	}
	if cfg.Labels == 0 {
		cfg.Labels = 4
	}
	return &Registry{cfg: cfg, kinds: make(map[string]family), sets: make(map[[2]string]*Meters)}
}

// Meters is the metrics of one filter or function. They stay over versions of its
// module.
type Meters struct {
	registry *Registry
	series   atomic.Pointer[[]*Series] // by number; changed while registry.mu is held
	gone     bool                      // it was forgotten, and what is defined now is nobody's business; guarded by registry.mu
}

// Series is one metric with values for its labels.
type Series struct {
	Name   string
	Kind   Kind
	Labels [][2]string // names and values, in the order of names

	value   atomic.Int64 // of a histogram the sum
	buckets [Buckets + 1]atomic.Uint64
}

// Of returns the metrics of a filter or function: role says which.
func (r *Registry) Of(role, name string) *Meters {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := [2]string{role, name}
	m := r.sets[k]
	if m == nil {
		m = &Meters{registry: r}
		m.series.Store(new([]*Series))
		r.sets[k] = m
	}
	return m
}

// Keep forgets the metrics of those that keep reports false of.
func (r *Registry) Keep(keep func(role, name string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, m := range r.sets {
		if keep(k[0], k[1]) {
			continue
		}
		for _, s := range *m.series.Load() {
			f := r.kinds[s.Name]
			if f.users--; f.users == 0 {
				delete(r.kinds, s.Name)
			} else {
				r.kinds[s.Name] = f
			}
		}
		delete(r.sets, k)
		m.gone = true // a guest may still run that has it
	}
}

// All calls f with every series, in order.
func (r *Registry) All(f func(role, name string, s *Series)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	order := make([][2]string, 0, len(r.sets))
	for k := range r.sets {
		order = append(order, k)
	}
	slices.SortFunc(order, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, k := range order {
		for _, s := range *r.sets[k].series.Load() {
			f(k[0], k[1], s)
		}
	}
}

// Value returns a counter's or gauge's value, or the sum of a histogram.
func (s *Series) Value() int64 { return s.value.Load() }

// Buckets returns how many values a histogram has in each of its buckets: the first
// up to 1, the last beyond 2^30.
func (s *Series) Buckets() (counts [Buckets + 1]uint64) {
	for i := range counts {
		counts[i] = s.buckets[i].Load()
	}
	return counts
}

// Number returns the number of a series, if it is there. labels is a list of pairs.
func (m *Meters) Number(kind Kind, name, labels string) (n int, ok bool) {
	pairs, err := m.registry.check(kind, name, labels)
	if err != nil {
		return 0, false
	}
	all := *m.series.Load()
	n = slices.IndexFunc(all, func(s *Series) bool {
		return s.Name == name && s.Kind == kind && slices.Equal(s.Labels, pairs)
	})
	return n, n >= 0
}

// Define returns the number of a series, which is made if it is not there. labels is a
// list of pairs.
func (m *Meters) Define(kind Kind, name, labels string) (int, error) {
	pairs, err := m.registry.check(kind, name, labels)
	if err != nil {
		return 0, err
	}
	r := m.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	have := *m.series.Load()
	for i, s := range have {
		if s.Name == name && slices.Equal(s.Labels, pairs) {
			if s.Kind != kind {
				return 0, fmt.Errorf("%w: metric %s is of another kind", errMeter, name)
			}
			return i, nil
		}
	}
	names := ""
	for _, p := range pairs {
		names += p[0] + "\x00"
	}
	f, ok := r.kinds[name]
	if ok && (f.kind != kind || f.labels != names) {
		return 0, fmt.Errorf("%w: metric %s is there of another kind, or with other labels", errMeter, name)
	}
	if len(have) >= r.cfg.Series {
		return 0, fmt.Errorf("%w: there are %d metrics, as many as are allowed", errMeters, len(have))
	}
	if !m.gone {
		r.kinds[name] = family{kind, names, f.users + 1}
	}
	all := append(slices.Clone(have), &Series{Name: name, Kind: kind, Labels: pairs})
	m.series.Store(&all)
	return len(have), nil
}

// check returns labels taken apart, if a series can be called that.
func (r *Registry) check(kind Kind, name, labels string) (all [][2]string, err error) {
	if kind >= kinds || !isMetric(name) || (kind == Counter) != strings.HasSuffix(name, "_total") {
		return nil, fmt.Errorf("%w: %.200q is no name of such a metric", errMeter, name)
	}
	if kind == Histogram || kind == Gauge {
		for _, of := range []string{"_bucket", "_sum", "_count"} {
			if strings.HasSuffix(name, of) {
				return nil, fmt.Errorf("%w: a histogram has %s", errMeter, of)
			}
		}
	}
	for n, v := range pairs(&labels) {
		if len(all) == r.cfg.Labels {
			return nil, fmt.Errorf("%w: more than %d labels", errMeters, r.cfg.Labels)
		}
		if !isMetric(n) || n == "filter" || n == "function" || n == "le" || len(v) > maxLabel || !utf8.ValidString(v) {
			return nil, fmt.Errorf("%w: label %.200q", errMeter, n)
		}
		all = append(all, [2]string{n, v})
	}
	slices.SortFunc(all, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	for i := 1; i < len(all); i++ {
		if all[i][0] == all[i-1][0] {
			return nil, fmt.Errorf("%w: label %.200q comes twice", errMeter, all[i][0])
		}
	}
	if labels != "" {
		return nil, fmt.Errorf("%w: the labels are no list of pairs", errMeter)
	}
	return all, nil
}

// isMetric reports whether s is a name of a metric or label.
func isMetric(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return s != "" && len(s) <= maxName && !strings.HasPrefix(s, "__")
}

// find returns the series of a number, or nil.
func (m *Meters) find(number uint32) *Series {
	all := *m.series.Load()
	if int64(number) >= int64(len(all)) {
		return nil
	}
	return all[number]
}

// Add adds to a counter or gauge, and reports whether it has.
func (m *Meters) Add(number uint32, delta int64) bool {
	s := m.find(number)
	if s == nil || s.Kind == Histogram || s.Kind == Counter && delta < 0 {
		return false
	}
	s.value.Add(delta)
	return true
}

// Record sets a gauge, or puts a value into a histogram, and reports whether it has.
func (m *Meters) Record(number uint32, value int64) bool {
	s := m.find(number)
	switch {
	case s == nil || s.Kind == Counter:
		return false
	case s.Kind == Gauge:
		s.value.Store(value)
	default:
		s.buckets[bucket(value)].Add(1)
		s.value.Add(value)
	}
	return true
}

// bucket returns the first bucket whose bound 2^i is not less than value.
func bucket(value int64) int {
	if value <= 1 {
		return 0
	}
	return min(bits.Len64(uint64(value-1)), Buckets)
}

// Value returns the value of a counter or gauge, or the sum of a histogram, and whether
// there is one of that number.
func (m *Meters) Value(number uint32) (value int64, ok bool) {
	s := m.find(number)
	if s == nil {
		return 0, false
	}
	return s.Value(), true
}
