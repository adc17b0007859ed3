// Package bufpool lends byte slices in a few sizes, so that a connection or a
// body can have a large buffer while bytes move, and none while they do not.
//
// The classes are the powers of two from 4 KiB to 1 MiB. What is asked for is
// rounded up to the next class, so at most half of a buffer is unused; what is
// larger than the last class is made anew and never kept. Idle buffers are
// dropped by the garbage collector.
package bufpool

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/sluice-edge/sluice/edge"
)

// The capacities of the smallest and the largest buffers that are kept, in bytes.
const (
	MinSize = 1 << minBits
	MaxSize = 1 << maxBits

	minBits = 12
	maxBits = 20
)

// pools holds pointers to the first byte of idle buffers: a pointer fits into an
// interface, a slice would have to be allocated for it.
var pools [maxBits - minBits + 1]sync.Pool

// Get returns a buffer of n bytes with any content. Its capacity is that of its
// class. Put gives it back; to forget it is no error.
func Get(n int) []byte {
	if n > MaxSize {
		return make([]byte, n)
	}
	c := class(n)
	size := MinSize << c
	if p, ok := pools[c].Get().(unsafe.Pointer); ok {
		return unsafe.Slice((*byte)(p), size)[:n]
	}
	return make([]byte, size)[:n]
}

// Put takes b back, which came from Get and may be shortened at its end, but not
// at its start. Nobody may use it afterwards. A buffer whose capacity is not that
// of a class is left to the garbage collector, so a grown one may be given back
// in place of the one that it grew from.
func Put(b []byte) {
	size := cap(b)
	if size < MinSize || size > MaxSize || size&(size-1) != 0 {
		return
	}
	edge.Poison(b[:size])
	pools[class(size)].Put(unsafe.Pointer(unsafe.SliceData(b)))
}

// class returns the index of the smallest class that holds n bytes.
func class(n int) int {
	return max(bits.Len(uint(max(n, 1)-1))-minBits, 0)
}
