package wasm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// rooted compiles the guest proxy-filter with hosts that do nothing, but for
// proxy_get_property, which has the guest allocate.
func rooted(t *testing.T) *Module {
	t.Helper()
	e := NewEngine(Config{Time: 10 * time.Minute})
	t.Cleanup(e.Close)
	info, err := e.Inspect(guests.Read(t, "proxy-filter"))
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{Name: "env"}
	for _, im := range info.Imports {
		f := HostFunc{Name: im.Name, Results: []ValueType{I32}, Call: func(_ *Instance, s []uint64) { s[0] = 1 }}
		params, _, _ := strings.Cut(string(im.Type), ") -> ")
		for p := range strings.SplitSeq(strings.TrimPrefix(params, "("), ", ") {
			f.Params = append(f.Params, map[string]ValueType{"i32": I32, "i64": I64}[p])
		}
		if im.Name == "proxy_get_buffer_bytes" {
			f.Call = func(in *Instance, s []uint64) {
				n := [1]uint64{8}
				in.Reenter("proxy_on_memory_allocate", n[:])
				copy(in.Read(uint32(n[0]), 8), "t       ")
				put := func(at, v uint32) { copy(in.Read(at, 4), []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}) }
				put(uint32(s[3]), uint32(n[0]))
				put(uint32(s[4]), 8)
				s[0] = 0
			}
		}
		if im.Name == "proxy_set_tick_period_milliseconds" {
			f.Call = func(in *Instance, s []uint64) {
				if fail, ok := in.State.(*bool); ok && *fail {
					n := [1]uint64{1 << 30} // more than it has: it traps
					in.Reenter("proxy_on_memory_allocate", n[:])
				}
				s[0] = 0
			}
		}
		h.Funcs = append(h.Funcs, f)
	}
	m, err := e.Compile(context.Background(), guests.Read(t, "proxy-filter"), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// A trap of what a host function calls ends the call that goes on as well, and the
// sandbox is as good as new afterwards.
func TestReenter(t *testing.T) {
	fail := true
	p := newPool(t, rooted(t), Options{})
	for range 2 {
		in, err := p.Get(&fail, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = in.Call("proxy_on_configure", []uint64{1, 8})
		if f, ok := errors.AsType[*Failure](err); !ok || f.Cause != Trapped || !in.Failed() {
			t.Errorf("a trap within is %v", err)
		}
		in.Close()
		if in, err = p.Get(nil, nil); err != nil {
			t.Fatal(err)
		}
		stack := []uint64{1, 8}
		if err := in.Call("proxy_on_configure", stack); err != nil || stack[0] != 1 {
			t.Errorf("%v, returns %d", err, stack[0])
		}
		in.Close()
	}
}

func TestPrepare(t *testing.T) {
	m := rooted(t)
	calls := 0
	prepare := func(in *Instance) error {
		calls++
		return in.Call("proxy_on_configure", []uint64{1, 8})
	}
	for _, shared := range []bool{false, true} {
		calls = 0
		p := newPool(t, m, Options{Prepare: prepare, Shared: shared})
		for range 3 {
			in, err := p.Get(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			in.Close()
		}
		if calls != 1 {
			t.Errorf("shared %v: prepared %d times", shared, calls)
		}
	}
	_, err := NewPool(m, Options{Prepare: func(*Instance) error { return errors.New("no") }})
	if err == nil || err.Error() != "no" {
		t.Errorf("%v", err)
	}
}

// Those that are used after an instance leads begin as it was; those in use stay.
func TestLead(t *testing.T) {
	p := newPool(t, rooted(t), Options{})
	allocate := func(in *Instance) uint64 {
		stack := []uint64{8}
		if err := in.Call("proxy_on_memory_allocate", stack); err != nil {
			t.Fatal(err)
		}
		return stack[0]
	}
	get := func() *Instance {
		in, err := p.Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	root, busy := get(), get()
	get().Close() // one that rests
	first := allocate(busy)
	for i := range 5 {
		if got := allocate(root); got != first+uint64(8*i) {
			t.Fatalf("the root's is %d", got)
		}
		if err := root.Lead(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			in := get()
			if got := allocate(in); got != first+uint64(8*i)+8 {
				t.Errorf("after %d it begins with %d", i, got-first)
			}
			in.Close()
		}
	}
	if got := allocate(busy); got != first+8 {
		t.Errorf("one in use goes on with %d", got-first)
	}
	busy.Close()
	root.Close()
	p.Close()
	if p.Bytes() != 0 || p.Instances() != 0 {
		t.Errorf("%d bytes and %d instances are left", p.Bytes(), p.Instances())
	}
}
