package wasm

import (
	"context"
	"fmt"

	"github.com/sluice-edge/sluice/filters/wasm/memory"
	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// sandbox is a module's memory, globals and tables: what instances use, one after
// the other.
type sandbox struct {
	pool     *Pool
	user     *Instance // while it is in use
	spare    *Instance // for the next use; may be nil
	mod      api.Module
	memory   *memory.Linear                    // nil without one
	lengthen func(pages uint32) (uint32, bool) // memory.grow
	slice    api.MutableGlobal
	depth    api.MutableGlobal
	wrote    api.MutableGlobal   // nil: memory counts as written
	touched  bool                // the host has written memory
	stack    uint64              // what depth begins with
	globals  []api.MutableGlobal // in the order of rewrite.Module.Globals
	called   []function          // the exports that have been called
	inner    []function          // likewise by Reenter
	within   bool                // Reenter is running
	image    *image              // what it begins with; nil: it is made from the module
	held     int64               // bytes taken from the pool's
	drew     bool                // the guest has drawn random numbers while it was initialised
	drawn    []byte              // these, up to maxDrawn and some more, until there is an image
}

// function is an export of a sandbox.
type function struct {
	name string
	fn   api.Function
}

// make makes the module's memory, globals and tables: with the pool's image, if it
// has one.
func (b *sandbox) make() (err error) {
	var refused error // a memory
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("runtime failed: %v", r)
		}
		if refused != nil {
			err = refused
		}
	}()
	p := b.pool
	b.image = p.image.Load()
	base := experimental.WithMemoryAllocator(context.Background(),
		experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory {
			if b.memory, refused = b.newMemory(); refused != nil {
				return noMemory{}
			}
			return b.memory
		}))
	out := output{b}
	config := p.config.WithStdout(out)
	if p.opt.Command != nil {
		config = config.WithStderr(errorOutput{b}).WithStdin(input{b})
	} else if p.opt.Errors != nil {
		config = config.WithStderr(errorOutput{b})
	} else {
		config = config.WithStderr(out)
	}
	if b.mod, err = p.module.store.runtime.InstantiateModule(base, p.module.compiled, config); err != nil {
		return err
	}
	if b.memory != nil {
		b.lengthen = b.mod.Memory().Grow
	}
	global := func(name string) api.MutableGlobal {
		return b.mod.ExportedGlobal(name).(api.MutableGlobal)
	}
	b.slice, b.depth = global(rewrite.SliceExport), global(rewrite.DepthExport)
	b.stack = b.depth.Get()
	if p.module.written.Tracked {
		b.wrote = global(rewrite.WroteExport)
	}
	for _, g := range p.module.written.Globals {
		b.globals = append(b.globals, global(g.Export))
	}
	if b.image != nil {
		b.image.restoreGlobals(b)
	}
	return nil
}

// newMemory makes the sandbox's memory.
func (b *sandbox) newMemory() (*memory.Linear, error) {
	p := b.pool
	m, err := p.module.engine.memories.NewLinear(p.opt.Limits.Memory)
	if err != nil {
		return nil, err
	}
	for b.image != nil {
		err := m.Use(b.image.memory)
		if err == nil {
			break
		}
		if newest := p.image.Load(); newest != b.image { // it was closed just now
			b.image = newest
			continue
		}
		m.Free()
		return nil, err
	}
	m.Grow = b.grow
	return m, nil
}

// noMemory is in place of a memory that cannot be made.
type noMemory struct{}

func (noMemory) Reallocate(uint64) []byte { return nil }
func (noMemory) Free()                    {}

// grow is asked whether the memory may grow. What it begins with has been taken.
func (b *sandbox) grow(from, to int64) bool {
	if from == 0 {
		return true
	}
	if !b.pool.queue.try(to - from) {
		return false
	}
	b.held += to - from
	b.pool.grown(to)
	return true
}

// export returns what is exported as name, or nil.
func (b *sandbox) export(name string) api.Function {
	for i := range b.called {
		if b.called[i].name == name {
			return b.called[i].fn
		}
	}
	fn := b.mod.ExportedFunction(name)
	if fn != nil {
		b.called = append(b.called, function{name, fn})
	}
	return fn
}

// unwind gives up what a call has left on the stack that has not returned.
func (b *sandbox) unwind() {
	if int64(b.depth.Get()) < 0 {
		b.called, b.inner = nil, nil // functions keep the stacks that they have grown
	}
	b.depth.Set(b.stack)
}

// restore makes the sandbox as it was at its beginning. It reports false if that
// cannot be.
func (b *sandbox) restore(failed bool) bool {
	if b.mod == nil {
		return false
	}
	if b.memory != nil && b.written() {
		if _, err := b.memory.Reset(); err != nil || !b.memory.Publish(b.lengthen) {
			return false
		}
		b.touched = false
		if b.wrote != nil {
			b.wrote.Set(0)
		}
	}
	if failed {
		b.unwind()
	}
	b.image.restoreGlobals(b)
	b.drew = false
	return true
}

// written reports whether the memory may differ from the image.
func (b *sandbox) written() bool { return b.touched || b.wrote == nil || b.wrote.Get() != 0 }

// bytes returns the memory.
func (b *sandbox) bytes() []byte {
	if b.memory == nil {
		return nil
	}
	return b.memory.Bytes()
}

// hostBytes is what a sandbox holds at least, on the host's side too.
const hostBytes = 32 << 10

// beside returns how many bytes more than that an instance has on the host's side.
func (m *Module) beside() int64 { return max(m.written.Host-hostBytes, 0) }

// own returns how many bytes the sandbox has that others do not have.
func (b *sandbox) own() int64 {
	n := int64(0)
	if b.memory != nil {
		n = b.memory.Len()
		if b.image != nil {
			n = b.memory.Private()
		}
	}
	return max(n, hostBytes) + b.pool.module.beside()
}

// discard ends the sandbox.
func (b *sandbox) discard() {
	if b.mod != nil {
		b.mod.Close(context.Background())
		b.mod = nil
	}
	if b.memory != nil {
		b.memory.Free()
	}
}
