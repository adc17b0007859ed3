package http1

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
)

// owner is the connection that a message is received on.
type owner interface {
	enlarge(size int)       // makes the input's buffer larger, with what it holds
	waits() error           // a Read of the body is about to wait for the peer
	broken(err error) error // gives the error of a Read of the body its kind
	complete()              // the body has been read whole
}

// minBuffer is the size of the buffer that a request is read into at first, in
// bytes; a response that is written has twice that.
const minBuffer = 8 << 10

// input is the reading side of a connection. buf[:head] is the head of the
// current message, untouched until next, since strings alias it; buf[r:w] is
// what has been read beyond. Behind the head there is room for the lines of a
// chunked body.
type input struct {
	src        net.Conn
	owner      owner
	buf        []byte
	head, r, w int
	limit      int           // of a head, in bytes
	room       int           // of a trailer section or chunk line, in bytes
	turn       atomic.Uint32 // odd while a read waits; the sweep compares it
}

func (in *input) read(p []byte) (int, error) {
	in.turn.Add(1)
	n, err := in.src.Read(p)
	in.turn.Add(1)
	if n > 0 {
		err = nil // comes again
	}
	return n, err
}

// fill reads once, behind the unread bytes.
func (in *input) fill() error {
	if in.r == in.w {
		in.r, in.w = in.head, in.head
	} else if in.w == len(in.buf) {
		if in.r == in.head {
			return errChunkLine
		}
		in.w = in.head + copy(in.buf[in.head:], in.buf[in.r:in.w])
		in.r = in.head
	}
	n, err := in.read(in.buf[in.w:])
	in.w += n
	return err
}

// next drops the current message and makes what follows the start of another.
func (in *input) next() {
	n := copy(in.buf, in.buf[in.r:in.w])
	in.head, in.r, in.w = 0, 0, n
}

var headEnd = []byte("\r\n\r\n")

// readHead returns the next head, with one CRLF at its end and not two. The
// error is io.EOF only if nothing of it has come.
func (in *input) readHead() ([]byte, error) {
	for scanned := 0; ; {
		if i := bytes.Index(in.buf[scanned:in.w], headEnd); i >= 0 {
			end := scanned + i + len(headEnd)
			if end > in.limit {
				return nil, errHeadTooLarge
			}
			if len(in.buf)-end < in.room {
				in.owner.enlarge(end + in.room)
			}
			in.head, in.r = end, end
			return in.buf[: end-2 : end-2], nil
		}
		// RFC 9112, section 2.2: a bare LF might be taken for the end of a line.
		// Such a head may never get an end that we know, so it is looked for here.
		if bareLF(in.buf[:in.w], scanned) {
			return nil, errBareLF
		}
		scanned = max(0, in.w-3)
		if in.w >= in.limit {
			return nil, errHeadTooLarge
		}
		if in.w == len(in.buf) {
			in.owner.enlarge(min(2*len(in.buf), in.limit+in.room))
		}
		n, err := in.read(in.buf[in.w:])
		in.w += n
		if err != nil {
			if err == io.EOF && in.w > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// bareLF reports whether there is an LF without a CR before it in b[from:].
func bareLF(b []byte, from int) bool {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return false
		}
		if from += i; from == 0 || b[from-1] != '\r' {
			return true
		}
		from++
	}
}

// line returns the next line without its CRLF; ok is false if it is not there yet.
func (in *input) line() (line []byte, ok bool, err error) {
	i := bytes.IndexByte(in.buf[in.r:in.w], '\n')
	if i < 0 {
		if in.w-in.r > in.room {
			return nil, false, errChunkLine
		}
		return nil, false, nil
	}
	if i == 0 || in.buf[in.r+i-1] != '\r' {
		return nil, false, errBareLF
	}
	if i > in.room {
		return nil, false, errChunkLine
	}
	line = in.buf[in.r : in.r+i-1]
	in.r += i + 1
	return line, true, nil
}
