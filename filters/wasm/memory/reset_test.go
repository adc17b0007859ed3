package memory

import "testing"

// Reset writes back what was written, and nothing else once it is much.
func TestReset(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		content := pattern(64 * PageSize)
		g := newGuest(t, s, 65*PageSize, 66).use(t, newImage(t, s, content))
		last := len(content)/s.page - 1
		for _, pages := range [][]int{{}, {0}, {last}, {0, 1, 2, last - 1, last}, {3, 5, 7, 9}, {}} {
			for _, p := range pages {
				g.b[p*s.page] ^= 0xff
				g.b[(p+1)*s.page-1] ^= 0xff
			}
			written := g.reset(t)
			if written < len(pages) {
				t.Errorf("%d pages were written, %d written back", len(pages), written)
			}
			g.same(t, content)
		}
		if s.mapped {
			// Pages of all of these are private now, or known to have been.
			if got, want := g.Private(), int64(9*s.page); got != want {
				t.Errorf("%d bytes are private, want %d", got, want)
			}
		}
		g.grow(1)
		g.b[len(content)] = 1
		if got, want := g.Private()-int64(g.held), int64(PageSize); got != want {
			t.Errorf("%d bytes are private behind the image, want %d", got, want)
		}
		g.reset(t)
		g.same(t, content)
	})
}

// Regions are more than one system call finds.
func TestManyRegions(t *testing.T) {
	const length = 64 << 20
	each(t, func(t *testing.T, s *System) {
		content := pattern(length)
		g := newGuest(t, s, length, 2000).use(t, newImage(t, s, content))
		pages := 0
		for i := s.page; i < length; i += 2 * s.page {
			g.b[i] ^= 0xff
			pages++
		}
		if n, err := g.written(); err != nil || n != pages {
			t.Errorf("found %d pages, %v; want %d", n, err, pages)
		}
		if got := g.reset(t); got != pages {
			t.Errorf("%d pages were written back, want %d", got, pages)
		}
		g.same(t, content)
	})
}

// A memory that holds much more than requests write gives it back; one that
// holds what they write keeps it.
func TestForget(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		if !s.mapped {
			t.Skip("copied images cannot be given back")
		}
		const length = 20 << 20
		content := pattern(length)
		g := newGuest(t, s, length, 2000).use(t, newImage(t, s, content))
		write := func(bytes int) {
			for i := 0; i < bytes; i += s.page {
				g.b[i] ^= 0xff
			}
			g.reset(t)
		}
		holds := func(want int) {
			t.Helper()
			if got := g.Private(); got != int64(want) {
				t.Errorf("%d bytes are private, want %d", got, want)
			}
		}
		const small = 128 << 10
		for range 100 {
			write(small)
		}
		holds(small)
		for range 3 {
			write(length) // a large request
			for range forgetAfter - 1 {
				write(small)
				holds(length)
			}
			write(length) // again: large ones are usual
			holds(length)
		}
		for range forgetAfter - 1 {
			write(small)
			holds(length)
		}
		write(small)
		holds(0)
		g.same(t, content)
		write(small)
		holds(small)

		// What is little is kept, however much less is written.
		write(forgetFloor)
		for range 3 * forgetAfter {
			write(0)
		}
		holds(forgetFloor)

		// So is what is not many times as much.
		large := forgetFloor + forgetRatio*small
		write(large)
		for range 3 * forgetAfter {
			write(small)
		}
		holds(large)
		for range forgetAfter {
			write(small - s.page)
		}
		holds(0)
		g.same(t, content)
	})
}

func TestTrim(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		content := pattern(16 * PageSize)
		g := newGuest(t, s, 20*PageSize, 21).use(t, newImage(t, s, content))
		g.grow(4)
		for i := range g.b {
			g.b[i] = 0x77
		}
		if err := g.Trim(); err != nil {
			t.Fatal(err)
		}
		if !g.Publish(g.grow) {
			t.Error("the runtime did not take the length")
		}
		if s.mapped && g.Private() != 0 {
			t.Errorf("%d bytes are private, want 0", g.Private())
		}
		g.same(t, content)
	})
}

func TestResetAllocatesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		g := newGuest(t, s, 64*PageSize, 65).use(t, newImage(t, s, pattern(48*PageSize)))
		grow := func(delta uint32) (uint32, bool) { return g.grow(delta) }
		n := testing.AllocsPerRun(100, func() {
			for p := range 10 {
				g.b[p*3*s.page]++
			}
			if _, err := g.Reset(); err != nil || !g.Publish(grow) {
				t.Error("not reset", err)
			}
		})
		if n != 0 {
			t.Errorf("a reset allocates %v times", n)
		}
		n = testing.AllocsPerRun(100, func() {
			grow(2)
			g.b[50*PageSize-1]++
			if _, err := g.Reset(); err != nil || !g.Publish(grow) {
				t.Error("not reset", err)
			}
		})
		if n != 0 {
			t.Errorf("a reset of a memory that has grown allocates %v times", n)
		}
	})
}
