package metrics

import (
	"sync/atomic"
	"time"
)

// Window counts requests, errors and durations of the last minute, or of what its
// configuration says. Any number of goroutines may use it at once.
//
// Time is cut into slots. Each has figures of its own, made for its first request:
// nothing runs while there is no traffic, and what is too old is passed over. A
// slot is never used for another time, so whoever counts late counts in the right
// one, or in one that nobody looks at any more.
type Window struct {
	start time.Time
	width time.Duration // of a slot
	slots []atomic.Pointer[slot]
}

// slot is what was counted from number*width to (number+1)*width after the start.
type slot struct {
	number    int64
	errors    atomic.Uint64
	durations Histogram
}

// NewWindow returns an empty window that begins at start. Time is measured from
// there, by the monotonic clock if start has its reading, as that of time.Now has.
func NewWindow(start time.Time, cfg WindowConfig) *Window {
	w := new(Window)
	w.init(start, cfg)
	return w
}

func (w *Window) init(start time.Time, cfg WindowConfig) {
	cfg = cfg.withDefaults()
	w.start, w.width = start, cfg.Slot
	w.slots = make([]atomic.Pointer[slot], cfg.Slots)
}

// Observe counts a request that has ended now, after d. It allocates for the first
// one of a slot, and when a slot meets durations of another order.
func (w *Window) Observe(now time.Time, d time.Duration, failed bool) {
	w.observe(now, bucketOf(d), int64(max(d, 0)), failed)
}

func (w *Window) observe(now time.Time, bucket int, ns int64, failed bool) {
	s := w.slot(w.number(now))
	if s == nil {
		return
	}
	if failed {
		s.errors.Add(1)
	}
	s.durations.observe(bucket, ns)
}

// number returns the number of the slot that now is in.
func (w *Window) number(now time.Time) int64 {
	return int64(max(now.Sub(w.start), 0) / w.width)
}

// slot returns the slot of that number; nil if its place belongs to a later one,
// since it is out of the window.
func (w *Window) slot(number int64) *slot {
	place := &w.slots[number%int64(len(w.slots))]
	for {
		s := place.Load()
		switch {
		case s != nil && s.number == number:
			return s
		case s != nil && s.number > number:
			return nil
		}
		fresh := &slot{number: number}
		if place.CompareAndSwap(s, fresh) {
			return fresh
		}
	}
}

// Latest returns what has been counted in the window that ends now.
func (w *Window) Latest(now time.Time) Latest {
	last := w.number(now)
	first := max(last-int64(len(w.slots))+1, 0)
	l := Latest{Span: max(now.Sub(w.start), 0) - time.Duration(first)*w.width}
	for i := range w.slots {
		s := w.slots[i].Load()
		if s == nil || s.number < first || s.number > last {
			continue
		}
		l.Errors += s.errors.Load()
		s.durations.addTo(&l.Durations)
	}
	return l
}

// Latest is what a Window has counted.
type Latest struct {
	Span      time.Duration // the time that was looked at: all slots but the last are full
	Errors    uint64
	Durations HistogramSnapshot // of all requests, of which there are Durations.Count
}

// Merge adds what o has, of another window that is as long.
func (l *Latest) Merge(o *Latest) {
	l.Span = max(l.Span, o.Span)
	l.Errors += o.Errors
	l.Durations.Merge(&o.Durations)
}

// Rate returns requests a second. The time counts as a second at least, so that
// the first request of a window does not show as a thousand.
func (l *Latest) Rate() float64 {
	return float64(l.Durations.Count) / max(l.Span, time.Second).Seconds()
}

// ErrorShare returns the share of requests that were errors, from 0 to 1.
func (l *Latest) ErrorShare() float64 {
	if l.Durations.Count == 0 {
		return 0
	}
	return min(float64(l.Errors)/float64(l.Durations.Count), 1)
}
