package stream

import (
	"io"
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// input is the request's content.
type input struct {
	body    edge.Body // nil: none
	left    int64     // bytes; -1: not known
	atHand  bool      // no Read waits
	full    bool      // the last Read was not short, so that more may be at hand
	err     error     // what it has ended with; io.EOF: it was whole
	reading atomic.Bool
}

func (s *input) start(r *edge.Request) {
	s.body, s.left = r.Body, r.Length
	if s.body == nil {
		s.err = io.EOF
		return
	}
	s.atHand = edge.Bytes(s.body) != nil
}

// cut ends a read that waits, from any goroutine.
func (s *input) cut() {
	if s.reading.Load() {
		s.body.Close()
	}
}

// Input reads content of the request for the guest: at least a byte, or none at the
// end. For host functions; it aborts if the content cannot be read.
func (r *Run) Input(p []byte) (n int) {
	s := &r.input
	if len(p) == 0 {
		return 0
	}
	if s.err == nil && !s.atHand && !s.full && s.left != 0 {
		r.flush() // it may wait
	}
	for idle := 0; n == 0 && s.err == nil; idle++ {
		if idle == 100 {
			s.err = io.ErrNoProgress
			break
		}
		s.reading.Store(true)
		if r.closed.Load() { // cut may have been called before it could know
			s.reading.Store(false)
			panic(wasm.Abort(errStopped))
		}
		r.in.Wait(func() { n, s.err = s.body.Read(p) })
		s.reading.Store(false)
	}
	s.full = n == len(p)
	if s.left > 0 {
		s.left -= int64(n)
	}
	if n == 0 && s.err != io.EOF {
		panic(wasm.Abort(s.err))
	}
	return n
}

// Whole reports whether all content of the request has been read, so that its
// trailers are valid.
func (r *Run) Whole() bool { return r.input.err == io.EOF }
