package httpwasm

import (
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

const stateful = "github.com/sluice-edge/sluice/wasm-testdata/stateful"

// Each request finds a standard Go guest as it was after its initialisation, whatever
// others have done to it; but for random numbers, of which none comes twice.
func TestGoStateIsRestored(t *testing.T) {
	f := loadBytes(t, guests.Build(t, stateful), Config{Timeout: time.Minute, Start: time.Minute})
	if why := f.pool.Fresh(); len(why) > 0 {
		t.Fatalf("each request makes an instance: %s", why)
	}
	var mu sync.Mutex
	random, order := make(map[string]bool), make(map[string]bool)
	var once sync.Once
	var first, own string
	ask := func(uri string, fails bool) {
		x := request("GET", uri, nil, 0)
		defer x.End()
		err := f.Filter(x, &origin{})
		if fails {
			if edge.AsError(err).Kind != edge.FilterFailed {
				t.Errorf("%s: %v", uri, err)
			}
			return
		}
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			return
		}
		answer := x.Response.Fields.Clone()
		get := answer.Get
		if got, want := get("X-State"), "1 1001 1 1 0"; got != want && !(uri == "/grow" && got == "1 1001 1 2 0") {
			t.Errorf("%s: state is %s, want %s", uri, got, want)
		}
		mu.Lock()
		defer mu.Unlock()
		once.Do(func() { first, own = get("X-First"), get("X-Own") })
		if r := get("X-Random"); random[r] {
			t.Errorf("%s: random numbers come again: %s", uri, r)
		} else {
			random[r] = true
		}
		order[get("X-Order")] = true
		// What the guest has drawn and seeded itself stays what it was.
		if get("X-First") != first || get("X-Own") != own {
			t.Errorf("%s: the image has changed", uri)
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				for _, uri := range []string{"/", "/a", "/grow", "/recover", "/"} {
					ask(uri, false)
				}
				ask("/panic", true)
				ask("/b", false)
			}
		})
	}
	wg.Wait()
	if len(order) < len(random)-1 {
		t.Errorf("%d orders of %d are different", len(order), len(random))
	}
	if s := f.Stats(); s.Instances != 0 || s.Failures[wasm.Trapped]+s.Failures[wasm.Exited] != 40 || s.Bytes > 4*(4<<20) {
		t.Errorf("stats are %+v", s)
	}
}

// A guest whose time is over serves the next request all the same.
func TestGoAfterTimeout(t *testing.T) {
	f := loadBytes(t, guests.Build(t, stateful), Config{Timeout: 2 * time.Second, Start: time.Minute})
	for range 2 {
		x := request("GET", "/spin", nil, 0)
		if e := edge.AsError(f.Filter(x, &origin{})); e.Kind != edge.FilterFailed {
			t.Errorf("error is %v", e)
		}
		x.End()
		x = request("GET", "/", nil, 0)
		run(t, f, x, &origin{})
		if got := x.Response.Fields.Get("X-State"); got != "1 1001 1 1 0" {
			t.Errorf("state is %s", got)
		}
		x.End()
	}
	if s := f.Stats(); s.Failures[wasm.TimedOut] != 2 {
		t.Errorf("stats are %+v", s)
	}
}
