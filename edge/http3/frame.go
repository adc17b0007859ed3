package http3

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/sluice-edge/sluice/edge"
)

// Types of frames (RFC 9114, section 7.2, and RFC 9218, section 7).
const (
	frameData           = 0x0
	frameHeaders        = 0x1
	frameCancelPush     = 0x3
	frameSettings       = 0x4
	framePushPromise    = 0x5
	frameGoAway         = 0x7
	frameMaxPushID      = 0xd
	framePriority       = 0xf0700
	framePriorityOfPush = 0xf0701
)

// frameHeader is the most that the type and the length of one of our frames take.
const frameHeader = 1 + 8

// Error codes (RFC 9114, section 8.1, and RFC 9204, section 6).
const (
	noError                  quic.ApplicationErrorCode = 0x100
	frameUnexpected          quic.ApplicationErrorCode = 0x105
	frameError               quic.ApplicationErrorCode = 0x106
	qpackDecompressionFailed quic.ApplicationErrorCode = 0x200

	codeNoError          quic.StreamErrorCode = 0x100
	codeInternalError    quic.StreamErrorCode = 0x102
	codeRequestCancelled quic.StreamErrorCode = 0x10c
	codeMessageError     quic.StreamErrorCode = 0x10e
)

// violation is an error of the client that ends more than the request's content.
type violation struct {
	connection quic.ApplicationErrorCode // 0: a malformed message (RFC 9114, section 4.1.2)
	why        string
}

func (v *violation) Error() string { return v.why }

func malformed(format string, args ...any) error {
	return &violation{0, fmt.Sprintf(format, args...)}
}

// frames reads the frames behind a request's head.
type frames struct {
	r        io.Reader // gives at least a byte, or an error
	limits   *limits
	trailers *edge.Fields // filled by the read that returns io.EOF, or before
	data     uint64       // bytes left of the DATA frame
	content  int64        // bytes left of Content-Length; -1: none was sent
	last     bool         // the trailers have been read
	dropped  uint64       // trailers with an underscore
	one      [1]byte
}

// read reads content. io.EOF says that it is whole.
func (f *frames) read(p []byte) (n int, err error) {
	for f.data == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if uint64(len(p)) > f.data {
		p = p[:f.data]
	}
	n, err = f.r.Read(p)
	f.data -= uint64(n)
	if f.content >= 0 {
		f.content -= int64(n)
	}
	if err == io.EOF && f.data == 0 {
		return n, f.end()
	}
	return n, cutShort(err)
}

// next reads one frame, or the head of one that has content.
func (f *frames) next() error {
	t, err := f.number(true)
	if err == io.EOF {
		return f.end()
	}
	if err != nil {
		return err
	}
	length, err := f.number(false)
	if err != nil {
		return err
	}
	switch t {
	case frameData:
		if f.last { // RFC 9114, section 4.1
			return &violation{frameUnexpected, "DATA frame behind the trailers"}
		}
		if f.content >= 0 && length > uint64(f.content) {
			return malformed("more content than Content-Length says")
		}
		f.data = length
		return nil
	case frameHeaders:
		if f.last {
			return &violation{frameUnexpected, "HEADERS frame behind the trailers"}
		}
		f.last = true
		return f.readTrailers(length)
	case frameCancelPush, frameSettings, framePushPromise, frameGoAway, frameMaxPushID, framePriority, framePriorityOfPush,
		0x2, 0x6, 0x8, 0x9: // those of HTTP/2 that HTTP/3 has not (RFC 9114, section 7.2.8)
		return &violation{frameUnexpected, fmt.Sprintf("frame of type %#x on a request stream", t)}
	}
	return f.skip(length) // RFC 9114, section 9
}

// end is called where the stream ends between two frames.
func (f *frames) end() error {
	if f.content > 0 {
		return malformed("%d bytes less content than Content-Length says", f.content)
	}
	return io.EOF
}

// cutShort is for errors within a frame.
func cutShort(err error) error {
	if err == io.EOF { // RFC 9114, section 7.1
		return &violation{frameError, "the stream ends within a frame"}
	}
	return err
}

// number reads an integer (RFC 9000, section 16). Only a first one may be missing.
func (f *frames) number(first bool) (uint64, error) {
	if n, err := f.r.Read(f.one[:]); n == 0 && first {
		return 0, err
	} else if n == 0 {
		return 0, cutShort(err)
	}
	v := uint64(f.one[0] & 0x3f)
	for range 1<<(f.one[0]>>6) - 1 {
		if n, err := f.r.Read(f.one[:]); n == 0 {
			return 0, cutShort(err)
		}
		v = v<<8 | uint64(f.one[0])
	}
	return v, nil
}

func (f *frames) skip(length uint64) error {
	var buf [512]byte
	for length > 0 {
		n, err := f.r.Read(buf[:min(uint64(len(buf)), length)])
		length -= uint64(n)
		if err != nil && length > 0 {
			return cutShort(err)
		}
	}
	return nil
}

// readTrailers reads the frame that holds the trailers, and publishes them.
func (f *frames) readTrailers(length uint64) error {
	if length > uint64(f.limits.HeaderBytes) {
		return refuse(http.StatusRequestHeaderFieldsTooLarge, "trailers of %d bytes, more than limits.header=%d", length, f.limits.HeaderBytes)
	}
	block := make([]byte, length)
	for read := 0; read < len(block); {
		n, err := f.r.Read(block[read:])
		if read += n; err != nil && read < len(block) {
			return cutShort(err)
		}
	}
	next, size := qpack.NewDecoder().Decode(block), 0
	for {
		line, err := next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &violation{qpackDecompressionFailed, err.Error()}
		}
		// RFC 9114, section 4.3: there are no pseudo-header fields in trailers.
		if !validName(line.Name) || lower(line.Name) != line.Name || !validValue(line.Value) || edge.ConnectionField(line.Name) {
			return malformed("trailer field %q", line.Name)
		}
		if size += len(line.Name) + len(line.Value) + 32; size > f.limits.HeaderBytes || f.trailers.Len() == f.limits.Fields {
			return refuse(http.StatusRequestHeaderFieldsTooLarge, "trailers beyond limits.header=%d or limits.fields=%d", f.limits.HeaderBytes, f.limits.Fields)
		}
		if strings.IndexByte(line.Name, '_') >= 0 {
			f.dropped++
			continue
		}
		f.trailers.Add(line.Name, line.Value)
	}
}

// appendFrame appends the head of a frame.
func appendFrame(b []byte, t byte, length int) []byte {
	return quicvarint.Append(append(b, t), uint64(length))
}
