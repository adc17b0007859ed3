package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// process is what a command of the tests is connected to.
type process struct {
	env    Environ
	input  []string
	output []string // "1:" standard output, "2:" standard error, "sleep"
	asked  int      // for the environment
	write  func()   // before each output
}

func (p *process) command() *Command {
	return &Command{
		Environ: func(*Instance) *Environ { p.asked++; return &p.env },
		Input: func(_ *Instance, b []byte) (n int) {
			if len(p.input) > 0 {
				n = copy(b, p.input[0])
				p.input = p.input[1:]
			}
			return n
		},
		Output: func(_ *Instance, b []byte) {
			if p.write != nil {
				p.write()
			}
			p.output = append(p.output, "1:"+string(b))
		},
		Errors: func(_ *Instance, b []byte) { p.output = append(p.output, "2:"+string(b)) },
	}
}

func (p *process) sleep(*Instance) { p.output = append(p.output, "sleep") }

// commands returns a pool of the guest "script", to do what script says.
func commands(t testing.TB, p *process, script string, l Limits) *Pool {
	t.Helper()
	e := NewEngine(Config{})
	m, err := e.Compile(context.Background(), guests.Read(t, "script"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p.env.Add("QUERY_STRING", script)
	if l.Call == 0 {
		l.Call = 30 * time.Second
	}
	l.Start = 30 * time.Second
	pool, err := NewPool(m, Options{Limits: l, Command: p.command(), Sleep: p.sleep})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		e.Close()
		if n := pool.Instances(); n != 0 || pool.Bytes() != 0 {
			t.Errorf("%d instances are left", n)
		}
	})
	return pool
}

func TestCommand(t *testing.T) {
	f := func(script string, input []string, want error, output ...string) {
		t.Helper()
		p := &process{input: input}
		in, err := commands(t, p, script, Limits{}).Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if p.asked != 0 || p.output != nil {
			t.Errorf("%s: Get has run the command", script)
		}
		err = in.Run()
		if want == nil && err != nil || want != nil && (err == nil || !strings.Contains(err.Error(), want.Error())) {
			t.Errorf("%s: %v, want %v", script, err, want)
		}
		if !slices.Equal(p.output, output) || p.asked != 1 {
			t.Errorf("%s: got %q, want %q; asked for the environment %d times", script, p.output, output, p.asked)
		}
	}
	f("oo", nil, nil, "1:ok", "1:ok")
	f("ox0o", nil, nil, "1:ok")
	f("ox7o", nil, errors.New("exit: exit code 7"), "1:ok")
	f("ot", nil, errors.New("trap: unreachable"), "1:ok")
	f("c", []string{"a", "bc"}, nil, "1:a", "1:bc")
	f("ecs1s0", nil, nil, "2:oops\n", "sleep")
	f("vv", nil, nil, "1:QUERY_STRING=vv", "1:\n", "1:QUERY_STRING=vv", "1:\n")
}

func TestEnviron(t *testing.T) {
	var e, all Environ
	e.Add("A", "1")
	e.Extend(", ", "2")
	e.Add("B", "")
	e.Extend("", "x")
	all.Grow(10, 100)
	all.Add("C", "3")
	all.AddAll(&e)
	all.Add("D", "4")
	if got := fmt.Sprintf("%q", all.All()); got != `["C=3" "A=1, 2" "B=x" "D=4"]` || fmt.Sprintf("%q", e.All()) != `["A=1, 2" "B=x"]` {
		t.Errorf("got %s", got)
	}
	// What a guest is given is that.
	p := &process{}
	p.env.AddAll(&all)
	in, err := commands(t, p, "v", Limits{}).Get(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := in.Run(); err != nil || strings.Join(p.output, "") != "1:C=31:\n1:A=1, 21:\n1:B=x1:\n1:D=41:\n1:QUERY_STRING=v1:\n" {
		t.Errorf("got %q, %v", p.output, err)
	}

	m := compile(t, NewEngine(Config{}), "environ")
	for _, kv := range []string{"A", "=a", "A=b\x00c"} {
		if p, err := NewPool(m, Options{Env: []string{kv}}); err == nil {
			p.Close()
			t.Errorf("%q is accepted", kv)
		}
	}
}

// Stop ends a guest that runs, that sleeps, and that is about to go on.
func TestStop(t *testing.T) {
	for _, script := range []string{"ol", "os1000000", "oo"} {
		p := &process{}
		in, err := commands(t, p, script, Limits{}).Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		stopped := make(chan struct{})
		p.write = func() {
			go func() { in.Stop(); in.Stop(); close(stopped) }()
			if script == "oo" {
				<-stopped
			}
		}
		err = in.Run()
		if cause(err) != Stopped || len(p.output) == 0 || p.output[0] != "1:ok" || script == "oo" && len(p.output) != 1 {
			t.Errorf("%s: %v, %q", script, err, p.output)
		}
		<-stopped
		in.Close()
		in.Stop() // nothing is left that it could do
	}
}

// Instances are bounded in number, apart from their memory.
func TestInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := commands(t, &process{}, "o", Limits{Instances: 1, Wait: time.Second})
		first, err := pool.Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := pool.Get(nil, nil); cause(err) != Exhausted || time.Since(begun) != time.Second {
			t.Errorf("the second: %v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second/2, cancel)
		if _, err := pool.Get(nil, func() context.Context { return ctx }); cause(err) != Exhausted || time.Since(begun) != 3*time.Second/2 {
			t.Errorf("the third: %v after %v", err, time.Since(begun))
		}
		time.AfterFunc(time.Second/2, first.Close)
		second, err := pool.Get(nil, nil)
		if err != nil || time.Since(begun) != 2*time.Second {
			t.Errorf("the fourth: %v after %v", err, time.Since(begun))
		}
		second.Close()
	})
}

// poll_oneoff, by its subscriptions and what comes of them.
func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &process{}
		pool := commands(t, p, "", Limits{})
		in, err := pool.Get(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		const subs, events, count = 0, 60_000, 64_000
		type sub struct {
			kind    byte
			id      uint32
			timeout uint64
			flags   uint16
		}
		f := func(took time.Duration, want string, list ...sub) {
			t.Helper()
			b := in.bytes()
			for i, s := range list {
				at := b[subs+i*subscriptionSize:]
				clear(at[:subscriptionSize])
				at[0], at[8] = byte(i+1), s.kind
				binary.LittleEndian.PutUint32(at[16:], s.id)
				binary.LittleEndian.PutUint64(at[24:], s.timeout)
				binary.LittleEndian.PutUint16(at[40:], s.flags)
			}
			stack := []uint64{subs, events, uint64(len(list)), count}
			begun := time.Now()
			pollOneoff(in, stack)
			got := fmt.Sprint(stack[0])
			if stack[0] == 0 {
				for i := range binary.LittleEndian.Uint32(b[count:]) {
					e := b[events+i*eventSize:]
					got += fmt.Sprintf(" %d:%d:%d", e[0], e[10], binary.LittleEndian.Uint16(e[8:]))
				}
			}
			if got != want || time.Since(begun) != took {
				t.Errorf("%v: got %q after %v, want %q after %v", list, got, time.Since(begun), want, took)
			}
		}
		ms := func(n uint64) uint64 { return n * 1e6 }
		f(0, "28")
		f(5*time.Millisecond, "0 1:0:0", sub{timeout: ms(5)})
		f(5*time.Millisecond, "0 2:0:0", sub{timeout: ms(9)}, sub{timeout: ms(5), id: 1})
		f(5*time.Millisecond, "0 1:0:0 2:0:0", sub{timeout: ms(5)}, sub{timeout: ms(5), id: 1})
		f(0, "0 1:0:0", sub{})
		f(7*time.Millisecond, "0 1:0:0", sub{timeout: uint64(time.Now().UnixNano()) + ms(7), flags: absoluteTime})
		f(0, "0 1:0:0", sub{timeout: 1, flags: absoluteTime}) // long ago
		// Streams are ready, so nothing is waited for.
		f(0, "0 1:1:0", sub{kind: eventFDRead}, sub{timeout: ms(9)})
		f(0, "0 1:2:0 2:2:0", sub{kind: eventFDWrite, id: 1}, sub{kind: eventFDWrite, id: 2}, sub{timeout: math.MaxUint64})
		f(0, "0 1:1:8", sub{kind: eventFDRead, id: 3})
		f(0, "0 1:2:8", sub{kind: eventFDWrite})
		f(0, "0 1:9:28", sub{kind: 9})
		f(0, "0 1:0:28", sub{id: 2})
		f(0, "28", make([]sub, maxSubscriptions+1)...)
		for _, stack := range [][]uint64{{math.MaxUint32, events, 1, count}, {subs, math.MaxUint32, 1, count}, {subs, events, 1, math.MaxUint32}} {
			if pollOneoff(in, stack); stack[0] != errnoFault {
				t.Errorf("beyond the memory: %d", stack[0])
			}
		}
		if n := len(p.output); n != 4 || p.output[0] != "sleep" {
			t.Errorf("it has slept: %q", p.output)
		}
	})
}

// Inspect says what is in a module that could not run here.
func TestInspect(t *testing.T) {
	e := NewEngine(Config{Size: 10_000})
	defer e.Close()
	i, err := e.Inspect(guests.Read(t, "missing-import"))
	if err != nil || !i.ImportsFrom("env") || len(i.Hex()) != 64 || i.Size == 0 {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := e.Inspect([]byte("#!/bin/sh")); err == nil {
		t.Error("text is accepted")
	}
	if _, err := e.Inspect(guests.Read(t, "rust")); err == nil || !strings.Contains(err.Error(), "more than the 10000 allowed") {
		t.Errorf("a module that is too large: %v", err)
	}
}

// The monotonic clock began with the process, so that it makes no sense in
// TestPoll, whose time is before that.
func TestMonotonic(t *testing.T) {
	b := make([]byte, subscriptionSize)
	b[16], b[24], b[40] = clockMonotonic, 1, absoluteTime
	if s := readSubscription(b); s.wait > 0 || s.wait < -int64(time.Since(epoch)) {
		t.Errorf("a point in time that is past is %d ns away", s.wait)
	}
}
