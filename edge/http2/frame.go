package http2

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/http2"
)

const (
	defaultWindow = 1<<16 - 1 // RFC 9113, section 6.9.2
	maxWindow     = 1<<31 - 1 // RFC 9113, section 6.9.1
	maxStreamID   = 1<<31 - 1
	maxFrame      = 16 << 10 // what we accept and send: RFC 9113, section 4.2
	frameHead     = 9
)

// fault is what a client did wrong: an error of the connection, or of one stream
// (RFC 9113, section 5.4).
type fault struct {
	stream uint32 // 0: the connection
	code   http2.ErrCode
	why    string
}

func (f *fault) Error() string {
	if f.stream == 0 {
		return fmt.Sprintf("%s: %s", f.code, f.why)
	}
	return fmt.Sprintf("stream %d: %s: %s", f.stream, f.code, f.why)
}

func connFault(code http2.ErrCode, why string) error { return &fault{0, code, why} }

func streamFault(id uint32, code http2.ErrCode, why string) error { return &fault{id, code, why} }

// asFault returns the fault that err, from the Framer or from us, stands for;
// nil if err is not the client's fault but the end of the connection.
func asFault(err error, detail error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	why := "invalid frame"
	if detail != nil {
		why = detail.Error()
	}
	if code, ok := errors.AsType[http2.ConnectionError](err); ok {
		return &fault{0, http2.ErrCode(code), why}
	}
	if s, ok := errors.AsType[http2.StreamError](err); ok {
		return &fault{s.StreamID, s.Code, why}
	}
	if errors.Is(err, http2.ErrFrameTooLarge) { // RFC 9113, section 4.2
		return &fault{0, http2.ErrCodeFrameSize, "frame is larger than 16384 bytes"}
	}
	return nil
}

// The following append one frame to b.

func appendHead(b []byte, length int, t http2.FrameType, flags http2.Flags, id uint32) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(t), byte(flags),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func appendSettings(b []byte, settings ...http2.Setting) []byte {
	b = appendHead(b, 6*len(settings), http2.FrameSettings, 0, 0)
	for _, s := range settings {
		b = binary.BigEndian.AppendUint16(b, uint16(s.ID))
		b = binary.BigEndian.AppendUint32(b, s.Val)
	}
	return b
}

func appendSettingsAck(b []byte) []byte {
	return appendHead(b, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
}

func appendPing(b []byte, flags http2.Flags, data [8]byte) []byte {
	return append(appendHead(b, 8, http2.FramePing, flags, 0), data[:]...)
}

func appendGoAway(b []byte, last uint32, code http2.ErrCode, why string) []byte {
	b = appendHead(b, 8+len(why), http2.FrameGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	return append(b, why...)
}

func appendReset(b []byte, id uint32, code http2.ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendHead(b, 4, http2.FrameRSTStream, 0, id), uint32(code))
}

func appendWindowUpdate(b []byte, id uint32, n int64) []byte {
	return binary.BigEndian.AppendUint32(appendHead(b, 4, http2.FrameWindowUpdate, 0, id), uint32(n))
}

func appendData(b []byte, id uint32, p []byte, end bool) []byte {
	var flags http2.Flags
	if end {
		flags = http2.FlagDataEndStream
	}
	return append(appendHead(b, len(p), http2.FrameData, flags, id), p...)
}

// finishHeaders makes frames of a field section that has been encoded into
// b[start+frameHead:]: HEADERS, in front of which there is room, and CONTINUATION
// for what is too long for it.
func finishHeaders(b []byte, start int, id uint32, end bool) []byte {
	var flags http2.Flags
	if end {
		flags = http2.FlagHeadersEndStream
	}
	t := http2.FrameHeaders
	for {
		length := len(b) - start - frameHead
		if length <= maxFrame {
			appendHead(b[:start], length, t, flags|http2.FlagHeadersEndHeaders, id)
			return b
		}
		// The rest moves back by the head that goes in front of it.
		appendHead(b[:start], maxFrame, t, flags, id)
		start += frameHead + maxFrame
		b = append(b, make([]byte, frameHead)...)
		copy(b[start+frameHead:], b[start:len(b)-frameHead])
		t, flags = http2.FrameContinuation, 0
	}
}
