package http1

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/sluice-edge/sluice/edge"
)

// minBuffer and maxBuffer are the least and the largest size of pooled buffers,
// which are powers of two.
const (
	minBuffer = 8 << 10
	maxBuffer = 64 << 10
)

// pools holds the first bytes of buffers of minBuffer << i.
var pools [4]sync.Pool

// getBuffer returns a buffer of at least n bytes.
func getBuffer(n int) []byte {
	i := class(n)
	if i >= len(pools) {
		return make([]byte, n)
	}
	size := minBuffer << i
	if p, _ := pools[i].Get().(*byte); p != nil {
		return unsafe.Slice(p, size)
	}
	return make([]byte, size)
}

// putBuffer takes a buffer back that nobody may use any more.
func putBuffer(b []byte) {
	b = b[:cap(b)]
	edge.Poison(b)
	if i := class(len(b)); i < len(pools) && len(b) == minBuffer<<i {
		pools[i].Put(unsafe.SliceData(b))
	}
}

func class(n int) int { return max(0, bits.Len(uint(n-1))-bits.Len(minBuffer-1)) }
