package upstream

import (
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// health passes over endpoints to which no connection can be made, so that one
// that is down does not cost every request a failed dial. It knows nothing but
// the outcome of the last tries.
//
// An endpoint is suspended until a moment. From then on the first request that
// is sent to it moves that moment, and so is alone in finding out.
type health struct {
	pause     time.Duration // 0: nothing is ever suspended
	start     time.Time
	suspended atomic.Int32 // endpoints whose until is not 0
}

func newHealth(pause time.Duration) health {
	if pause == 0 {
		pause = time.Second
	}
	return health{pause: max(pause, 0), start: time.Now()}
}

// now returns the time since the start, by a clock that never goes back. It is
// not 0.
func (h *health) now() int64 { return int64(time.Since(h.start)) + 1 }

// suspends reports whether e is passed over.
func (h *health) suspends(e *endpoint, now int64) bool { return e.until.Load() > now }

// admits reports whether a request may be sent to e, which is not suspended now.
func (h *health) admits(e *endpoint, now int64) bool {
	until := e.until.Load()
	return until == 0 || until <= now && e.until.CompareAndSwap(until, now+int64(h.pause))
}

// fails says that no connection to e could be made, and what the failure was.
func (h *health) fails(e *endpoint, kind edge.Kind) {
	if h.pause == 0 {
		return
	}
	e.failure.Store(uint32(kind))
	if e.until.Swap(h.now()+int64(h.pause)) == 0 {
		h.suspended.Add(1)
	}
}

// works says that e has answered.
func (h *health) works(e *endpoint) {
	if h.suspended.Load() > 0 && e.until.Swap(0) != 0 {
		h.suspended.Add(-1)
	}
}
