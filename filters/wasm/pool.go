package wasm

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
)

// Limits bounds what the instances of a pool may use up.
type Limits struct {
	Memory    int64         // bytes that one instance's memory may have; default 32 MiB
	InFlight  int64         // bytes of memory of all instances at once; beyond it Get waits; default 512 MiB
	Instances int64         // how many there may be at once; beyond it Get waits; default: as many as InFlight has room for
	Wait      time.Duration // how long Get waits; default: Call
	Start     time.Duration // of running time until a fresh instance is initialised; default 1 s
	Call      time.Duration // of running time of a call; default 50 ms
}

func (l *Limits) setDefaults() {
	if l.Memory == 0 {
		l.Memory = 32 << 20
	}
	if l.InFlight == 0 {
		l.InFlight = 512 << 20
	}
	if l.Start == 0 {
		l.Start = time.Second
	}
	if l.Call == 0 {
		l.Call = 50 * time.Millisecond
	}
	if l.Instances == 0 {
		l.Instances = math.MaxInt64
	}
	if l.Wait == 0 {
		l.Wait = l.Call
	}
}

// Options is what the instances of a pool are given.
type Options struct {
	Limits Limits
	Args   []string // of a command; the first is its name
	Env    []string // NAME=value

	// Output takes what guests write to standard output and standard error. It
	// keeps nothing of p. nil: it is thrown away.
	Output func(in *Instance, p []byte)

	// Sleep is told that a guest is about to sleep, as a host function of its; it may
	// panic as those do. nil: nobody is told.
	Sleep func(in *Instance)

	// Command, if set, says that the module is a command, which [Instance.Run]
	// runs, and what it is connected to instead of Output.
	Command *Command
}

// Command is what commands are connected to. The functions find in the instance's
// State whom it serves, run while the guest waits for them, and may panic as host
// functions do. All of them are set.
type Command struct {
	Environ func(in *Instance) *Environ      // its environment, with what of Options.Env it is to have; called at most once
	Input   func(in *Instance, p []byte) int // reads standard input, at least a byte; 0 at its end
	Output  func(in *Instance, p []byte)     // takes standard output; keeps nothing of p when it has returned
	Errors  func(in *Instance, p []byte)     // takes standard error, likewise
}

// Pool makes instances of one module, within limits. It may be used by several
// goroutines.
type Pool struct {
	module *Module
	opt    Options
	config wazero.ModuleConfig
	start  string // the export that initialises an instance; "" for none
	env    Environ
	slots  budget       // instances
	budget budget       // bytes
	need   atomic.Int64 // bytes of memory that an instance is expected to come to

	mu     sync.Mutex // guards the following fields
	refs   int        // instances, and one until Close
	closed bool
}

// NewPool returns a pool of m's instances. It keeps a reference to m of its own.
func NewPool(m *Module, opt Options) (*Pool, error) {
	if err := m.Missing(); err != nil {
		return nil, err
	}
	opt.Limits.setDefaults()
	l := &opt.Limits
	if m.Info.Memory > l.Memory {
		return nil, fmt.Errorf("memory begins with %d bytes, more than the %d allowed", m.Info.Memory, l.Memory)
	}
	if l.Memory > l.InFlight {
		return nil, fmt.Errorf("one instance may have %d bytes, more than the %d of all at once", l.Memory, l.InFlight)
	}
	p := &Pool{module: m, opt: opt, refs: 1}
	p.slots.free, p.budget.free = l.Instances, l.InFlight
	p.need.Store(m.Info.Memory)
	// A reactor is initialised by _initialize, a command by running it, if what
	// matters is what it exports besides.
	for _, name := range []string{"_initialize", "_start"} {
		if e, ok := m.Info.Export(name); ok && e.Kind == KindFunc {
			if e.Type != "()" {
				return nil, fmt.Errorf("exports %q as %s, which should be ()", name, e.Type)
			}
			if opt.Command == nil {
				p.start = name
			}
			break
		}
	}
	// What is not set here is deterministic: random numbers, clocks, sleep.
	p.config = wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithRandSource(rand.Reader).
		WithWalltime(walltime, clockResolution).
		WithNanotime(nanotime, clockResolution).
		WithOsyield(runtime.Gosched)
	if len(opt.Args) != 0 {
		p.config = p.config.WithArgs(opt.Args...)
	}
	for _, kv := range opt.Env {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || name == "" || strings.Contains(kv, "\x00") {
			return nil, fmt.Errorf("environment variable %q is not NAME=value", kv)
		}
		p.env.Add(name, value)
	}
	m.Retain()
	return p, nil
}

// Get returns a fresh, initialised instance, which the caller closes. Host
// functions find state in it, also while it is initialised. If other instances
// leave no room Get waits, within limits, or until the context that wait returns
// is done; a nil wait is no such context.
func (p *Pool) Get(state any, wait func() context.Context) (*Instance, error) {
	if !p.enter() {
		return nil, &Failure{Cause: Closed, Op: "start"}
	}
	l := &p.opt.Limits
	begun := time.Now()
	if !p.slots.take(1, wait, l.Wait) {
		p.leave()
		return nil, &Failure{Cause: Exhausted, Op: "start", Err: fmt.Errorf(
			"all of the %d instances that there may be at once are in use", l.Instances)}
	}
	in := &Instance{State: state, pool: p, limit: l.Start}
	in.memory.budget, in.memory.limit = &p.budget, l.Memory
	if need := p.need.Load(); p.budget.take(need, wait, l.Wait-time.Since(begun)) {
		in.memory.held = need
	} else {
		p.slots.give(1)
		p.leave()
		return nil, &Failure{Cause: Exhausted, Op: "start", Err: fmt.Errorf(
			"instances have all of the %d bytes that they may have together", l.InFlight)}
	}
	if err := in.init(); err != nil {
		in.Close()
		return nil, err
	}
	in.limit = l.Call
	return in, nil
}

func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.refs++
	return true
}

func (p *Pool) leave() {
	p.mu.Lock()
	p.refs--
	last := p.refs == 0
	p.mu.Unlock()
	if last {
		p.module.Close()
	}
}

// Close refuses further instances. The module is released after the last one.
func (p *Pool) Close() {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if !closed {
		p.leave()
	}
}

// Instances returns how many instances there are.
func (p *Pool) Instances() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.refs
	}
	return p.refs - 1
}

// Bytes returns how much memory the instances hold together.
func (p *Pool) Bytes() int64 { return p.opt.Limits.InFlight - p.budget.left() }

// learn moves the memory that an instance is expected to need towards what one
// came to need: up at once, down slowly.
func (p *Pool) learn(used int64) {
	old := p.need.Load()
	next := used
	if used < old {
		next = old - (old-used+63)/64
	}
	p.need.CompareAndSwap(old, next)
}

// output writes what a guest prints where the pool's owner wants it.
type output struct{ in *Instance }

func (o output) Write(p []byte) (int, error) {
	o.in.mustRun()
	switch opt := &o.in.pool.opt; {
	case opt.Command != nil:
		opt.Command.Output(o.in, p)
	case opt.Output != nil:
		opt.Output(o.in, p)
	}
	return len(p), nil
}

// errorOutput is output for a command's standard error.
type errorOutput struct{ in *Instance }

func (o errorOutput) Write(p []byte) (int, error) {
	o.in.mustRun()
	o.in.pool.opt.Command.Errors(o.in, p)
	return len(p), nil
}

// input lets a command read.
type input struct{ in *Instance }

func (i input) Read(p []byte) (int, error) {
	i.in.mustRun()
	n := i.in.pool.opt.Command.Input(i.in, p)
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// clockResolution is what clocks are rounded to, in nanoseconds: finer ones tell
// secrets of other requests by their timing.
const clockResolution = 1_000_000

var epoch = time.Now()

func walltime() (sec int64, nsec int32) {
	t := time.Now()
	return t.Unix(), int32(t.Nanosecond() / clockResolution * clockResolution)
}

func nanotime() int64 {
	return int64(time.Since(epoch)) / clockResolution * clockResolution
}
