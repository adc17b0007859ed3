package metrics

import (
	"math"
	"sync/atomic"
	"time"
)

// Histogram counts durations. The zero value is empty and ready; any number of
// goroutines may use it at once.
//
// Count, sum and maximum are exact; a quantile is at most 1/16 away from the
// duration that it stands for, between a microsecond and 73 minutes. Memory is
// taken as durations come: next to none for none, some 300 bytes for every
// sixteenfold of what occurs.
type Histogram struct {
	chunks [(buckets + chunkSize - 1) / chunkSize]atomic.Pointer[chunk]
	sum    atomic.Int64 // nanoseconds
	max    atomic.Int64 // nanoseconds
}

const chunkSize = 32 // buckets

type chunk [chunkSize]atomic.Uint64

// Observe counts d. A negative duration counts as 0.
func (h *Histogram) Observe(d time.Duration) {
	h.observe(bucketOf(d), int64(max(d, 0)))
}

func (h *Histogram) observe(bucket int, ns int64) {
	c := h.chunks[bucket/chunkSize].Load()
	if c == nil {
		c = h.grow(bucket / chunkSize)
	}
	// The maximum comes before the count, so that no snapshot has an observation
	// that is longer than its maximum.
	for {
		longest := h.max.Load()
		if ns <= longest || h.max.CompareAndSwap(longest, ns) {
			break
		}
	}
	c[bucket%chunkSize].Add(1)
	h.sum.Add(ns)
}

// grow returns chunk i, which another goroutine may make at the same time.
func (h *Histogram) grow(i int) *chunk {
	c := new(chunk)
	if h.chunks[i].CompareAndSwap(nil, c) {
		return c
	}
	return h.chunks[i].Load()
}

// Snapshot returns what has been counted so far. Of an observation that is made
// meanwhile a part may be missing: it is in Count and not in Sum, or in Max alone.
func (h *Histogram) Snapshot() HistogramSnapshot {
	var s HistogramSnapshot
	h.addTo(&s)
	return s
}

func (h *Histogram) addTo(s *HistogramSnapshot) {
	for i := range h.chunks {
		c := h.chunks[i].Load()
		if c == nil {
			continue
		}
		for j := range c {
			if n := c[j].Load(); n > 0 {
				s.buckets[i*chunkSize+j] += n
				s.Count += n
			}
		}
	}
	s.Sum += time.Duration(h.sum.Load())
	s.Max = max(s.Max, time.Duration(h.max.Load()))
}

// HistogramSnapshot is what a Histogram has counted up to a moment. The zero value
// is that of an empty one.
type HistogramSnapshot struct {
	Count uint64
	Sum   time.Duration
	Max   time.Duration

	buckets [buckets]uint64
}

// Merge adds what o has.
func (s *HistogramSnapshot) Merge(o *HistogramSnapshot) {
	s.Count += o.Count
	s.Sum += o.Sum
	s.Max = max(s.Max, o.Max)
	for i, n := range o.buckets {
		s.buckets[i] += n
	}
}

// Mean returns the mean duration; 0 if there is none.
func (s *HistogramSnapshot) Mean() time.Duration {
	if s.Count == 0 {
		return 0
	}
	return time.Duration(float64(s.Sum) / float64(s.Count))
}

// Quantile returns the duration that a share q of all do not exceed: of n
// durations in order that in place q*n, rounded up. It is the middle of that one's
// bucket, and the exact maximum for 1. It returns 0 if there are none.
func (s *HistogramSnapshot) Quantile(q float64) time.Duration {
	if s.Count == 0 || math.IsNaN(q) {
		return 0
	}
	if q >= 1 {
		return s.Max
	}
	rank := max(uint64(math.Ceil(max(q, 0)*float64(s.Count))), 1)
	if rank >= s.Count {
		return s.Max // the last in order
	}
	for i, n := range s.buckets {
		if n < rank {
			rank -= n
			continue
		}
		low := edges[i]
		high := max(min(bucketEnd(i), int64(s.Max)), low)
		return time.Duration(low + (high-low)/2)
	}
	return s.Max
}

// cumulative returns for each of Bounds how many durations do not exceed it.
func (s *HistogramSnapshot) cumulative() (counts [len(Bounds)]uint64) {
	var n uint64
	i := 0
	for b, end := range below {
		for ; i < end; i++ {
			n += s.buckets[i]
		}
		counts[b] = n
	}
	return counts
}
