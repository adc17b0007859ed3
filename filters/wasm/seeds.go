package wasm

import (
	"encoding/binary"
	"math/rand/v2"
)

// Restored memory would give each request the same random numbers, from the state
// that a generator in it has. Standard Go's runtime has such a generator for each of
// its threads, and one that their seeds are drawn from: internal/chacha8rand's State
// (C2SP's ChaCha8Rand), 32 buffered values of 8 bytes, a seed of 4 values, and three
// numbers of 4 bytes. What crypto/rand returns comes from random_get, each time.
const (
	stateSeed  = 256
	stateIndex = 288 // of the next value in the buffer
	stateCount = 292 // of the values in the buffer
	stateBlock = 296 // of the buffer in the seed's sequence: 0, 4, 8 or 12
	stateSize  = 304 // with what aligns it
)

// findGenerators returns where in a memory such states are. They are known by their
// buffers, which are what their seeds and numbers say: chance does not do that.
func findGenerators(memory []byte) (at []uint32) {
	for p := 0; p+stateSize <= len(memory); p += 8 {
		s := memory[p : p+stateSize]
		i := binary.LittleEndian.Uint32(s[stateIndex:])
		n := binary.LittleEndian.Uint32(s[stateCount:])
		c := binary.LittleEndian.Uint32(s[stateBlock:])
		// The last of the four blocks keeps back the values that the next seed is.
		if i > n || c > 12 || c%4 != 0 || (c < 12 && n != 32) || (c == 12 && n != 28) {
			continue
		}
		g := rand.NewChaCha8([32]byte(s[stateSeed:]))
		for range c / 4 * 32 {
			g.Uint64()
		}
		same := 0
		for same < int(n) && g.Uint64() == binary.LittleEndian.Uint64(s[8*same:]) {
			same++
		}
		if same == int(n) {
			at = append(at, uint32(p))
		}
	}
	return at
}

// reseed gives a generator that findGenerators has found another seed. It makes
// values of it when the guest wants the next.
func reseed(memory []byte, at uint32, from *rand.ChaCha8) {
	s := memory[at : at+stateSize]
	from.Read(s[stateSeed:stateIndex])
	binary.LittleEndian.PutUint32(s[stateIndex:], 32)
	binary.LittleEndian.PutUint32(s[stateCount:], 32)
	binary.LittleEndian.PutUint32(s[stateBlock:], 0)
}
