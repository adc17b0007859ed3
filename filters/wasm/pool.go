package wasm

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
)

// Limits bounds what the instances of a pool may use up.
type Limits struct {
	Memory   int64         // bytes that one instance's memory may have; default 32 MiB
	InFlight int64         // bytes of memory of all instances at once; beyond it Get waits; default 512 MiB
	Start    time.Duration // of running time until a fresh instance is initialised; default 1 s
	Call     time.Duration // of running time of a call; also how long Get waits; default 50 ms
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
}

// Options is what the instances of a pool are given.
type Options struct {
	Limits Limits
	Args   []string // of a command; the first is its name
	Env    []string // NAME=value

	// Output takes what guests write to standard output and standard error. It
	// keeps nothing of p. nil: it is thrown away.
	Output func(in *Instance, p []byte)
}

// Pool makes instances of one module, within limits. It may be used by several
// goroutines.
type Pool struct {
	module *Module
	opt    Options
	config wazero.ModuleConfig
	start  string // the export that initialises an instance; "" for none
	budget budget
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
	p.budget.free = l.InFlight
	p.need.Store(m.Info.Memory)
	// A reactor is initialised by _initialize, a command by running it.
	for _, name := range []string{"_initialize", "_start"} {
		if e, ok := m.Info.Export(name); ok && e.Kind == KindFunc {
			if e.Type != "()" {
				return nil, fmt.Errorf("exports %q as %s, which should be ()", name, e.Type)
			}
			p.start = name
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
		for i := range len(kv) {
			if kv[i] == '=' {
				p.config = p.config.WithEnv(kv[:i], kv[i+1:])
				break
			}
		}
	}
	m.Retain()
	return p, nil
}

// Get returns a fresh, initialised instance, which the caller closes. Host
// functions find state in it, also while it is initialised. If the memory of
// other instances leaves no room Get waits, for as long as a call may take or
// until the context that wait returns is done; a nil wait is no such context.
func (p *Pool) Get(state any, wait func() context.Context) (*Instance, error) {
	if !p.enter() {
		return nil, &Failure{Cause: Closed, Op: "start"}
	}
	in := &Instance{State: state, pool: p, limit: p.opt.Limits.Start}
	in.memory.budget, in.memory.limit = &p.budget, p.opt.Limits.Memory
	if need := p.need.Load(); p.budget.take(need, wait, p.opt.Limits.Call) {
		in.memory.held = need
	} else {
		p.leave()
		return nil, &Failure{Cause: Exhausted, Op: "start", Err: fmt.Errorf(
			"instances have all of the %d bytes that they may have together", p.opt.Limits.InFlight)}
	}
	if err := in.init(); err != nil {
		in.Close()
		return nil, err
	}
	in.limit = p.opt.Limits.Call
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

var _ io.Writer = output{}

func (o output) Write(p []byte) (int, error) {
	if f := o.in.pool.opt.Output; f != nil {
		f(o.in, p)
	}
	return len(p), nil
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
