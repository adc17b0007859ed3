package upstream

import (
	"fmt"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

type constant struct{ err error }

func (c constant) Serve(*edge.Exchange) error { return c.err }
func (constant) Idle() int                    { return 0 }
func (constant) Retire()                      {}

func TestAllocs(t *testing.T) {
	check := func(what string, fails error) {
		t.Helper()
		p := New(Config{Endpoints: []Endpoint{{"tcp", "a", 1, false}, {"tcp", "b", 1, false}}}, func(e Endpoint) Transport {
			if e.Address == "a" {
				return constant{fails}
			}
			return constant{}
		})
		var x edge.Exchange
		if n := testing.AllocsPerRun(100, func() {
			if err := p.Serve(&x); err != nil {
				t.Fatal(err)
			}
			x.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", what, n)
		}
	}
	if edge.Poisons {
		t.Skip("sync.Pool drops at random under -race")
	}
	check("served", nil)
	check("retried", stale)
	check("suspended", refused)
}

func BenchmarkServe(b *testing.B) {
	for _, n := range []int{1, 3, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var cfg Config
			for i := range n {
				cfg.Endpoints = append(cfg.Endpoints, Endpoint{Network: "tcp", Address: fmt.Sprint(i)})
			}
			p := New(cfg, func(Endpoint) Transport { return constant{} })
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var x edge.Exchange
				for pb.Next() {
					p.Serve(&x)
					x.End()
				}
			})
		})
	}
}
