package http2

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-edge/sluice/edge"
)

// linger is how long a connection that we close goes on being read, so that the
// client gets what was sent last instead of a reset.
const linger = time.Second

// writeSize is the most that one write takes: the watch sees progress between two.
const writeSize = 64 << 10

var errNoProgress = errors.New("no progress within the time allowed")

// drainState is how far the shutdown of a connection has got.
type drainState uint8

const (
	drainNone      drainState = iota
	drainAnnounced            // GOAWAY with the largest id is sent, and a PING
	drainNamed                // GOAWAY with the last id is sent
)

var noDeadline time.Time

var drainPing = [8]byte{'d', 'r', 'a', 'i', 'n'}

// conn is a client's connection.
type conn struct {
	s      *Server
	cfg    *Config
	nc     net.Conn
	client edge.Client
	over   chan struct{} // closed when the connection and its exchanges have ended

	// turn counts the changes of the reading role. Even: its holder reads.
	// Odd: its holder is busy otherwise, and the role goes to who changes turn
	// first, by compare-and-swap.
	turn atomic.Uint64

	live     atomic.Int32 // streams that have not been given back, and other goroutines
	ended    atomic.Bool  // nobody reads any more
	finished atomic.Bool  // over is closed
	cold     atomic.Bool  // the watch does not look at turn

	// The following fields belong to the watch, under s.mu.
	lastTurn uint64
	quiet    int

	// The following fields belong to the holder while turn is even.
	rd      *reader
	fr      *http2.Framer // reads from rd
	sect    section
	dec     *hpack.Decoder
	next    *stream // of the request that comes next, so that its strings have a place
	settled bool    // the client's first SETTINGS have come
	empties int     // see Config.Empty
	second  uint32  // in which they were counted

	mu        sync.Mutex // guards the following fields and those of the streams
	streams   map[uint32]*stream
	last      uint32 // stream that the client has opened last; only the holder changes it
	dead      error  // why there are no streams any more
	broken    bool   // the socket takes no more
	leaving   bool   // we have said all, and wait for the client to close
	draining  drainState
	window    int64 // what we may send
	initial   int64 // a stream's window at its start
	consumed  int64 // bytes received and used up since the last WINDOW_UPDATE
	room      int64 // what the client may still send
	enc       *encoder
	out       []byte // frames that wait for the flusher
	spare     []byte // of the flusher
	flushing  bool
	flushed   sync.Cond // flushing has become false
	written   uint64    // writes
	queued    int       // control frames in out
	remnants  [32]remnant
	nRemnants int // so far
	resets    int // see Config.Resets
	writing   progress
	idle      progress
}

func newConn(s *Server, nc net.Conn, client edge.Client) *conn {
	cfg := s.config.Load()
	c := &conn{
		s: s, cfg: cfg, nc: nc, client: client, over: make(chan struct{}),
		rd: newReader(nc), streams: make(map[uint32]*stream), enc: newEncoder(),
		window: defaultWindow, initial: defaultWindow, room: int64(cfg.ConnWindow),
	}
	c.flushed.L = &c.mu
	c.fr = http2.NewFramer(nil, c.rd)
	c.fr.SetMaxReadFrameSize(maxFrame)
	c.dec = hpack.NewDecoder(tableSize, c.sect.add)
	// Our preface (RFC 9113, section 3.4) leaves when the client's is there.
	c.out = appendSettings(c.take(nil),
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(cfg.Streams)},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(cfg.StreamWindow)},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: uint32(cfg.HeaderBytes)})
	if more := cfg.ConnWindow - defaultWindow; more > 0 {
		c.out = appendWindowUpdate(c.out, 0, int64(more))
	}
	return c
}

// start reads the client's preface (RFC 9113, section 3.4).
func (c *conn) start() bool {
	c.nc.SetReadDeadline(time.Now().Add(c.cfg.Preface))
	preface, err := c.rd.peek(len(http2.ClientPreface))
	switch {
	case err != nil:
		c.end(err)
		return false
	case string(preface) != http2.ClientPreface:
		c.end(connFault(http2.ErrCodeProtocol, "no HTTP/2 preface"))
		return false
	}
	c.rd.discard(len(http2.ClientPreface))
	return true
}

// read holds the reading role until another takes it or the connection ends.
func (c *conn) read(turn uint64) {
	for {
		if c.rd.buffered() == 0 {
			if c.live.Load() == 0 {
				c.rd.shrink()
			}
			if !c.flushAs(&turn) {
				return
			}
		}
		s, full, err := c.step()
		for s != nil && err == nil && c.more(s) {
			_, _, err = c.step() // content that is at hand already
		}
		if err != nil {
			if s != nil {
				c.discard(s, err)
			}
			c.end(err)
			return
		}
		if full && !c.flushAs(&turn) {
			return
		}
		if s == nil {
			continue
		}
		s.turn = turn + 1
		c.turn.Store(turn + 1)
		s.serve()
		if !c.turn.CompareAndSwap(turn+1, turn+2) {
			c.flush() // the new holder may be waiting for frames already
			return
		}
		turn += 2
	}
}

// step takes the next frame in. An error is of the connection.
func (c *conn) step() (s *stream, full bool, err error) {
	s, full, err = c.frame()
	if err == nil {
		return s, full, nil
	}
	f := asFault(err, c.fr.ErrorDetail())
	switch {
	case f == nil:
		return nil, false, err
	case f.stream == 0:
		return nil, false, f
	}
	return nil, false, c.streamFault(f)
}

// more reports whether the next frame is all buffered and carries content of s,
// which is about to be served: what is at hand can leave with the head.
func (c *conn) more(s *stream) bool {
	if c.rd.buffered() < frameHead {
		return false
	}
	b, _ := c.rd.peek(frameHead)
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	t := http2.FrameType(b[3])
	if binary.BigEndian.Uint32(b[5:]) != s.id || c.rd.buffered() < frameHead+length || t != http2.FrameData && t != http2.FrameHeaders {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.gone == nil && !s.ended
}

// discard ends a stream that will not be served.
func (c *conn) discard(s *stream, err error) {
	c.mu.Lock()
	s.fail(err)
	c.mu.Unlock()
	s.leave()
	s.drop(&c.s.streams)
	c.release()
}

// flushAs is flush for the holder of the reading role, which it may lose.
func (c *conn) flushAs(turn *uint64) (mine bool) {
	c.mu.Lock()
	idle := len(c.out) == 0 || c.flushing
	c.mu.Unlock()
	if idle {
		return true
	}
	c.turn.Store(*turn + 1)
	c.flush()
	if !c.turn.CompareAndSwap(*turn+1, *turn+2) {
		return false
	}
	*turn += 2
	return true
}

// yield gives the role away, on behalf of who has it in an odd turn. Anybody may
// call it: the turn's number makes sure that it happens once.
func (c *conn) yield(turn uint64) {
	if c.turn.CompareAndSwap(turn, turn+1) {
		go c.read(turn + 1)
	}
}

// flush writes what waits, unless somebody else is doing so.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.flushing && len(c.out) > 0 && !c.broken {
		c.flushing = true
		c.out, c.spare, c.queued = c.spare[:0], c.out, 0
		c.mu.Unlock()
		err := c.write()
		c.mu.Lock()
		c.flushing = false
		if err != nil {
			c.kill(err)
		}
		if len(c.out) == 0 { // quiet connections hold no buffers
			c.out, c.spare = c.give(c.out), c.give(c.spare)
		}
		c.flushed.Broadcast()
		c.wake()
	}
}

// write writes spare, which belongs to the flusher.
func (c *conn) write() error {
	for p := c.spare; len(p) > 0; {
		n, err := c.nc.Write(p[:min(len(p), writeSize)])
		if err != nil {
			return err
		}
		p = p[n:]
		if len(p) > 0 {
			c.mu.Lock()
			c.written++
			c.mu.Unlock()
		}
	}
	c.mu.Lock()
	c.written++
	c.mu.Unlock()
	return nil
}

var outBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// take returns b with memory to append to.
func (c *conn) take(b []byte) []byte {
	if cap(b) == 0 {
		return outBuffers.Get().(*[largeBuffer]byte)[:0]
	}
	return b
}

// give takes b's memory back.
func (c *conn) give(b []byte) []byte {
	if cap(b) == largeBuffer {
		outBuffers.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
	return nil
}

// wake tells every stream that waits that something has changed. c.mu is held.
func (c *conn) wake() {
	for _, s := range c.streams {
		if s.waits > 0 {
			s.cond.Broadcast()
		}
	}
}

// kill ends every stream, and the socket. c.mu is held.
func (c *conn) kill(err error) {
	c.broken = true
	c.nc.Close()
	c.fail(err)
}

// fail ends every stream. c.mu is held.
func (c *conn) fail(err error) {
	if c.dead == nil {
		c.dead = err
	}
	for _, s := range c.streams {
		s.fail(err)
	}
}

// end is the last thing that the holder of the reading role does. It tells the
// client what it did wrong, if that is why.
func (c *conn) end(err error) {
	c.mu.Lock()
	if f, ok := errors.AsType[*fault](err); ok && c.dead == nil {
		if f.code == http2.ErrCodeEnhanceYourCalm {
			c.s.floods.Add(1)
		}
		c.out = appendGoAway(c.take(c.out), c.last, f.code, f.why)
		c.fail(err)
		c.leaving = true
		c.nc.SetWriteDeadline(time.Now().Add(linger))
		c.mu.Unlock()
		c.log("connection error", "code", f.code.String(), "err", f.why)
		c.sayBye()
		io.Copy(io.Discard, c.nc)
		c.mu.Lock()
	}
	c.kill(err)
	c.mu.Unlock()
	if c.next != nil {
		c.next.drop(&c.s.streams)
		c.next = nil
	}
	c.ended.Store(true)
	if c.live.Load() == 0 {
		c.finish()
	}
}

// finish lets ServeConn return.
func (c *conn) finish() {
	if c.finished.CompareAndSwap(false, true) {
		close(c.over)
	}
}

// leave closes the connection from our side: everything has been said. c.mu is
// held.
func (c *conn) leave() {
	if c.leaving || c.dead != nil {
		return
	}
	c.leaving = true
	c.nc.SetWriteDeadline(time.Now().Add(linger))
	c.hold()
	go func() {
		c.sayBye()
		c.release()
	}()
}

// sayBye writes what is left, and lets the client see the end. Who holds the
// reading role reads on until the client has closed, or for a moment.
func (c *conn) sayBye() {
	c.flush()
	c.mu.Lock()
	for c.flushing {
		c.flushed.Wait()
	}
	c.mu.Unlock()
	c.nc.SetReadDeadline(time.Now().Add(linger))
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// hold keeps ServeConn from returning until release. It is called by those who
// know that the connection has not ended: c.mu is held and c.dead is nil.
func (c *conn) hold() { c.live.Add(1) }

func (c *conn) release() {
	if c.live.Add(-1) == 0 && c.ended.Load() {
		c.finish()
	}
}

// drain begins a shutdown (RFC 9113, section 6.8).
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining != drainNone || c.dead != nil || c.leaving {
		return
	}
	c.draining = drainAnnounced
	c.out = appendGoAway(c.take(c.out), maxStreamID, http2.ErrCodeNo, "")
	c.out = appendPing(c.out, 0, drainPing)
	c.flushLater()
}

// nameLast tells the client which of its streams will be served. c.mu is held.
func (c *conn) nameLast() {
	c.draining = drainNamed
	c.out = appendGoAway(c.take(c.out), c.last, http2.ErrCodeNo, "")
	if len(c.streams) == 0 {
		c.leave()
	} else {
		c.flushLater()
	}
}

// flushLater flushes for those who must not wait. c.mu is held.
func (c *conn) flushLater() {
	c.hold()
	go func() {
		c.flush()
		c.release()
	}()
}

// log writes about what the client did wrong.
func (c *conn) log(message string, args ...any) {
	c.s.log.With("client", c.client.IP).Debug(message, args...) // a client could fill a log of more
}
