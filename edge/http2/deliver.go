package http2

import (
	"errors"
	"io"
	"sync"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

var (
	errStatus = &edge.Error{Kind: edge.InternalError, Op: "deliver", Err: errors.New("the response has no valid status")}
	errTunnel = &edge.Error{Kind: edge.UpgradeFailed, Op: "deliver", Err: errors.New("a tunnel over HTTP/2")}
	errLength = &edge.Error{Kind: edge.ResponseIncomplete, Op: "deliver", Err: errors.New("the content is not as long as declared")}
)

// contentless reports whether the response has no content whatever its fields say
// (RFC 9110, section 6.4.1).
func (s *stream) contentless() bool {
	status := s.x.Response.Status
	return status == 204 || status == 304 || s.x.Record.Method == "HEAD"
}

// checkResponse replaces a response that cannot be delivered.
func (s *stream) checkResponse() {
	x := &s.x
	res := &x.Response
	switch {
	case res.Tunnel != nil:
		x.Answer(errTunnel)
	case res.Status < 200 || res.Status > 599:
		x.Answer(errStatus)
	case s.contentless():
	case res.Body == nil:
		if res.Length > 0 {
			x.Answer(errLength)
		}
	default:
		if all := edge.Bytes(res.Body); all != nil && res.Length >= 0 && res.Length != int64(len(all)) {
			x.Answer(errLength)
		}
	}
}

// tryDeliver delivers, and cuts the response off if it cannot be completed.
func (s *stream) tryDeliver() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.panicked("deliver", v)
		}
		if err != nil {
			s.abandon(err)
		}
	}()
	return s.deliver()
}

// abandon resets the stream, so that a part is not taken for the whole.
func (s *stream) abandon(err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.gone == nil {
		s.stop(http2.ErrCodeInternal, err)
	}
}

// deliver sends the response.
func (s *stream) deliver() error {
	res := &s.x.Response
	if res.Body == nil || s.contentless() {
		return s.writeHead(nil, true)
	}
	if all := edge.Bytes(res.Body); all != nil {
		s.x.Record.Sent = int64(len(all))
		if res.Trailers.Len() == 0 {
			return s.writeHead(all, true)
		}
		if err := s.writeHead(all, false); err != nil {
			return err
		}
		return s.writeTrailers()
	}
	if err := s.writeHead(nil, false); err != nil {
		return err
	}
	return s.copy()
}

var copyBuffers = sync.Pool{New: func() any { return new([maxFrame]byte) }}

// copy sends the response's content as it can be read.
func (s *stream) copy() error {
	x := &s.x
	res := &x.Response
	buf := copyBuffers.Get().(*[maxFrame]byte)
	defer copyBuffers.Put(buf)
	for idle := 0; ; {
		n, err := res.Body.Read(buf[:])
		x.Record.Sent += int64(n)
		if err != nil && err != io.EOF {
			return err
		}
		if res.Length >= 0 && (x.Record.Sent > res.Length || err == io.EOF && x.Record.Sent < res.Length) {
			return errLength
		}
		last := err == io.EOF && res.Trailers.Len() == 0
		if werr := s.writeData(buf[:n], last); werr != nil {
			return werr
		}
		if err == io.EOF {
			if !last {
				return s.writeTrailers()
			}
			return nil
		}
		if n > 0 {
			idle = 0
		} else if idle++; idle > 100 {
			return io.ErrNoProgress
		}
		// Nothing more is at hand. The holder of the reading role flushes when it
		// has nothing to read, or when the body calls Block.
		if n < len(buf) && s.c.turn.Load() != s.turn {
			s.c.flush()
		}
	}
}

// space waits until n bytes may be appended to out. c.mu is held.
func (s *stream) space(n int) error {
	c := s.c
	for times := 0; ; {
		switch {
		case s.gone != nil:
			return s.gone
		case len(c.out)+n <= largeBuffer || len(c.out) == 0:
			return nil
		case !c.flushing:
			c.mu.Unlock()
			if s.moved > 0 { // a large delivery: others shall not wait for it
				c.yield(s.turn)
			}
			c.flush()
			c.mu.Lock()
		case len(c.out)+n <= c.cfg.Waiting:
			return nil
		default:
			s.waitFlush(&times)
		}
	}
}

// waitFlush waits until the flusher has written. c.mu is held.
func (s *stream) waitFlush(times *int) {
	if *times++; *times > 1 {
		s.c.flushed.Wait()
		return
	}
	s.c.mu.Unlock()
	s.Block()
	s.c.mu.Lock()
}

// writeHead sends the final head, and content that is at hand.
func (s *stream) writeHead(content []byte, end bool) error {
	c, res := s.c, &s.x.Response
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.space(headEstimate + min(len(content), maxFrame)); err != nil {
		return err
	}
	s.head = true // no interim response after this
	start := s.beginFields()
	c.out = c.enc.status(c.out, res.Status)
	c.out = c.enc.fields(c.out, &res.Fields)
	if n := res.Length; n > 0 || n == 0 && res.Status != 204 && res.Status != 304 {
		if res.Status != 204 { // RFC 9110, section 8.6
			c.out = c.enc.length(c.out, n)
		}
	}
	c.out = finishHeaders(c.out, start, s.id, end && len(content) == 0)
	if len(content) == 0 {
		return nil
	}
	return s.appendContent(content, end)
}

// headEstimate is about what a head takes in out; one that is longer makes out
// grow.
const headEstimate = 512

// beginFields begins a field section, behind the room for its frame's head. c.mu
// is held.
func (s *stream) beginFields() (start int) {
	c := s.c
	c.out = c.take(c.out)
	start = len(c.out)
	c.out = append(c.out, make([]byte, frameHead)...)
	c.out = c.enc.begin(c.out)
	return start
}

func (s *stream) writeTrailers() error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.space(headEstimate); err != nil {
		return err
	}
	start := s.beginFields()
	c.out = c.enc.fields(c.out, &s.x.Response.Trailers)
	if len(c.out) == start+frameHead { // nothing is left of them
		c.out = appendData(c.out[:start], s.id, nil, true)
		return nil
	}
	c.out = finishHeaders(c.out, start, s.id, true)
	return nil
}

// Inform implements edge.Engine.
func (s *stream) Inform(status int, f *edge.Fields) error {
	if status < 102 || status > 199 {
		return errStatus
	}
	c := s.c
	c.mu.Lock()
	if err := s.space(headEstimate); err != nil {
		c.mu.Unlock()
		return err
	}
	if !s.head {
		s.interim(status, f)
	}
	c.mu.Unlock()
	c.flush()
	return nil
}

// interim appends a 1xx head. c.mu is held.
func (s *stream) interim(status int, f *edge.Fields) {
	c := s.c
	start := s.beginFields()
	c.out = c.enc.status(c.out, status)
	if f != nil {
		c.out = c.enc.fields(c.out, f)
	}
	c.out = finishHeaders(c.out, start, s.id, false)
}

// writeData sends content.
func (s *stream) writeData(p []byte, end bool) error {
	if len(p) == 0 && !end {
		return nil
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.appendContent(p, end)
}

// allowed returns how many of n bytes may be sent now (RFC 9113, section 6.9).
// c.mu is held.
func (s *stream) allowed(n int) int64 {
	return max(0, min(int64(n), s.c.window, s.window, maxFrame))
}

// appendContent appends content as the windows allow, waiting for them, and for
// the flusher, if it has to. c.mu is held.
func (s *stream) appendContent(p []byte, end bool) error {
	c := s.c
	for times := 0; ; {
		n := s.allowed(len(p))
		if err := s.space(int(n) + frameHead); err != nil {
			return err
		}
		n = min(n, s.allowed(len(p))) // the windows may have shrunk in space, which waits
		if n == 0 && len(p) > 0 {
			s.wait(&times, &s.waits)
			continue
		}
		times = 0
		last := n == int64(len(p))
		c.out = appendData(c.take(c.out), s.id, p[:n], end && last)
		c.window -= n
		s.window -= n
		s.moved++
		if p = p[n:]; last {
			return nil
		}
	}
}
