package deploy

import (
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// BenchmarkFilter measures what a deployment adds to a filter that does nothing.
func BenchmarkFilter(b *testing.B) {
	a, c := &guest{name: "f", version: 3, does: goOn}, &guest{name: "f", version: 4, does: goOn}
	for _, bench := range []struct {
		name   string
		filter edge.Filter
	}{
		{"alone", a},
		{"two", two(b, 95, "off", nil, a, c)},
		{"guarded", two(b, 95, "roll back if traps > 1% or errors > 1% or time > 1000x after 1000000 requests", func(string) {}, a, c)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			client := from("10.0.0.1").Client
			x := new(edge.Exchange)
			for b.Loop() {
				x.Begin(nil, client, time.Time{})
				bench.filter.Filter(x, origin)
				x.End()
			}
		})
	}
}
