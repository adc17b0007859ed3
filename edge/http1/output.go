package http1

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
)

// output is the writing side of a message: buf[start:end] waits to be written.
// It stays where it is when it is flushed, since a body may be reading into the
// room behind end while it calls Block, which flushes.
type output struct {
	dst        io.Writer
	vectors    bool // dst has a writev
	buf        []byte
	start, end int
	vec        [2][]byte
	bufs       net.Buffers
	wrote      int64         // bytes of this message that were written
	turn       atomic.Uint32 // odd while a write waits; the sweep compares it
}

func (o *output) write(p []byte) error {
	o.turn.Add(1)
	n, err := o.dst.Write(p)
	o.turn.Add(1)
	o.wrote += int64(n)
	return err
}

func (o *output) flush() error {
	if o.start == o.end {
		return nil
	}
	p := o.buf[o.start:o.end]
	o.start = o.end
	return o.write(p)
}

// space returns the free part of the buffer, flushing if it is small.
func (o *output) space() ([]byte, error) {
	if len(o.buf)-o.end < len(o.buf)/4 {
		if err := o.flush(); err != nil {
			return nil, err
		}
	}
	if o.start == o.end {
		o.start, o.end = 0, 0
	}
	return o.buf[o.end:], nil
}

// set puts b, which was appended to the buffer, at its end.
func (o *output) set(b []byte) {
	o.buf, o.start, o.end, o.wrote = b[:cap(b)], 0, len(b), 0
}

// copied is how much content goes into the buffer behind the head rather than
// beside it: copying that much costs less than a second element of a writev.
const copied = 4 << 10

// whole writes what waits together with content: one write, or one writev.
func (o *output) whole(content []byte) error {
	if len(content) <= min(copied, len(o.buf)-o.end) {
		o.end += copy(o.buf[o.end:], content)
		return o.flush()
	}
	if !o.vectors {
		n := copy(o.buf[o.end:], content)
		o.end += n
		if err := o.flush(); err != nil {
			return err
		}
		return o.write(content[n:])
	}
	o.vec = [2][]byte{o.buf[o.start:o.end], content}
	o.bufs = o.vec[:]
	o.start = o.end
	o.turn.Add(1)
	n, err := o.bufs.WriteTo(o.dst)
	o.turn.Add(1)
	o.wrote += n
	o.vec = [2][]byte{}
	return err
}

// sent is how copying a body ended: read is the reader's fault, write the
// writer's.
type sent struct {
	n           int64
	read, write error
}

// body writes content, chunked or length bytes of it, and flushes.
// Whoever calls it decides when the trailers are valid.
func (o *output) body(b edge.Body, length int64, chunked bool, trailers *edge.Fields) (s sent) {
	for {
		p, err := o.space()
		if err != nil {
			s.write = err
			return s
		}
		data := p
		if chunked {
			data = p[chunkHead : len(p)-2]
		}
		n, err := b.Read(data)
		short := n < len(data) // nothing more is ready, so the peer gets what there is
		s.n += int64(n)
		if length >= 0 && s.n > length {
			s.n -= int64(n)
			s.read = errTooMuch
			return s
		}
		if chunked && n > 0 {
			putChunkHead(p, n)
			p[chunkHead+n], p[chunkHead+n+1] = '\r', '\n'
			n += chunkHead + 2
		}
		o.end += n
		switch {
		case err == io.EOF && s.n < length:
			s.read = errTooLittle
			return s
		case err == io.EOF:
			if chunked {
				o.lastChunk(trailers)
			}
			s.write = o.flush()
			return s
		case err != nil:
			s.read = err
			return s
		case short:
			if s.write = o.flush(); s.write != nil {
				return s
			}
		}
	}
}

var (
	errTooMuch   = &edge.Error{Kind: edge.InternalError, Op: "copy content: more came than its Length"}
	errTooLittle = &edge.Error{Kind: edge.InternalError, Op: "copy content: less came than its Length"}
)

func (o *output) lastChunk(trailers *edge.Fields) {
	tail := append(o.buf[:o.end], "0\r\n"...)
	tail = append(appendTrailers(tail, trailers), "\r\n"...)
	o.buf, o.end = tail[:cap(tail)], len(tail)
}

// chunkHead is the room for the size line of a chunk: four digits are enough
// for what fits a buffer, and leading zeros are allowed (RFC 9112, section 7.1).
const chunkHead = 6

func putChunkHead(b []byte, n int) {
	const digits = "0123456789abcdef"
	b[0], b[1], b[2], b[3] = digits[n>>12&15], digits[n>>8&15], digits[n>>4&15], digits[n&15]
	b[4], b[5] = '\r', '\n'
}

// statusLines holds "HTTP/1.1 200 OK\r\n" and its like from 100 to 999.
var statusLines = func() (lines [900]string) {
	for i := range lines {
		lines[i] = "HTTP/1.1 " + strconv.Itoa(100+i) + " " + http.StatusText(100+i) + "\r\n"
	}
	return lines
}()

func appendStatus(b []byte, status int) []byte { return append(b, statusLines[status-100]...) }

// appendFields appends the lines of f, but for those that say how a message is
// framed or belong to the connection, which are the engine's. It reports false
// if a name is not a token or a value holds CR, LF or NUL: whoever put that there
// must not get to write a head of his own.
func appendFields(b []byte, f *edge.Fields) ([]byte, bool) {
	start, lines := len(b), 0
	for i := range f.Len() {
		l := f.At(i)
		if !token(l.Name) {
			return b, false
		}
		if ours(l.Name) {
			continue
		}
		b = append(b, l.Name...)
		b = append(b, ": "...)
		b = append(b, l.Value...)
		b = append(b, "\r\n"...)
		lines++
	}
	return b, clean(b[start:], lines)
}

var newline, cr = []byte{'\n'}, []byte{'\r'}

// clean reports whether block holds n lines and no NUL. Counting all of it is
// several times faster than looking at each value.
func clean(block []byte, n int) bool {
	return bytes.Count(block, newline) == n && bytes.Count(block, cr) == n && bytes.IndexByte(block, 0) < 0
}

// appendTrailers is appendFields for what comes behind content, when it is too
// late to refuse: lines that may not stand are left out.
func appendTrailers(b []byte, f *edge.Fields) []byte {
	for name, value := range f.All() {
		if token(name) && !ours(name) && !strings.ContainsAny(value, "\r\n\x00") {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	return b
}

// ours reports whether the field of that name is the engine's to write.
func ours(name string) bool { return edge.ConnectionField(name) || edge.EqualFold(name, "Expect") }
