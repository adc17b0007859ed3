package memory

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestReallocate(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		const limit = 40 * PageSize
		g := newGuest(t, s, limit, 1000)
		empty := g.Reallocate(0)
		if empty == nil || len(empty) != 0 {
			t.Errorf("got %v for a memory of no length, want an empty slice", empty)
		}
		g.begin(t, PageSize)
		first := g.b
		first[0], first[PageSize-1] = 1, 2
		for pages := uint64(2); pages <= limit/PageSize; pages++ {
			b := g.Reallocate(pages * PageSize)
			if len(b) != int(pages*PageSize) || cap(b) != len(b) {
				t.Fatalf("%d pages: got length %d and capacity %d", pages, len(b), cap(b))
			}
			if &b[0] != &first[0] {
				t.Fatal("the memory has moved")
			}
			if b[0] != 1 || b[PageSize-1] != 2 || b[len(b)-1] != 0 {
				t.Fatalf("%d pages: the content has changed", pages)
			}
			b[len(b)-1] = 3
		}
		for _, size := range []uint64{limit + 1, limit + PageSize, MaxLen, MaxLen + PageSize, math.MaxUint64, PageSize} {
			if b := g.Reallocate(size); b != nil {
				t.Errorf("got a memory of %d bytes beyond the limit of %d, or shorter than before", len(b), limit)
			}
		}
		if got := g.Len(); got != limit {
			t.Errorf("length is %d, want %d", got, limit)
		}
	})
}

func TestLimits(t *testing.T) {
	s := open(t, Config{})
	for _, limit := range []int64{-1, MaxLen + 1, math.MaxInt64, math.MinInt64} {
		if _, err := s.NewLinear(limit); err == nil {
			t.Errorf("got a memory with a limit of %d bytes", limit)
		}
	}
	for _, limit := range []int64{0, 1, PageSize, MaxLen} { // the last is but address space
		l, err := s.NewLinear(limit)
		if err != nil {
			t.Errorf("limit %d: %v", limit, err)
			continue
		}
		if b := l.Reallocate(0); b == nil {
			t.Errorf("limit %d: no empty memory", limit)
		}
		l.Free()
	}
	for _, n := range []int{1, PageSize - 1, PageSize + s.page} {
		if _, err := s.NewImage(make([]byte, n)); err == nil {
			t.Errorf("got an image of %d bytes", n)
		}
	}
}

// Who shares out bytes is asked for each that the runtime gets.
func TestGrowIsAsked(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		g := newGuest(t, s, 10*PageSize, 11)
		type call struct{ from, to int64 }
		var calls []call
		yes := true
		g.Grow = func(from, to int64) bool {
			calls = append(calls, call{from / PageSize, to / PageSize})
			return yes
		}
		g.use(t, newImage(t, s, pattern(2*PageSize)))
		g.grow(0)
		g.grow(3)
		yes = false
		if _, ok := g.grow(1); ok || len(g.b) != 5*PageSize {
			t.Errorf("the memory has grown to %d bytes without leave", len(g.b))
		}
		yes = true
		g.grow(1)
		g.reset(t) // does not ask
		g.grow(1)
		if err := g.Use(newImage(t, s, pattern(4*PageSize))); err != nil {
			t.Fatal(err)
		}
		g.Publish(g.grow)
		want := []call{{0, 2}, {2, 5}, {5, 6}, {5, 6}, {2, 3}, {3, 4}}
		if !slices.Equal(calls, want) {
			t.Errorf("Grow was asked %v, want %v", calls, want)
		}
	})
}

// A runtime that refuses to grow cannot take a length either.
func TestPublishRefused(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		im := newImage(t, s, pattern(2*PageSize))
		g := newGuest(t, s, 4*PageSize, 4).use(t, im) // no page to spare
		g.grow(2)
		if _, err := g.Reset(); err != nil {
			t.Fatal(err)
		}
		if g.Publish(g.grow) {
			t.Error("published at the module's maximum")
		}
		// The next Reallocate is the guest's own, and must not shorten the memory.
		if b := g.Reallocate(4 * PageSize); len(b) != 4*PageSize {
			t.Errorf("memory has %d bytes, want %d", len(b), 4*PageSize)
		}
		g.same(t, append(pattern(2*PageSize), make([]byte, 2*PageSize)...))

		refuses := newGuest(t, s, 4*PageSize, 5).use(t, im)
		if err := refuses.Use(newImage(t, s, pattern(3*PageSize))); err != nil {
			t.Fatal(err)
		}
		refuses.Grow = func(from, to int64) bool { return false }
		if refuses.Publish(refuses.grow) {
			t.Error("published what Grow refuses")
		}
		refuses.Grow = nil
		if !refuses.Publish(refuses.grow) {
			t.Error("not published although there is room")
		}
		refuses.same(t, pattern(3*PageSize))
	})
}

// A guest that runs although Publish did not follow Reset leaves nothing behind.
func TestResetWithoutPublish(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		content := pattern(PageSize)
		g := newGuest(t, s, 8*PageSize, 9).use(t, newImage(t, s, content))
		g.grow(3)
		want := append(bytes.Clone(content), make([]byte, 3*PageSize)...)
		for range 3 {
			for i := range g.b {
				g.b[i] = 0xee
			}
			if _, err := g.Reset(); err != nil {
				t.Fatal(err)
			}
			g.same(t, want)
		}
		g.reset(t)
		g.same(t, content)
		g.grow(3)
		g.same(t, want)
	})
}

func TestUse(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		content := pattern(3 * PageSize)
		im := newImage(t, s, content)
		g := newGuest(t, s, 4*PageSize, 5).use(t, im)
		clear(g.b)
		refused := func(im *Image, want string) {
			t.Helper()
			if err := g.Use(im); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error that has %q", err, want)
			}
		}
		refused(newImage(t, s, make([]byte, 5*PageSize)), "more than the 262144 that the memory may have")
		refused(newImage(t, open(t, Config{}), content), "another system")
		closed := newImage(t, s, content)
		closed.Close()
		refused(closed, "closed")

		// Nothing has changed by that.
		if g.Image() != im {
			t.Error("another image is in use")
		}
		g.reset(t)
		g.same(t, content)
	})
}

func TestFree(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		im := newImage(t, s, pattern(PageSize))
		g := newGuest(t, s, 2*PageSize, 3).use(t, im)
		g.Free()
		g.Free()
		if b := g.Bytes(); len(b) != 0 {
			t.Errorf("a freed memory has %d bytes", len(b))
		}
		if b := g.Reallocate(PageSize); b != nil {
			t.Errorf("a freed memory gives %d bytes", len(b))
		}
		_, err := g.Reset()
		for _, err := range []error{err, g.Use(im), g.Trim()} {
			if err == nil || err.Error() != "the memory is freed" {
				t.Errorf("got error %v, want that the memory is freed", err)
			}
		}
		if got := im.refs.Load(); got != 1 {
			t.Errorf("the image has %d holds, want 1", got)
		}
		g.Free() // after a failed Use
	})
}

func TestWithoutImage(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		g := newGuest(t, s, 2*PageSize, 2).begin(t, PageSize)
		if _, err := g.Reset(); err == nil {
			t.Error("a memory without an image was reset")
		}
		if err := g.Trim(); err == nil {
			t.Error("a memory without an image was trimmed")
		}
		if !g.Publish(g.grow) {
			t.Error("a memory without an image has a length to publish")
		}
		if got, want := g.Private(), int64(PageSize); got != want {
			t.Errorf("%d bytes are private, want %d", got, want)
		}
	})
}

// An image may be closed while memories are about to use it: they do, or find it closed.
func TestUseWhileClosing(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		for range 100 {
			im := newImage(t, s, pattern(PageSize))
			l, err := s.NewLinear(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				im.Close()
			}()
			if err := l.Use(im); err != nil && err.Error() != "the image is closed" {
				t.Error(err)
			}
			<-done
			l.Free()
		}
	})
}

// An image that is closed goes with the last memory that uses it.
func TestImageGoes(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		im := newImage(t, s, pattern(PageSize))
		a := newGuest(t, s, PageSize, 2).use(t, im)
		b := newGuest(t, s, PageSize, 2).use(t, im)
		im.Close()
		im.Close()
		a.b[1] = 99
		a.reset(t)
		a.same(t, pattern(PageSize))
		a.Free()
		if im.content == nil {
			t.Error("the image is gone while a memory uses it")
		}
		if err := b.Use(newImage(t, s, nil)); err != nil {
			t.Fatal(err)
		}
		if im.content != nil {
			t.Error("the image is still there")
		}
	})
}

func TestSystemClose(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		g := newGuest(t, s, PageSize, 2).use(t, newImage(t, s, pattern(PageSize)))
		s.Close()
		s.Close()
		if l, err := s.NewLinear(PageSize); err == nil {
			l.Free()
			t.Error("got a memory of a closed system")
		}
		g.b[0] = 200
		g.reset(t) // the descriptor is still there
		g.same(t, pattern(PageSize))
		g.Free()
		if s.pagemap != -1 {
			t.Error("the descriptor of /proc/self/pagemap is open")
		}
	})
}

func TestMethodNames(t *testing.T) {
	for m, want := range map[Method]string{Auto: "auto", Scan: "scan", Pagemap: "pagemap", Compare: "compare", 9: "method 9"} {
		if got := m.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, cfg := range []Config{{Method: 9}, {Method: Scan, Copied: true}} {
		if s, err := Open(cfg); err == nil {
			s.Close()
			t.Errorf("%+v works", cfg)
		}
	}
}

func TestDetect(t *testing.T) {
	method, reason := Detect()
	if reason == "" || method == Auto {
		t.Errorf("got %v, because %q", method, reason)
	}
	s := open(t, Config{Method: method})
	t.Logf("%v: %s; when asked for: %s", method, reason, s.Reason())
}
