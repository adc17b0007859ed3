package wasm

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// budget is a number of bytes that instances share. Who waits is served in
// order.
type budget struct {
	mu      sync.Mutex // guards the following fields
	free    int64
	waiting list.List // of *waiter
}

type waiter struct {
	need int64
	ok   chan struct{} // closed when need has been taken
}

// try takes n bytes, if that many are free and nobody waits for them.
func (b *budget) try(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tryLocked(n)
}

func (b *budget) tryLocked(n int64) bool {
	if n > b.free || n > 0 && b.waiting.Len() > 0 {
		return false
	}
	b.free -= n
	return true
}

// take takes n bytes; it waits for at most d, and until the context that wait
// returns is done.
func (b *budget) take(n int64, wait func() context.Context, d time.Duration) bool {
	b.mu.Lock()
	if b.tryLocked(n) {
		b.mu.Unlock()
		return true
	}
	w := &waiter{need: n, ok: make(chan struct{})}
	e := b.waiting.PushBack(w)
	b.mu.Unlock()

	ctx := context.Background()
	if wait != nil {
		ctx = wait()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.ok:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.ok: // just now: it is ours
		return true
	default:
		b.waiting.Remove(e)
		b.serve() // who waits behind may need less
		return false
	}
}

// give gives n bytes back.
func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	b.serve()
}

func (b *budget) serve() {
	for e := b.waiting.Front(); e != nil; e = b.waiting.Front() {
		w := e.Value.(*waiter)
		if w.need > b.free {
			return
		}
		b.free -= w.need
		b.waiting.Remove(e)
		close(w.ok)
	}
}

func (b *budget) left() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}

// memory is the linear memory of one instance. Its bytes come zeroed from the
// heap, and go back to it, never to another instance.
type memory struct {
	budget *budget
	limit  int64 // bytes
	held   int64 // bytes taken from the budget
	b      []byte
}

// Reallocate makes the memory size bytes long, or returns nil: the guest's
// memory.grow then fails.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(m.limit) {
		return nil
	}
	n := int64(size)
	if n > m.held {
		if !m.budget.try(n - m.held) {
			return nil
		}
		m.held = n
	}
	if n > int64(cap(m.b)) {
		// Growing by a page at a time must not copy everything each time. What is
		// held already is what instances come to need.
		b := make([]byte, n, min(m.limit, max(n, m.held, int64(len(m.b))*5/4)))
		copy(b, m.b)
		m.b = b
	}
	m.b = m.b[:n]
	return m.b
}

// Free does nothing: the instance gives its memory back, also when it was not
// made in the end.
func (m *memory) Free() {}

func (m *memory) release() {
	m.budget.give(m.held)
	m.held, m.b = 0, nil
}
