package wasm

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue{turns: 3, free: 10, need: 4}
		take := func(wait func() context.Context) (turn, bool) {
			got, err := q.take(wait, time.Second)
			if err != nil && cause(err) != Exhausted {
				t.Errorf("take: %v", err)
			}
			return got, err == nil
		}
		wants := func(want bool) (got turn) {
			t.Helper()
			got, ok := take(nil)
			if ok != want {
				t.Errorf("take: %t, want %t", ok, want)
			}
			return got
		}
		a, b := wants(true), wants(true)
		if a.need != 4 || b.box != nil || q.free != 2 {
			t.Errorf("took %v, %v of 10; %d are left", a, b, q.free)
		}
		begun := time.Now()
		wants(false) // waits in vain for bytes
		if d := time.Since(begun); d != time.Second {
			t.Errorf("waited for %v", d)
		}

		// Who waits is served in order: with what rests, and with bytes.
		var served []turn
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				got, _ := take(nil)
				mu.Lock()
				defer mu.Unlock()
				served = append(served, got)
			})
			synctest.Wait()
		}
		if q.try(1) {
			t.Error("who waits is overtaken by one who grows")
		}
		rested := &sandbox{held: 4}
		q.rest(rested)
		synctest.Wait()
		q.give(0, 2)
		wg.Wait()
		if len(served) != 2 || served[0].box != rested || served[1].need != 4 {
			t.Errorf("served %v", served)
		}
		wants(false) // all turns are taken
		if q.free != 0 || q.used != 3 {
			t.Errorf("%d bytes are free, %d turns taken", q.free, q.used)
		}

		// Who gives up lets those behind go.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, ok := take(func() context.Context { return ctx }); ok {
			t.Error("took what there is not")
		}

		// What an instance has used is what the next is expected to need: up at
		// once, down slowly.
		q.settle(4, 70)
		if q.need != 70 || q.free != -66 {
			t.Errorf("need %d, free %d", q.need, q.free)
		}
		q.settle(70, 6)
		if q.need != 69 || q.free != -2 {
			t.Errorf("need %d, free %d", q.need, q.free)
		}
	})
}

// What has rested for a time is let go, from the bottom: the last that has rested is
// the next to run.
func TestSweep(t *testing.T) {
	q := queue{turns: 10, free: 10}
	list := []*sandbox{{}, {}, {}}
	for range list {
		q.take(nil, 0)
	}
	for _, b := range list {
		q.rest(b)
	}
	if out, left := q.sweep(0); len(out) != 0 || left != 3 {
		t.Errorf("%d of 3 are let go at once", len(out))
	}
	got, _ := q.take(nil, 0)
	q.rest(got.box)
	if out, left := q.sweep(0); got.box != list[2] || len(out) != 2 || out[0] != list[0] || left != 1 {
		t.Errorf("%d are let go, %d left", len(out), left)
	}
	if out, left := q.sweep(0); len(out) != 1 || left != 0 {
		t.Errorf("%d are let go, %d left", len(out), left)
	}
	if out := q.close(); len(out) != 0 || !q.over() {
		t.Errorf("%d are left", len(out))
	}
}
