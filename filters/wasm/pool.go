package wasm

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
)

// Pool makes and keeps instances of one module, within limits. It may be used by
// several goroutines.
type Pool struct {
	module *Module
	opt    Options
	config wazero.ModuleConfig
	start  string // the export that initialises an instance; "" for none
	env    Environ
	queue  queue
	image  atomic.Pointer[image] // what instances begin with; nil if each is made from the module
	fresh  []string

	peak    atomic.Int64 // bytes that a memory has grown to; 0: none has grown
	watched atomic.Bool  // a sweep is to come
	ended   sync.Once
}

// NewPool returns a pool of m's instances, of which it makes one, to see that it
// can be initialised. It keeps a reference to m of its own.
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
	need := max(m.Info.Memory, hostBytes) + m.beside()
	if need > l.InFlight {
		return nil, fmt.Errorf("one instance takes %d bytes, with its tables and globals, more than the %d of all at once", need, l.InFlight)
	}
	p := &Pool{module: m, opt: opt}
	p.queue = queue{turns: l.Instances, free: l.InFlight, need: need}
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
	// What is not set here is deterministic: clocks, sleep.
	p.config = wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithWalltime(walltime, clockResolution).
		WithNanotime(nanotime, clockResolution).
		WithOsyield(runtime.Gosched).
		WithRandSource(rand.Reader) // instead of one of 5 KB that is made for each instance, and not used
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
	if err := p.prepare(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// prepare makes the first instance, whose state is what others begin with.
func (p *Pool) prepare() error {
	t, err := p.queue.take(nil, 0)
	if err != nil {
		return err
	}
	in, err := p.make(t.need, p.opt.State)
	if err != nil {
		return err
	}
	defer in.Close()
	if p.opt.Shared {
		return nil
	}
	if p.fresh = p.module.Info.Fresh; len(p.fresh) > 0 {
		return nil
	}
	image, why, err := in.box.freeze()
	if err != nil {
		return err
	}
	var copies []copied
	if why != "" && p.opt.Prepare == nil { // what that does need not bear being done again
		var ok bool
		if copies, ok = p.findCopies(in.box); ok {
			in.box.drew = false
			image, why, err = in.box.freeze()
		}
	}
	switch {
	case err != nil:
		return err
	case why != "":
		p.fresh = []string{why}
		return nil
	case copies != nil:
		image.replaces(copies, len(in.box.drawn))
		in.box.drawn = nil
		in.box.image = image
		p.image.Store(image)
		return nil // they need not be where they are once it has been used
	}
	in.box.image = image
	p.image.Store(image)
	if p.opt.Warm != nil {
		return p.warm(in)
	}
	return nil
}

// Fresh says why each Get makes an instance; it is empty if none does.
func (p *Pool) Fresh() []string { return p.fresh }

// Get returns an initialised instance that nobody has used since, which the caller
// closes. If other instances leave no room Get waits, within limits, or until the
// context that wait returns is done; a nil wait is no such context.
func (p *Pool) Get(state any, wait func() context.Context) (*Instance, error) {
	t, err := p.queue.take(wait, p.opt.Limits.Wait)
	if err != nil {
		return nil, err
	}
	if t.box == nil {
		return p.make(t.need, state)
	}
	if err := t.box.follow(); err != nil {
		t.box.discard()
		p.queue.give(1, t.box.held)
		p.end()
		return nil, &Failure{Cause: Exhausted, Op: "start", Err: err}
	}
	return p.begin(t.box, state), nil
}

// make makes a sandbox, for which a turn and bytes have been taken, and returns its
// first use.
func (p *Pool) make(held int64, state any) (*Instance, error) {
	b := &sandbox{pool: p, held: held}
	in := p.begin(b, state)
	if err := b.make(); err != nil {
		err = in.fail("start", err)
		in.Close()
		return nil, err
	}
	if b.image != nil {
		return p.begin(b, state), nil
	}
	in.limit = p.opt.Limits.Start
	if err := in.start(); err != nil {
		in.Close()
		return nil, err
	}
	if p.opt.Prepare != nil {
		if err := p.opt.Prepare(in); err != nil {
			in.Close()
			return nil, err
		}
	}
	in.limit = p.opt.Limits.Call
	return in, nil
}

// begin returns a new use of a sandbox.
func (p *Pool) begin(b *sandbox, state any) *Instance {
	in := b.spare
	if in == nil {
		in = &Instance{pool: p}
	}
	in.renew(b, state)
	b.user, b.spare = in, nil
	if b.image != nil && b.mod != nil {
		b.image.reseed(b)
	}
	return in
}

// back takes a sandbox back from who has used it; failed says that a call has not
// returned.
func (p *Pool) back(b *sandbox, failed bool) {
	b.user = nil
	again := b.image != nil && b.restore(failed) || p.opt.Shared && b.mod != nil && !failed
	used := b.own()
	p.queue.settle(b.held, used)
	b.held = used
	if again && p.queue.rest(b) {
		p.watch()
		return
	}
	b.discard()
	p.queue.give(1, b.held)
	p.end()
}

// watch has the pool swept as long as sandboxes rest.
func (p *Pool) watch() {
	if !p.watched.Load() && p.watched.CompareAndSwap(false, true) {
		time.AfterFunc(p.opt.Limits.Idle, p.sweep)
	}
}

// sweep lets sandboxes go that have rested since the last sweep.
func (p *Pool) sweep() {
	keep := 0
	if p.opt.Shared {
		keep = runtime.GOMAXPROCS(0)
	}
	out, left := p.queue.sweep(keep)
	p.drop(out)
	p.watched.Store(false)
	if left > 0 || p.queue.rests(keep) {
		p.watch()
	}
}

// drop ends sandboxes that have rested.
func (p *Pool) drop(list []*sandbox) {
	for _, b := range list {
		b.discard()
		p.queue.give(0, b.held)
	}
}

// Close refuses further instances. The module is released after the last one.
func (p *Pool) Close() {
	p.drop(p.queue.close())
	p.end()
}

// end releases what instances are made from, if there will be no more.
func (p *Pool) end() {
	if !p.queue.over() {
		return
	}
	p.ended.Do(func() {
		if im := p.image.Load(); im != nil {
			im.release()
		}
		p.module.Close()
	})
}

// Instances returns how many instances are in use.
func (p *Pool) Instances() int {
	p.queue.mu.Lock()
	defer p.queue.mu.Unlock()
	return int(p.queue.used)
}

// Bytes returns how much memory the instances have together, resting ones too.
func (p *Pool) Bytes() int64 {
	p.queue.mu.Lock()
	defer p.queue.mu.Unlock()
	return p.opt.Limits.InFlight - p.queue.free
}

// Peak returns the most memory that one instance has had.
func (p *Pool) Peak() int64 { return max(p.module.Info.Memory, p.peak.Load()) }

// grown notes that a memory has grown.
func (p *Pool) grown(to int64) {
	for peak := p.peak.Load(); to > peak && !p.peak.CompareAndSwap(peak, to); peak = p.peak.Load() {
	}
}
