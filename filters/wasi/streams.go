package wasi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
	"github.com/sluice-edge/sluice/filters/wasm"
)

const (
	piece = 32 << 10              // bytes of content after which it is handed on
	pace  = 10 * time.Millisecond // and time, if something is written then
)

// stdin is the request's content.
type stdin struct {
	body    edge.Body // nil: none
	left    int64     // bytes; -1: not known
	atHand  bool      // no Read waits
	full    bool      // the last Read was not short, so that more may be at hand
	err     error     // what it has ended with; io.EOF: it was whole
	reading atomic.Bool
}

func (s *stdin) start(r *edge.Request) {
	s.body, s.left = r.Body, r.Length
	if s.body == nil {
		s.err = io.EOF
		return
	}
	s.atHand = edge.Bytes(s.body) != nil
}

// read is the command's read of standard input.
func (c *call) read(p []byte) (n int) {
	s := &c.stdin
	if len(p) == 0 {
		return 0
	}
	if s.err == nil && !s.atHand && !s.full && s.left != 0 {
		c.flush() // it may wait
	}
	for idle := 0; n == 0 && s.err == nil; idle++ {
		if idle == 100 {
			s.err = io.ErrNoProgress
			break
		}
		s.reading.Store(true)
		c.in.Wait(func() { n, s.err = s.body.Read(p) })
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

// write takes what the command writes to standard output.
func (c *call) write(p []byte) {
	if c.head == nil {
		if p = c.writeHead(p); c.head == nil {
			return
		}
		c.last = time.Now()
	}
	c.written += int64(len(p))
	if l := c.head.length; l >= 0 && c.written > l && !c.bodiless() {
		panic(wasm.Trap("more is written than the %d bytes of Content-Length", l))
	}
	if c.bodiless() {
		p = nil
	}
	for len(p) > 0 {
		if len(c.buf) == 0 && len(p) >= piece {
			c.handOn(p) // straight from the guest's memory
			return
		}
		if c.buf == nil {
			c.buf = bufpool.Get(piece)[:0]
		}
		n := min(len(p), piece-len(c.buf))
		c.buf, p = append(c.buf, p[:n]...), p[n:]
		if len(c.buf) == piece {
			c.flush()
		}
	}
	if c.written > 0 && time.Since(c.last) >= pace {
		c.flush()
	}
}

// writeHead takes what is written before the head is complete, and returns what
// of it is content.
func (c *call) writeHead(p []byte) []byte {
	limit := c.f.cfg.HeaderBytes
	all, from := p, 0
	if len(c.partial) > 0 {
		from = len(c.partial)
		c.partial = append(c.partial, p[:min(len(p), limit+1-from)]...)
		all = c.partial
	}
	end := endOfHead(all[:min(len(all), limit)], from)
	switch {
	case end >= 0:
		h, err := parseHead(all[:end], true)
		if err != nil {
			panic(wasm.Fail(wasm.Misused, err))
		}
		c.head, c.partial = h, nil
		return p[end-from:]
	case len(all) > limit:
		lines := all[:limit]
		if end := bytes.LastIndexByte(lines, '\n'); end >= 0 {
			lines = lines[:end]
		}
		if _, err := parseHead(lines, false); err != nil {
			panic(wasm.Fail(wasm.Misused, err))
		}
		panic(wasm.Trap("the head has more than %d bytes", limit))
	case from == 0:
		c.partial = append(c.partial, p...)
	}
	return nil
}

// incomplete says what is missing of the output of a command that has ended.
func (c *call) incomplete() error {
	switch {
	case c.head == nil && len(c.partial) == 0:
		return errors.New("there is none")
	case c.head == nil:
		if _, err := parseHead(c.partial, false); err != nil {
			return err
		}
		return errors.New("the head does not end with a blank line")
	case c.head.length >= 0 && c.head.length != c.written && !c.bodiless():
		return fmt.Errorf("%d bytes of content are written, and Content-Length is %d", c.written, c.head.length)
	}
	return nil
}

// sleep is called before the command sleeps.
func (c *call) sleep() {
	c.flush()
	c.x.Block()
}

// flush hands on what there is of the response.
func (c *call) flush() {
	switch {
	case c.head == nil:
	case c.head.status == 204 || c.head.status == 304:
		// The client waits for nothing but the end of the command.
	case len(c.buf) > 0 || !c.handed:
		c.handOn(c.buf)
		c.buf = c.buf[:0]
	}
}

// handOn lets who serves the exchange have p, and goes on when it has been read.
func (c *call) handOn(p []byte) {
	if !c.handed {
		c.environ() // now: who serves the exchange takes back what it has changed of the request
	}
	c.ready, c.handed = p, true
	more := false
	c.in.Wait(func() { more = c.yield(struct{}{}) })
	if !more || c.closed.Load() {
		panic(wasm.Abort(errStopped))
	}
	c.last = time.Now()
}

// Read implements [edge.Body].
func (c *call) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		switch {
		case c.ended && c.err == nil:
			return 0, io.EOF
		case c.ended:
			return 0, c.err
		case c.closed.Load():
			return 0, errStopped
		}
		c.x.Block() // it may compute for long
		c.next()
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	if len(c.ready) == 0 && c.ended && c.err == nil {
		return n, io.EOF
	}
	return n, nil
}

// Bytes implements what [edge.Bytes] looks for.
func (c *call) Bytes() []byte {
	if c.handed || !c.ended || c.err != nil {
		return nil
	}
	return c.buf
}

// Close implements [edge.Body]. The command is stopped, and unwound in the end of
// the exchange.
func (c *call) Close() error {
	if !c.closed.Swap(true) {
		c.in.Stop()
		if c.stdin.reading.Load() {
			c.stdin.body.Close()
		}
	}
	return nil
}
