package balance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// letters names members: 0 is a.
func letters(picks []int) string {
	var b strings.Builder
	for _, i := range picks {
		b.WriteByte("abcdefghijklmnopqrstuvwxyz"[i])
	}
	return b.String()
}

func members(weights ...int) []Member {
	list := make([]Member, len(weights))
	for i, w := range weights {
		list[i].Weight = w
	}
	return list
}

func TestRoundRobinOrder(t *testing.T) {
	check := func(want string, weights ...int) {
		t.Helper()
		b := New(RoundRobin, members(weights...))
		var picks []int
		for range want {
			i := b.Pick(nil)
			picks = append(picks, i)
			b.Done(i)
		}
		if got := letters(picks); got != want {
			t.Errorf("weights %v: got %s, want %s", weights, got, want)
		}
	}
	check("aaaa", 1)
	check("abcabc", 1, 1, 1)
	check("abcabc", 0, 0, 0) // 0 means 1
	check("aabacaaaabacaa", 5, 1, 1)
	check("aba", 2, 1)
	check("abababab", 3, 3)
}

// Over a cycle shares are exact; within it no member is ever two turns away from
// its share.
func TestRoundRobinShares(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		weights, total := make([]int, 1+r.IntN(7)), 0
		for i := range weights {
			weights[i] = 1 + r.IntN(20)
			total += weights[i]
		}
		b := New(RoundRobin, members(weights...))
		counts := make([]int, len(weights))
		for n := 1; n <= 3*total; n++ {
			i := b.Pick(nil)
			b.Done(i)
			counts[i]++
			for i, c := range counts {
				off := float64(c) - float64(n*weights[i])/float64(total)
				if n%total == 0 && off != 0 {
					t.Fatalf("weights %v: after %d cycles member %d had %d turns", weights, n/total, i, c)
				}
				if off >= 2 || off <= -2 {
					t.Fatalf("weights %v: after %d turns member %d is %.2f away from its share", weights, n, i, off)
				}
			}
		}
	}
}

// Whoever is skipped, the others share by weight, evenly interleaved.
func TestSkip(t *testing.T) {
	for _, policy := range []Policy{RoundRobin, LeastRequests} {
		b := New(policy, members(3, 1, 2))
		var skip Set
		skip.Add(0)
		counts := make([]int, 3)
		for range 300 {
			i := b.Pick(&skip)
			b.Done(i)
			counts[i]++
		}
		if want := []int{0, 100, 200}; !slices.Equal(counts, want) {
			t.Errorf("%s without a: got %v, want %v", policy, counts, want)
		}
		clear(counts)
		for range 600 { // and a has saved no turns up
			i := b.Pick(nil)
			b.Done(i)
			counts[i]++
		}
		if want := []int{300, 100, 200}; !slices.Equal(counts, want) {
			t.Errorf("%s with a again: got %v, want %v", policy, counts, want)
		}
		skip.Add(1)
		skip.Add(2)
		if got := b.Pick(&skip); got != -1 {
			t.Errorf("%s: with all skipped got %d, want -1", policy, got)
		}
	}
}

func TestBackups(t *testing.T) {
	for _, policy := range []Policy{RoundRobin, LeastRequests} {
		b := New(policy, []Member{{Backup: true}, {}, {}, {Backup: true}})
		pick := func(want string, skipped ...int) {
			t.Helper()
			var skip Set
			for _, i := range skipped {
				skip.Add(i)
			}
			var picks []int
			for range want {
				picks = append(picks, b.Pick(&skip)) // not Done: busy primaries come before idle backups
			}
			slices.Sort(picks)
			if got := letters(picks); got != want {
				t.Errorf("%s without %v: got %s, want %s", policy, skipped, got, want)
			}
		}
		pick("bbcc")
		pick("cccc", 1)
		pick("aadd", 1, 2)
		pick("dddd", 0, 1, 2)
	}
}

// A random history of requests that begin and end: the member that is picked is
// never busier for its weight than another that could have been.
func TestLeastRequests(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		list := make([]Member, 1+r.IntN(6))
		for i := range list {
			list[i] = Member{Weight: 1 + r.IntN(5), Backup: r.IntN(4) == 0}
		}
		b := New(LeastRequests, list)
		var running []int
		for range 200 {
			if len(running) > 0 && r.IntN(2) == 0 {
				n := r.IntN(len(running))
				b.Done(running[n])
				running = slices.Delete(running, n, n+1)
				continue
			}
			var skip Set
			for i := range list {
				if r.IntN(4) == 0 {
					skip.Add(i)
				}
			}
			before := make([]int, len(list))
			for i := range list {
				before[i] = b.InFlight(i)
			}
			got := b.Pick(&skip)
			if got < 0 {
				for i := range list {
					if !skip.Has(i) {
						t.Fatalf("picked nobody though %d was free to be", i)
					}
				}
				continue
			}
			running = append(running, got)
			if skip.Has(got) {
				t.Fatalf("picked %d, which was to be skipped", got)
			}
			for i, m := range list {
				switch {
				case skip.Has(i), m.Backup && !list[got].Backup:
				case !m.Backup && list[got].Backup:
					t.Fatalf("picked the backup %d though the primary %d was free to be", got, i)
				case before[got]*m.Weight > before[i]*list[got].Weight:
					t.Fatalf("picked %d with %d in flight at weight %d; %d had %d at weight %d", got, before[got], list[got].Weight, i, before[i], m.Weight)
				}
			}
			if b.InFlight(got) != before[got]+1 {
				t.Fatalf("in flight: %d, then %d", before[got], b.InFlight(got))
			}
		}
	}
}

// Order is what Pick would do as one member after the other fails, and changes
// nothing.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, policy := range []Policy{RoundRobin, LeastRequests} {
		for range 500 {
			list := make([]Member, 1+r.IntN(70))
			for i := range list {
				list[i] = Member{Weight: 1 + r.IntN(5), Backup: r.IntN(4) == 0}
			}
			b := New(policy, list)
			for range r.IntN(50) {
				if i := b.Pick(nil); r.IntN(2) == 0 {
					b.Done(i)
				}
			}
			var later, skip Set
			for i := range list {
				if r.IntN(4) == 0 {
					later.Add(i)
					skip.Add(i)
				}
			}
			order := b.Order(&later)
			if again := b.Order(&later); !slices.Equal(again, order) {
				t.Fatalf("%s: %v, then %v", policy, order, again)
			}
			for n, want := range order {
				got := b.Pick(&skip)
				if got < 0 { // the others are through
					skip.Reset()
					for _, i := range order[:n] {
						skip.Add(i)
					}
					got = b.Pick(&skip)
				}
				if got != want {
					t.Fatalf("%s: picked %d, want %d of %v", policy, got, want, order)
				}
				b.Done(got)
				skip.Add(got)
			}
			if len(order) != len(list) {
				t.Fatalf("%s: %d of %d in order", policy, len(order), len(list))
			}
		}
	}
}

func TestLeastRequestsTiesRotate(t *testing.T) {
	b := New(LeastRequests, members(1, 1, 1))
	var picks []int
	for range 6 {
		i := b.Pick(nil)
		b.Done(i)
		picks = append(picks, i)
	}
	if got, want := letters(picks), "abcabc"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestConcurrent(t *testing.T) {
	for _, policy := range []Policy{RoundRobin, LeastRequests} {
		b := New(policy, members(3, 1, 4))
		const goroutines, each = 8, 1000
		counts := make([][3]int, goroutines)
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for range each {
					i := b.Pick(nil)
					counts[g][i]++
					b.Done(i)
				}
			})
		}
		wg.Wait()
		var sum [3]int
		for i := range sum {
			if n := b.InFlight(i); n != 0 {
				t.Errorf("%s: member %d is left with %d in flight", policy, i, n)
			}
			for _, c := range counts {
				sum[i] += c[i]
			}
		}
		if want := [3]int{3000, 1000, 4000}; policy == RoundRobin && sum != want {
			t.Errorf("%s: got %v, want %v", policy, sum, want)
		}
	}
}

func TestSet(t *testing.T) {
	var s, c Set
	for _, i := range []int{0, 63, 64, 127, 128, 700} {
		if s.Has(i) {
			t.Errorf("%d is in a set that it was not added to", i)
		}
		s.Add(i)
		if !s.Has(i) || s.Has(i+1) || s.Has(i+64) && i != 0 && i != 63 && i != 64 {
			t.Errorf("after Add(%d): has it %v, the next %v", i, s.Has(i), s.Has(i+1))
		}
	}
	c.Add(5)
	c.Add(900)
	c.CopyFrom(&s)
	if c.Has(5) || c.Has(900) || !c.Has(700) || !c.Has(0) {
		t.Error("CopyFrom has not made the sets equal")
	}
	s.Reset()
	for i := range 1000 {
		if s.Has(i) {
			t.Fatalf("%d is in an empty set", i)
		}
	}
	s.Add(130) // the memory is used again, what was in it is not
	if s.Has(64) || s.Has(128) || !s.Has(130) {
		t.Error("a set that was reset remembers")
	}
	if (*Set)(nil).Has(3) {
		t.Error("a nil set has a member")
	}
}

func TestParsePolicy(t *testing.T) {
	check := func(s string, want Policy, ok bool) {
		t.Helper()
		got, err := ParsePolicy(s)
		if got != want || (err == nil) != ok {
			t.Errorf("ParsePolicy(%q) = %v, %v", s, got, err)
		}
	}
	check("round-robin", RoundRobin, true)
	check("least-requests", LeastRequests, true)
	check("least-connections", LeastRequests, true)
	check("fastest", 0, false)
	for _, p := range []Policy{RoundRobin, LeastRequests} {
		check(p.String(), p, true)
	}
}

func TestWeightOutOfRange(t *testing.T) {
	for _, w := range []int{-1, MaxWeight + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a weight of %d is accepted", w)
				}
			}()
			New(RoundRobin, members(w))
		}()
	}
}

func TestAllocs(t *testing.T) {
	for _, policy := range []Policy{RoundRobin, LeastRequests} {
		b := New(policy, members(make([]int, 100)...))
		var skip Set
		skip.Add(99)
		if n := testing.AllocsPerRun(100, func() {
			skip.Reset()
			skip.Add(70)
			b.Done(b.Pick(&skip))
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", policy, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, policy := range []Policy{RoundRobin, LeastRequests} {
		for _, n := range []int{2, 10, 100} {
			b.Run(fmt.Sprintf("%s/%d", policy, n), func(b *testing.B) {
				l := New(policy, members(make([]int, n)...))
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						l.Done(l.Pick(nil))
					}
				})
			})
		}
	}
}
