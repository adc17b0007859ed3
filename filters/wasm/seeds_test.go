package wasm

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// state is what Go's runtime has of a generator that has given n values.
func state(seed [32]byte, n int) []byte {
	blocks, left := n/32%4, n%32
	g := rand.NewChaCha8(seed)
	for range blocks * 32 {
		g.Uint64()
	}
	s := make([]byte, stateSize)
	for i := range 32 {
		if blocks == 3 && i >= 28 {
			break // in Go they are the next seed
		}
		binary.LittleEndian.PutUint64(s[8*i:], g.Uint64())
	}
	copy(s[stateSeed:], seed[:])
	count := uint32(32)
	if blocks == 3 {
		count = 28
	}
	binary.LittleEndian.PutUint32(s[stateIndex:], min(uint32(left), count))
	binary.LittleEndian.PutUint32(s[stateCount:], count)
	binary.LittleEndian.PutUint32(s[stateBlock:], uint32(blocks)*4)
	return s
}

func TestGenerators(t *testing.T) {
	memory := make([]byte, 1<<20)
	noise := rand.NewChaCha8([32]byte{1})
	noise.Read(memory[1<<18 : 1<<19])
	var want []uint32
	for i, n := range []int{0, 1, 31, 32, 63, 64, 96, 100, 123} {
		var seed [32]byte
		crand.Read(seed[:])
		at := uint32(i * 100_000)
		copy(memory[at:], state(seed, n))
		want = append(want, at)
	}
	// Another value in the buffer, and it is no such state.
	spoilt := state([32]byte{7}, 3)
	spoilt[8*31]++
	copy(memory[950_000:], spoilt)
	if got := findGenerators(memory); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if got := findGenerators(memory[:stateSize-1]); got != nil {
		t.Errorf("in a memory that is too small: %v", got)
	}

	from := rand.NewChaCha8([32]byte{2})
	for _, at := range want {
		before := slices.Clone(memory[at+stateSeed : at+stateIndex])
		reseed(memory, at, from)
		if slices.Equal(memory[at+stateSeed:at+stateIndex], before) {
			t.Errorf("the state at %d has the same seed", at)
		}
	}
}
