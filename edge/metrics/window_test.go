package metrics

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A window of 3 slots of a second, at times in milliseconds after its start.
func TestWindow(t *testing.T) {
	start := time.Now()
	at := func(ms int64) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	type seen struct{ at, ms int64 } // a request that ends then, and how long it took; negative: it failed
	f := func(now int64, requests, errors uint64, longest, span int64, list ...seen) {
		t.Helper()
		w := NewWindow(start, WindowConfig{Slots: 3, Slot: time.Second})
		for _, s := range list {
			w.Observe(at(s.at), time.Duration(max(s.ms, -s.ms))*time.Millisecond, s.ms < 0)
		}
		l := w.Latest(at(now))
		if l.Durations.Count != requests || l.Errors != errors || l.Durations.Max.Milliseconds() != longest || l.Span.Milliseconds() != span {
			t.Errorf("%v, at %d: %d requests, %d errors, max %v, of %v; want %d, %d, %d ms, of %d ms", list, now,
				l.Durations.Count, l.Errors, l.Durations.Max, l.Span, requests, errors, longest, span)
		}
	}
	f(0, 0, 0, 0, 0)
	f(100, 1, 0, 5, 100, seen{50, 5})
	f(100, 2, 1, 7, 100, seen{50, 5}, seen{60, -7})
	f(2999, 1, 0, 5, 2999, seen{0, 5})                 // all three slots
	f(3000, 0, 0, 0, 2000, seen{0, 5})                 // the first is out
	f(3000, 1, 0, 5, 2000, seen{0, 50}, seen{1000, 5}) // and with it its maximum
	f(3000, 2, 1, 8, 2000, seen{0, 50}, seen{1000, -5}, seen{3000, 8})
	f(1<<40, 0, 0, 0, 2000+1<<40%1000, seen{0, 5}) // nothing happened for long
	f(1<<40, 1, 0, 6, 2000+1<<40%1000, seen{0, 5}, seen{1 << 40, 6})
	f(5500, 2, 0, 6, 2500, seen{5400, 5}, seen{4900, 6}) // a little late: counted where it belongs
	f(5500, 1, 0, 5, 2500, seen{5400, 5}, seen{2900, 6}) // so late that its place is taken
	f(5500, 1, 0, 5, 2500, seen{5400, 5}, seen{1900, 6}) // so late that its place is empty
	f(1000, 0, 0, 0, 1000, seen{5000, 5})                // later than who looks
	f(0, 1, 0, 5, 0, seen{-9000, 5})                     // before the start: at the start
	f(-9000, 0, 0, 0, 0)                                 //
	f(6500, 3, 0, 9, 2500, seen{6000, 9}, seen{4000, 3}, seen{5000, 1})
}

func TestLatest(t *testing.T) {
	f := func(name string, got, want float64) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %g, want %g", name, got, want)
		}
	}
	start := time.Now()
	one, other := NewWindow(start, WindowConfig{}), NewWindow(start, WindowConfig{})
	now := start.Add(50 * time.Second)
	for range 30 {
		one.Observe(now, time.Second, false)
		other.Observe(now, time.Minute, true)
	}
	l, with := one.Latest(now), other.Latest(now)
	f("rate", l.Rate(), .6) // over 50 s
	f("errors", l.ErrorShare(), 0)
	l.Merge(&with)
	f("merged rate", l.Rate(), 1.2)
	f("merged errors", l.ErrorShare(), .5)
	f("merged maximum", l.Durations.Max.Seconds(), 60)

	early := NewWindow(start, WindowConfig{})
	early.Observe(start.Add(time.Millisecond), 0, true)
	l = early.Latest(start.Add(time.Millisecond))
	f("rate of the first request", l.Rate(), 1)
	f("errors of the first request", l.ErrorShare(), 1)
	var none Latest
	f("rate of none", none.Rate(), 0)
	f("errors of none", none.ErrorShare(), 0)
}

// Clocks as they are used: a steady stream, a pause, and a stream again.
func TestWindowOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWindow(time.Now(), WindowConfig{})
		stream := func(d time.Duration, seconds int) {
			for range seconds {
				time.Sleep(time.Second) // of the bubble
				w.Observe(time.Now(), d, false)
			}
		}
		check := func(low, high uint64, longest time.Duration) {
			t.Helper()
			l := w.Latest(time.Now())
			if n := l.Durations.Count; n < low || n > high || l.Durations.Max != longest {
				t.Errorf("%d requests of at most %v in the last minute, want %d to %d of %v", n, l.Durations.Max, low, high, longest)
			}
		}
		stream(time.Second, 300)
		check(50, 60, time.Second)
		stream(time.Millisecond, 60)
		check(50, 60, time.Millisecond)
		time.Sleep(30 * time.Second)
		check(20, 30, time.Millisecond)
		time.Sleep(30 * 24 * time.Hour)
		check(0, 0, 0)
		stream(time.Minute, 5)
		check(5, 5, time.Minute)
	})
}

// Many goroutines pass from slot to slot at their own pace. While none is a whole
// window behind, every request is in its slot.
func TestWindowConcurrent(t *testing.T) {
	const goroutines, slots, each = 8, 60, 100
	start := time.Now()
	w := NewWindow(start, WindowConfig{Slots: slots, Slot: time.Second})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range slots * each {
				now := start.Add(time.Duration(i) * time.Second / each)
				w.Observe(now, time.Duration(g*slots*each+i)*time.Microsecond, i%2 == 0)
				if i%1000 == 0 {
					w.Latest(now)
				}
			}
		})
	}
	wg.Wait()
	for _, gone := range []int{0, 1, 30, 59, 60} { // slots
		l := w.Latest(start.Add(time.Duration(slots-1+gone) * time.Second))
		n := uint64(goroutines * each * (slots - gone))
		longest := time.Duration(goroutines*slots*each-1) * time.Microsecond
		if n == 0 {
			longest = 0
		}
		if l.Durations.Count != n || l.Errors != n/2 || l.Durations.Max != longest {
			t.Errorf("%d slots on: %d requests, %d errors, max %v; want %d, %d, %v", gone, l.Durations.Count, l.Errors, l.Durations.Max, n, n/2, longest)
		}
	}
}

func TestWindowAllocates(t *testing.T) {
	start := time.Now()
	w := NewWindow(start, WindowConfig{})
	i := 0
	w.Observe(start, time.Second, false)
	if n := testing.AllocsPerRun(1000, func() { w.Observe(start, time.Second, i%2 == 0); i++ }); n != 0 {
		t.Errorf("allocates %v times a request, want 0", n)
	}
	now := start
	if n := testing.AllocsPerRun(100, func() { now = now.Add(10 * time.Second); w.Observe(now, time.Second, false) }); n != 2 {
		t.Errorf("allocates %v times a slot, want 2", n)
	}
}

func TestWindowConfig(t *testing.T) {
	f := func(slots int, slot time.Duration, want string) {
		t.Helper()
		got := ""
		if err := (WindowConfig{slots, slot}).Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d slots of %v: got %q, want %q", slots, slot, got, want)
		}
	}
	f(0, 0, "")
	f(1, time.Millisecond, "")
	f(3600, 24*time.Hour, "")
	f(-1, 0, "-1 slots of a window: must be from 1 to 3600")
	f(3601, 0, "3601 slots of a window: must be from 1 to 3600")
	f(0, -time.Second, "slots of -1s in a window: must be from 1ms to 24h0m0s")
	f(0, time.Microsecond, "slots of 1µs in a window: must be from 1ms to 24h0m0s")
	f(0, 25*time.Hour, "slots of 25h0m0s in a window: must be from 1ms to 24h0m0s")
}
