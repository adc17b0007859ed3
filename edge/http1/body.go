package http1

import (
	"errors"
	"io"
	"os"
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
)

// States of a body. Only the reader leaves open for whole, and only Close for
// closed, by compare-and-swap: so Close never sets a deadline on a connection
// that has gone on to its next message.
const (
	open int32 = iota
	whole
	closed
)

var errBodyClosed = errors.New("read of a closed body")

// body is the content of a message that is being received.
type body struct {
	in       *input
	trailers *edge.Fields // of the message
	received *int64       // counts the bytes read, but for those at hand; nil: nobody counts
	section  section      // of the trailers
	fields   int          // limit of their number
	dropped  int          // trailers with an underscore
	state    atomic.Int32
	left     int64 // of the content, or of the current chunk; -1: until the connection closes
	waste    int64 // bytes of chunk lines beyond what the content excuses
	chunked  bool
	first    bool // no chunk has been read yet
	atHand   int  // where content that was behind the head ends in the buffer; 0: it was not all there
	err      error
}

// start makes b the content of the message whose head in has just read.
func (b *body) start(in *input, fr *framing, trailers *edge.Fields) {
	b.in, b.trailers, b.received, b.err = in, trailers, nil, nil
	b.section, b.fields, b.dropped = fr.section+requestTrailers, fr.max, 0
	b.chunked, b.first, b.left, b.waste = fr.chunked, true, fr.length, 0
	if b.chunked {
		b.left = 0
	}
	b.atHand = 0
	if b.left > 0 && int64(in.w-in.r) >= b.left {
		b.atHand = in.r + int(b.left)
	}
	b.state.Store(open)
}

// none says that the message has no content.
func (b *body) none() {
	b.atHand, b.dropped = 0, 0
	b.state.Store(whole)
}

// Bytes returns the content if all of it was read with the head.
func (b *body) Bytes() []byte {
	if b.atHand != 0 {
		return b.in.buf[b.in.head:b.atHand:b.atHand]
	}
	return nil
}

// finish reports whether the message has been read whole, or was at hand
// anyway. It is for the connection's owner, when nobody reads any more.
func (b *body) finish() bool {
	if b.state.Load() == whole {
		return true
	}
	if b.atHand != 0 {
		b.in.r = b.atHand
		return true
	}
	return false
}

// reopen undoes Close, for the connection's owner, when nobody else reads any
// more. It reports false if nothing good can follow.
func (b *body) reopen() bool {
	if b.err != nil {
		return false
	}
	b.state.Store(open)
	return true
}

func (b *body) Read(p []byte) (n int, err error) {
	switch b.state.Load() {
	case whole:
		return 0, io.EOF
	case closed:
		return 0, errBodyClosed
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err = b.read(p)
	if b.received != nil && b.atHand == 0 {
		*b.received += int64(n)
	}
	if err != nil && err != io.EOF {
		if err != errBodyClosed {
			err = b.in.owner.broken(err)
			b.err = err
		}
	}
	return n, err
}

// read fills p with what is at hand, and waits only while it has nothing.
func (b *body) read(p []byte) (n int, err error) {
	for n < len(p) {
		if b.left == 0 {
			more, err := b.next()
			switch {
			case err != nil || !more && n > 0:
				return n, err
			case !more:
				if err := b.wait(nil, nil); err != nil {
					return 0, err
				}
				continue
			}
		}
		if have := b.in.w - b.in.r; have > 0 {
			m := copy(b.clip(p[n:]), b.in.buf[b.in.r:b.in.w])
			b.in.r += m
			b.took(&n, m)
			continue
		}
		if n > 0 {
			return n, nil
		}
		// A chunk that is about to end comes through the buffer, and the next
		// chunk's line with it; more than that goes past the buffer.
		past := p
		if b.chunked && b.left < minBuffer/2 {
			past = nil
		}
		if err := b.wait(past, &n); err != nil {
			return 0, err
		}
		if !b.chunked {
			break
		}
	}
	if b.left == 0 && n > 0 { // say at once that these were the last bytes
		_, err = b.next()
	}
	return n, err
}

func (b *body) clip(p []byte) []byte {
	if b.left >= 0 && int64(len(p)) > b.left {
		return p[:b.left]
	}
	return p
}

func (b *body) took(n *int, m int) {
	*n += m
	if b.left > 0 {
		b.left -= int64(m)
	}
}

// wait tells the owner, and then reads: into p, or into the buffer if p is nil.
func (b *body) wait(p []byte, n *int) error {
	if err := b.in.owner.waits(); err != nil {
		return err
	}
	if b.state.Load() == closed { // waits may have moved the deadline that Close had set
		return errBodyClosed
	}
	var err error
	if p == nil {
		err = b.in.fill()
	} else {
		var m int
		m, err = b.in.read(b.clip(p))
		b.took(n, m)
	}
	switch {
	case err == nil:
		return nil
	case err == io.EOF && b.left < 0:
		return b.end()
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	case errors.Is(err, os.ErrDeadlineExceeded) && b.state.Load() == closed:
		return errBodyClosed
	}
	return err
}

// end makes the content whole and returns io.EOF, unless Close was earlier.
func (b *body) end() error {
	if !b.state.CompareAndSwap(open, whole) {
		return errBodyClosed
	}
	b.in.owner.complete()
	return io.EOF
}

// next goes on to the next chunk; more is false if its line has not come yet.
func (b *body) next() (more bool, err error) {
	if !b.chunked {
		return false, b.end()
	}
	in := b.in
	mark := in.r
	if !b.first { // the CRLF behind the last chunk
		if have := in.buf[in.r:in.w]; len(have) < 2 {
			if len(have) == 1 && have[0] != '\r' {
				return false, errChunkEnd
			}
			return false, nil
		} else if have[0] != '\r' || have[1] != '\n' {
			return false, errChunkEnd
		}
		in.r += 2
	}
	line, ok, err := in.line()
	if err != nil {
		return false, err
	}
	if !ok {
		in.r = mark
		return false, nil
	}
	size, err := chunkSize(line)
	if err != nil {
		return false, err
	}
	if size == 0 {
		ok, err := b.trailer()
		if err == nil && ok {
			err = b.end()
		} else if !ok {
			in.r = mark
		}
		return false, err
	}
	// Long lines around little content would keep us busy for nothing.
	b.waste = max(0, b.waste+int64(len(line))-16-2*size)
	if b.waste > maxWaste {
		return false, errChunkWaste
	}
	b.first, b.left = false, size
	return true, nil
}

// maxWaste bounds the bytes of a body's chunk lines that neither sixteen a chunk
// nor twice its content excuse.
const maxWaste = 16 << 10

// trailer parses the trailer section once all of it is in the buffer, where
// nothing overwrites it: the next read is that of the next message.
func (b *body) trailer() (ok bool, err error) {
	start := b.in.r
	for {
		line, ok, err := b.in.line()
		if err != nil {
			return false, err
		}
		if b.in.r-start > b.in.room+2 {
			return false, errChunkLine
		}
		if !ok {
			return false, nil
		}
		if len(line) == 0 {
			break
		}
	}
	fr := framing{section: b.section, max: b.fields}
	err = fr.parse(b.in.buf[start:b.in.r-2], b.trailers)
	b.dropped = fr.dropped
	return err == nil, err
}

// chunkSize reads the size line of a chunk. Extensions are ignored, as RFC 9112,
// section 7.1.1, has it.
func chunkSize(line []byte) (int64, error) {
	n, i := int64(0), 0
	for ; i < len(line); i++ {
		digit := hexDigit(line[i])
		if digit < 0 {
			break
		}
		if i == 15 {
			return 0, errChunkSize // it would not fit; leading zeros are no use either
		}
		n = n<<4 | int64(digit)
	}
	if i == 0 {
		return 0, errChunkSize
	}
	rest := line[i:]
	if !all(rest, &values) {
		return 0, errChunkExt
	}
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		rest = rest[1:] // bad whitespace, which is allowed before the semicolon alone
	}
	if len(rest) > 0 && rest[0] != ';' || len(rest) == 0 && i < len(line) {
		return 0, errChunkSize
	}
	return n, nil
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// Close ends a Read that waits. What has not been read stays in the connection,
// whose owner decides what becomes of it.
func (b *body) Close() error {
	if b.state.CompareAndSwap(open, closed) && b.atHand == 0 {
		b.in.src.SetReadDeadline(past)
	}
	return nil
}
