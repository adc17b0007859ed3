// Package wasm compiles WebAssembly modules and runs them in sandboxes. It knows
// no ABI: an ABI package brings its host functions as [Host]s, and calls the
// exports of an [Instance].
//
// A guest is hostile. What it can use up is bounded: the size of its module and
// the time to compile it ([Config]), its memory, the memory of all its instances,
// its time ([Limits]), its tables and its calls (bound.go). It has no file
// system and no network. Every [Pool.Get] is a fresh instance, so nothing
// crosses from one request to another.
package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// Config bounds what compiling may use up.
type Config struct {
	Size     int64         // largest module accepted, in bytes; default 32 MiB
	Time     time.Duration // until a module is compiled, waiting for others included; default 30 s
	Parallel int           // modules that are compiled at once; default: half of the processors, at least 1
	Tables   uint32        // entries that the tables of one instance may have together, of 8 bytes each; default 131072
}

func (c *Config) setDefaults() {
	if c.Size == 0 {
		c.Size = 32 << 20
	}
	if c.Time == 0 {
		c.Time = 30 * time.Second
	}
	if c.Parallel == 0 {
		c.Parallel = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if c.Tables == 0 {
		c.Tables = 1 << 17
	}
}

// Digest is the SHA-256 of a module's bytes.
type Digest = [sha256.Size]byte

// Engine compiles modules, each once for as long as somebody holds it. It may be
// used by several goroutines.
type Engine struct {
	cfg   Config
	slots chan struct{}  // one taken by each compilation
	jobs  sync.WaitGroup // compilations, also those that nobody waits for any more

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
	return &Engine{cfg: cfg, slots: make(chan struct{}, cfg.Parallel), modules: make(map[key]*Module)}
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
	info, _, err := bound(binary, e.cfg.Tables)
	if err != nil {
		return nil, fmt.Errorf("not a valid WebAssembly module: %w", err)
	}
	info.Digest, info.Size = sha256.Sum256(binary), len(binary)
	return info, nil
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
	e.slots <- struct{}{}
	defer func() { <-e.slots }()
	defer close(m.ready)
	defer func() {
		// A fault of the compiler on hostile input must not end the proxy.
		if r := recover(); r != nil {
			m.err = fmt.Errorf("compile module: compiler failed: %v", r)
		}
	}()
	m.err = m.build(binary, hosts)
}

// build fills m in.
func (m *Module) build(binary []byte, hosts []*Host) error {
	info, bounded, err := bound(binary, m.engine.cfg.Tables)
	if err != nil {
		return fmt.Errorf("not a valid WebAssembly module: %w", err)
	}
	info.Digest, info.Size = m.key.digest, len(binary)
	m.Info = *info
	m.runtime = wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfig().
		WithCloseOnContextDone(true). // loops look whether their time is over
		WithDebugInfoEnabled(false))  // DWARF's offsets are those of the code before it was bounded
	m.compiled, err = m.runtime.CompileModule(context.Background(), bounded)
	if err != nil {
		return fmt.Errorf("not a valid WebAssembly module: %w", err)
	}
	provided, err := m.provide(context.Background(), hosts)
	if err != nil {
		return err
	}
	m.missing = m.unsatisfied(provided)
	return nil
}

// Close refuses further modules. It does not wait for a compilation that runs:
// a hostile module can take minutes, and its result is thrown away. Modules stay
// usable until who holds them closes them.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
}
