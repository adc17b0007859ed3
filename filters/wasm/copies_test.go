package wasm

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// TestCopies: what is different in memories is explained by what was drawn, or not.
func TestCopies(t *testing.T) {
	noise := rand.NewChaCha8([32]byte{1})
	f := func(name string, want []copied, ok bool, fill func(m, drawn []byte)) {
		t.Helper()
		var drawn, memories [][]byte
		for range trials {
			d, m := make([]byte, 12), make([]byte, 64)
			noise.Read(d)
			fill(m, d)
			drawn, memories = append(drawn, d), append(memories, m)
		}
		if got, gotOK := compareCopies(drawn, memories); gotOK != ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v, want %v, %v", name, got, gotOK, want, ok)
		}
	}
	f("nothing", nil, true, func(_, _ []byte) {})
	f("a copy", []copied{{8, 0, false}, {12, 4, false}}, true, func(m, d []byte) { copy(m[8:], d[:8]) })
	f("odd", []copied{{8, 0, true}, {12, 4, false}}, true, func(m, d []byte) { copy(m[8:], d[:8]); m[8] |= 1 })
	f("part", []copied{{0, 3, false}}, true, func(m, d []byte) { copy(m, d[3:7]) })
	f("computed", nil, false, func(m, d []byte) { m[5] = d[0] ^ d[1] })
	f("half a word", nil, false, func(m, d []byte) { copy(m, d[:2]) })
	f("a bit", nil, false, func(m, d []byte) { copy(m, d[:8]); m[40] = d[2] & 1 })
	if _, ok := compareCopies([][]byte{make([]byte, 8), make([]byte, 9)}, [][]byte{nil, nil}); ok {
		t.Error("other lengths of what was drawn are taken")
	}
	big := make([]byte, maxDrawn+1)
	if _, ok := compareCopies([][]byte{big, big}, [][]byte{nil, nil}); ok {
		t.Error("more is taken than is looked at")
	}
}

// TestSeededGuests: the numbers of a guest that seeds a generator when it starts are
// never the same, and it needs no instance for each request; one that computes of them
// does.
func TestSeededGuests(t *testing.T) {
	for name, fresh := range map[string]bool{"seeded": false, "seeded-derived": true} {
		e := NewEngine(Config{})
		var said []byte
		h := anyHost(t, name)
		for i := range h.Funcs {
			h.Funcs[i].Call = func(in *Instance, stack []uint64) {
				said = slices.Clone(in.Read(uint32(stack[1]), uint32(stack[2])))
			}
		}
		m, err := e.Compile(t.Context(), guests.Read(t, name), h)
		if err != nil {
			t.Fatal(err)
		}
		p := newPool(t, m, Options{})
		m.Close()
		if got := len(p.Fresh()) > 0; got != fresh {
			t.Errorf("%s: fresh is %v", name, p.Fresh())
		}
		seen := make(map[string]bool)
		for range 100 {
			in := get(t, p)
			var stack [1]uint64
			if err := in.Call("handle_request", stack[:]); err != nil {
				t.Fatal(err)
			}
			in.Close()
			if seen[string(said)] || len(said) != 8 {
				t.Errorf("%s: %x comes again", name, said)
			}
			seen[string(said)] = true
		}
		if p.Instances() != 0 {
			t.Errorf("%s: %d instances are left", name, p.Instances())
		}
		e.Close()
	}
}
