package upstream

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/balance"
)

// Many exchanges at once, endpoints that come and go, clients that leave: in the
// end nothing is in flight, and everything is counted.
func TestConcurrent(t *testing.T) {
	for _, policy := range []balance.Policy{balance.RoundRobin, balance.LeastRequests} {
		p, f := newPool(t, Config{Balance: policy, Retries: 2, Suspend: 1}, "a", "b", "c", "z backup")
		var wg sync.WaitGroup
		var mu sync.Mutex
		tries, failures := 0, 0
		for g := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1))
				var x edge.Exchange
				for range 500 {
					switch r.IntN(10) {
					case 0:
						f.set([]error{refused, stale, cut, nil}[r.IntN(4)], []string{"a", "b", "c", "z"}[r.IntN(4)])
					case 1:
						x.Cancel(context.Canceled)
					}
					e, fork := &x, r.IntN(5) == 0
					if fork {
						e = x.Fork(context.Background())
					}
					err := p.Serve(e)
					mu.Lock()
					tries += e.Record.Tries
					failures += e.Record.Tries
					if err == nil {
						failures--
					}
					mu.Unlock()
					if fork {
						e.End()
					}
					x.End()
					x.Record = edge.Record{}
				}
			})
		}
		wg.Wait()
		requests, errs := 0, 0
		for _, e := range p.Status().Endpoints {
			requests += int(e.Requests)
			for _, n := range e.Errors {
				errs += int(n)
			}
		}
		if got := inFlight(p); !slices.Equal(got, []int{0, 0, 0, 0}) {
			t.Errorf("%s: in flight %v", policy, got)
		}
		if requests != tries || errs != failures {
			t.Errorf("%s: counted %d tries, %d failures; had %d, %d", policy, requests, errs, tries, failures)
		}
		suspended := int32(0)
		for i := range p.endpoints {
			if p.endpoints[i].until.Load() != 0 {
				suspended++
			}
		}
		if got := p.health.suspended.Load(); got != suspended {
			t.Errorf("%s: %d suspended, counted %d", policy, suspended, got)
		}
	}
}
