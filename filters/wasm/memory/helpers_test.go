package memory

import (
	"bytes"
	"os"
	"testing"
)

var configs = []struct {
	name string
	Config
}{
	{"scan", Config{Method: Scan}},
	{"pagemap", Config{Method: Pagemap}},
	{"compare", Config{Method: Compare}},
	{"copied", Config{Copied: true}},
}

// each runs a test on every method that works here.
func each(t *testing.T, f func(t *testing.T, s *System)) {
	for _, c := range configs {
		t.Run(c.name, func(t *testing.T) { f(t, open(t, c.Config)) })
	}
}

func open(t testing.TB, cfg Config) *System {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Skipf("not on this system: %v", err)
	}
	t.Cleanup(func() {
		if n, err := s.Failures(); n != 0 {
			t.Errorf("the method has failed %d times, at last with: %v", n, err)
		}
		s.Close()
	})
	return s
}

func newImage(t testing.TB, s *System, content []byte) *Image {
	t.Helper()
	im, err := s.NewImage(content)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(im.Close)
	return im
}

// pattern returns content of so many bytes in which a half of the pages is zero.
func pattern(n int) []byte {
	b := make([]byte, n)
	page := os.Getpagesize()
	noise := make([]byte, page)
	for i := range noise {
		noise[i] = byte(i*7 + i>>8)
	}
	for at := 0; at < n; at += 2 * page {
		copy(b[at:], noise)
		b[at] = byte(at>>16) | 1
	}
	return b
}

// guest is a memory as the runtime has it: what wazero's MemoryInstance does.
type guest struct {
	*Linear
	b   []byte
	max int // pages
}

func newGuest(t testing.TB, s *System, limit int64, max int) *guest {
	t.Helper()
	l, err := s.NewLinear(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Free)
	return &guest{Linear: l, max: max}
}

// begin is the instantiation.
func (g *guest) begin(t testing.TB, length int) *guest {
	t.Helper()
	if g.b = g.Reallocate(uint64(length)); g.b == nil {
		t.Fatalf("no memory of %d bytes", length)
	}
	return g
}

// use begins with an image.
func (g *guest) use(t testing.TB, im *Image) *guest {
	t.Helper()
	if err := g.Use(im); err != nil {
		t.Fatal(err)
	}
	g.begin(t, 0)
	if got, want := len(g.b), int(im.Len()); got != want {
		t.Fatalf("memory begins with %d bytes, want %d", got, want)
	}
	return g
}

func (g *guest) grow(delta uint32) (previous uint32, ok bool) {
	pages := uint32(len(g.b) / PageSize)
	if delta == 0 {
		return pages, true
	}
	if int(pages+delta) > g.max {
		return 0, false
	}
	b := g.Reallocate(uint64(pages+delta) * PageSize)
	if b == nil {
		return 0, false
	}
	g.b = b
	return pages, true
}

// reset resets and publishes.
func (g *guest) reset(t testing.TB) (written int) {
	t.Helper()
	written, err := g.Reset()
	if err != nil {
		t.Fatal(err)
	}
	if !g.Publish(g.grow) {
		t.Fatal("the runtime did not take the length")
	}
	return written
}

// same fails if the memory is not what it should be.
func (g *guest) same(t testing.TB, want []byte) {
	t.Helper()
	if len(g.b) != len(want) {
		t.Fatalf("memory has %d bytes, want %d", len(g.b), len(want))
	}
	if bytes.Equal(g.b, want) {
		return
	}
	for i, v := range g.b {
		if v != want[i] {
			t.Fatalf("byte %#x is %#x, want %#x", i, v, want[i])
		}
	}
}
