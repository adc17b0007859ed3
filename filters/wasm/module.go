package wasm

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
	"github.com/tetratelabs/wazero"
)

// Module is a compiled module. It is counted: whoever has it from Compile or
// Retain closes it once, and its code is freed when the last has done so.
type Module struct {
	Info Info // what is in the binary; read-only

	engine   *Engine
	key      key
	ready    chan struct{} // closed when the following fields are final
	err      error
	store    *store // with a reference; nil: it is not compiled
	compiled wazero.CompiledModule
	missing  error           // what imports lack
	written  *rewrite.Module // without its binary

	refs int // guarded by engine.mu
}

// Info is what a module's binary says about it.
type Info struct {
	Digest  Digest
	Size    int // of the binary, in bytes
	Imports []Import
	Exports []Export
	Memory  int64 // bytes that an instance's memory begins with; 0 without a memory
	Max     int64 // bytes that its memory may grow to by its own account; -1: no bound

	// Fresh says why each request needs an instance that is made for it, and cannot
	// have one that is put back to its beginning; empty if it can.
	Fresh []string
}

// What a module imports and exports.
type (
	Signature = rewrite.Signature
	Import    = rewrite.Import
	Export    = rewrite.Export
	Kind      = rewrite.Kind
)

// The kinds of imports and exports.
const (
	KindFunc   = rewrite.KindFunc
	KindTable  = rewrite.KindTable
	KindMemory = rewrite.KindMemory
	KindGlobal = rewrite.KindGlobal
)

// Export returns what the module exports as name, if it does so.
func (i *Info) Export(name string) (Export, bool) {
	for _, e := range i.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// ImportsFrom reports whether something is imported from the named module.
func (i *Info) ImportsFrom(module string) bool {
	for _, im := range i.Imports {
		if im.Module == module {
			return true
		}
	}
	return false
}

// Hex returns the digest as 64 hexadecimal digits.
func (i *Info) Hex() string { return hex.EncodeToString(i.Digest[:]) }

// Retain takes another reference, which is closed like the first.
func (m *Module) Retain() *Module {
	m.engine.mu.Lock()
	defer m.engine.mu.Unlock()
	if m.refs == 0 {
		panic("BUG: a closed module is retained")
	}
	m.refs++
	return m
}

// Close gives a reference back.
func (m *Module) Close() {
	m.engine.mu.Lock()
	m.refs--
	last := m.refs == 0
	if m.refs < 0 {
		panic("BUG: a module is closed more often than retained")
	}
	if last {
		delete(m.engine.modules, m.key)
	}
	m.engine.mu.Unlock()
	if last && m.store != nil {
		m.compiled.Close(context.Background())
		m.store.release()
	}
}

// Missing says which imports nothing provides, or are provided with another
// signature: nil if the module can be instantiated.
func (m *Module) Missing() error { return m.missing }

func (m *Module) unsatisfied(provided map[[2]string]Signature) error {
	var all []error
	for _, im := range m.Info.Imports {
		have, ok := provided[[2]string{im.Module, im.Name}]
		switch {
		case !ok || im.Kind != KindFunc:
			all = append(all, fmt.Errorf("imports %s %q.%q, which nothing provides", im.Kind, im.Module, im.Name))
		case have != im.Type:
			all = append(all, fmt.Errorf("imports %q.%q as %s, which is %s", im.Module, im.Name, im.Type, have))
		}
	}
	return errors.Join(all...)
}
