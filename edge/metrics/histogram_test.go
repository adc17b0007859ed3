package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// Buckets follow each other without a gap, and none is wider than an eighth of
// where it begins.
func TestBuckets(t *testing.T) {
	if edges[0] != 0 {
		t.Errorf("the first bucket begins at %d", edges[0])
	}
	for i := range edges {
		low, high := edges[i], bucketEnd(i)
		if high < low {
			t.Fatalf("bucket %d is from %d to %d", i, low, high)
		}
		for _, ns := range []int64{low, high, low + (high-low)/2} {
			if got := bucketOf(time.Duration(ns)); got != i {
				t.Errorf("%d ns are in bucket %d, want %d, which is from %d to %d", ns, got, i, low, high)
			}
		}
		if low >= 1<<shortestBits && high < 1<<longestBits && (high-low+1)*8 > low {
			t.Errorf("bucket %d is from %d to %d: too wide", i, low, high)
		}
	}
	if got := edges[buckets-1]; time.Duration(got) < time.Hour {
		t.Errorf("the last bucket begins at %v, before an hour", time.Duration(got))
	}
}

// What Prometheus gets is exact at its bounds.
func TestBounds(t *testing.T) {
	for i, b := range Bounds {
		var h Histogram
		h.Observe(b)
		h.Observe(b + 1)
		h.Observe(b - 1)
		s := h.Snapshot()
		for j, n := range s.cumulative() {
			want := uint64(0)
			switch {
			case j == i:
				want = 2
			case j > i:
				want = 3
			}
			if n != want {
				t.Errorf("%v and a nanosecond on either side: %d do not exceed %v, want %d", b, n, Bounds[j], want)
			}
		}
	}
}

// durations returns durations of all orders, some of them the same.
func durations(r *rand.Rand, n int) []time.Duration {
	list := make([]time.Duration, n)
	low := 3 + r.Float64()*6
	span := 1 + r.Float64()*(12.5-low-1) // of powers of ten
	for i := range list {
		list[i] = time.Duration(math.Pow(10, low+r.Float64()*span))
		if i > 0 && r.IntN(4) == 0 {
			list[i] = list[i-1]
		}
	}
	return list
}

// exact is the definition of a quantile. The list is in order.
func exact(list []time.Duration, q float64) time.Duration {
	return list[max(int(math.Ceil(q*float64(len(list)))), 1)-1]
}

// far reports whether got is further from want than a histogram promises.
func far(got, want time.Duration) bool {
	if want < 1<<shortestBits {
		return got < 0 || got >= 1<<shortestBits
	}
	return (got - want).Abs() > want/16+1
}

func TestQuantile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		list := durations(r, 1+r.IntN(2000))
		var h Histogram
		var sum time.Duration
		for _, d := range list {
			h.Observe(d)
			sum += d
		}
		slices.Sort(list)
		s := h.Snapshot()
		if s.Count != uint64(len(list)) || s.Sum != sum || s.Max != list[len(list)-1] {
			t.Fatalf("round %d: count %d, sum %v, max %v; want %d, %v, %v", round, s.Count, s.Sum, s.Max, len(list), sum, list[len(list)-1])
		}
		if want := sum / time.Duration(len(list)); (s.Mean() - want).Abs() > want/1e6+1 {
			t.Fatalf("round %d: mean %v, want %v", round, s.Mean(), want)
		}
		for _, q := range []float64{0, .001, .01, .25, .5, .75, .9, .95, .99, .999, 1, r.Float64()} {
			got, want := s.Quantile(q), exact(list, q)
			if far(got, want) || got > s.Max || q == 1 && got != want {
				t.Fatalf("round %d, %d durations: quantile %g is %v, want %v", round, len(list), q, got, want)
			}
		}
		before := time.Duration(0)
		for q := 0.; q <= 1; q += .01 {
			got := s.Quantile(q)
			if got < before {
				t.Fatalf("round %d: quantile %g is %v, and one before it %v", round, q, got, before)
			}
			before = got
		}
	}
}

func TestQuantileAtTheEnds(t *testing.T) {
	f := func(q float64, want time.Duration, list ...time.Duration) {
		t.Helper()
		var h Histogram
		for _, d := range list {
			h.Observe(d)
		}
		s := h.Snapshot()
		if got := s.Quantile(q); got != want {
			t.Errorf("quantile %g of %v: got %v, want %v", q, list, got, want)
		}
	}
	f(.5, 0)                                                             // nothing
	f(math.NaN(), 0, time.Second)                                        // no number
	f(-1, time.Second, time.Second)                                      // below, of one
	f(2, time.Second, time.Millisecond, time.Second)                     // above
	f(.99, time.Second, time.Second)                                     // one is its own quantile
	f(.5, 0, -time.Second, -time.Second)                                 // negative
	f(1, 0, -time.Second)                                                //
	f(1, math.MaxInt64, math.MaxInt64)                                   // longest there is
	f(1, 100*time.Hour, time.Second, 100*time.Hour)                      // beyond the buckets, exact still
	f(.5, (1<<longestBits+100*time.Hour)/2, 90*time.Hour, 100*time.Hour) // beyond them: as good as can be
}

// A merged snapshot is that of all durations.
func TestMerge(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		var one, other, both Histogram
		for i, d := range durations(r, 500) {
			both.Observe(d)
			if i%3 == 0 {
				one.Observe(d)
			} else {
				other.Observe(d)
			}
		}
		got, with, want := one.Snapshot(), other.Snapshot(), both.Snapshot()
		got.Merge(&with)
		if got != want {
			t.Fatalf("merged: %d, %v, %v; want %d, %v, %v", got.Count, got.Sum, got.Max, want.Count, want.Sum, want.Max)
		}
		var empty HistogramSnapshot
		if got.Merge(&empty); got != want {
			t.Fatal("an empty snapshot has changed what it was merged into")
		}
	}
}

// Whatever a snapshot sees of what is under way, it never has a duration beyond
// its maximum, and in the end nothing is missing.
func TestHistogramConcurrent(t *testing.T) {
	const goroutines, each = 8, 5000
	var h Histogram
	var observing sync.WaitGroup
	for g := range goroutines {
		observing.Go(func() {
			for i := range each {
				h.Observe(time.Duration(1+g+goroutines*i) * time.Microsecond)
			}
		})
	}
	over := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		var before uint64
		for {
			s := h.Snapshot()
			if s.Count < before || s.Count > 0 && edges[bucketOf(s.Max)] > int64(s.Max) {
				t.Errorf("count %d after %d, max %v", s.Count, before, s.Max)
			}
			for i := bucketOf(s.Max) + 1; i < buckets; i++ {
				if s.buckets[i] > 0 {
					t.Errorf("max is %v, and there are durations from %v", s.Max, time.Duration(edges[i]))
				}
			}
			before = s.Count
			select {
			case <-over:
				return
			default:
			}
		}
	})
	observing.Wait()
	close(over)
	looking.Wait()
	const n = goroutines * each
	s := h.Snapshot()
	if want := time.Duration(n*(n+1)/2) * time.Microsecond; s.Count != n || s.Sum != want || s.Max != n*time.Microsecond {
		t.Errorf("count %d, sum %v, max %v; want %d, %v, %v", s.Count, s.Sum, s.Max, n, want, n*time.Microsecond)
	}
}

func TestObserveAllocates(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(1, func() { h.chunks[bucketOf(time.Second)/chunkSize].Store(nil); h.Observe(time.Second) }); n != 1 {
		t.Errorf("the first duration allocates %v times, want 1", n)
	}
	d := time.Second
	if n := testing.AllocsPerRun(1000, func() { h.Observe(d); d += 50 * time.Microsecond }); n != 0 {
		t.Errorf("others of the same order allocate %v times, want 0", n)
	}
	if size := unsafe.Sizeof(h); size > 100 {
		t.Errorf("an empty histogram has %d bytes", size)
	}
}
