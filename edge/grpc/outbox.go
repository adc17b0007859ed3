package grpc

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// prefix is the length of what stands before each message, in bytes: whether it is
// compressed, and its length.
const prefix = 5

// outbox is the content of a call's request: messages that are to be sent.
type outbox struct {
	limit int // bytes that may wait to be sent

	mu     sync.Mutex // guards the following fields
	more   sync.Cond  // signalled when there is something to read, or nothing will be
	buf    []byte
	whole  bool // no message follows buf
	closed bool // nobody reads any more
}

var errClosed = errors.New("the call has ended")

func newOutbox(limit int) *outbox {
	o := &outbox{limit: limit}
	o.more.L = &o.mu
	return o
}

// add adds a message, and reports whether there was room for it. It keeps nothing of p.
func (o *outbox) add(p []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.whole || o.closed {
		return true // as if it was on its way
	}
	if len(o.buf) > 0 && len(o.buf)+prefix+len(p) > o.limit {
		return false
	}
	o.buf = append(o.buf, 0)
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(len(p)))
	o.buf = append(o.buf, p...)
	o.more.Signal()
	return true
}

// end says that no message follows.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.whole = true
	o.more.Broadcast()
}

// Read implements [edge.Body].
func (o *outbox) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.buf) == 0 && !o.whole && !o.closed {
		o.more.Wait()
	}
	switch {
	case o.closed:
		return 0, errClosed
	case len(o.buf) == 0:
		return 0, io.EOF
	}
	n := copy(p, o.buf)
	o.buf = append(o.buf[:0], o.buf[n:]...)
	return n, nil
}

// Abort implements [edge.Aborter]: nobody else ends a Read that waits when the exchange is
// cancelled.
func (o *outbox) Abort() { o.Close() }

// Close implements [edge.Body].
func (o *outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.buf = true, nil
	o.more.Broadcast()
	return nil
}
