package proxy

// A metric is shown by /metrics as sluice_guest_NAME. It is defined once, while the
// module is configured, and kept.
type (
	// Counter is a number that grows.
	Counter int32

	// Gauge is a number that goes up and down.
	Gauge int32

	// Histogram is how many values there were up to 1, 2, 4, ... 2^30.
	Histogram int32
)

// NewCounter defines a counter, whose name ends with _total.
func NewCounter(name string, labels ...Field) (Counter, error) {
	n, err := check(metricDefine(0, name, pairs(labels)))
	return Counter(n), err
}

// Add adds n, which is not negative.
func (c Counter) Add(n int64) error { return fail(metricAdd(int32(c), n)) }

// NewGauge defines a gauge.
func NewGauge(name string, labels ...Field) (Gauge, error) {
	n, err := check(metricDefine(1, name, pairs(labels)))
	return Gauge(n), err
}

// Add adds delta.
func (g Gauge) Add(delta int64) error { return fail(metricAdd(int32(g), delta)) }

// Set sets the value.
func (g Gauge) Set(v int64) error { return fail(metricRecord(int32(g), v)) }

// NewHistogram defines a histogram.
func NewHistogram(name string, labels ...Field) (Histogram, error) {
	n, err := check(metricDefine(2, name, pairs(labels)))
	return Histogram(n), err
}

// Record puts a value into the histogram.
func (h Histogram) Record(v int64) error { return fail(metricRecord(int32(h), v)) }
