package http3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/sluice-edge/sluice/edge"
)

var errClosed = errors.New("read of a closed body")

// body is the content of a request: the frames behind its head.
type body struct {
	e     *exchange
	err   error  // of the Read before
	frame uint64 // bytes left of the DATA frame
	left  int64  // bytes left of Content-Length; -1: none was sent
	last  bool   // the trailers have been read

	peeked [1]byte
	ahead  bool // peeked is to be read first
	one    [1]byte

	mu     sync.Mutex // guards the following field
	closed bool       // also between exchanges
}

func (b *body) begin(e *exchange, length int64) {
	b.e, b.err, b.frame, b.left, b.last, b.ahead = e, nil, 0, length, false, false
	b.mu.Lock()
	b.closed = false
	b.mu.Unlock()
}

// end is called when nobody reads any more. Close does nothing from then on.
func (b *body) end() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.e, b.err = nil, nil
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
	if n, err = b.content(p); err != nil {
		b.err = b.explain(err)
		if n > 0 && b.err != io.EOF {
			return n, nil // the error comes next time
		}
	}
	return n, b.err
}

// content reads from a DATA frame, going on to the next where it has to.
func (b *body) content(p []byte) (n int, err error) {
	for b.frame == 0 {
		if err := b.header(); err != nil {
			return 0, err
		}
	}
	if uint64(len(p)) > b.frame {
		p = p[:b.frame]
	}
	n, err = b.receive(p)
	b.frame -= uint64(n)
	if b.left >= 0 {
		b.left -= int64(n)
	}
	if err == io.EOF && b.frame == 0 {
		return n, b.whole()
	}
	return n, cutShort(err)
}

// header reads frames until one has content, and returns io.EOF at the end.
func (b *body) header() error {
	t, err := quicvarint.Read(b)
	if err == io.EOF {
		return b.whole()
	}
	if err != nil {
		return err
	}
	length, err := quicvarint.Read(b)
	if err != nil {
		return cutShort(err)
	}
	switch {
	case unexpected(t), b.last && (t == frameData || t == frameHeaders): // RFC 9114, section 4.1
		return b.broken(frameUnexpected, fmt.Sprintf("frame of type %#x", t))
	case t == frameData:
		if b.left >= 0 && length > uint64(b.left) {
			return b.malformed(errors.New("more content than Content-Length says"))
		}
		b.frame = length
		return nil
	case t == frameHeaders:
		b.last = true
		return b.trailers(length)
	}
	// RFC 9114, section 9: frames of other types are ignored.
	var skipped [512]byte
	for length > 0 {
		n, err := b.receive(skipped[:min(uint64(len(skipped)), length)])
		length -= uint64(n)
		if err != nil && length > 0 {
			return cutShort(err)
		}
	}
	return nil
}

// whole is the end of the stream between two frames.
func (b *body) whole() error {
	if b.left > 0 {
		return b.malformed(fmt.Errorf("%d bytes less content than Content-Length says", b.left))
	}
	return io.EOF
}

// cutShort is for the end of the stream within a frame.
func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ReadByte is for quicvarint.Read. The end of the stream within a number is
// cutShort's.
func (b *body) ReadByte() (byte, error) {
	for {
		n, err := b.receive(b.one[:])
		if n == 1 {
			return b.one[0], nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// receive reads from the stream. A Close that comes earlier ends the Read too.
func (b *body) receive(p []byte) (int, error) {
	b.e.raw.SetReadDeadline(time.Now().Add(b.e.c.limits.Stalled))
	return b.e.raw.Read(p)
}

// trailers reads the frame that holds the trailers, and publishes them.
func (b *body) trailers(length uint64) error {
	l := b.e.c.limits
	if length > uint64(l.HeaderBytes) {
		return refuse(http.StatusRequestHeaderFieldsTooLarge, "trailers of %d bytes, more than limits.header=%d", length, l.HeaderBytes)
	}
	block := make([]byte, length)
	for read := 0; read < len(block); {
		n, err := b.receive(block[read:])
		if read += n; err != nil && read < len(block) {
			return cutShort(err)
		}
	}
	t := &b.e.x.Request.Trailers
	next, size := qpack.NewDecoder().Decode(block), 0
	for {
		f, err := next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return b.broken(qpackDecompressionFailed, err.Error())
		}
		// RFC 9114, section 4.3: no pseudo-header fields in trailers.
		if !validName(f.Name) || !validValue(f.Value) || lower(f.Name) != f.Name || dropped(f.Name) {
			return b.malformed(fmt.Errorf("trailer field %q", f.Name))
		}
		if size += len(f.Name) + len(f.Value) + 32; size > l.HeaderBytes || t.Len() == l.Fields {
			return refuse(http.StatusRequestHeaderFieldsTooLarge, "trailers beyond limits.header=%d or limits.fields=%d", l.HeaderBytes, l.Fields)
		}
		t.Add(f.Name, f.Value)
	}
}

// malformed is for what RFC 9114, section 4.1.2 calls so: a stream error.
func (b *body) malformed(err error) error {
	b.e.finished()
	b.e.str.CancelRead(codeMessageError)
	b.e.str.CancelWrite(codeMessageError)
	return err
}

// broken closes the connection, as RFC 9114 asks for where the frames make no
// sense.
func (b *body) broken(code quic.ApplicationErrorCode, why string) error {
	b.e.c.q.CloseWithError(code, why)
	return errors.New(why)
}

// explain says what an error means for the exchange.
func (b *body) explain(err error) error {
	switch {
	case err == io.EOF:
		return io.EOF
	case b.isClosed():
		return errClosed
	case errors.Is(err, io.ErrUnexpectedEOF):
		// RFC 9114, section 7.1: a frame that ends early is a connection error.
		b.broken(frameError, "end of stream within a frame")
	}
	if e, ok := errors.AsType[*edge.Error](err); ok {
		return e
	}
	e := &edge.Error{Kind: edge.RequestError, Op: "read the request's content", Err: err}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Status = http.StatusRequestTimeout
		e.Err = fmt.Errorf("nothing for %s", b.e.c.limits.Stalled)
	} else if s, ok := errors.AsType[*quic.StreamError](err); ok && s.Remote {
		e.Kind = edge.ClientGone // it has taken the request back
	} else if _, ok := errors.AsType[*quic.ApplicationError](err); ok {
		e.Kind = edge.ClientGone // the connection is closed
	} else if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		e.Kind = edge.ClientGone
	}
	return e
}
