package metrics

import "github.com/prometheus/client_golang/prometheus"

// GuestPrefix begins the names of metrics that guests define.
const GuestPrefix = "sluice_guest_"

// Guest is a series of a metric that a guest has defined. Series of one name have the
// same type; it is for the caller to see to that, and to how many there are.
type Guest struct {
	Name   string // without GuestPrefix
	Type   Type
	Labels []string
	Values []string // of the labels
	Value  float64  // of a histogram the sum
	Count  uint64   // of a histogram
	Below  map[float64]uint64
}

// Guest tells of a series that a guest has defined.
func (w *Writer) Guest(g *Guest) { w.guests = append(w.guests, g) }

// metric returns g as the library has it.
func (g *Guest) metric() prometheus.Metric {
	d := prometheus.NewDesc(GuestPrefix+g.Name, "Defined by a filter or function.", g.Labels, nil)
	var m prometheus.Metric
	var err error
	switch g.Type {
	case CounterType:
		m, err = prometheus.NewConstMetric(d, prometheus.CounterValue, g.Value, g.Values...)
	case GaugeType:
		m, err = prometheus.NewConstMetric(d, prometheus.GaugeValue, g.Value, g.Values...)
	default:
		m, err = prometheus.NewConstHistogram(d, g.Count, g.Value, g.Below, g.Values...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}
