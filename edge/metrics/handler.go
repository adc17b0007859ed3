package metrics

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// Handler returns a handler that answers with what source tells of, with what the
// Go runtime and the system say of the process, and with sluice_build_info: as
// text or protobuf, compressed or not, as the client asks.
//
// The server that it runs in bounds how long a client may take.
func Handler(source Source, cfg Config) http.Handler {
	cfg = cfg.withDefaults()
	g := newGatherer(source, cfg)
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: cfg.Scrapes,
	})
}

// gatherer gathers, and keeps the causes of what goes wrong from the client.
type gatherer struct {
	registry *prometheus.Registry
	log      *slog.Logger
}

func newGatherer(source Source, cfg Config) *gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(
		newCollector(source, cfg),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return &gatherer{r, cfg.Log}
}

var errGather = errors.New("not all metrics could be gathered: the log has the cause")

// Gather implements [prometheus.Gatherer].
func (g *gatherer) Gather() ([]*dto.MetricFamily, error) {
	all, err := g.registry.Gather()
	if err == nil {
		return all, nil
	}
	if g.log != nil {
		g.log.Error("cannot gather metrics", "err", err)
	}
	return nil, errGather
}

// collector makes Prometheus's metrics of what a source tells of.
type collector struct {
	source Source
	cfg    Config
	descs  [metricCount]*prometheus.Desc
	known  atomic.Pointer[families] // of the last scrape
}

func newCollector(source Source, cfg Config) *collector {
	c := &collector{source: source, cfg: cfg}
	for m := range descriptions {
		d := &descriptions[m]
		names := make([]string, len(d.Labels))
		for i, l := range d.Labels {
			names[i] = l.Name
		}
		c.descs[m] = prometheus.NewDesc(d.Name, d.Help, names, nil)
	}
	return c
}

// Describe implements [prometheus.Collector]. It tells of nothing, so that the
// library expects any series.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	w := Writer{limit: c.cfg.Series, known: c.known.Load(), families: new(families)}
	c.source(&w)
	b := &c.cfg.Build
	w.Gauge(BuildInfo, 1, b.Version, b.Revision, b.Go)
	c.known.Store(w.families)
	for _, g := range w.guests {
		out <- g.metric()
	}
	for m := range w.families {
		for _, s := range w.families[m].series {
			out <- s.metric(c.descs[m], Metric(m))
		}
	}
}

// metric returns s, of the metric m, as the library has it.
func (s *series) metric(d *prometheus.Desc, m Metric) prometheus.Metric {
	switch descriptions[m].Type {
	case CounterType:
		return prometheus.MustNewConstMetric(d, prometheus.CounterValue, s.value, s.labels...)
	case GaugeType:
		return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, s.value, s.labels...)
	}
	bounds := m.bounds()
	below := make(map[float64]uint64, len(bounds))
	for i, n := range s.below[len(Bounds)-len(bounds):] {
		below[bounds[i].Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(d, s.count, s.value, below, s.labels...)
}
