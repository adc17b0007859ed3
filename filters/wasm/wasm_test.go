package wasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// anyHost provides what the guests of wasm-testdata import, and does nothing.
func anyHost(t testing.TB, name string) *Host {
	t.Helper()
	return hostOf(t, guests.Read(t, name))
}

// hostOf does so for a guest that was built.
func hostOf(t testing.TB, binary []byte) *Host {
	t.Helper()
	e := NewEngine(Config{Tables: 1 << 30})
	defer e.Close()
	info, err := e.Inspect(binary)
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{Name: "http_handler"}
	types := map[string]ValueType{"i32": I32, "i64": I64}
	for _, im := range info.Imports {
		if im.Module != h.Name {
			continue
		}
		f := HostFunc{Name: im.Name, Call: func(*Instance, []uint64) {}}
		params, results, _ := strings.Cut(string(im.Type), ") -> ")
		for p := range strings.SplitSeq(strings.Trim(params, "()"), ", ") {
			if p != "" {
				f.Params = append(f.Params, types[p])
			}
		}
		if results != "" {
			f.Results = []ValueType{types[results]}
		}
		h.Funcs = append(h.Funcs, f)
	}
	return h
}

func compile(t testing.TB, e *Engine, name string) *Module {
	t.Helper()
	m, err := e.Compile(context.Background(), guests.Read(t, name), anyHost(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func newPool(t testing.TB, m *Module, opt Options) *Pool {
	t.Helper()
	if opt.Limits.Start == 0 {
		opt.Limits.Start = 30 * time.Second
	}
	p, err := NewPool(m, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestInfo(t *testing.T) {
	e := NewEngine(Config{})
	defer e.Close()
	i := compile(t, e, "rng").Info
	if got, want := fmt.Sprint(i.Imports), "[{http_handler write_body function (i32, i32, i32)}"+
		" {wasi_snapshot_preview1 random_get function (i32, i32) -> i32}"+
		" {wasi_snapshot_preview1 clock_time_get function (i32, i64, i32) -> i32}]"; got != want {
		t.Errorf("imports are %s", got)
	}
	if got, want := fmt.Sprint(i.Exports), "[{memory memory } {handle_request function () -> i64} {handle_response function (i32, i32)}]"; got != want {
		t.Errorf("exports are %s", got)
	}
	if i.Memory != 1<<16 || i.Max != -1 || len(i.Hex()) != 64 || i.Size != len(guests.Read(t, "rng")) {
		t.Errorf("info is %+v", i)
	}
}

func TestCompiledOnce(t *testing.T) {
	e := NewEngine(Config{})
	h := anyHost(t, "hello")
	var wg sync.WaitGroup
	list := make([]*Module, 8)
	for i := range list {
		wg.Go(func() {
			m, err := e.Compile(context.Background(), guests.Read(t, "hello"), h)
			if err != nil {
				t.Error(err)
			}
			list[i] = m
		})
	}
	wg.Wait()
	for _, m := range list {
		if m != list[0] {
			t.Error("the module is compiled more than once")
		}
		m.Close()
	}
	e.Close()
	if n := modules(e); n != 0 {
		t.Errorf("%d modules are left", n)
	}
	if _, err := e.Compile(context.Background(), guests.Read(t, "hello"), h); err == nil {
		t.Error("a closed engine compiles")
	}
}

func TestModuleOutlivesItsOwner(t *testing.T) {
	e := NewEngine(Config{})
	m, err := e.Compile(context.Background(), guests.Read(t, "hello"), anyHost(t, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPool(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := p.Get(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	p.Close()
	p.Close() // again
	e.Close()
	if _, err := p.Get(nil, nil); cause(err) != Closed {
		t.Errorf("a closed pool: %v", err)
	}
	var stack [1]uint64
	if err := in.Call("handle_request", stack[:]); err != nil || stack[0] != 1 {
		t.Errorf("%d, %v", stack[0], err)
	}
	if modules(e) != 1 {
		t.Error("the module is gone")
	}
	in.Close()
	if modules(e) != 0 {
		t.Error("the module is left")
	}
}

// modules returns how many modules e has, once no compilation runs any more.
func modules(e *Engine) int {
	e.jobs.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.modules)
}

func cause(err error) Cause {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Cause
	}
	return Causes
}

func TestCompileLimits(t *testing.T) {
	binary := guests.Read(t, "hello")
	e := NewEngine(Config{Size: 10})
	defer e.Close()
	if _, err := e.Compile(context.Background(), binary); err == nil || !strings.Contains(err.Error(), "more than the 10 allowed") {
		t.Errorf("size: %v", err)
	}
	e = NewEngine(Config{Time: time.Nanosecond, Parallel: 1})
	<-e.slots // another compilation has the only one
	if _, err := e.Compile(context.Background(), binary); err == nil || !strings.Contains(err.Error(), "not compiled within 1ns") {
		t.Errorf("time: %v", err)
	}
	e.slots <- nil
	e.Close()
	if modules(e) != 0 {
		t.Error("its module is left")
	}
}

func TestFailures(t *testing.T) {
	e := NewEngine(Config{})
	defer e.Close()
	f := func(guest string, want Cause, l Limits) {
		t.Helper()
		if l.Start == 0 {
			l.Start = time.Minute
		}
		p, err := NewPool(compile(t, e, guest), Options{Limits: l})
		if err != nil {
			if cause(err) != want {
				t.Errorf("%s: %v", guest, err)
			}
			return
		}
		for range 3 { // what has failed serves others all the same
			in, err := p.Get(nil, nil)
			if err == nil {
				var stack [1]uint64
				err = in.Call("handle_request", stack[:])
				if !in.Failed() {
					t.Errorf("%s: the instance has not failed", guest)
				}
				in.Close()
			}
			if cause(err) != want {
				t.Errorf("%s: %v", guest, err)
			}
		}
		p.Close()
		if p.Instances() != 0 || p.Bytes() != 0 {
			t.Errorf("%s: %d instances and %d bytes are left", guest, p.Instances(), p.Bytes())
		}
	}
	f("spin", TimedOut, Limits{Call: 10 * time.Millisecond})
	f("spin-calls", TimedOut, Limits{Call: 10 * time.Millisecond})
	f("spin-start", TimedOut, Limits{Start: 10 * time.Millisecond})
	f("trap", Trapped, Limits{Call: time.Minute})
	f("exit", Exited, Limits{Call: time.Minute})
	f("recursion", Trapped, Limits{Call: time.Minute})
}

// TestCollector shows that a guest that spins holds neither the collector nor
// other goroutines up.
func TestCollector(t *testing.T) {
	e := NewEngine(Config{})
	defer e.Close()
	for _, guest := range []string{"spin", "spin-calls"} {
		p := newPool(t, compile(t, e, guest), Options{Limits: Limits{Call: time.Minute}})
		in, err := p.Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			var stack [1]uint64
			ended <- in.Call("handle_request", stack[:])
		}()
		for range 10 {
			runtime.GC()
		}
		select {
		case err := <-ended:
			t.Errorf("%s has ended: %v", guest, err)
		default:
		}
		in.end(TimedOut)
		if err := <-ended; cause(err) != TimedOut {
			t.Errorf("%s: %v", guest, err)
		}
		in.Close()
	}
}

// The time in which a host function waits for others is not the guest's.
func TestWaitIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEngine(Config{})
		defer e.Close()
		h := anyHost(t, "deny")
		for i := range h.Funcs {
			h.Funcs[i].Call = func(in *Instance, _ []uint64) {
				time.Sleep(time.Second)
				in.Wait(func() { time.Sleep(time.Hour) })
			}
		}
		m, err := e.Compile(context.Background(), guests.Read(t, "deny"), h)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		p := newPool(t, m, Options{Limits: Limits{Call: time.Minute}})
		in, err := p.Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		var stack [1]uint64
		if err := in.Call("handle_request", stack[:]); err != nil || in.Took() < time.Second || in.Took() > time.Minute {
			t.Errorf("%v, took %v", err, in.Took())
		}
	})
}

// Calls that are made together are one as far as time is concerned, and what one waits
// for counts for none.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEngine(Config{})
		defer e.Close()
		h := anyHost(t, "deny")
		for i := range h.Funcs {
			h.Funcs[i].Call = func(in *Instance, _ []uint64) {
				time.Sleep(time.Second)
				in.Wait(func() { time.Sleep(time.Hour) })
			}
		}
		m, err := e.Compile(context.Background(), guests.Read(t, "deny"), h)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		p := newPool(t, m, Options{Limits: Limits{Call: time.Minute}})
		in, err := p.Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		call := func() {
			var stack [1]uint64
			if err := in.Call("handle_request", stack[:]); err != nil {
				t.Error(err)
			}
		}
		call()
		once := in.Took()
		in.Together(func() {
			call()
			call()
		})
		if got := in.Took(); once < time.Second || got != 3*once {
			t.Errorf("one takes %v, and three take %v", once, got)
		}
		if call(); in.Took() != 4*once {
			t.Errorf("the one behind them takes %v", in.Took()-3*once)
		}
	})
}

func TestHostPanics(t *testing.T) {
	e := NewEngine(Config{})
	defer e.Close()
	gone := errors.New("client gone")
	var what any
	h := anyHost(t, "hello")
	h.Funcs[0].Call = func(*Instance, []uint64) { panic(what) }
	m, err := e.Compile(context.Background(), guests.Read(t, "hello"), h)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p := newPool(t, m, Options{Limits: Limits{Call: time.Minute}})
	f := func(with any, want func(error) bool) {
		t.Helper()
		what = with
		in, err := p.Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		var stack [1]uint64
		if err := in.Call("handle_request", stack[:]); !want(err) {
			t.Errorf("%v: error is %v", with, err)
		}
	}
	f(Trap("bad %d", 1), func(err error) bool { return cause(err) == Misused && strings.Contains(err.Error(), "bad 1") })
	f(Fail(Oversized, gone), func(err error) bool { return cause(err) == Oversized && errors.Is(err, gone) })
	f(Abort(gone), func(err error) bool { return err == gone })
	f(errors.New("a fault"), func(err error) bool { return cause(err) == Trapped })
	f("text", func(err error) bool { return cause(err) == Trapped })
}
