package wasm

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// queue hands out what the instances of a pool may use together: bytes of memory,
// and turns. An instance that rests has its bytes already. Who waits is served in
// order.
type queue struct {
	turns int64 // instances that may be in use at once

	mu      sync.Mutex // guards the following fields
	closed  bool
	free    int64 // bytes
	need    int64 // bytes that a further instance is expected to use
	used    int64 // turns taken
	resting []*sandbox
	low     int       // the least that have been resting since the last sweep
	waiting list.List // of *waiter
}

// waiter waits for a turn, and for an instance or the bytes of one.
type waiter struct {
	turn
	served chan struct{} // closed when turn is valid
}

// turn lets somebody use an instance: one that has rested, or one that is yet to
// be made of so many bytes.
type turn struct {
	box  *sandbox
	need int64
}

// take waits for a turn, for at most d, and until the context that wait returns is
// done.
func (q *queue) take(wait func() context.Context, d time.Duration) (turn, error) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return turn{}, &Failure{Cause: Closed, Op: "start"}
	}
	if q.waiting.Len() == 0 && q.fits() {
		t := q.next()
		q.mu.Unlock()
		return t, nil
	}
	w := &waiter{served: make(chan struct{})}
	e := q.waiting.PushBack(w)
	q.mu.Unlock()

	ctx := context.Background()
	if wait != nil {
		ctx = wait()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.served:
	case <-timer.C:
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.served: // perhaps just now
		return w.turn, nil
	default:
	}
	q.waiting.Remove(e)
	f := &Failure{Cause: Exhausted, Op: "start", Err: fmt.Errorf(
		"all of the %d instances that there may be at once are in use", q.turns)}
	if q.used < q.turns {
		f.Err = fmt.Errorf("instances have all but %d of the bytes that they may have together", q.free)
	}
	return turn{}, f
}

// fits reports whether there is a turn. q.mu is held.
func (q *queue) fits() bool {
	return q.used < q.turns && (len(q.resting) > 0 || q.need <= q.free)
}

// next takes a turn that fits. q.mu is held.
func (q *queue) next() (t turn) {
	q.used++
	if n := len(q.resting) - 1; n >= 0 {
		t.box = q.resting[n] // the last that has run: its memory is in the processor's caches
		q.resting[n] = nil
		q.resting = q.resting[:n]
		q.low = min(q.low, n)
		return t
	}
	t.need = q.need
	q.free -= t.need
	return t
}

// serve gives those who wait what there is. q.mu is held.
func (q *queue) serve() {
	for e := q.waiting.Front(); e != nil && q.fits(); e = q.waiting.Front() {
		w := e.Value.(*waiter)
		w.turn = q.next()
		q.waiting.Remove(e)
		close(w.served)
	}
}

// rest gives a turn back, with a sandbox that can be used again. It reports
// false if nothing of that has been done, since nobody will.
func (q *queue) rest(box *sandbox) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.used--
	q.resting = append(q.resting, box)
	q.serve()
	return true
}

// give gives a turn and bytes back.
func (q *queue) give(turns, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= turns
	q.free += bytes
	q.serve()
}

// try takes bytes, if that many are free and nobody waits for them.
func (q *queue) try(n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > q.free || q.waiting.Len() > 0 {
		return false
	}
	q.free -= n
	return true
}

// settle is told what an instance has come to use: have becomes used, which may be
// more than was free, and is what a further one is expected to use.
func (q *queue) settle(have, used int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += have - used
	if used < q.need {
		used = q.need - (q.need-used+63)/64 // up at once, down slowly
	}
	q.need = used
}

// sweep takes out the instances that have been resting since the last sweep, but for
// so many of those that rest, and returns how many there are besides these.
func (q *queue) sweep(keep int) (out []*sandbox, left int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := max(min(q.low, len(q.resting)-keep), 0)
	out = append(out, q.resting[:n]...) // those at the bottom
	q.resting = append(q.resting[:0], q.resting[n:]...)
	clear(q.resting[len(q.resting):cap(q.resting)])
	q.low = len(q.resting)
	return out, max(q.low-keep, 0)
}

// close refuses further turns, and takes all out that rest.
func (q *queue) close() (out []*sandbox) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	out, q.resting = q.resting, nil
	return out
}

// rests reports whether more than so many sandboxes rest.
func (q *queue) rests(keep int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.resting) > keep
}

// over reports whether no instance is left and none will be.
func (q *queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && q.used == 0
}
