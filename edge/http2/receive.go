package http2

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// frame takes the next frame in. It returns the stream to be served if that is a
// request, and whether so much waits to be sent that it must be now.
func (c *conn) frame() (s *stream, full bool, err error) {
	fh, err := c.fr.ReadFrameHeader()
	if err != nil {
		return nil, false, err
	}
	if !c.settled && (fh.Type != http2.FrameSettings || fh.Flags.Has(http2.FlagSettingsAck)) {
		return nil, false, connFault(http2.ErrCodeProtocol, "the first frame is not SETTINGS") // RFC 9113, section 3.4
	}
	id := fh.StreamID
	switch fh.Type {
	case http2.FrameSettings, http2.FramePing, http2.FrameRSTStream, http2.FrameGoAway:
		f, err := c.fr.ReadFrameForHeader(fh)
		if err != nil {
			return nil, false, err
		}
		full, err = c.control(f)
		return nil, full, err
	}

	// The Framer would allocate for these.
	p, err := c.rd.peek(int(fh.Length))
	if err != nil {
		return nil, false, err
	}
	defer c.rd.discard(len(p))
	switch fh.Type {
	case http2.FrameHeaders:
		s, err = c.headers(fh, p)
	case http2.FrameContinuation:
		s, err = c.continuation(fh, p)
	case http2.FrameData:
		err = c.data(fh, p)
	case http2.FrameWindowUpdate:
		err = c.windowUpdate(id, p)
	case http2.FramePriority:
		switch {
		case id == 0:
			err = connFault(http2.ErrCodeProtocol, "PRIORITY without a stream") // RFC 9113, section 6.3
		case len(p) != 5:
			err = streamFault(id, http2.ErrCodeFrameSize, "PRIORITY is not 5 bytes long")
		case binary.BigEndian.Uint32(p)&maxStreamID == id: // RFC 7540, section 5.3.1
			err = streamFault(id, http2.ErrCodeProtocol, "the stream depends on itself")
		default: // the scheme is deprecated: RFC 9113, section 5.3.2
			err = c.nothing()
		}
	case http2.FramePushPromise: // RFC 9113, section 8.4
		err = connFault(http2.ErrCodeProtocol, "PUSH_PROMISE from a client")
	default: // RFC 9113, section 5.5
		err = c.nothing()
	}
	return s, false, err
}

// nothing counts a frame that carries nothing.
func (c *conn) nothing() error {
	if now := c.s.second.Load(); now != c.second {
		c.second, c.empties = now, 0
	}
	if c.empties++; c.empties > c.cfg.Empty {
		return connFault(http2.ErrCodeEnhanceYourCalm, "too many frames that carry nothing")
	}
	return nil
}

// control handles the frames that concern the connection, and RST_STREAM.
func (c *conn) control(f http2.Frame) (full bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return false, nil
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if f.IsAck() {
			if f.Data == drainPing && c.draining == drainAnnounced {
				c.nameLast()
			}
			return false, nil
		}
		c.out = appendPing(c.take(c.out), http2.FlagPingAck, f.Data)
		return c.queue()
	case *http2.RSTStreamFrame:
		return false, c.clientReset(f)
	case *http2.GoAwayFrame: // the client opens no streams any more, or is about to close
		if c.draining == drainNone {
			c.nameLast()
		}
	}
	return false, nil
}

// queue counts a control frame that has been appended to out. They are made as
// fast as the client sends, so that their number is bounded while it does not
// read. c.mu is held.
func (c *conn) queue() (full bool, err error) {
	c.queued++
	if !c.flushing {
		return c.queued > c.cfg.Queued/2, nil
	}
	if c.queued > c.cfg.Queued {
		return false, connFault(http2.ErrCodeEnhanceYourCalm, "the client does not read the answers to its control frames")
	}
	return false, nil
}

// settings takes the client's settings over (RFC 9113, section 6.5). c.mu is held.
func (c *conn) settings(f *http2.SettingsFrame) (full bool, err error) {
	if f.IsAck() {
		return false, c.nothing()
	}
	if !c.settled {
		c.settled = true
		c.nc.SetReadDeadline(noDeadline)
	}
	initial := c.initial
	for i := range f.NumSettings() {
		s := f.Setting(i)
		if err := s.Valid(); err != nil { // RFC 9113, section 6.5.2
			return false, err
		}
		switch s.ID {
		case http2.SettingInitialWindowSize:
			initial = int64(s.Val)
		case http2.SettingHeaderTableSize:
			c.enc.resize(s.Val)
		}
	}
	if initial != c.initial {
		for _, st := range c.streams {
			st.window += initial - c.initial // may become negative: RFC 9113, section 6.9.2
			if st.window > maxWindow {
				return false, connFault(http2.ErrCodeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE overflows a window")
			}
		}
		c.initial = initial
		c.wake()
	}
	c.out = appendSettingsAck(c.take(c.out))
	return c.queue()
}

// clientReset ends a stream that the client does not want any more. c.mu is held.
func (c *conn) clientReset(f *http2.RSTStreamFrame) error {
	s := c.streams[f.StreamID]
	if s == nil {
		if c.isIdle(f.StreamID) {
			return connFault(http2.ErrCodeProtocol, "RST_STREAM on an idle stream")
		}
		if r := c.remnant(f.StreamID); r != nil {
			*r = remnant{}
		}
		return nil
	}
	s.fail(streamFault(f.StreamID, f.ErrCode, "reset by the client"))
	if !s.head {
		return c.spoiled()
	}
	return nil
}

// spoiled counts a stream that the client has made us open in vain. c.mu is held.
func (c *conn) spoiled() error {
	if c.resets++; c.resets > c.cfg.Resets {
		return connFault(http2.ErrCodeEnhanceYourCalm, "too many streams are reset or in error")
	}
	return nil
}

// streamFault resets a stream because of what the client did.
func (c *conn) streamFault(f *fault) error {
	c.log("stream error", "stream", f.stream, "code", f.code.String(), "err", f.why)
	c.s.refused.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return nil
	}
	if s := c.streams[f.stream]; s != nil {
		s.stop(f.code, f)
	} else {
		c.reset(f.stream, f.code)
	}
	if _, err := c.queue(); err != nil {
		return err
	}
	return c.spoiled()
}

// windowUpdate: RFC 9113, section 6.9.
func (c *conn) windowUpdate(id uint32, p []byte) error {
	if len(p) != 4 {
		return connFault(http2.ErrCodeFrameSize, "WINDOW_UPDATE is not 4 bytes long")
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id]
	switch {
	case id == 0 && n == 0:
		return connFault(http2.ErrCodeProtocol, "WINDOW_UPDATE of nothing")
	case id == 0:
		if c.window += n; c.window > maxWindow {
			return connFault(http2.ErrCodeFlowControl, "the connection's window overflows")
		}
		c.wake()
	case c.isIdle(id):
		return connFault(http2.ErrCodeProtocol, "WINDOW_UPDATE on an idle stream")
	case s == nil: // it may have ended meanwhile
		return c.remnant(id).windowUpdate(id, n)
	case n == 0:
		return streamFault(id, http2.ErrCodeProtocol, "WINDOW_UPDATE of nothing")
	default:
		if s.window += n; s.window > maxWindow {
			return streamFault(id, http2.ErrCodeFlowControl, "the stream's window overflows")
		}
		if s.waits > 0 {
			s.cond.Broadcast()
		}
	}
	if n < dribble && c.live.Load() > 0 && (s == nil || s.waits > 0) {
		return c.nothing() // each drop wakes those who wait, and costs them a frame
	}
	return nil
}

// dribble is a window so small that opening it costs more than it is worth.
const dribble = 64

// isIdle reports whether the client has not opened the stream yet (RFC 9113,
// section 5.1). Behind our last GOAWAY it is ignored if it has. c.mu is held.
func (c *conn) isIdle(id uint32) bool { return id > c.last && c.draining != drainNamed }

// unpad returns the payload without its padding (RFC 9113, section 6.1).
func unpad(fh http2.FrameHeader, p []byte) ([]byte, error) {
	if !fh.Flags.Has(http2.FlagDataPadded) { // HEADERS has the same flag
		return p, nil
	}
	if len(p) == 0 {
		return nil, connFault(http2.ErrCodeFrameSize, "no room for the length of the padding")
	}
	n := int(p[0])
	if n >= len(p) {
		return nil, connFault(http2.ErrCodeProtocol, "the padding is longer than the frame")
	}
	return p[1 : len(p)-n], nil
}

// data takes content in.
func (c *conn) data(fh http2.FrameHeader, payload []byte) error {
	id := fh.StreamID
	if id == 0 {
		return connFault(http2.ErrCodeProtocol, "DATA without a stream")
	}
	p, err := unpad(fh, payload)
	if err != nil {
		return err
	}
	n := int64(fh.Length) // with padding: RFC 9113, section 6.9.1
	end := fh.Flags.Has(http2.FlagDataEndStream)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return nil
	}
	if c.room -= n; c.room < 0 {
		return connFault(http2.ErrCodeFlowControl, "more DATA than the connection's window")
	}
	if len(p) == 0 && !end {
		if err := c.nothing(); err != nil {
			return err
		}
	}
	s := c.streams[id]
	if s == nil || s.gone != nil || s.ended || s.closed {
		c.use(n)
	}
	switch {
	case c.isIdle(id):
		return connFault(http2.ErrCodeProtocol, "DATA on an idle stream")
	case id > c.last:
		return nil
	case s == nil:
		return c.late(id, len(p), end)
	case s.ended: // RFC 9113, section 5.1
		return streamFault(id, http2.ErrCodeStreamClosed, "DATA behind the end of the stream")
	case s.gone != nil:
		return nil
	}
	if s.room -= n; s.room < 0 {
		return streamFault(id, http2.ErrCodeFlowControl, "more DATA than the stream's window")
	}
	s.received += int64(len(p))
	if s.declared >= 0 && s.received > s.declared { // RFC 9113, section 8.1.1
		return streamFault(id, http2.ErrCodeProtocol, "more content than Content-Length")
	}
	if !s.closed {
		s.append(p)
		if padding := n - int64(len(p)); padding > 0 {
			c.use(padding)
			s.use(padding)
		}
	}
	if end {
		return s.endContent()
	}
	if s.reads > 0 {
		s.cond.Broadcast()
	}
	return nil
}

// use counts bytes of the client as used up, and lets it send as many again
// when they are worth a frame. c.mu is held.
func (c *conn) use(n int64) {
	if c.consumed += n; c.consumed >= int64(c.cfg.ConnWindow)/4 && c.dead == nil && !c.leaving {
		c.out = appendWindowUpdate(c.take(c.out), 0, c.consumed)
		c.room += c.consumed
		c.consumed = 0
	}
}
