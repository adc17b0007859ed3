// Package http1 is HTTP/1.1 (RFC 9112): the server engine, and the transport
// that forwards exchanges to an endpoint. Each side is one goroutine that blocks
// in reads and writes; a request body that is not at hand adds one more. What
// RFC 9112 calls ambiguous is refused, never repaired.
package http1

import (
	"time"
	"unsafe"
)

// past is a deadline that ends every Read or Write that it meets.
var past = time.Unix(1, 0)

// refusal is why a message is refused. A request is answered with status; a
// response that is refused is a 502 to the client.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

var (
	errBareLF        = &refusal{400, "line ends in a bare LF"}
	errStartLine     = &refusal{400, "malformed start line"}
	errMethodTooLong = &refusal{501, "method is longer than the limit allows"}
	errVersion       = &refusal{505, "version is neither HTTP/1.1 nor HTTP/1.0"}
	errTarget        = &refusal{400, "malformed request target"}
	errTargetTooLong = &refusal{414, "request target is longer than the limit allows"}
	errConnect       = &refusal{501, "CONNECT is not offered"}
	errScheme        = &refusal{421, "target's scheme is not the connection's"}
	errHost          = &refusal{400, "malformed Host"}
	errHosts         = &refusal{400, "not exactly one Host"}
	errHostDiffers   = &refusal{400, "Host differs from the target's authority"}
	errFieldLine     = &refusal{400, "malformed field line"}
	errFieldName     = &refusal{400, "field name is not a token"}
	errFieldValue    = &refusal{400, "control character in a field value"}
	errFold          = &refusal{400, "folded field line"}
	errOptions       = &refusal{400, "too many connection options"}
	errHeadTooLarge  = &refusal{431, "head is larger than the limit allows"}
	errTooManyFields = &refusal{431, "more fields than the limit allows"}
	errLength        = &refusal{400, "invalid Content-Length"}
	errBothLengths   = &refusal{400, "both Content-Length and Transfer-Encoding"}
	errCoding        = &refusal{501, "transfer coding other than chunked"}
	errCodingOrder   = &refusal{400, "chunked is not the last transfer coding, or applied twice"}
	errCodingOld     = &refusal{400, "Transfer-Encoding in HTTP/1.0"}
	errExpectation   = &refusal{417, "expectation other than 100-continue"}
	errChunkSize     = &refusal{400, "invalid chunk size"}
	errChunkExt      = &refusal{400, "control character in a chunk extension"}
	errChunkEnd      = &refusal{400, "chunk is not followed by CRLF"}
	errChunkLine     = &refusal{400, "chunk line or trailer section is longer than the limit allows"}
	errChunkWaste    = &refusal{400, "chunk lines outweigh the content"}
	errTrailer       = &refusal{400, "field that may not be a trailer"}
	errSlowHead      = &refusal{408, "head did not come in time"}
	errStalledBody   = &refusal{408, "content has stalled"}
)

// str aliases b, which stays untouched as long as the string is valid.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// tokens holds the characters of a token (RFC 9110, section 5.6.2).
var tokens = charset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

func charset(chars string) (set [256]bool) {
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}

func all[T string | []byte](s T, set *[256]bool) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

// token reports whether s is a token.
func token[T string | []byte](s T) bool { return len(s) > 0 && all(s, &tokens) }
