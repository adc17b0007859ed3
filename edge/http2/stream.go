package http2

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"golang.org/x/net/http2"

	"github.com/sluice-edge/sluice/edge"
)

// stream is one request and its response: the Engine of its exchange, and the
// Body of its request. Streams are reused.
type stream struct {
	c       *conn
	id      uint32
	turn    uint64 // in which it is served inline; void once the role has been given away
	x       edge.Exchange
	text    []byte      // arena of the head's strings
	refused *edge.Error // what the engine answers by itself; nil: the handler does

	// The following fields are guarded by c.mu.
	cond     sync.Cond
	window   int64  // what we may send
	room     int64  // what the client may still send
	consumed int64  // of it, used up since the last WINDOW_UPDATE
	content  []byte // received
	off      int    // of content, read
	received int64
	declared int64       // Content-Length, or -1; Request.Length may be changed by a filter
	trailers edge.Fields // received; Request.Trailers belong to the body's reader
	expect   bool        // 100 is owed
	head     bool        // the final head has been written
	ended    bool        // all of the request has been received
	closed   bool        // the body has been
	late     bool        // the client has stalled while the request was read
	gone     error       // the stream is over before its time
	quit     bool        // RST_STREAM has been sent
	waits    int         // goroutines that wait for the client to open a window
	reads    int         // goroutines that wait for content
	moved    uint64      // DATA frames
	standing progress    // of moved, or received
}

// drop gives back a stream that was never opened.
func (s *stream) drop(pool *sync.Pool) {
	s.x.End()
	s.recycle(pool)
}

const (
	keptText    = 16 << 10 // bytes of memory that a stream keeps for the next
	keptContent = 64 << 10
)

// recycle gives the stream back. Its exchange has ended, and nobody else knows of
// it any more.
func (s *stream) recycle(pool *sync.Pool) {
	edge.Poison(s.text)
	edge.Poison(s.content)
	s.text, s.content = s.text[:0], s.content[:0]
	if cap(s.text) > keptText {
		s.text = nil
	}
	if cap(s.content) > keptContent {
		s.content = nil
	}
	s.c, s.id, s.turn, s.refused = nil, 0, 0, nil
	s.consumed, s.off, s.received, s.moved = 0, 0, 0, 0
	s.trailers = edge.Fields{}
	s.expect, s.head, s.ended, s.closed, s.late, s.quit = false, false, false, false, false, false
	s.gone = nil
	s.waits, s.reads = 0, 0
	s.standing = progress{}
	pool.Put(s)
}

// serve runs the exchange from its head to its end.
func (s *stream) serve() {
	x, c := &s.x, s.c
	if err := s.handle(); err != nil {
		x.Answer(err)
	}
	s.checkResponse()
	if err := s.tryDeliver(); err != nil && x.Record.Err == nil {
		x.Record.Err = err
		x.Record.Why = edge.AsError(err).Kind.Why()
	}
	if b := x.Response.Body; b != nil {
		b.Close()
	}
	s.leave()
	if s.end() {
		if unread := int64(len(s.content) - s.off); unread > 0 {
			c.mu.Lock()
			c.use(unread)
			c.mu.Unlock()
		}
		if c.turn.Load() != s.turn {
			c.flush()
		}
		s.recycle(&c.s.streams)
	} else {
		c.flush()
	}
	c.release()
}

// handle runs the handler, whose panic is an error.
func (s *stream) handle() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.panicked("serve", v)
		}
	}()
	s.x.Parsed()
	if s.refused != nil {
		edge.Refuse(s.c.s.handler, &s.x, s.refused)
		return nil
	}
	return s.c.s.handler.Serve(&s.x)
}

func (s *stream) panicked(op string, v any) error {
	s.c.s.log.Error("panic", "op", op, "panic", fmt.Sprint(v), slog.String("stack", string(debug.Stack())))
	return &edge.Error{Kind: edge.InternalError, Op: op, Err: fmt.Errorf("panic: %v", v)}
}

// leave takes the stream out of the connection: from here on nobody cancels the
// exchange, and no frame finds it.
func (s *stream) leave() {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.gone == nil && c.resets > 0 {
		c.resets--
	}
	if s.gone == nil && !s.ended { // RFC 9113, section 8.1: the rest is not wanted
		r := remnant{id: s.id, answered: true, declared: s.declared, received: s.received, window: s.window}
		if s.room < maxFrame { // the client may be waiting for its window
			c.decline(&r)
		}
		c.remember(r)
	}
	delete(c.streams, s.id)
	s.closed = true // ends the Read of a pump
	if s.reads > 0 {
		s.cond.Broadcast()
	}
	if len(c.streams) == 0 && c.draining == drainNamed {
		c.leave()
	}
}

// end runs the enders. If one panics the stream is not used again.
func (s *stream) end() (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked("end the exchange", v)
		}
	}()
	s.x.End()
	return true
}

// fail ends the exchange before its time. c.mu is held, which keeps the stream
// from being taken for another exchange meanwhile.
func (s *stream) fail(err error) {
	if s.gone != nil {
		return
	}
	if e, ok := errors.AsType[*edge.Error](err); ok {
		s.gone = e
	} else {
		s.gone = &edge.Error{Kind: edge.ClientGone, Op: "serve the stream", Err: err}
	}
	s.cond.Broadcast()
	s.c.flushed.Broadcast()
	s.x.Cancel(s.gone)
}

// stop resets the stream. c.mu is held.
func (s *stream) stop(code http2.ErrCode, err error) {
	if !s.quit {
		s.quit = true
		s.c.reset(s.id, code)
	}
	s.fail(err)
}

// wait waits, with c.mu held, until something has changed for the stream; waiters
// is the count that says so to those who change it. The first time in a wait it
// gives the role away and flushes instead, and what is waited for is looked at
// again.
func (s *stream) wait(times *int, waiters *int) {
	if *times++; *times > 1 {
		*waiters++
		s.cond.Wait()
		*waiters--
		return
	}
	s.c.mu.Unlock()
	s.Block()
	s.c.mu.Lock()
}

// Block implements edge.Engine.
func (s *stream) Block() {
	s.c.yield(s.turn)
	s.c.flush()
}

// endContent marks the request as received, if it is as long as it said. c.mu is
// held.
func (s *stream) endContent() error {
	if s.declared >= 0 && s.declared != s.received { // RFC 9113, section 8.1.1
		return streamFault(s.id, http2.ErrCodeProtocol, "less content than Content-Length")
	}
	s.ended = true
	s.cond.Broadcast()
	return nil
}
