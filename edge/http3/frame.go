package http3

import (
	"github.com/quic-go/quic-go"
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
	noError quic.ApplicationErrorCode = 0x100 // of a connection

	codeNoError          quic.StreamErrorCode = 0x100
	codeInternalError    quic.StreamErrorCode = 0x102
	codeRequestCancelled quic.StreamErrorCode = 0x10c
	codeMessageError     quic.StreamErrorCode = 0x10e

	frameUnexpected          quic.ApplicationErrorCode = 0x105
	frameError               quic.ApplicationErrorCode = 0x106
	qpackDecompressionFailed quic.ApplicationErrorCode = 0x200
)

// unexpected reports whether frames of type t must not come on a request stream.
func unexpected(t uint64) bool {
	switch t {
	case frameCancelPush, frameSettings, framePushPromise, frameGoAway, frameMaxPushID, framePriority, framePriorityOfPush,
		0x2, 0x6, 0x8, 0x9: // of HTTP/2 (RFC 9114, section 7.2.8)
		return true
	}
	return false
}
