package wasm

import (
	"context"
	"math"
	"time"
)

// quantum is how many units of package rewrite a guest runs until its next tick:
// some ten microseconds. For that long it holds a garbage collection up, and may
// run on when its time is over.
const quantum = 20_000

// tick is called by a guest whose slice is used up: slice is below zero. The
// guest goes on with what is returned. It is a way out of the guest's code, which
// by itself would never let the scheduler and the collector in.
func tick(in *Instance, stack []uint64) {
	slice := int64(stack[0])
	in.due()
	if slice = max(slice, math.MinInt64/2) + quantum; slice < 0 {
		slice = 0 // an instruction that has worked on much
	}
	stack[0] = uint64(slice)
}

// due ends a guest whose time is over.
func (in *Instance) due() {
	if now() >= in.since+in.left {
		in.end(TimedOut)
	}
	in.mustRun()
}

// resume lets the time of a call run, of which left is left.
func (in *Instance) resume(left time.Duration) {
	in.left, in.since = left, now()
}

// pause stops the time of a call.
func (in *Instance) pause() {
	ran := now() - in.since
	in.took += ran
	in.left -= ran
}

// Together has the calls that f makes, one after the other, be one as far as time is
// concerned: what each costs is not known then, and the clock is read twice for all.
func (in *Instance) Together(f func()) {
	in.resume(in.limit)
	in.together = true
	f()
	in.together = false
	if !in.failed {
		in.pause() // else it was, to tell of the failure
	}
}

// now is the time on a monotonic clock.
func now() time.Duration { return time.Since(epoch) }

// end ends what runs, at its next tick or host function that waits.
func (in *Instance) end(c Cause) {
	if !in.over.CompareAndSwap(0, 1+int32(c)) {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.done != nil {
		close(in.done)
	}
}

// Stop ends the guest, from any goroutine: what it runs fails as soon as it comes
// to its next tick, or to a function of its host that waits. See Keep.
func (in *Instance) Stop() { in.end(Stopped) }

// Took returns for how long the guest has run.
func (in *Instance) Took() time.Duration { return in.took }

// Wait runs f, which waits for somebody else than the guest: its time is not the
// guest's. For host functions.
func (in *Instance) Wait(f func()) {
	in.pause()
	defer func() { in.resume(max(in.left, 0)) }()
	f()
}

// sleep lets a guest sleep while its time runs.
func (in *Instance) sleep(ns int64) {
	if ns <= 0 {
		return
	}
	if about := in.pool.opt.Sleep; about != nil {
		about(in)
	}
	d, left := time.Duration(ns), in.since+in.left-now()
	t := time.NewTimer(min(d, left))
	defer t.Stop()
	select {
	case <-t.C:
		if left < d {
			in.end(TimedOut)
		}
	case <-in.Done():
	}
	in.mustRun()
}

// mustRun ends a guest that may not run any more.
func (in *Instance) mustRun() {
	if err := in.Err(); err != nil {
		panic(err) // failure says why
	}
}

// Deadline implements context.Context: an instance is the context of its calls.
// The time of a call can be paused, so there is none.
func (in *Instance) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
//
// Contexts that are made of the instance may outlive it: its value is kept.
func (in *Instance) Done() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.done == nil {
		in.done = make(chan struct{})
		if in.over.Load() != 0 {
			close(in.done)
		}
	}
	return in.done
}

// Err implements context.Context.
func (in *Instance) Err() error {
	switch in.over.Load() {
	case 0:
		return nil
	case 1 + int32(TimedOut):
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// Value implements context.Context. There is nothing that a call has to find; and it is
// asked after Close, too, by contexts that were made of the instance.
func (in *Instance) Value(any) any { return nil }
