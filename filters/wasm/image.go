package wasm

import (
	crand "crypto/rand"
	"math/rand/v2"
	"sync"

	"github.com/sluice-edge/sluice/filters/wasm/memory"
)

// image is the state of a sandbox after its initialisation, with which each of
// its users begins.
type image struct {
	memory     *memory.Image // nil without memory
	globals    []uint64
	generators []uint32 // where in memory states of random number generators are

	copies []copied // where in memory random numbers are that were drawn

	mu    sync.Mutex    // guards the following fields
	seeds *rand.ChaCha8 // for generators and copies
	room  []byte        // for as many bytes as were drawn; nil without copies
}

// freeze takes an image of the sandbox, which becomes one that begins with it.
// Why says why that cannot be.
func (b *sandbox) freeze() (m *image, why string, err error) {
	m = new(image)
	if b.drew {
		if m.generators = findGenerators(b.bytes()); m.generators == nil {
			return nil, "draws random numbers when it starts, which all requests would share", nil
		}
		m.seeds = newSeeds()
	}
	for _, g := range b.globals {
		m.globals = append(m.globals, g.Get())
	}
	if b.memory != nil {
		if m.memory, err = b.pool.module.engine.memories.NewImage(b.memory.Bytes()); err != nil {
			return nil, "", err
		}
		if err := b.memory.Use(m.memory); err != nil {
			m.release()
			return nil, "", err
		}
	}
	return m, "", nil
}

func newSeeds() *rand.ChaCha8 {
	var seed [32]byte
	crand.Read(seed[:])
	return rand.NewChaCha8(seed)
}

// replaces has copies of so many bytes that were drawn replaced at each use.
func (m *image) replaces(list []copied, drawn int) {
	m.copies, m.seeds, m.room = list, newSeeds(), make([]byte, drawn)
}

// restoreGlobals makes the globals of a sandbox those of the image.
func (m *image) restoreGlobals(b *sandbox) {
	for i, g := range b.globals {
		g.Set(m.globals[i])
	}
	b.slice.Set(quantum) // that the first tick is not about nothing
}

// reseed gives the guest's generators seeds that no request has had.
func (m *image) reseed(b *sandbox) {
	if m.seeds == nil {
		return
	}
	b.touched = true
	memory := b.bytes()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, at := range m.generators {
		reseed(memory, at, m.seeds)
	}
	if m.copies != nil {
		replace(memory, m.copies, m.room, m.seeds)
	}
}

// release gives back what the image has of the machine.
func (m *image) release() {
	if m.memory != nil {
		m.memory.Close()
	}
}
