package wasm

import (
	"context"
	"testing"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// BenchmarkUse is an instance's use: taken, called, and put back. With -cpu 1,2 it
// shows how that grows with processors.
func BenchmarkUse(b *testing.B) {
	p, _ := counter(b, Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		stack := make([]uint64, 1)
		for pb.Next() {
			in := get(b, p)
			if err := in.Call("handle_request", stack); err != nil {
				b.Error(err)
			}
			in.Close()
		}
	})
}

// TestPrivateMemory: an instance of a filter in standard Go has little memory of its
// own, by what the kernel says is private of it; the rest is the image's. This one
// refuses a request. A guest that writes more has more.
func TestPrivateMemory(t *testing.T) {
	const pkg, most = "github.com/sluice-edge/sluice/examples/auth", 300 << 10
	e := NewEngine(Config{})
	defer e.Close()
	binary := guests.Build(t, pkg)
	h := hostOf(t, binary)
	for i := range h.Funcs {
		f := &h.Funcs[i]
		f.Call = func(_ *Instance, stack []uint64) { clear(stack) }
		if f.Name == "get_config" {
			f.Call = func(in *Instance, stack []uint64) {
				if text := `{"keys":{"a":"k"}}`; int(uint32(stack[1])) >= len(text) {
					copy(in.Read(uint32(stack[0]), uint32(len(text))), text)
				}
				stack[0] = uint64(len(`{"keys":{"a":"k"}}`))
			}
		}
	}
	m, err := e.Compile(context.Background(), binary, h)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p := newPool(t, m, Options{Limits: Limits{Call: time.Minute}})
	if !e.memories.Mapped() {
		t.Skip("instances do not share an image here")
	}
	const n = 4
	for range 5 {
		var used []*Instance
		for range n {
			in := get(t, p)
			var stack [1]uint64
			if err := in.Call("handle_request", stack[:]); err != nil {
				t.Fatal(err)
			}
			used = append(used, in)
		}
		for _, in := range used {
			in.Close()
		}
	}
	if each := p.Bytes() / n; each > most || each < 4<<10 {
		t.Errorf("an instance holds %d bytes, more than %d", each, most)
	}
}
