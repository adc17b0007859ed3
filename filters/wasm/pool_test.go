package wasm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// counter returns a pool of the guest "leaky", and a function that uses an instance:
// it returns how often the guest has counted.
func counter(t testing.TB, opt Options) (*Pool, func(in *Instance) uint64) {
	t.Helper()
	e := NewEngine(Config{})
	t.Cleanup(e.Close)
	var status uint64
	h := anyHost(t, "leaky")
	for i := range h.Funcs {
		h.Funcs[i].Call = func(_ *Instance, stack []uint64) {
			if len(stack) > 0 {
				status = stack[0]
			}
		}
	}
	m, err := e.Compile(context.Background(), guests.Read(t, "leaky"), h)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if opt.Limits.Call == 0 {
		opt.Limits.Call = time.Minute
	}
	var stack [1]uint64
	return newPool(t, m, opt), func(in *Instance) uint64 {
		if err := in.Call("handle_request", stack[:]); err != nil {
			t.Error(err)
		}
		return (status - 200) / 2
	}
}

func get(t testing.TB, p *Pool) *Instance {
	t.Helper()
	in, err := p.Get(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestUseAllocatesNothing: neither taking an instance, calling it, nor putting it back.
func TestUseAllocatesNothing(t *testing.T) {
	p, use := counter(t, Options{})
	if n := testing.AllocsPerRun(100, func() {
		in := get(t, p)
		use(in)
		in.Close()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// An instance that is kept is not that of another use, so that a late Stop reaches
// nobody else.
func TestKeptInstance(t *testing.T) {
	p, use := counter(t, Options{})
	for _, keep := range []func(*Instance){
		func(in *Instance) { in.Keep() },
		func(in *Instance) { in.Done() },
		func(in *Instance) { in.Stop() },
	} {
		first := get(t, p)
		keep(first)
		first.Close()
		second := get(t, p)
		if first == second {
			t.Error("the instance is used again")
		}
		first.Stop()
		if n := use(second); n != 1 {
			t.Errorf("counted %d", n)
		}
		second.Close()
	}
}

// Contexts that were made of an instance may outlive it, and end on other goroutines.
func TestContextsOutliveInstance(t *testing.T) {
	p, use := counter(t, Options{})
	in := get(t, p)
	ran := make(chan struct{})
	stop := context.AfterFunc(in, func() { close(ran) })
	early, cancel := context.WithCancel(in)
	use(in)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 1000 {
			ctx, cancel := context.WithCancel(in)
			cancel()
			if ctx.Value("none") != nil {
				t.Error("it has a value")
			}
		}
	}()
	in.Close()
	<-ended
	cancel()
	if early.Err() != context.Canceled {
		t.Errorf("the context has ended with %v", early.Err())
	}
	late := make(chan struct{})
	unlate := context.AfterFunc(in, func() { close(late) })
	if !stop() || !unlate() {
		t.Error("the instance has been stopped")
	}
	context.AfterFunc(in, func() { close(late) })
	in.Stop()
	<-late
	select {
	case <-ran:
		t.Error("what was called off has run")
	default:
	}
}

func TestShared(t *testing.T) {
	p, use := counter(t, Options{Shared: true})
	for want := range uint64(3) {
		in := get(t, p)
		if n := use(in); n != want+1 {
			t.Errorf("counted %d, want %d", n, want+1)
		}
		in.Close()
	}
	// One that fails is replaced.
	in := get(t, p)
	if err := in.Call("missing", nil); cause(err) != Trapped && cause(err) != Misused {
		t.Errorf("error is %v", err)
	}
	in.Close()
	in = get(t, p)
	if n := use(in); n != 1 {
		t.Errorf("counted %d after a failure", n)
	}
	in.Close()
	if p.Fresh() != nil {
		t.Errorf("fresh: %v", p.Fresh())
	}
	p.Close()
	if p.Instances() != 0 || p.Bytes() != 0 {
		t.Errorf("%d instances of %d bytes are left", p.Instances(), p.Bytes())
	}
}

// Shared instances are not given back, however long nobody needs them.
func TestSharedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, use := counter(t, Options{Shared: true})
		in := get(t, p)
		use(in)
		in.Close()
		for range 10 {
			time.Sleep(p.opt.Limits.Idle)
			synctest.Wait()
		}
		in = get(t, p)
		if n := use(in); n != 2 {
			t.Errorf("counted %d", n)
		}
		in.Close()
	})
}

// Instances begin with what a guest is once it has been used, if it may be.
func TestWarm(t *testing.T) {
	f := func(name string, want uint64, then func(in *Instance) error) {
		t.Helper()
		warmed := 0
		p, use := counter(t, Options{Warm: func(in *Instance) error {
			warmed++
			var stack [1]uint64
			if err := in.Call("handle_request", stack[:]); err != nil {
				return err
			}
			return then(in)
		}})
		for range 3 {
			in := get(t, p)
			if n := use(in); n != want {
				t.Errorf("%s: counted %d, want %d", name, n, want)
			}
			in.Close()
		}
		if want > 1 && warmed != Warmings {
			t.Errorf("%s: warmed %d times", name, warmed)
		}
	}
	f("warm", 1+Warmings, func(*Instance) error { return nil })
	f("error", 1, func(*Instance) error { return errors.New("no") })
	f("random", 1, func(in *Instance) error { in.box.drew = true; return nil })
	f("failed", 1, func(in *Instance) error { in.Call("missing", nil); return nil })
}

// What instances have on the host's side counts, where it is much: tables, here.
func TestHostBytesAreCounted(t *testing.T) {
	e := NewEngine(Config{})
	defer e.Close()
	m := compile(t, e, "table-bomb")
	const each = 8 << 17 // the entries that it may have
	if _, err := NewPool(m, Options{Limits: Limits{Memory: 1 << 16, InFlight: each}}); err == nil || !strings.Contains(err.Error(), "with its tables and globals") {
		t.Errorf("an instance that takes more than all may: %v", err)
	}
	p := newPool(t, m, Options{Limits: Limits{Memory: 1 << 16, InFlight: 3 * each, Wait: time.Nanosecond}})
	a, b := get(t, p), get(t, p)
	if n := p.Bytes(); n < 2*each {
		t.Errorf("two instances have %d bytes", n)
	}
	if _, err := p.Get(nil, nil); cause(err) != Exhausted {
		t.Errorf("a third one: %v", err)
	}
	a.Close()
	b.Close()
}
