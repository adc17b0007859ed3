package api

import (
	"io"
	"sync"
)

// upload is a request's body that reports how much of it has been read. The
// transport may read it after the answer has come.
type upload struct {
	mu       sync.Mutex // guards the following fields, and is held while progress runs
	r        io.Reader  // nil once stopped: it is the caller's again
	progress func(sent int64)
	sent     int64
}

func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.r == nil {
		return 0, io.ErrClosedPipe
	}
	n, err := u.r.Read(p)
	u.sent += int64(n)
	if u.progress != nil && n > 0 {
		u.progress(u.sent)
	}
	return n, err
}

// Close does nothing: who gave the reader closes it.
func (u *upload) Close() error { return nil }

func (u *upload) stop() {
	u.mu.Lock()
	u.r = nil
	u.mu.Unlock()
}
