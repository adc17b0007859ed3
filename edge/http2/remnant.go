package http2

import (
	"math"

	"golang.org/x/net/http2"
)

// remnant is what is left of a stream that has ended on our side before the client
// had ended it on its own. The client may go on sending until it sees that, and is
// not to be blamed for it (RFC 9113, section 5.1); but if we have merely answered
// early, its request must still be well-formed.
type remnant struct {
	id       uint32 // 0: none
	answered bool   // we have answered early: the rest of the request is checked
	reset    bool   // RST_STREAM has been sent
	declared int64  // Content-Length, or -1
	received int64
	window   int64 // what we could still send
}

// remember keeps r for as long as there is room. c.mu is held.
func (c *conn) remember(r remnant) {
	at := &c.remnants[c.nRemnants%len(c.remnants)]
	c.nRemnants++
	c.decline(at)
	*at = r
}

// decline asks the client not to send what is left of its request (RFC 9113,
// section 8.1). That is put off until it sends more, or cannot: mostly, what was
// on its way is the end. c.mu is held.
func (c *conn) decline(r *remnant) {
	if r.id != 0 && !r.reset {
		r.reset = true
		c.out = appendReset(c.take(c.out), r.id, http2.ErrCodeNo)
	}
}

// reset ends a stream because of an error. c.mu is held.
func (c *conn) reset(id uint32, code http2.ErrCode) {
	c.out = appendReset(c.take(c.out), id, code)
	c.remember(remnant{id: id, reset: true})
}

// remnant returns what is left of a closed stream, or nil: it has ended as it
// should have, or long ago. c.mu is held.
func (c *conn) remnant(id uint32) *remnant {
	for i := range c.remnants {
		if c.remnants[i].id == id {
			return &c.remnants[i]
		}
	}
	return nil
}

// late takes content in that has come too late. c.mu is held.
func (c *conn) late(id uint32, n int, end bool) error {
	r := c.remnant(id)
	switch {
	case r == nil:
		return streamFault(id, http2.ErrCodeStreamClosed, "DATA on a closed stream")
	case !r.answered:
		return nil
	}
	r.received += int64(n)
	if r.declared >= 0 && (r.received > r.declared || end && r.received < r.declared) {
		return streamFault(id, http2.ErrCodeProtocol, "content is not as long as Content-Length")
	}
	if end {
		r.id = 0
	} else {
		c.decline(r)
	}
	return nil
}

func (r *remnant) windowUpdate(id uint32, n int64) error {
	if r == nil || !r.answered {
		return nil
	}
	if n == 0 {
		return streamFault(id, http2.ErrCodeProtocol, "WINDOW_UPDATE of nothing")
	}
	if r.window += n; r.window > maxWindow {
		r.window = math.MinInt64 // once is enough
		return streamFault(id, http2.ErrCodeFlowControl, "the stream's window overflows")
	}
	return nil
}
