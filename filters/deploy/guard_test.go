package deploy

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/rollout"
)

func TestParseGuard(t *testing.T) {
	ok := func(text, written string, want Guard) {
		t.Helper()
		g, err := ParseGuard(text)
		if err != nil || g != want {
			t.Errorf("%q is %+v, %v; want %+v", text, g, err, want)
		}
		if g.String() != written {
			t.Errorf("%q is written %q, want %q", text, g, written)
		}
	}
	of := func(most float64) Bound { return Bound{true, most} }
	ok("off", "off", Guard{})
	ok("roll back if traps > 0.1% or time > 2x", "roll back if traps > 0.1% or time > 2x", Guard{Traps: of(.001), Time: of(2)})
	ok("  roll   back if time > 1.5x or errors > 0% over 90s", "roll back if errors > 0% or time > 1.5x over 90s", Guard{Errors: of(0), Time: of(1.5), Over: 90 * time.Second})
	ok("roll back if errors > 2% over 2h after 500 requests", "roll back if errors > 2% over 2h after 500 requests", Guard{Errors: of(.02), Over: 2 * time.Hour, Requests: 500})
	ok("roll back if traps > 100% over 1500ms after 1 request", "roll back if traps > 100% over 1500ms after 1 requests", Guard{Traps: of(1), Over: 1500 * time.Millisecond, Requests: 1})

	bad := func(text, want string) {
		t.Helper()
		if _, err := ParseGuard(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	bad("", "write off, or like")
	bad("on", "write off, or like")
	bad("roll back", "write off, or like")
	bad("roll back if", "behind if stands a condition")
	bad("roll back if traps > 1% or", "behind or stands a condition")
	bad("roll back if if traps > 1%", `this has "if"`)
	bad("roll back if traps < 1%", "stands >")
	bad("roll back if traps > 1", "like 1%")
	bad("roll back if traps > 1x", "like 1%")
	bad("roll back if traps > -1%", "like 1%")
	bad("roll back if traps > NaN%", "like 1%")
	bad("roll back if traps > 1e1%", "like 1%")
	bad("roll back if traps > 0x1%", "like 1%")
	bad("roll back if traps > 101%", "at most 100%")
	bad("roll back if time > 1001x", "at most 1000x")
	bad("roll back if time > 0.9x", "1x or more")
	bad("roll back if traps > 1% or traps > 1%", "twice")
	bad("roll back if traps > 1% over", "behind the conditions")
	bad("roll back if traps > 1% over 1d", "like 1m")
	bad("roll back if traps > 1% over 25h", "like 1m")
	bad("roll back if traps > 1% over 1m1s1h", "like 1m")
	bad("roll back if traps > 1% over -1m", "like 1m")
	bad("roll back if traps > 1% after 5", "behind the conditions")
	bad("roll back if traps > 1% after x requests", "from 1 to")
	bad("roll back if traps > 1% after 1000001 requests", "from 1 to")
	bad("roll back if traps > 1% after 5 requests over 1m", "behind the conditions")
}

func FuzzParseGuard(f *testing.F) {
	for _, s := range []string{"off", guardForm, "roll back if time > 2x", "roll back if errors > 0.001% over 1.5s after 1 request", "roll back if traps > 1% or"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := ParseGuard(s)
		if err != nil {
			return
		}
		again, err := ParseGuard(g.String())
		if err != nil || again.String() != g.String() {
			t.Fatalf("%q is %+v, which is written %q, which is %+v, %v", s, g, g, again, err)
		}
		if why := g.judge(figures{}, figures{}); why != "" {
			t.Fatalf("%q judges nothing: %s", s, why)
		}
	})
}

func TestJudge(t *testing.T) {
	f := func(guard string, newer, older figures, want string) {
		t.Helper()
		g, err := ParseGuard(guard)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.judge(newer, older); want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: newer %+v, older %+v: %q, want %q", guard, newer, older, got, want)
		}
	}
	const traps, errors, time2 = "roll back if traps > 0.1%", "roll back if errors > 1%", "roll back if time > 2x"
	good := figures{requests: 1000, median: 10 * time.Microsecond}

	f(traps, figures{requests: 49, traps: 49}, good, "") // too few
	f(traps, figures{requests: 50, traps: 50}, good, "traps 100% > 0.1%: 50 of 50 requests, of the older version 0 of 1000")
	f(traps, figures{requests: 50, traps: 1}, good, "") // chance
	f(traps, figures{requests: 50, traps: 2}, good, "") // once in eight hundred times, and it is looked at ten times a second
	f(traps, figures{requests: 50, traps: 3}, good, "traps 6% > 0.1%")
	f(traps, figures{requests: 100_000, traps: 100}, good, "")
	f(traps, figures{requests: 100_000, traps: 110}, good, "") // chance, still
	f(traps, figures{requests: 100_000, traps: 140}, good, "traps 0.14% > 0.1%")
	f("roll back if traps > 0% after 3 requests", figures{requests: 3, traps: 1}, good, "traps 33.333% > 0%")
	f("roll back if traps > 1% after 3 requests", figures{requests: 3, traps: 1}, good, "") // one of three is no reason
	f("roll back if traps > 100%", figures{requests: 50, traps: 50}, good, "")

	f(errors, figures{requests: 50, errors: 4}, good, "")
	f(errors, figures{requests: 50, errors: 5}, good, "errors 10% > 1%")
	f(errors, figures{requests: 50, errors: 5}, figures{requests: 50}, "errors 10% > 1%")          // the older has none at all
	f(errors, figures{requests: 50, errors: 51}, good, "errors 100% > 1%: 50 of 50")               // counted one after the other
	f(errors, figures{requests: 1000, errors: 100}, figures{requests: 1, errors: 1}, "errors 10%") // one request excuses nothing
	f(errors, figures{requests: 1000, errors: 1000}, figures{requests: 1, errors: 1}, "errors 100%")
	f(errors, figures{requests: 1000, errors: 1000}, figures{requests: 10, errors: 10}, "") // that is no chance: the upstream is down
	f("roll back if errors > 0%", figures{requests: 1000, errors: 1}, figures{requests: 20}, "errors 0.1% > 0%")
	f("roll back if errors > 0%", figures{requests: 1000, errors: 9}, figures{requests: 1, errors: 1}, "errors 0.9% > 0%")
	f("roll back if errors > 0%", figures{requests: 1000, errors: 1}, figures{requests: 1000, errors: 1}, "")
	f(errors, figures{requests: 1000, errors: 300}, figures{requests: 1000, errors: 300}, "") // the upstream's
	f(errors, figures{requests: 1000, errors: 300}, figures{requests: 10, errors: 3}, "")
	f(errors, figures{requests: 1000, errors: 400}, figures{requests: 1000, errors: 300}, "errors 40% > 1%: 400 of 1000 requests, of the older version 300 of 1000")
	f(errors, figures{requests: 1000, errors: 1000}, figures{requests: 1000, errors: 1000}, "")
	f(errors, figures{requests: 1000, errors: 1000}, figures{}, "errors 100%") // the older serves nobody
	f(errors, figures{requests: 1000, traps: 1000}, good, "")                  // not asked about

	// One client that fails with the older version excuses nothing, unless there is nobody else.
	f(errors, figures{requests: 1000, errors: 100}, figures{requests: 1000, errors: 300, errorsOf: group{400, 295}}, "errors 10% > 1%: 100 of 1000 requests, of the older version 300 of 1000")
	f(errors, figures{requests: 1000, errors: 100}, figures{requests: 1000, errors: 300, errorsOf: group{10, 10}}, "")
	f(errors, figures{requests: 1000, errors: 100}, figures{requests: 1000, errors: 300, errorsOf: group{980, 295}}, "")
	f(traps, figures{requests: 1000, traps: 100}, figures{requests: 1000, traps: 100, trapsOf: group{900, 100}}, "traps 10% > 0.1%")
	// One that fails with the newer is a reason, which is told.
	f(errors, figures{requests: 1000, errors: 100, errorsOf: group{110, 99}}, good, "errors 10% > 1%: 100 of 1000 requests, of the older version 0 of 1000; but for one client's, 1 of 890")
	f(traps, figures{requests: 100, traps: 9, trapsOf: group{10, 9}}, good, "traps 9% > 0.1%: 9 of 100 requests, of the older version 0 of 1000; but for one client's, 0 of 90")
	if why := (Guard{Traps: Bound{Set: true}}).judge(figures{requests: 1000, traps: 200, trapsOf: group{110, 99}}, good); strings.Contains(why, "client") {
		t.Errorf("of several clients: %s", why)
	}
	if why := (Guard{Traps: Bound{Set: true}}).judge(figures{requests: 100, traps: 99, trapsOf: group{100, 99}}, good); strings.Contains(why, "client") {
		t.Errorf("of the only client: %s", why)
	}

	f(time2, figures{requests: 50, median: 21 * time.Microsecond}, good, "time 2.1x > 2x: 21µs, of the older version 10µs")
	f(time2, figures{requests: 50, median: 20 * time.Microsecond}, good, "")
	f(time2, figures{requests: 49, median: time.Second}, good, "")
	f(time2, figures{requests: 50, median: time.Second}, figures{requests: 49, median: 1}, "")
	f(time2, figures{requests: 50, median: time.Second}, figures{}, "") // nothing to compare with
	f(time2, figures{requests: 50, median: time.Second}, figures{requests: 50}, "time 1000000.0x > 2x: 1s, of the older version 0s")
	f(time2, figures{requests: 50, median: 1900}, figures{requests: 50, median: 100}, "") // less than the clock tells
}

// tail is the sum of the binomial distribution, computed another way.
func TestTail(t *testing.T) {
	slow := func(n, k int, p float64) float64 {
		row := make([]float64, n+1) // probability of that many hits so far
		row[0] = 1
		for range n {
			for i := n; i >= 0; i-- {
				row[i] *= 1 - p
				if i > 0 {
					row[i] += row[i-1] * p
				}
			}
		}
		sum := 0.0
		for i := k; i <= n; i++ {
			sum += row[i]
		}
		return sum
	}
	for _, n := range []int{1, 3, 50, 400} {
		for _, p := range []float64{0.001, 0.01, 0.3, 0.9, 0.999} {
			for k := 1; k <= n; k += max(1, n/37) {
				if float64(k) <= float64(n)*p {
					continue // 1 there
				}
				got, want := tail(uint64(n), uint64(k), p), slow(n, k, p)
				if math.Abs(got-want) > 1e-9+want*1e-6 {
					t.Errorf("%d of %d at %v: %v, want %v", k, n, p, got, want)
				}
			}
		}
	}
	for _, c := range []struct {
		n, k    uint64
		p, want float64
	}{{10, 0, 0, 1}, {10, 1, 0, 0}, {10, 10, 1, 1}, {10, 5, .5, 1}, {1 << 40, 1 << 39, .001, 0}} {
		if got := tail(c.n, c.k, c.p); got != c.want {
			t.Errorf("%d of %d at %v: %v, want %v", c.k, c.n, c.p, got, c.want)
		}
	}
}

// From the moment of the breach on the older version serves alone, whatever becomes of it.
func TestRetreat(t *testing.T) {
	fails := func(x *edge.Exchange, run *edge.FilterRun, _ edge.Handler) error {
		run.Failed = true
		return &edge.Error{Kind: edge.FilterFailed, Op: "test"}
	}
	older, newer := &guest{name: "f", version: 3, does: goOn}, &guest{name: "f", version: 4, does: fails}
	breaches := 0
	f := two(t, 0, "roll back if traps > 1% after 10 requests", func(string) { breaches++ }, older, newer)
	x := from("10.0.0.1")
	for breaches == 0 {
		serve := from("10.0.0.1")
		if err := f.Filter(serve, edge.HandlerFunc(origin)); err != nil {
			serve.Answer(err)
		}
		serve.End()
	}
	if i := f.plan.Pick(x); i != 0 {
		t.Errorf("version %d is picked", f.plan.versions[i].Number)
	}
	if v, why := f.plan.Peek(x); v.Number != 3 || !strings.Contains(why, "guard") {
		t.Errorf("%v, %q", v, why)
	}
	g, err := ParseGuard("roll back if traps > 1%")
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Name: "f", Versions: []Version{{3, 0}, {4, rollout.Whole}}, Guard: g, Retreated: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Pick(x) != 0 || p.guard.Some() {
		t.Errorf("a plan that begins so picks %d, its guard is %v", p.Pick(x), p.guard)
	}
}

// Of each client what the window has is counted, and of all the worst is told.
func TestClients(t *testing.T) {
	start := time.Now()
	c := &clients{start: start, width: time.Second}
	for i := range uint64(1000) {
		c.count(start, i, i == 3, i%groups == 7)
	}
	traps, errors := c.worst(start)
	if want := (group{4, 1}); traps != want {
		t.Errorf("traps: got %v, want %v", traps, want)
	}
	if want := (group{4, 4}); errors != want {
		t.Errorf("errors: got %v, want %v", errors, want)
	}
	c.count(start.Add(11*time.Second), 7, false, true)
	if _, errors := c.worst(start.Add(11 * time.Second)); errors != (group{5, 5}) {
		t.Errorf("within the window: got %v", errors)
	}
	if _, errors := c.worst(start.Add(12 * time.Second)); errors != (group{1, 1}) {
		t.Errorf("when the first slot has left it: got %v", errors)
	}
	c.count(start.Add(12*time.Second), 7, true, false)
	c.count(start, 7, true, true) // late: its slot is another's by now
	if traps, errors := c.worst(start.Add(12 * time.Second)); traps != (group{2, 1}) || errors != (group{2, 1}) {
		t.Errorf("got %v, %v", traps, errors)
	}
	if traps, _ := c.worst(start.Add(time.Hour)); traps != (group{}) {
		t.Errorf("later: got %v", traps)
	}
}
