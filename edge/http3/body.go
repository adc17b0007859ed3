package http3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

var errClosed = errors.New("read of a closed body")

// body is the content of a request.
type body struct {
	e      *exchange
	frames frames
	err    error // of the Read before
	peeked [1]byte
	ahead  bool // peeked is to be read first

	mu     sync.Mutex // guards the following field
	closed bool       // also between exchanges
}

func (b *body) begin(e *exchange, length int64) {
	b.e, b.err, b.ahead = e, nil, false
	b.frames = frames{r: (*source)(e), limits: e.c.limits, trailers: &e.x.Request.Trailers, content: length}
	b.mu.Lock()
	b.closed = false
	b.mu.Unlock()
}

// end is called when nobody reads any more. Close does nothing from then on.
func (b *body) end() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.e.c.s.dropped.Add(b.frames.dropped)
	b.e, b.err, b.frames = nil, nil, frames{}
}

// Close makes Read fail, now and later. The client is asked to send no more, in a
// way that leaves the response valid (RFC 9114, section 4.1).
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		b.e.str.CancelRead(codeNoError)
	}
	return nil
}

func (b *body) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// peek waits for the first byte, and reports whether there is one.
func (b *body) peek() (some bool, err error) {
	n, err := b.next(b.peeked[:])
	b.ahead = n > 0
	switch {
	case b.ahead:
		return true, nil
	case err == io.EOF:
		b.e.x.Request.Trailers.Reset()
		return false, nil
	}
	return false, err
}

func (b *body) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.ahead {
		b.ahead = false
		p[0] = b.peeked[0]
		n = 1
		if b.err == io.EOF {
			err = io.EOF
		}
	} else {
		n, err = b.next(p)
	}
	b.e.x.Record.Received += int64(n)
	return n, err
}

func (b *body) next(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	b.e.proceed()
	if n, err = b.frames.read(p); err != nil {
		b.err = b.explain(err)
		if n > 0 && b.err != io.EOF {
			return n, nil // the error comes next time
		}
	}
	return n, b.err
}

// source is where the frames come from.
type source exchange

func (s *source) Read(p []byte) (int, error) {
	s.raw.SetReadDeadline(time.Now().Add(s.c.limits.Stalled))
	return s.raw.Read(p)
}

// explain says what an error means for the exchange, and tells the client if it
// has violated the protocol.
func (b *body) explain(err error) error {
	if err == io.EOF {
		return io.EOF
	}
	if b.isClosed() {
		return errClosed
	}
	if e, ok := errors.AsType[*edge.Error](err); ok {
		return e
	}
	e := &edge.Error{Kind: edge.RequestError, Op: "read the request's content", Err: err}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Status = http.StatusRequestTimeout
		e.Err = fmt.Errorf("nothing for %s", b.e.c.limits.Stalled)
	} else if v, ok := errors.AsType[*violation](err); ok {
		b.e.violated(v)
	} else {
		// The client has reset the stream, or the connection is gone.
		e.Kind = edge.ClientGone
	}
	return e
}

// violated ends the stream or the connection. What the client gets to see is the
// error code; the exchange itself ends as any other that cannot be answered.
func (e *exchange) violated(v *violation) {
	if v.connection != 0 {
		e.c.q.CloseWithError(v.connection, v.why)
		return
	}
	e.finished()
	e.str.CancelRead(codeMessageError)
	e.str.CancelWrite(codeMessageError)
}
