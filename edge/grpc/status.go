package grpc

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// Code is what a call has come to:
// https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
type Code uint32

// The codes that do not only servers give.
const (
	OK                Code = 0
	Cancelled         Code = 1
	Unknown           Code = 2
	DeadlineExceeded  Code = 4
	PermissionDenied  Code = 7
	ResourceExhausted Code = 8
	Unimplemented     Code = 12
	Internal          Code = 13
	Unavailable       Code = 14
	Unauthenticated   Code = 16
)

// Status is how a call has ended.
type Status struct {
	Code     Code
	Message  string
	Trailers edge.Fields // the trailing metadata; none if the server has not ended the call
}

// The fields of a status.
const (
	statusField  = "grpc-status"
	messageField = "grpc-message"
)

// statusOf reads the status that trailers have.
func statusOf(trailers edge.Fields) Status {
	value, ok := trailers.Lookup(statusField)
	if !ok {
		return Status{Code: Unknown, Message: "the server has sent no status", Trailers: trailers}
	}
	code, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return Status{Code: Unknown, Message: "the server has sent a status that is no number", Trailers: trailers}
	}
	return Status{Code: Code(code), Message: decodeMessage(trailers.Get(messageField)), Trailers: trailers}
}

// CodeOf returns what a status of HTTP stands for where there is none of gRPC:
// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
func CodeOf(status int) Code {
	switch status {
	case http.StatusBadRequest:
		return Internal
	case http.StatusUnauthorized:
		return Unauthenticated
	case http.StatusForbidden:
		return PermissionDenied
	case http.StatusNotFound:
		return Unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Unavailable
	}
	return Unknown
}

// failure returns the status of a call that has ended by an error.
func failure(err error) Status {
	s := Status{Code: Unavailable, Message: err.Error()}
	if r, ok := errors.AsType[reset](err); ok {
		s.Code = r.status()
		return s
	}
	switch e := edge.AsError(err); {
	case errors.Is(err, context.DeadlineExceeded):
		s.Code = DeadlineExceeded
	case errors.Is(err, context.Canceled), e.Kind == edge.ClientGone:
		s.Code = Cancelled
	case e.Kind == edge.InternalError, e.Kind == edge.LoopDetected:
		s.Code = Internal
	}
	return s
}

// reset is an error of a stream that the server has ended (RFC 9113, section 6.4): that of
// net/http makes itself one.
type reset struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (r reset) Error() string {
	return "the server has ended the stream with the code " + strconv.Itoa(int(r.Code))
}

// status returns what a code of RFC 9113, section 7, stands for:
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
func (r reset) status() Code {
	switch r.Code {
	case 0x7: // REFUSED_STREAM
		return Unavailable
	case 0x8: // CANCEL
		return Cancelled
	case 0xb: // ENHANCE_YOUR_CALM
		return ResourceExhausted
	case 0xc: // INADEQUATE_SECURITY
		return PermissionDenied
	}
	return Internal
}

const hexadecimal = "0123456789ABCDEF"

// EncodeMessage returns a message as a field has it: percent-encoded, but for what is
// printable in ASCII.
func EncodeMessage(m string) string {
	plain := func(c byte) bool { return c >= ' ' && c <= '~' && c != '%' }
	var b strings.Builder
	for i := range len(m) {
		if c := m[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexadecimal[c>>4], hexadecimal[c&15]})
		}
	}
	return b.String()
}

// decodeMessage is the other way. What is no encoding stays as it is, since no message is
// to be lost.
func decodeMessage(m string) string {
	if !strings.Contains(m, "%") {
		return m
	}
	var b strings.Builder
	for i := 0; i < len(m); i++ {
		if m[i] == '%' && i+2 < len(m) {
			if c, err := strconv.ParseUint(m[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(m[i])
	}
	return b.String()
}
