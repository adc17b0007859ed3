package compress

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sluice-edge/sluice/edge/bufpool"
)

// The window is what an encoder looks back at, in bytes: enough for a page, and
// little enough for a thousand streams.
const (
	windowBits = 18
	window     = 1 << windowBits
)

// codec is what the three libraries have in common.
type codec interface {
	Write(p []byte) (int, error)
	Flush() error
	Close() error
	Reset(w io.Writer)
}

// encoder is a codec that writes into memory.
type encoder struct {
	codec  codec
	coding coding
	heavy  bool
	in     int64 // bytes written since it was lent
	sink   sink
}

// The codecs fail only if the sink does, which it cannot.

func (e *encoder) write(p []byte) { e.in += int64(len(p)); must(e.codec.Write(p)) }
func (e *encoder) flush()         { must(0, e.codec.Flush()) }
func (e *encoder) close()         { must(0, e.codec.Close()) }

func must(_ int, err error) {
	if err != nil {
		panic("BUG: encoding into memory: " + err.Error())
	}
}

// encoders lends encoders, and keeps some that are idle.
type encoders struct {
	level int // 0: auto
	idle  int

	mu   sync.Mutex // guards the following field
	free [codings][2][]*encoder
}

// get returns an encoder. A heavy one tries harder: what it makes is kept.
func (p *encoders) get(c coding, heavy bool) *encoder {
	heavy = heavy && p.level == 0
	p.mu.Lock()
	list := &p.free[c][grade(heavy)]
	var e *encoder
	if n := len(*list) - 1; n >= 0 {
		e, (*list)[n] = (*list)[n], nil
		*list = (*list)[:n]
	}
	p.mu.Unlock()
	if e == nil {
		e = &encoder{coding: c, heavy: heavy, codec: newCodec(c, levelOf(c, p.level, heavy))}
	}
	e.codec.Reset(&e.sink)
	return e
}

// put takes an encoder back, whatever state it is in.
func (p *encoders) put(e *encoder) {
	e.sink.release()
	e.in = 0
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := &p.free[e.coding][grade(e.heavy)]; len(*list) < p.idle {
		*list = append(*list, e)
	}
}

func grade(heavy bool) int {
	if heavy {
		return 1
	}
	return 0
}

// levelOf returns the level of a coding in its own scale. The automatic ones are
// where, for HTML, a further step costs more time than it saves bytes.
func levelOf(c coding, level int, heavy bool) int {
	if level == 0 {
		return [codings][2]int{br: {3, 5}, zst: {1, 3}, gz: {4, 6}}[c][grade(heavy)]
	}
	return level // zstd's scale goes on to 22, of which 9 is all that pays here
}

func newCodec(c coding, level int) codec {
	switch c {
	case br:
		return brotli.NewWriterOptions(io.Discard, brotli.WriterOptions{Quality: level, LGWin: windowBits})
	case zst:
		w, err := zstd.NewWriter(io.Discard,
			zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
			zstd.WithEncoderConcurrency(1), // no goroutine
			zstd.WithWindowSize(window),    // RFC 9659: at most 8 MiB
			zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderCRC(false),
			zstd.WithZeroFrames(true)) // a frame even for no content
		must(0, err)
		return w
	default:
		w, err := gzip.NewWriterLevel(io.Discard, level)
		must(0, err)
		return w
	}
}

// sink is the memory that an encoder writes into and that is read from.
type sink struct {
	buf   []byte // of bufpool, or nil
	start int    // read up to here
	seen  int    // of rest: collected up to here
	total int64  // bytes written
}

// Write implements [io.Writer].
func (s *sink) Write(p []byte) (int, error) {
	s.total += int64(len(p))
	if need := len(s.buf) + len(p); need > cap(s.buf) {
		larger := bufpool.Get(max(need, 2*cap(s.buf)))[:0]
		larger = append(larger, s.rest()...)
		bufpool.Put(s.buf)
		s.buf, s.start = larger, 0
	}
	s.buf = append(s.buf, p...)
	return len(p), nil
}

// rest returns what has not been read yet.
func (s *sink) rest() []byte { return s.buf[s.start:] }

func (s *sink) read(p []byte) int {
	n := copy(p, s.rest())
	s.start += n
	s.seen = max(s.seen-n, 0)
	if s.start == len(s.buf) {
		s.buf, s.start = s.buf[:0], 0
	}
	return n
}

func (s *sink) release() {
	bufpool.Put(s.buf)
	*s = sink{}
}
