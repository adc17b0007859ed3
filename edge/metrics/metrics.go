// Package metrics measures a running proxy, and shows the figures in the format
// of Prometheus.
//
// What is counted on the way of every request (Histogram, Window, Requests) takes
// no lock and allocates nothing. It belongs to whoever counts: there is no global
// register. When somebody asks, a Source walks through all of it and tells a
// Writer, and Handler serves what was written.
package metrics

import "slices"

// Type is what sort of figure a metric is.
type Type uint8

// The types.
const (
	CounterType   Type = iota // only grows
	GaugeType                 // now
	HistogramType             // of durations
)

func (t Type) String() string { return [...]string{"counter", "gauge", "histogram"}[t] }

// Description says what a metric means.
type Description struct {
	Name   string
	Type   Type
	Help   string  // one sentence
	Labels []Label // in the order in which a Writer takes their values
	Least  bool    // of series that become one the least value counts, instead of the sum
}

// Label is what series of a metric differ in.
type Label struct {
	Name   string
	Values string // which there are, for readers
}

// Descriptions returns what all metrics mean, in the order of their constants.
func Descriptions() []Description {
	list := make([]Description, metricCount)
	for m := range list {
		list[m] = Metric(m).Describe()
	}
	return list
}

// Describe returns what m means.
func (m Metric) Describe() Description {
	d := descriptions[m]
	d.Labels = slices.Clone(d.Labels)
	return d
}

// String returns the name of m.
func (m Metric) String() string { return descriptions[m].Name }
