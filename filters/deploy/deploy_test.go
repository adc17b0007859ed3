package deploy

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/rollout"
)

// guest is a version of a filter, or of a function, that does what a test says.
type guest struct {
	name    string
	version int
	does    func(x *edge.Exchange, run *edge.FilterRun, next edge.Handler) error
	calls   atomic.Int64
}

func (g *guest) Filter(x *edge.Exchange, next edge.Handler) error {
	g.calls.Add(1)
	x.Record.Filters = append(x.Record.Filters, edge.FilterRun{Name: g.name, Version: g.version})
	return g.does(x, &x.Record.Filters[len(x.Record.Filters)-1], next)
}

func (g *guest) ServeAt(x *edge.Exchange, _ string) error {
	g.calls.Add(1)
	x.Record.Function = edge.FilterRun{Name: g.name, Version: g.version}
	return g.does(x, &x.Record.Function, nil)
}

func goOn(x *edge.Exchange, _ *edge.FilterRun, next edge.Handler) error { return next.Serve(x) }

var origin = edge.HandlerFunc(func(x *edge.Exchange) error {
	x.Respond(200, nil, 0)
	return nil
})

func from(addr string) *edge.Exchange {
	x := new(edge.Exchange)
	c := edge.NewClient(netip.AddrPortFrom(netip.MustParseAddr(addr), 1), netip.AddrPort{}, nil)
	x.Begin(nil, &c, time.Now())
	return x
}

// two returns a filter of two versions, with the older's percentage.
func two(t testing.TB, older rollout.Weight, guard string, breached func(string), a, b *guest) *Filter {
	t.Helper()
	g, err := ParseGuard(guard)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Name: "f", Versions: []Version{{3, older * rollout.Percent}, {4, (100 - older) * rollout.Percent}}, Guard: g, Breached: breached})
	if err != nil {
		t.Fatal(err)
	}
	return NewFilter(p, []edge.Filter{a, b}, nil)
}

// Who comes from one address gets one version, and leaves it only for the one whose
// share grows.
func TestSticky(t *testing.T) {
	pick := func(p *Plan) (got [1000]int) {
		for i := range got {
			x := from(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
			got[i] = p.Pick(x)
			if v, why := p.Peek(x); v.Number != p.versions[got[i]].Number || !strings.Contains(why, "client's address") {
				t.Fatalf("peeked at %d: %s", v.Number, why)
			}
			x.End()
		}
		return got
	}
	plan := func(newer rollout.Weight) *Plan {
		p, err := New(Config{Name: "f", Versions: []Version{{3, rollout.Whole - newer}, {4, newer}}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := [1000]int{}
	for _, share := range []rollout.Weight{0, 5, 10, 50, 99, 100} {
		got, n := pick(plan(share*rollout.Percent)), 0
		if again := pick(plan(share * rollout.Percent)); got != again {
			t.Fatalf("%d%%: another process decides otherwise", share)
		}
		for i := range got {
			n += got[i]
			if got[i] < before[i] {
				t.Fatalf("%d%%: client %d went back", share, i)
			}
		}
		if want := int(share) * 10; n < want-60 || n > want+60 {
			t.Errorf("%d%%: %d of 1000", share, n)
		}
		before = got
	}
	// Who has no address is dealt.
	p, n := plan(25*rollout.Percent), 0
	for range 100 {
		x := new(edge.Exchange)
		v, why := p.Peek(x)
		i := p.Pick(x)
		if p.versions[i] != v || !strings.Contains(why, "not known") {
			t.Fatalf("peeked at %v: %s; picked %d", v, why, i)
		}
		n += i
	}
	if n != 25 {
		t.Errorf("%d of 100 are dealt the newer version, want 25", n)
	}
	one, err := New(Config{Name: "f", Versions: []Version{{3, rollout.Whole}}})
	if err != nil {
		t.Fatal(err)
	}
	if v, why := one.Peek(from("10.0.0.1")); v.Number != 3 || why != "" || one.Pick(from("10.0.0.1")) != 0 {
		t.Errorf("alone: %v, %q", v, why)
	}
}

func TestNewRefuses(t *testing.T) {
	f := func(want string, versions ...Version) {
		t.Helper()
		if _, err := New(Config{Name: "f", Versions: versions}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", versions, err, want)
		}
	}
	f("0 versions")
	f("3 versions", Version{1, rollout.Whole}, Version{2, 0}, Version{3, 0})
	f("order", Version{2, rollout.Whole}, Version{1, 0})
	f("order", Version{2, rollout.Whole}, Version{2, 0})
	f("100%", Version{1, 5}, Version{2, 5})
}

// Neither a choice nor what watches it allocates.
func TestAllocs(t *testing.T) {
	a, b := &guest{"f", 3, goOn, atomic.Int64{}}, &guest{"f", 4, goOn, atomic.Int64{}}
	f := two(t, 50, "roll back if traps > 1% over 24h after 1000000 requests", func(string) { t.Error("breached") }, a, b)
	fn := NewFunction(f.plan, []Server{served{a}, served{b}}, nil)
	clients := []*edge.Client{from("10.0.0.1").Client, from("10.0.0.2").Client}
	x := new(edge.Exchange)
	serve := func(do func()) func() {
		n := 0
		return func() {
			n++
			x.Begin(nil, clients[n%2], time.Now())
			do()
			x.End()
		}
	}
	filter := serve(func() { f.Filter(x, origin) })
	function := serve(func() { fn.ServeAt(x, "/") })
	for range 100 { // the first in a window makes room for what is counted
		filter()
		function()
	}
	if n := testing.AllocsPerRun(200, filter); n != 0 {
		t.Errorf("filter: %v allocations, want 0", n)
	}
	if n := testing.AllocsPerRun(200, function); n != 0 {
		t.Errorf("function: %v allocations, want 0", n)
	}
}

// served is a guest as a function that answers by itself.
type served struct{ *guest }

func (s served) ServeAt(x *edge.Exchange, script string) error {
	x.Record.Function = edge.FilterRun{Name: s.name, Version: s.version}
	return origin(x)
}

// A guard judges the newer version by what the window has of both, once.
func TestGuard(t *testing.T) {
	type traffic struct {
		pause      time.Duration // before it
		n          int
		traps      [2]int // of so many requests, one traps: older, newer; 0 never
		fails      [2]int // likewise, of the upstream
		took       [2]time.Duration
		wantBreach string
	}
	f := func(what, guard string, all ...traffic) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var breaches []string
			var now traffic
			var count [2]int
			does := func(i int) func(*edge.Exchange, *edge.FilterRun, edge.Handler) error {
				return func(x *edge.Exchange, run *edge.FilterRun, next edge.Handler) error {
					count[i]++
					run.Took = now.took[i]
					if n := now.traps[i]; n > 0 && count[i]%n == 0 {
						run.Failed = true
						return &edge.Error{Kind: edge.FilterFailed, Op: "test"}
					}
					if n := now.fails[i]; n > 0 && count[i]%n == 0 {
						x.Respond(502, nil, 0)
						return nil
					}
					return next.Serve(x)
				}
			}
			filter := two(t, 50, guard, func(reason string) { breaches = append(breaches, reason) }, &guest{name: "f", version: 3, does: does(0)}, &guest{name: "f", version: 4, does: does(1)})
			for step, now2 := range all {
				now = now2
				time.Sleep(now.pause)
				for i := range now.n {
					x := from(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
					if err := filter.Filter(x, origin); err != nil {
						x.Answer(err)
					}
					x.End()
					time.Sleep(10 * time.Millisecond)
				}
				got := strings.Join(breaches, "; ")
				if now.wantBreach == "" && got != "" || !strings.HasPrefix(got, now.wantBreach) {
					t.Errorf("%s, step %d: %q, want %q", what, step, got, now.wantBreach)
				}
				if len(breaches) > 1 {
					t.Errorf("%s, step %d: breached %d times", what, step, len(breaches))
				}
			}
		})
	}
	const us = time.Microsecond
	f("all is well", "roll back if traps > 0.1% or errors > 1% or time > 2x", traffic{n: 1000, took: [2]time.Duration{10 * us, 11 * us}})
	f("the newer traps", "roll back if traps > 0.1%", traffic{n: 40}, traffic{n: 400, traps: [2]int{0, 10}, wantBreach: "traps "})
	f("the older traps", "roll back if traps > 0.1%", traffic{n: 400, traps: [2]int{10, 0}})
	f("both trap", "roll back if traps > 0.1%", traffic{n: 400, traps: [2]int{10, 10}})
	f("the upstream is down", "roll back if errors > 1%", traffic{n: 400, fails: [2]int{1, 1}})
	f("the newer breaks the upstream", "roll back if errors > 1%", traffic{n: 400, fails: [2]int{0, 5}, wantBreach: "errors "})
	f("the newer is slow", "roll back if time > 2x", traffic{n: 400, took: [2]time.Duration{10 * us, 30 * us}, wantBreach: "time 3"})
	f("what is long past", "roll back if traps > 5% over 1m",
		traffic{n: 60, traps: [2]int{0, 10}}, // not enough of them
		traffic{pause: 2 * time.Minute, n: 400})
	f("too few in a window", "roll back if traps > 1% over 2s after 200 requests", traffic{n: 1000, traps: [2]int{0, 2}})
	f("off", "off", traffic{n: 400, traps: [2]int{0, 1}})
}
