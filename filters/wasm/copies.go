package wasm

import (
	"encoding/binary"
	"math/rand/v2"
)

// Guests that are not of standard Go may draw random numbers when they start, too,
// for a generator that they seed with them: TinyGo's runtime does. If all that the
// numbers have changed is that they, or parts of them, are in memory, then those are
// replaced for each request by numbers that nobody has had. If anything was computed
// of them it cannot be known what, and each request needs an instance of its own.

// copied is a word of memory that is a word of the numbers that were drawn.
type copied struct {
	at   uint32 // in memory
	from int    // in the numbers
	odd  bool   // its lowest bit is set: generators may not begin with zero
}

const (
	// trials is how many instances are compared. What is computed of the numbers is the
	// same in two of them by chance: with one bit of it, in all of them once in 2^7.
	trials = 8

	// maxDrawn bounds how many bytes may be drawn, and maxCopies of how many words there
	// may be copies: each is looked for, and replaced at each use.
	maxDrawn  = 1 << 10
	maxCopies = 256
)

// findCopies makes instances like b, which has been initialised and drawn numbers, and
// returns where in memory copies of such numbers are. It reports false if that is not
// all that is different.
func (p *Pool) findCopies(b *sandbox) (list []copied, ok bool) {
	drawn, memories := [][]byte{b.drawn}, [][]byte{b.bytes()}
	for range trials - 1 {
		t, err := p.queue.take(nil, 0)
		if err != nil {
			return nil, false
		}
		in, err := p.make(t.need, p.opt.State)
		if err != nil {
			return nil, false
		}
		defer in.Close()
		for i, g := range in.box.globals {
			if g.Get() != b.globals[i].Get() {
				return nil, false
			}
		}
		drawn, memories = append(drawn, in.box.drawn), append(memories, in.bytes())
	}
	return compareCopies(drawn, memories)
}

// compareCopies explains the differences of memories by what was drawn for each.
func compareCopies(drawn, memories [][]byte) (list []copied, ok bool) {
	n, length := len(drawn[0]), len(memories[0])
	for i := range drawn {
		if len(drawn[i]) != n || n < 4 || n > maxDrawn || len(memories[i]) != length {
			return nil, false
		}
	}
	for at := 0; at+4 <= length; at += 4 {
		same := true
		for _, m := range memories[1:] {
			same = same && [4]byte(m[at:]) == [4]byte(memories[0][at:])
		}
		if same {
			continue
		}
		c, ok := explain(drawn, memories, at)
		if !ok || len(list) == maxCopies {
			return nil, false
		}
		list = append(list, c)
	}
	return list, true
}

// explain returns of what the word at a place is a copy in all memories.
func explain(drawn, memories [][]byte, at int) (copied, bool) {
	for from := 0; from+4 <= len(drawn[0]); from++ {
		for _, odd := range []bool{false, true} {
			c, ok := copied{uint32(at), from, odd}, true
			for i, m := range memories {
				ok = ok && c.word(drawn[i]) == binary.LittleEndian.Uint32(m[at:])
			}
			if ok {
				return c, true
			}
		}
	}
	return copied{}, false
}

func (c copied) word(drawn []byte) uint32 {
	w := binary.LittleEndian.Uint32(drawn[c.from:])
	if c.odd {
		w |= 1
	}
	return w
}

// replace writes numbers that nobody has had in place of the copies. Room is for them.
func replace(memory []byte, list []copied, room []byte, from *rand.ChaCha8) {
	from.Read(room)
	for _, c := range list {
		binary.LittleEndian.PutUint32(memory[c.at:], c.word(room))
	}
}
