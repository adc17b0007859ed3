package metrics

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/metrics.md anew")

// docs/reference/metrics.md is made of the table of metrics.
func TestDocs(t *testing.T) {
	const path = "../../docs/reference/metrics.md"
	want := Reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is not what the table says: run go test ./edge/metrics -run TestDocs -update", path)
	}
}

// Every metric has its line in the table, with a name as Prometheus wants it.
func TestDescriptions(t *testing.T) {
	name := regexp.MustCompile(`^sluice_[a-z]+(_[a-z]+)*$`)
	label := regexp.MustCompile(`^[a-z]+$`)
	seen := make(map[string]bool)
	for m, d := range Descriptions() {
		if !name.MatchString(d.Name) || seen[d.Name] {
			t.Errorf("metric %d: the name is %q; seen before: %v", m, d.Name, seen[d.Name])
		}
		seen[d.Name] = true
		if Metric(m).String() != d.Name || Metric(m).Describe().Help != d.Help {
			t.Errorf("metric %d is described as another", m)
		}
		if !strings.HasSuffix(d.Help, ".") || strings.Contains(d.Help, "|") {
			t.Errorf("%s: the help is %q, want a sentence", d.Name, d.Help)
		}
		if (d.Type == CounterType) != strings.HasSuffix(d.Name, "_total") {
			t.Errorf("%s is a %s", d.Name, d.Type)
		}
		if (d.Type == HistogramType) != strings.HasSuffix(d.Name, "_duration_seconds") {
			t.Errorf("%s is a %s", d.Name, d.Type)
		}
		if d.Least && d.Type != GaugeType {
			t.Errorf("%s is a %s, of which the sum counts", d.Name, d.Type)
		}
		labels := make(map[string]bool)
		for _, l := range d.Labels {
			if !label.MatchString(l.Name) || labels[l.Name] || l.Values == "" || strings.Contains(l.Values, "|") {
				t.Errorf("%s: label %q has values %q; seen before: %v", d.Name, l.Name, l.Values, labels[l.Name])
			}
			labels[l.Name] = true
		}
	}
	if len(seen) != metricCount {
		t.Errorf("%d metrics are described, of %d", len(seen), metricCount)
	}
}

// The table cannot be changed from outside.
func TestDescriptionsAreCopies(t *testing.T) {
	d := Descriptions()
	d[0].Name = "x"
	d[0].Labels[0].Name = "x"
	if got := Metric(0).Describe(); got.Name == "x" || got.Labels[0].Name == "x" {
		t.Errorf("the table has become %+v", got)
	}
}
