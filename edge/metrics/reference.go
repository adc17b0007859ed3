package metrics

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Reference returns a description of all metrics in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceIntro)
	for _, d := range descriptions {
		labels := "none"
		if len(d.Labels) > 0 {
			labels = ""
			for i, l := range d.Labels {
				if i > 0 {
					labels += ", "
				}
				labels += "`" + l.Name + "`"
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, labels, d.Help)
	}
	b.WriteString("\n## Labels\n\n| Label | Of | Values |\n|---|---|---|\n")
	for _, u := range labelUses() {
		of := "several"
		if len(u.metrics) == 1 {
			of = "`" + u.metrics[0] + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", u.label.Name, of, u.label.Values)
	}
	fmt.Fprintf(&b, referenceEnd, boundList(Bounds[fineBounds:]), boundList(Bounds[:fineBounds]))
	return b.String()
}

// labelUse is a label, and the names of the metrics that have it in this sense.
type labelUse struct {
	label   Label
	metrics []string
}

// labelUses returns all labels in the order of their first metrics.
func labelUses() (list []labelUse) {
	index := make(map[Label]int)
	for _, d := range descriptions {
		for _, l := range d.Labels {
			i, ok := index[l]
			if !ok {
				i = len(list)
				index[l] = i
				list = append(list, labelUse{label: l})
			}
			list[i].metrics = append(list[i].metrics, d.Name)
		}
	}
	return list
}

// boundList returns bounds as Prometheus has them.
func boundList(bounds []time.Duration) string {
	list := make([]string, len(bounds))
	for i, b := range bounds {
		list[i] = strconv.FormatFloat(b.Seconds(), 'g', -1, 64)
	}
	return strings.Join(list, ", ")
}

const referenceIntro = `# Metrics

This page is generated from the code that shows the metrics.

` + "`/metrics`" + ` of the admin API has them in the format of Prometheus, as text or protobuf. So has ` + "`/metrics`" + ` of an address of its own,
which ` + "`metrics: { listen: 127.0.0.1:2025 }`" + ` in the configuration opens, for a Prometheus that should see nothing else.

| Metric | Type | Labels | |
|---|---|---|---|
`

const referenceEnd = `
Beside these there are the usual ` + "`go_*` and `process_*`" + ` of the process.

## What to know

- Units are seconds and bytes. Counters begin at 0 when the process starts; a reload keeps them for whatever keeps its name.
- Histograms have the buckets %s seconds, exactly: what takes as long as a bound is in its bucket.
  Those of filters and functions have %s besides.
- The values of labels are names of the configuration, or of a small fixed set. Nothing that a client sends becomes one:
  an unknown method is ` + "`_other`" + `.
- What filters and functions define by the [module ` + "`sluice`" + `](../abi.md#the-sluice-module) is ` + "`sluice_guest_NAME`" + `, with the label ` + "`filter` or `function`" + ` and those of the guest.
- What has had no request is not shown.
- A metric has at most 10,000 series. All that is beyond is one more, whose labels are all ` + "`_other`" + `: counters, gauges and
  histograms are added up in it, and of expiry times it has the earliest. A series that was shown stays, as long as there is
  what it counts; new ones take the places that are left. When a reload takes something away, the sum may fall, which Prometheus takes
  for a restart of the counter.
- ` + "`sluice status`" + ` has percentiles and the exact maximum of the last minute, which need no Prometheus.
`
