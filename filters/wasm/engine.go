// Package wasm compiles WebAssembly modules and runs them in sandboxes. It knows
// no ABI: an ABI package brings its host functions as [Host]s, and calls the
// exports of an [Instance].
//
// A guest is hostile. What it can use up is bounded: the size of its module and
// the time to compile it ([Config]), its memory, the memory of all its instances,
// its time ([Limits]), its tables and its stack (package rewrite). It has no file
// system and no network.
//
// Every [Pool.Get] returns an instance as it was after its initialisation, so
// nothing crosses from one request to another. That is one that has served before:
// its memory, of which instances share what none has written (package memory), and
// its globals are put back. So it takes a microsecond where making one takes a
// thousand. A module whose state is elsewhere too gets a new instance each time;
// [Info.Fresh] says why.
package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/filters/wasm/memory"
	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
)

// Config bounds what compiling may use up.
type Config struct {
	Size         int64         // largest module accepted, in bytes; default 32 MiB
	Time         time.Duration // until a module is compiled, waiting for others included; default 1 min
	Parallel     int           // modules that are compiled at once; default: half of the processors, at least 1
	Tables       uint32        // entries that the tables of one instance may have together, of 8 bytes each; default 131072
	Stack        int64         // bytes of stack that a guest's calls may use, estimated; default 8 MiB
	Work         int64         // that compiling a module may take, by estimate, in units of package rewrite; default 40 Mi, of which 4 MB of Go take 4.6, so that a module of Size may be of Go; that is 35 s and 1.4 GB at most
	FunctionWork int64         // that compiling one function may take; default 1.5 Mi, of which the largest known takes 1.2
	Cache        string        // directory in which compiled code is kept, for this process's user only; "": nowhere
	CacheBytes   int64         // of compiled code that is kept; beyond it what has not been used for longest goes; default 1 GiB
	Log          *slog.Logger  // of problems with Cache; default: slog's
	Reset        memory.Method // how instances are put back to their beginning; default: what works best
}

func (c *Config) setDefaults() {
	if c.Size == 0 {
		c.Size = 32 << 20
	}
	if c.Time == 0 {
		c.Time = time.Minute
	}
	if c.Parallel == 0 {
		c.Parallel = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 1 << 30
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Stack == 0 {
		c.Stack = 8 << 20
	}
	if c.Tables == 0 {
		c.Tables = 1 << 17
	}
}

// bounds are those that a module is held to when it is read.
func (c *Config) bounds() rewrite.Options {
	return rewrite.Options{Tables: c.Tables, Stack: c.Stack, Work: c.Work, FunctionWork: c.FunctionWork}
}

// Digest is the SHA-256 of a module's bytes.
type Digest = [sha256.Size]byte

// Engine compiles modules, each once for as long as somebody holds it. It may be
// used by several goroutines.
type Engine struct {
	cfg      Config
	memories *memory.System
	cache    *cache         // nil without one
	broken   error          // why there are no memories
	compiled atomic.Uint64  // modules
	loaded   atomic.Uint64  // modules, from cache
	slots    chan *store    // one taken by each compilation, with the store for it; nil: it makes one
	jobs     sync.WaitGroup // compilations, also those that nobody waits for any more

	mu      sync.Mutex // guards the following fields
	modules map[key]*Module
	closed  bool
}

// key is what makes two compilations the same.
type key struct {
	digest Digest
	hosts  string
}

// NewEngine returns an engine without modules.
func NewEngine(cfg Config) *Engine {
	cfg.setDefaults()
	e := &Engine{cfg: cfg, slots: make(chan *store, cfg.Parallel), modules: make(map[key]*Module)}
	for range cfg.Parallel {
		e.slots <- nil
	}
	e.memories, e.broken = memory.Open(memory.Config{Method: cfg.Reset})
	if cfg.Cache != "" {
		var err error
		if e.cache, err = openCache(cfg.Cache, cfg.CacheBytes, cfg.Log); err != nil {
			e.cache = nil
			cfg.Log.Warn("compiled code is not kept: modules are compiled at each start", "err", err)
		}
	}
	return e
}

// Compiled returns how many modules have been compiled, and how many have been taken
// from the cache instead.
func (e *Engine) Compiled() (compiled, loaded uint64) { return e.compiled.Load(), e.loaded.Load() }

// Reset says how instances are put back to their beginning, and why that way.
func (e *Engine) Reset() string {
	if e.broken != nil {
		return "not at all: " + e.broken.Error()
	}
	return e.memories.Method().String() + ": " + e.memories.Reason()
}

// Compile checks, bounds and compiles a module, which may import from hosts and
// from WASI preview 1; [Module.Missing] says what else it wants. Who gets a
// Module closes it.
//
// Compilation cannot be interrupted. When the time is over Compile returns an
// error, the compilation ends in its own time, keeps its slot until then, and is
// thrown away.
func (e *Engine) Compile(ctx context.Context, binary []byte, hosts ...*Host) (*Module, error) {
	if err := e.checkSize(binary); err != nil {
		return nil, err
	}
	if e.broken != nil {
		return nil, e.broken
	}
	k := key{digest: sha256.Sum256(binary)}
	for _, h := range hosts {
		k.hosts += h.Name + "\x00"
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.Time,
		fmt.Errorf("module is not compiled within %v", e.cfg.Time))
	defer cancel()

	m, first, err := e.enter(k)
	if err != nil {
		return nil, err
	}
	if first {
		e.jobs.Go(func() { e.compile(m, binary, hosts) })
	}
	select {
	case <-m.ready:
	case <-ctx.Done():
		m.Close()
		return nil, context.Cause(ctx)
	}
	if m.err != nil {
		m.Close()
		return nil, m.err
	}
	return m, nil
}

func (e *Engine) checkSize(binary []byte) error {
	if int64(len(binary)) > e.cfg.Size {
		return fmt.Errorf("module is %d bytes, more than the %d allowed", len(binary), e.cfg.Size)
	}
	return nil
}

// Inspect returns what is in a module without compiling it, and so without a
// check of its code.
func (e *Engine) Inspect(binary []byte) (*Info, error) {
	if err := e.checkSize(binary); err != nil {
		return nil, err
	}
	m, err := rewrite.Inspect(binary, e.cfg.bounds())
	if err != nil {
		return nil, refused(err)
	}
	return infoOf(m, sha256.Sum256(binary), len(binary)), nil
}

// refused says what is wrong with a module that cannot be rewritten.
func refused(err error) error {
	if _, ok := errors.AsType[*rewrite.Exceeded](err); ok {
		return fmt.Errorf("module is more than is allowed: %w", err)
	}
	return fmt.Errorf("not a valid WebAssembly module: %w", err)
}

func infoOf(m *rewrite.Module, digest Digest, size int) *Info {
	return &Info{Digest: digest, Size: size, Imports: m.Imports, Exports: m.Exports,
		Memory: m.Memory.Minimum, Max: m.Memory.Maximum, Fresh: m.Unrestorable}
}

// enter returns the module of k with a reference for the caller, and whether the
// caller is the first to want it.
func (e *Engine) enter(k key) (m *Module, first bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false, errors.New("the engine is closed")
	}
	if m = e.modules[k]; m != nil {
		m.refs++
		return m, false, nil
	}
	m = &Module{engine: e, key: k, ready: make(chan struct{}), refs: 2} // the caller's, and the compilation's
	e.modules[k] = m
	return m, true, nil
}

func (e *Engine) compile(m *Module, binary []byte, hosts []*Host) {
	defer m.Close()
	s := <-e.slots
	defer func() { e.leave(s) }()
	defer close(m.ready)
	defer func() {
		// A fault of the compiler on hostile input must not end the proxy.
		if r := recover(); r != nil {
			m.err = fmt.Errorf("compile module: compiler failed: %v", r)
		}
		if m.err != nil && s != nil { // who knows what it has left there
			s.release()
			s = nil
		}
	}()
	if s != nil && !s.takes(hosts) {
		s.release()
		s = nil
	}
	if s == nil {
		s = e.newStore()
	}
	m.err = m.build(s, binary, hosts)
}

// leave gives a slot back, with its store.
func (e *Engine) leave(s *store) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed && s != nil {
		s.release()
		s = nil
	}
	e.slots <- s
}

// newStore makes a store, which keeps compiled code if there is a cache.
func (e *Engine) newStore() *store {
	if e.cache == nil {
		return newStore(nil)
	}
	st, err := newStage(e.cache)
	if err != nil {
		e.cfg.Log.Warn("compiled code is not kept", "err", err)
	}
	return newStore(st)
}

// build fills m in.
func (m *Module) build(s *store, binary []byte, hosts []*Host) error {
	rewritten, err := rewrite.Rewrite(binary, m.engine.cfg.bounds())
	if err != nil {
		return refused(err)
	}
	m.Info = *infoOf(rewritten, m.key.digest, len(binary))
	if err := m.compile(s, rewritten.Binary); err != nil {
		return fmt.Errorf("not a valid WebAssembly module: %w", err)
	}
	m.store.types += rewritten.Types
	m.written = rewritten
	m.written.Binary, m.written.Data = nil, apart(m.written.Data)
	provided, err := m.store.provide(&m.Info, hosts)
	if err != nil {
		return err
	}
	m.missing = m.unsatisfied(provided)
	return nil
}

// compile makes code of what was rewritten, or takes it from the cache. If that fails,
// which may be the disk's fault, it is made in a store that has nothing to do with the
// cache.
func (m *Module) compile(s *store, binary []byte) (err error) {
	e, loaded := m.engine, false
	m.compiled, loaded, err = s.compile(binary)
	if err == nil {
		s.retain()
	} else if problem := err; s.stage != nil {
		s.worn = true
		s = newStore(nil)
		if m.compiled, _, err = s.compile(binary); err != nil {
			s.release()
			return err
		}
		e.cfg.Log.Warn("compiled code is not kept", "err", problem)
	}
	if err != nil {
		return err
	}
	m.store = s
	if loaded {
		e.loaded.Add(1)
	} else {
		e.compiled.Add(1)
	}
	return nil
}

// apart returns data that does not keep the binary alive of which it was part.
func apart(data []rewrite.Segment) []rewrite.Segment {
	n := 0
	for _, s := range data {
		n += len(s.Bytes)
	}
	all := make([]byte, 0, n)
	list := make([]rewrite.Segment, len(data))
	for i, s := range data {
		all = append(all, s.Bytes...)
		list[i] = rewrite.Segment{Offset: s.Offset, Bytes: all[len(all)-len(s.Bytes):]}
	}
	return list
}

// Close refuses further modules. It does not wait for a compilation that runs:
// a hostile module can take minutes, and its result is thrown away. Modules stay
// usable until who holds them closes them.
func (e *Engine) Close() {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	if closed {
		return
	}
	for range cap(e.slots) {
		select {
		case s := <-e.slots:
			e.leave(s)
		default: // who compiles will see
		}
	}
	if e.broken == nil {
		e.memories.Close() // what is in use stays
	}
}
