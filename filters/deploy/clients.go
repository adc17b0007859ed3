package deploy

import (
	"sync/atomic"
	"time"
)

// groups is how many groups clients are counted in, by their addresses: so few that
// counting takes no memory for each of them, and so many that one client's group is about
// that client.
const groups = 256

// clients counts what the clients of one version meet in the window of a guard. It is a
// ring of slots as that of a metrics.Window.
type clients struct {
	start time.Time
	width time.Duration
	slots [slots]atomic.Pointer[clientSlot]
}

type clientSlot struct {
	number int64
	groups [groups]struct{ requests, traps, errors atomic.Uint32 }
}

// group is what one group of clients has met.
type group struct{ requests, failures uint64 }

// count counts a request of a client with a key, see clientKey.
func (c *clients) count(now time.Time, key uint64, trap, failed bool) {
	number := int64(max(now.Sub(c.start), 0) / c.width)
	place := &c.slots[number%slots]
	s := place.Load()
	for s == nil || s.number < number {
		place.CompareAndSwap(s, &clientSlot{number: number})
		s = place.Load()
	}
	if s.number > number {
		return // it is out of the window
	}
	g := &s.groups[key%groups]
	g.requests.Add(1)
	if trap {
		g.traps.Add(1)
	}
	if failed {
		g.errors.Add(1)
	}
}

// worst returns the group with the most traps, and that with the most errors.
func (c *clients) worst(now time.Time) (traps, errors group) {
	last := int64(max(now.Sub(c.start), 0) / c.width)
	var all [groups]struct{ requests, traps, errors uint64 }
	for i := range c.slots {
		s := c.slots[i].Load()
		if s == nil || s.number <= last-slots || s.number > last {
			continue
		}
		for k := range s.groups {
			all[k].requests += uint64(s.groups[k].requests.Load())
			all[k].traps += uint64(s.groups[k].traps.Load())
			all[k].errors += uint64(s.groups[k].errors.Load())
		}
	}
	for _, g := range all {
		if g.traps > traps.failures {
			traps = group{g.requests, g.traps}
		}
		if g.errors > errors.failures {
			errors = group{g.requests, g.errors}
		}
	}
	return traps, errors
}
