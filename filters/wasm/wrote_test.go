package wasm

import (
	"context"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// TestWrote: what a use has written nobody finds, and what has not written is known not
// to have.
func TestWrote(t *testing.T) {
	e := NewEngine(Config{})
	defer e.Close()
	h := &Host{Name: "http_handler", Funcs: []HostFunc{
		{Name: "look", Params: []ValueType{I32}, ReadOnly: true, Call: func(in *Instance, s []uint64) { in.Read(uint32(s[0]), 1) }},
		{Name: "fill", Params: []ValueType{I32}, Call: func(in *Instance, s []uint64) { in.Read(uint32(s[0]), 1)[0] = 1 }},
	}}
	m, err := e.Compile(context.Background(), guests.Read(t, "careful"), h)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p := newPool(t, m, Options{})
	at := func(params ...uint64) []uint64 { return params }
	for _, use := range []struct {
		export string
		stack  []uint64
		wrote  bool
		fails  bool
	}{
		{"read", at(8), false, false},
		{"write", at(8, 0), false, false},
		{"write", at(8, 1), true, false},
		{"write", at(65535, 1), true, false},
		{"trap", at(8), true, true},
		{"grow", nil, true, false},
		{"look", at(8), false, false},
		{"look", at(65536), false, true},
		{"fill", at(8), true, false},
		{"fill", at(65536), true, true},
	} {
		in := get(t, p)
		box := in.box
		for _, at := range []uint64{8, 65535} {
			want := map[uint64]uint64{8: 'a'}[at]
			stack := []uint64{at}
			if err := in.Call("read", stack); err != nil || stack[0] != want {
				t.Errorf("before %s %d: %d at %d: %v", use.export, use.stack, stack[0], at, err)
			}
		}
		if n := in.Bytes(); n != 65536 {
			t.Errorf("before %s %d: memory has %d bytes", use.export, use.stack, n)
		}
		if err := in.Call(use.export, use.stack); (err != nil) != use.fails {
			t.Errorf("%s %d: %v", use.export, use.stack, err)
		}
		if got := box.written(); got != use.wrote {
			t.Errorf("%s %d: written is %v", use.export, use.stack, got)
		}
		in.Close()
		if again := get(t, p); again.box != box {
			t.Errorf("%s %d: the sandbox is not used again", use.export, use.stack)
		} else {
			again.Close()
		}
	}
}

// TestWroteUnknown: of a guest with a runtime nothing is known.
func TestWroteUnknown(t *testing.T) {
	e := NewEngine(Config{})
	defer e.Close()
	in := get(t, newPool(t, compile(t, e, "seeded"), Options{}))
	defer in.Close()
	if !in.box.written() {
		t.Error("memory counts as not written")
	}
}
