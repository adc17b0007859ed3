package http2

import (
	"errors"
	"io"

	"github.com/sluice-edge/sluice/edge"
)

// body is the stream as its request's body.
type body stream

var errClosed = errors.New("read of a closed body")

// Read implements edge.Body. Any goroutine may call it.
func (b *body) Read(p []byte) (n int, err error) {
	s, c := (*stream)(b), b.c
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	flush := false
	for times := 0; ; {
		if s.closed {
			err = errClosed
			break
		}
		if n = copy(p, s.content[s.off:]); n > 0 || s.ended {
			before := len(c.out)
			err = s.took(n)
			flush = len(c.out) > before // the client may be waiting for the window
			break
		}
		if s.gone != nil {
			err = s.gone
			break
		}
		if s.late {
			err = errLate
			break
		}
		if s.expect && !s.head { // RFC 9110, section 10.1.1
			s.expect = false
			s.interim(100, nil)
		}
		s.wait(&times, &s.reads)
	}
	c.mu.Unlock()
	if flush {
		c.flush()
	}
	s.x.Record.Received += int64(n)
	return n, err
}

// took takes n bytes out of content. c.mu is held.
func (s *stream) took(n int) error {
	s.off += n
	s.c.use(int64(n))
	s.use(int64(n))
	if s.off < len(s.content) {
		return nil
	}
	s.content, s.off = s.content[:0], 0
	if !s.ended {
		return nil
	}
	s.x.Request.Trailers.CopyFrom(&s.trailers)
	return io.EOF
}

// Close implements edge.Body.
func (b *body) Close() error {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.closed = true
	b.cond.Broadcast()
	return nil
}

// Bytes implements what edge.Bytes looks for. Trailers would be lost with it.
func (b *body) Bytes() []byte {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	if !b.ended || b.closed || b.off > 0 || b.trailers.Len() > 0 || int64(len(b.content)) != b.received {
		return nil
	}
	b.x.Record.Received = b.received
	return b.content
}

// append takes content in. c.mu is held.
func (s *stream) append(p []byte) {
	if s.off > 0 && len(s.content)+len(p) > cap(s.content) {
		n := copy(s.content, s.content[s.off:])
		s.content, s.off = s.content[:n], 0
	}
	s.content = append(s.content, p...)
}

// use counts bytes as read. c.mu is held.
func (s *stream) use(n int64) {
	c := s.c
	if s.consumed += n; s.consumed >= int64(c.cfg.StreamWindow)/4 && !s.ended && s.gone == nil {
		c.out = appendWindowUpdate(c.take(c.out), s.id, s.consumed)
		s.room += s.consumed
		s.consumed = 0
	}
}

var _ edge.Body = (*body)(nil)
