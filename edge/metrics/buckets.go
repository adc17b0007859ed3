package metrics

import (
	"math"
	"math/bits"
	"time"
)

// The buckets of a Histogram. Between shortest and longest there are eight to
// every power of two of nanoseconds, so the middle of one is at most 1/16 away
// from what is in it. One that a bound of Prometheus falls into is two, so that
// those bounds are exact as well.
const (
	shortestBits = 10 // 1.024 us: what is shorter is in one bucket
	longestBits  = 42 // 73 minutes: what takes as long or longer is in one bucket
	stepBits     = 3
	steps        = 1 + (longestBits-shortestBits)<<stepBits + 1
	buckets      = steps + len(Bounds)
)

// fineBounds is how many of the Bounds come before those that all histograms have: of
// what takes microseconds, as modules do.
const fineBounds = 6

// Bounds are the upper bounds of the buckets that Prometheus gets to see. A
// duration that equals one belongs below it.
var Bounds = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second,
}

// step is a range of durations that is one bucket, or two.
type step struct {
	first int32 // index of its lower bucket
	bound int64 // nanoseconds; what is longer is in the next bucket. MaxInt64: there is but one
}

// stepTable has the steps in order; edges where each bucket begins, in
// nanoseconds; and below the number of buckets below each of the Bounds.
var stepTable, edges, below = func() (table [steps]step, edges [buckets]int64, below [len(Bounds)]int) {
	next, b := 0, 0
	for i := range table {
		low, high := stepRange(i)
		table[i] = step{int32(next), math.MaxInt64}
		edges[next] = low
		next++
		if b < len(Bounds) && int64(Bounds[b]) < high {
			table[i].bound = int64(Bounds[b])
			edges[next] = int64(Bounds[b]) + 1
			below[b] = next
			next++
			b++
		}
	}
	if next != buckets || b != len(Bounds) {
		panic("BUG: the buckets are not as many as were thought")
	}
	return table, edges, below
}()

// stepOf returns the step of a duration in nanoseconds.
func stepOf(ns uint64) int {
	switch n := bits.Len64(ns); {
	case n <= shortestBits:
		return 0
	case n > longestBits:
		return steps - 1
	default:
		e := n - 1
		return 1 + (e-shortestBits)<<stepBits + int(ns>>(e-stepBits))&(1<<stepBits-1)
	}
}

// stepRange returns the first nanosecond of a step, and the first behind it.
func stepRange(i int) (low, high int64) {
	at := func(i int) int64 { // where step i begins; i > 0
		e := shortestBits + (i-1)>>stepBits
		return int64(1)<<e + int64((i-1)&(1<<stepBits-1))<<(e-stepBits)
	}
	switch i {
	case 0:
		return 0, at(1)
	case steps - 1:
		return at(i), math.MaxInt64
	}
	return at(i), at(i + 1)
}

// bucketOf returns the bucket of a duration. A negative one counts as none.
func bucketOf(d time.Duration) int {
	ns := int64(max(d, 0))
	s := &stepTable[stepOf(uint64(ns))]
	i := int(s.first)
	if ns > s.bound {
		i++
	}
	return i
}

// bucketEnd returns the last nanosecond of a bucket.
func bucketEnd(i int) int64 {
	if i == buckets-1 {
		return math.MaxInt64
	}
	return edges[i+1] - 1
}
