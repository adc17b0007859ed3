package wasm

import (
	"sync/atomic"
	"time"
)

// Policy is what becomes of an exchange whose guest fails.
type Policy uint8

// The policies.
const (
	// Deny answers with an error.
	Deny Policy = iota

	// Skip goes on as if the guest were not there. It falls back on Deny when the
	// guest has consumed content that was not kept.
	Skip
)

// Stats is what a guest has done so far, and holds now.
type Stats struct {
	Calls     uint64         // exchanges
	Skipped   uint64         // exchanges that went on without it, because it had failed
	Failures  [Causes]uint64 // by cause; a cause is a label by its String
	Took      time.Duration  // in guests, instances' initialisation included
	Instances int            // now, in use
	Bytes     int64          // memory that instances hold now
	Peak      int64          // the most memory that one instance has had, in bytes
	Fresh     []string       // why each exchange gets an instance that is made for it; empty: they are put back
}

// Counters counts what a guest does. It may be used by several goroutines.
type Counters struct {
	calls    atomic.Uint64
	skipped  atomic.Uint64
	took     atomic.Int64
	failures [Causes]atomic.Uint64
}

// Call counts an exchange.
func (c *Counters) Call() { c.calls.Add(1) }

// Skip counts an exchange that goes on without the guest, because it has failed.
func (c *Counters) Skip() { c.skipped.Add(1) }

// Take counts time that the guest has run.
func (c *Counters) Take(d time.Duration) { c.took.Add(int64(d)) }

// Fail counts a failure.
func (c *Counters) Fail(cause Cause) { c.failures[cause].Add(1) }

// Stats returns what was counted, and what the guest's pool holds now.
func (c *Counters) Stats(p *Pool) Stats {
	s := Stats{
		Calls:     c.calls.Load(),
		Skipped:   c.skipped.Load(),
		Took:      time.Duration(c.took.Load()),
		Instances: p.Instances(),
		Bytes:     p.Bytes(),
		Peak:      p.Peak(),
		Fresh:     p.Fresh(),
	}
	for i := range s.Failures {
		s.Failures[i] = c.failures[i].Load()
	}
	return s
}
