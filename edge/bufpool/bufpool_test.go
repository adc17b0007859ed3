package bufpool

import (
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

func TestClasses(t *testing.T) {
	for _, c := range []struct{ ask, capacity int }{
		{0, 4 << 10},
		{1, 4 << 10},
		{4 << 10, 4 << 10},
		{4<<10 + 1, 8 << 10},
		{16 << 10, 16 << 10},
		{100 << 10, 128 << 10},
		{1 << 20, 1 << 20},
		{1<<20 + 1, 1<<20 + 1}, // past the last class: as asked for
	} {
		b := Get(c.ask)
		if len(b) != c.ask || cap(b) < c.capacity || c.ask <= MaxSize && cap(b) != c.capacity {
			t.Errorf("Get(%d) has length %d and capacity %d, want capacity %d", c.ask, len(b), cap(b), c.capacity)
		}
		Put(b)
	}
}

// What has an odd capacity must not be lent as if it had a class's.
func TestPutForeign(t *testing.T) {
	for range 100 {
		Put(nil)
		Put(make([]byte, 5000))
		Put(make([]byte, 100))
		Put(make([]byte, 2<<20))
		for _, n := range []int{1, 5000, 1 << 20} {
			b := Get(n)
			clear(b[:cap(b)])
			if cap(b)&(cap(b)-1) != 0 {
				t.Fatalf("Get(%d) has capacity %d", n, cap(b))
			}
		}
	}
}

func TestPutShortened(t *testing.T) {
	b := Get(10000)
	Put(b[:3])
	if b = Get(16000); len(b) != 16000 || cap(b) != 16<<10 {
		t.Errorf("length %d, capacity %d", len(b), cap(b))
	}
}

func TestPoison(t *testing.T) {
	if !edge.Poisons {
		t.Skip("only under -race")
	}
	b := Get(4096)
	clear(b)
	Put(b[:10])
	for i, c := range b {
		if c != '!' {
			t.Fatalf("byte %d is %#x after Put", i, c)
		}
	}
}

// No two holders share a buffer.
func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				b := Get(1 << (10 + i%11))
				for j := 0; j < len(b); j += 512 {
					b[j] = byte(g)
				}
				for j := 0; j < len(b); j += 512 {
					if b[j] != byte(g) {
						t.Errorf("buffer of %d also holds bytes of %d", g, b[j])
						return
					}
				}
				Put(b)
			}
		})
	}
	wg.Wait()
}

func TestAllocs(t *testing.T) {
	if edge.Poisons {
		t.Skip("sync.Pool drops at random under -race")
	}
	if n := testing.AllocsPerRun(1000, func() { Put(Get(16 << 10)) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkGetPut(b *testing.B) {
	for b.Loop() {
		Put(Get(32 << 10))
	}
}
