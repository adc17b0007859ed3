package rollout

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestParseWeight(t *testing.T) {
	ok := func(s string, want Weight) {
		t.Helper()
		if got, err := ParseWeight(s); got != want || err != nil {
			t.Errorf("ParseWeight(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	ok("0%", 0)
	ok("5%", 5000)
	ok("100%", Whole)
	ok("2.5%", 2500)
	ok("0.001%", 1)
	ok("33.333%", 33333)
	ok("7.250000%", 7250)
	ok("100.000%", Whole)
	ok("05%", 5000)
	bad := func(s, want string) {
		t.Helper()
		if got, err := ParseWeight(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseWeight(%q) = %d, %v, want an error with %q", s, got, err, want)
		}
	}
	bad("", "want a share")
	bad("5", "want a share")
	bad("%", "want a share")
	bad(".5%", "want a share")
	bad("5.%", "want a share")
	bad("-5%", "want a share")
	bad("+5%", "want a share")
	bad("5 %", "want a share")
	bad("1e1%", "want a share")
	bad("1_0%", "want a share")
	bad("0.0001%", "three decimals")
	bad("101%", "more than 100%")
	bad("100.001%", "more than 100%")
	bad("99999999999999999999%", "more than 100%")
}

func FuzzParseWeight(f *testing.F) {
	for _, s := range []string{"5%", "2.5%", "0.001%", "100%", "1.0000%", "-1%", "5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := ParseWeight(s)
		if err != nil {
			return
		}
		if w > Whole {
			t.Fatalf("ParseWeight(%q) = %d, more than all", s, w)
		}
		if again, err := ParseWeight(w.String()); again != w || err != nil {
			t.Fatalf("%q is %d, which is written %q, which is %d, %v", s, w, w, again, err)
		}
	})
}

// arms returns n names.
func arms(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("arm-%d", i)
	}
	return names
}

func mustNew(t testing.TB, weights ...Weight) *Rollout {
	t.Helper()
	r, err := New("shop", arms(len(weights)), weights)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNewRefuses(t *testing.T) {
	check := func(want string, arms []string, weights ...Weight) {
		t.Helper()
		if _, err := New("shop", arms, weights); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%q, %v): %v, want an error with %q", arms, weights, err, want)
		}
	}
	check("0 arms", nil, Whole)
	check("add up to 0%, not to 100%", nil)
	check("1 weights for 2 arms", []string{"a", "b"}, Whole)
	check("add up to 99.999%", []string{"a", "b"}, 50*Percent, 49_999)
	check("add up to 100.5%", []string{"a", "b"}, 50*Percent, 50_500)
	check("not to 100%", []string{"a", "b", "c"}, math.MaxUint32, 50*Percent, 50*Percent+1) // would be right modulo 2^32
	check(`"a"`, []string{"a", "b", "a"}, 10*Percent, 80*Percent, 10*Percent)
	check("101 arms", arms(101), make([]Weight, 101)...)
}

// Assign gives each arm its share of the visitors, whatever keys look like.
func TestAssignShares(t *testing.T) {
	const visitors = 50_000
	for _, weights := range [][]Weight{
		{95 * Percent, 5 * Percent},
		{50 * Percent, 30 * Percent, 20 * Percent},
		{99_900, 100},
		{0, Whole, 0},
		{12_500, 12_500, 12_500, 12_500, 12_500, 12_500, 12_500, 12_500},
	} {
		r := mustNew(t, weights...)
		for kind, key := range map[string]func(i int) uint64{
			"ids":       func(i int) uint64 { return Key(fmt.Sprintf("visitor-%d", i)) },
			"addresses": func(i int) uint64 { return Key([]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) },
			"numbers":   func(i int) uint64 { return uint64(i) },
		} {
			counts := make([]int, len(weights))
			for i := range visitors {
				counts[r.Assign(key(i))]++
			}
			for i, w := range weights {
				p := float64(w) / float64(Whole)
				mean, sigma := p*visitors, math.Sqrt(visitors*p*(1-p))
				if off := math.Abs(float64(counts[i]) - mean); off > 5*sigma {
					t.Errorf("%v by %s: arm %d has %d visitors, want %.0f ± %.0f", weights, kind, i, counts[i], mean, 5*sigma)
				}
			}
		}
	}
}

// moves counts who goes from which arm to which.
func moves(t *testing.T, before, after []Weight) (moved int, from map[[2]int]int) {
	t.Helper()
	r := mustNew(t, before...)
	old := make([]int, 100_000)
	for i := range old {
		old[i] = r.Assign(mix(uint64(i)))
	}
	if err := r.SetWeights(after); err != nil {
		t.Fatal(err)
	}
	from = map[[2]int]int{}
	for i, was := range old {
		if is := r.Assign(mix(uint64(i))); is != was {
			moved++
			from[[2]int{was, is}]++
		}
	}
	return moved, from
}

func TestOnlyThoseMoveWhoMust(t *testing.T) {
	// Between two arms: 5% of the visitors, all in one direction.
	moved, from := moves(t, []Weight{95 * Percent, 5 * Percent}, []Weight{90 * Percent, 10 * Percent})
	if moved < 4600 || moved > 5400 || from[[2]int{0, 1}] != moved {
		t.Errorf("5%% to 10%%: %d of 100000 moved (%v), want about 5000 from 0 to 1", moved, from)
	}
	// One arm grows, the others keep their proportion: everybody moves to it.
	moved, from = moves(t, []Weight{60 * Percent, 30 * Percent, 10 * Percent}, []Weight{40 * Percent, 20 * Percent, 40 * Percent})
	if moved < 29_000 || moved > 31_000 || from[[2]int{0, 2}]+from[[2]int{1, 2}] != moved {
		t.Errorf("10%% to 40%%: %d of 100000 moved (%v), want about 30000 to 2", moved, from)
	}
	// An arm is drained: nobody else moves.
	moved, from = moves(t, []Weight{50 * Percent, 25 * Percent, 25 * Percent}, []Weight{66_667, 33_333, 0})
	if moved < 24_000 || moved > 26_000 || from[[2]int{2, 0}]+from[[2]int{2, 1}] < moved-10 {
		t.Errorf("25%% to 0: %d of 100000 moved (%v), want about 25000, all but the rounding from 2", moved, from)
	}
	// The same weights: nobody.
	if moved, from = moves(t, []Weight{70 * Percent, 30 * Percent}, []Weight{70 * Percent, 30 * Percent}); moved != 0 {
		t.Errorf("no change: %d moved (%v)", moved, from)
	}
}

// Arms that trade any shares: at most 2d/(1+d) of the visitors move where a
// share d must, which is the best that a hash without memory can do.
func TestMovesAreBounded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 8 {
		k := 2 + rnd.IntN(4)
		before, after := weights(rnd, k), weights(rnd, k)
		must := 0.0
		for i := range before {
			must += math.Abs(float64(before[i])-float64(after[i])) / 2 / float64(Whole)
		}
		moved, _ := moves(t, before, after)
		if bound := 2 * must / (1 + must); float64(moved) > 100_000*bound+1000 {
			t.Errorf("%v to %v: %d of 100000 moved, want at most %.0f", before, after, moved, 100_000*bound)
		}
	}
}

// weights returns k random weights.
func weights(r *rand.Rand, k int) []Weight {
	cuts := []int{0, int(Whole)}
	for len(cuts) <= k {
		cuts = append(cuts, r.IntN(int(Whole)+1))
	}
	slices.Sort(cuts)
	list := make([]Weight, k)
	for i := range list {
		list[i] = Weight(cuts[i+1] - cuts[i])
	}
	return list
}

// The order of the arms is nothing to a visitor, the salt and the names are.
func TestAssignGoesByName(t *testing.T) {
	pair := func(salt, a, b string) *Rollout {
		r, err := New(salt, []string{a, b}, []Weight{50 * Percent, 50 * Percent})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ab, ba, other := pair("shop", "a", "b"), pair("shop", "b", "a"), pair("cart", "a", "b")
	same := 0
	for i := range 10_000 {
		key := Key(fmt.Sprint(i))
		if ab.Assign(key) == ba.Assign(key) {
			t.Fatalf("visitor %d changes arms with their order", i)
		}
		if ab.Assign(key) == other.Assign(key) {
			same++
		}
	}
	if same < 4700 || same > 5300 {
		t.Errorf("%d of 10000 visitors have the same arm in two splits, want about half", same)
	}
}

// These must never change: they decide where visitors are.
func TestAssignIsStable(t *testing.T) {
	if got, want := Key("visitor"), uint64(0x8b3caa8b8a39d781); got != want {
		t.Errorf("Key = %#x, want %#x", got, want)
	}
	r := mustNew(t, 60*Percent, 30*Percent, 10*Percent)
	var got []int
	for i := range 20 {
		got = append(got, r.Assign(Key(fmt.Sprint(i))))
	}
	if want := []int{1, 2, 0, 1, 0, 2, 0, 0, 0, 1, 2, 0, 0, 0, 1, 0, 1, 2, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Dealing is even over every window of every length.
func TestDealIsEven(t *testing.T) {
	check := func(weights ...Weight) {
		t.Helper()
		turns := deal(weights)
		n := len(turns)
		for arm, w := range weights {
			sums := make([]int, 2*n+1) // before each turn of two cycles
			for i := range 2 * n {
				sums[i+1] = sums[i]
				if int(turns[i%n]) == arm {
					sums[i+1]++
				}
			}
			for _, length := range []int{1, 2, 3, 7, 10, 20, 100, 999, 1000, n - 1, n} {
				if length > n || length < 1 {
					continue
				}
				share := float64(length) * float64(w) / float64(Whole)
				for start := range n {
					off := math.Abs(float64(sums[start+length]-sums[start]) - share)
					if off >= 2 || off > 1 && share == math.Trunc(share) || len(weights) == 2 && off >= 1 {
						t.Fatalf("%v: arm %d is %.3f away from its share in the %d turns from %d", weights, arm, off, length, start)
					}
				}
			}
			if sums[n] != int(uint64(w)*uint64(n)/uint64(Whole)) {
				t.Errorf("%v: arm %d has %d turns of %d", weights, arm, sums[n], n)
			}
		}
	}
	check(Whole)
	check(0, Whole)
	check(95*Percent, 5*Percent)
	check(97_500, 2_500)
	check(99_999, 1)
	check(50*Percent, 50*Percent)
	check(33_333, 33_333, 33_334)
	check(90*Percent, 5*Percent, 0, 5*Percent)
	check(slices.Repeat([]Weight{Percent}, 100)...)
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 4 {
		check(weights(rnd, 2+rnd.IntN(5))...)
	}
}

// From any number of goroutines, any 1000 requests: 49 to 51 of them at 5%.
// Next says what Deal is about to, and deals nothing.
func TestNext(t *testing.T) {
	r := mustNew(t, 60*Percent, 30*Percent, 10*Percent)
	for i := range 50 {
		next := r.Next()
		if again := r.Next(); again != next {
			t.Fatalf("turn %d: %d, then %d", i, next, again)
		}
		if got := r.Deal(); got != next {
			t.Fatalf("turn %d: dealt %d, want %d", i, got, next)
		}
	}
}

func TestDealConcurrently(t *testing.T) {
	r := mustNew(t, 95*Percent, 5*Percent)
	for round := range 20 {
		var counts [10]int
		var wg sync.WaitGroup
		for g := range counts {
			wg.Go(func() {
				for range 100 {
					counts[g] += r.Deal()
				}
			})
		}
		wg.Wait()
		got := 0
		for _, c := range counts {
			got += c
		}
		if got < 49 || got > 51 {
			t.Errorf("round %d: %d of 1000 at 5%%, want 49 to 51", round, got)
		}
	}
}

func TestSetWeightsWhileServing(t *testing.T) {
	r := mustNew(t, Whole, 0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for key := uint64(0); ; key++ {
				select {
				case <-stop:
					return
				default:
				}
				if a, d := r.Assign(key), r.Deal(); a < 0 || a > 1 || d < 0 || d > 1 {
					t.Errorf("arms %d and %d of 2", a, d)
				}
			}
		})
	}
	for w := range Weight(100) {
		if err := r.SetWeights([]Weight{Whole - w*Percent, w * Percent}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if err := r.SetWeights([]Weight{Whole, Whole}); err == nil {
		t.Error("200% are accepted")
	}
	if got, want := r.Weights(), []Weight{Percent, 99 * Percent}; !slices.Equal(got, want) {
		t.Errorf("after a refused change: %v, want %v", got, want)
	}
	r.Weights()[0] = 7
	if got := r.Weights()[0]; got != Percent {
		t.Errorf("the caller has changed the weights to %d", got)
	}
}

func TestWeightZeroGetsNobody(t *testing.T) {
	r := mustNew(t, 50*Percent, 0, 50*Percent)
	for key := range uint64(10_000) {
		if r.Assign(key) == 1 || r.Deal() == 1 {
			t.Fatal("an arm of weight 0 got a visitor")
		}
	}
}

func TestAllocs(t *testing.T) {
	r := mustNew(t, 95*Percent, 5*Percent)
	if n := testing.AllocsPerRun(100, func() {
		r.Assign(Key("visitor"))
		r.Deal()
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAssign(b *testing.B) {
	r := mustNew(b, 95*Percent, 5*Percent)
	b.ReportAllocs()
	for key := uint64(0); b.Loop(); key++ {
		r.Assign(key)
	}
}

func BenchmarkDeal(b *testing.B) {
	r := mustNew(b, 95*Percent, 5*Percent)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Deal()
		}
	})
}

func BenchmarkSetWeights(b *testing.B) {
	r := mustNew(b, 95*Percent, 5*Percent)
	for b.Loop() {
		if err := r.SetWeights([]Weight{66_667, 33_333}); err != nil {
			b.Fatal(err)
		}
	}
}
