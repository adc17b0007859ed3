// Package proxy is what a filter or function has of the proxy besides its exchange:
// keys and values that last, requests of its own, metrics, the route, the client, a
// word in the access log. sluice.yaml grants most of it, under allow; a module that
// calls what it is not granted is refused when it is put to use.
//
// In a program that is no module everything fails with [Unavailable].
package proxy

import (
	"strconv"
	"strings"
	"time"
)

// Error is why something was not done.
type Error int32

// The errors.
const (
	None        Error = -1 - iota // there is no such key, value, arm, upstream or function
	Conflict                      // the key has another version
	Denied                        // the name is not granted
	Invalid                       // an argument: a name, a value that is out of range, a handle that is not open
	Limit                         // a bound is reached
	Failed                        // the upstream or the disk has failed; the cause is in the log
	Timeout                       // the fetch has taken too long
	Unavailable                   // there is no request, or it is too late
	Gone                          // the client has gone
)

// Error implements error.
func (e Error) Error() string {
	switch e {
	case None:
		return "there is none"
	case Conflict:
		return "it has another version"
	case Denied:
		return "the name is not granted under allow"
	case Invalid:
		return "an argument is not valid"
	case Limit:
		return "a bound is reached"
	case Failed:
		return "the upstream or the disk has failed"
	case Timeout:
		return "it has taken too long"
	case Unavailable:
		return "it is not to be had here, or not any more"
	case Gone:
		return "the client has gone"
	}
	return "error " + strconv.Itoa(int(e))
}

// check returns the error that a negative result is.
func check[T int32 | int64](n T) (T, error) {
	if n < 0 {
		return 0, Error(n)
	}
	return n, nil
}

// fail returns only the error.
func fail(n int32) error {
	_, err := check(n)
	return err
}

// read returns what a getter has, which says how long it is and writes it if it
// fits.
func read(get func(buf []byte) int32) ([]byte, error) {
	buf := make([]byte, 256)
	for {
		n, err := check(get(buf))
		if err != nil {
			return nil, err
		}
		if int(n) <= len(buf) {
			return buf[:n], nil
		}
		buf = make([]byte, n)
	}
}

// readList is read for texts that end with NUL each, of which a getter returns the
// length in the low half.
func readList(get func(buf []byte) int64) ([]string, error) {
	list, err := read(func(buf []byte) int32 {
		n := get(buf)
		if n < 0 {
			return int32(n)
		}
		return int32(uint32(n))
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return strings.Split(string(list[:len(list)-1]), "\x00"), nil
}

// Field is a name and a value.
type Field struct{ Name, Value string }

// pairs makes a list of names and values.
func pairs(list []Field) string {
	var b strings.Builder
	for _, f := range list {
		b.WriteString(f.Name)
		b.WriteByte(0)
		b.WriteString(f.Value)
		b.WriteByte(0)
	}
	return b.String()
}

// milliseconds is d; 0 has a meaning of its own, so what is shorter than one is one,
// and what is over is negative, which the host refuses.
func milliseconds(d time.Duration) int64 {
	switch {
	case d > 0:
		return max(d.Milliseconds(), 1)
	case d < 0:
		return -1
	}
	return 0
}

// Fact is something about the client and its connection.
type Fact uint32

// The facts.
const (
	Address     Fact = iota // of the client
	Peer                    // address and port that the connection comes from
	Local                   // address and port that it came in on
	Proto                   // version of HTTP
	TLS                     // version of TLS: TLSv1.3
	Cipher                  // suite
	ServerName              // that was asked for (SNI)
	ALPN                    // protocol that was negotiated
	Subject                 // of the client's certificate (RFC 2253), verified or not
	Fingerprint             // SHA-256 of that certificate, in hexadecimal
	RequestID               // id of the request
)

// Client returns a fact about the client, or [None].
func Client(what Fact) (string, error) {
	v, err := read(func(buf []byte) int32 { return clientGet(uint32(what), buf) })
	return string(v), err
}

// Part is a part of the route that serves an exchange.
type Part uint32

// The parts.
const (
	Site Part = iota
	Route
	Arm
	Upstream
	Function
)

// Name returns the name of a part of the route, or [None].
func Name(of Part) (string, error) {
	v, err := read(func(buf []byte) int32 { return routeGet(uint32(of), buf) })
	return string(v), err
}

// Choose has the request served by another Arm of the route's split, Upstream or
// Function of sluice.yaml than the route says. Of a filter, before it lets the
// request go on.
func Choose(what Part, name string) error { return fail(routeChoose(uint32(what), name)) }

// LogField puts a text into the access log's line, under guest.
func LogField(name, value string) error { return fail(logField(name, value)) }

// Hints sends an interim response, 103 Early Hints (RFC 8297), before the response.
func Hints(fields ...Field) error { return fail(hintsSend(pairs(fields))) }

// Secret returns a secret that sluice.yaml names under allow.
func Secret(name string) ([]byte, error) {
	return read(func(buf []byte) int32 { return secretGet(name, buf) })
}
