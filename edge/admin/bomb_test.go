package admin_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// gate is content of which the second half is there when it is opened.
type gate struct {
	first, second *bytes.Reader
	half, opened  chan struct{}
	once          sync.Once
}

func newGate(b []byte) *gate {
	return &gate{first: bytes.NewReader(b[:len(b)/2]), second: bytes.NewReader(b[len(b)/2:]), half: make(chan struct{}), opened: make(chan struct{})}
}

func (g *gate) Read(p []byte) (int, error) {
	if n, err := g.first.Read(p); err == nil {
		return n, nil
	}
	g.once.Do(func() { close(g.half) })
	<-g.opened
	return g.second.Read(p)
}

// module returns one of sections.
func module(sections ...[]byte) []byte {
	return slices.Concat(append([][]byte{[]byte("\x00asm\x01\x00\x00\x00")}, sections...)...)
}

// section returns one of so many equal items.
func section(id byte, n int, item []byte) []byte {
	body := append(leb(n), bytes.Repeat(item, n)...)
	return slices.Concat([]byte{id}, leb(len(body)), body)
}

// leb returns n in LEB128.
func leb(n int) (b []byte) {
	for ; n > 0x7f; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// Modules that are made to do harm when they are looked at are refused, with the reason.
// Requests are served while they come in, several at once, and when they have.
func TestBombsAreUploaded(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	const ifs = 100_000
	code := slices.Concat([]byte{1, 1, 0x7f}, bytes.Repeat([]byte{0x20, 0, 0x04, 0x40, 0x0b}, ifs), []byte{0x0b}) // local.get if end
	plain := section(1, 1, []byte{0x60, 0, 0})
	good := guest(t, "deny")
	for _, c := range []struct {
		what   string
		module []byte
		status int // 0: it is live
		reason string
	}{
		{"a module", good, 0, ""},
		{"a function that takes the compiler long", module(plain, section(3, 1, []byte{0}), section(10, 1, append(leb(len(code)), code...))), 422, "more than the 1572864 that one function may take"},
		{"many types", module(section(1, 5_300, slices.Concat([]byte{0x60}, leb(1000), bytes.Repeat([]byte{0x7f}, 1000), []byte{0}))), 422, "more than the 41943040 allowed"},
		{"many functions", module(plain, section(3, 600_000, []byte{0}), section(10, 600_000, append(append([]byte{32, 0}, bytes.Repeat([]byte{0x01}, 30)...), 0x0b))), 422, "more than the 41943040 allowed"},
		{"a count without items", module([]byte{1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f}), 422, "ends too early"},
		{"a section that is longer than the module", module([]byte{1, 0xff, 0xff, 0xff, 0x7f, 0}), 422, "ends too early"},
		{"a module cut off", good[:len(good)-20], 422, ""},
		{"a memory that is more than may be", module([]byte{5, 5, 1, 0, 0x80, 0x80, 4}, section(0, 1, nil)), 422, ""},
	} {
		gates := []*gate{newGate(c.module), newGate(c.module)}
		errs := make([]error, len(gates))
		var all sync.WaitGroup
		for i, g := range gates {
			all.Go(func() {
				defer g.once.Do(func() { close(g.half) }) // it was refused before
				_, errs[i] = r.c.PushFilter(ctx, "bomb", struct{ io.Reader }{g}, int64(len(c.module)), api.Use{Route: "shop/api/*"}, nil)
			})
		}
		served := func() {
			t.Helper()
			for range 3 {
				if status, _, body := r.get("/"); status != 200 || body != "front" {
					t.Errorf("%s: meanwhile a request is answered %d %q", c.what, status, body)
				}
			}
		}
		for _, g := range gates {
			<-g.half
		}
		served()
		for _, g := range gates {
			close(g.opened)
		}
		served()
		all.Wait()
		for _, err := range errs {
			if c.status == 0 {
				if err != nil {
					t.Errorf("%s: %v", c.what, err)
				}
				continue
			}
			if p := status(t, err, c.status); !strings.Contains(p.Error(), c.reason) {
				t.Errorf("%s: %v, want %q", c.what, p, c.reason)
			}
		}
		if status, _, _ := r.get("/api/x"); status != 401 {
			t.Errorf("%s: what was live before answers %d", c.what, status)
		}
	}
}
