package hostmod

import (
	"errors"
	"io"
	"sync"
)

// pipe is content on its way from a guest to an upstream, of which so much is held
// that the upstream has not taken.
type pipe struct {
	limit int
	room  chan struct{} // signalled when something was taken
	more  chan struct{} // signalled when there is more, or an end

	mu  sync.Mutex // guards the following fields
	buf []byte
	end error // what follows buf; nil: more
}

var errPipeClosed = errors.New("the fetch has ended")

func newPipe(limit int) *pipe {
	return &pipe{limit: limit, room: make(chan struct{}, 1), more: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write takes p as there is room, and reports whether it has taken all of it: not if
// the pipe is closed, or cancelled.
func (w *pipe) write(p []byte, cancelled <-chan struct{}) bool {
	for {
		w.mu.Lock()
		if w.end != nil {
			w.mu.Unlock()
			return false
		}
		n := min(len(p), w.limit-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		w.mu.Unlock()
		if n > 0 {
			signal(w.more)
		}
		if len(p) == 0 {
			return true
		}
		select {
		case <-w.room:
		case <-cancelled:
			return false
		}
	}
}

// finish says what follows all that was written.
func (w *pipe) finish(err error) {
	w.mu.Lock()
	if w.end == nil {
		w.end = err
	}
	w.mu.Unlock()
	signal(w.more)
}

// Read implements [edge.Body].
func (w *pipe) Read(p []byte) (int, error) {
	for {
		w.mu.Lock()
		if w.end == errPipeClosed {
			w.mu.Unlock()
			return 0, w.end
		}
		n := copy(p, w.buf)
		w.buf = append(w.buf[:0], w.buf[n:]...)
		end := w.end
		if len(w.buf) > 0 {
			end = nil
		}
		w.mu.Unlock()
		if n > 0 {
			signal(w.room)
		}
		if n > 0 || end != nil || len(p) == 0 {
			return n, end
		}
		<-w.more
	}
}

// Close implements [edge.Body].
func (w *pipe) Close() error {
	w.mu.Lock()
	if w.end != io.EOF || len(w.buf) > 0 {
		w.end, w.buf = errPipeClosed, nil
	}
	w.mu.Unlock()
	signal(w.more)
	signal(w.room)
	return nil
}
