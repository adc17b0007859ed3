package http3

import (
	"time"

	"github.com/quic-go/quic-go"
)

// Config holds the limits of a server. A zero field means its default.
type Config struct {
	// HeaderBytes is the largest field section of a request, in bytes, counted as
	// RFC 9114, section 4.2.2 says: names, values, and 32 for each line. It holds
	// for trailers too, and is told to clients as SETTINGS_MAX_FIELD_SECTION_SIZE.
	// A larger head is answered with 431. Default 32 KiB.
	HeaderBytes int

	// Fields is the largest number of field lines of a request. More are answered
	// with 431. Cookie lines count as one. Default 100.
	Fields int

	// Idle is how long a connection without an exchange is kept. Default 2 minutes.
	Idle time.Duration

	// Stalled is how long a client may send nothing of content that is waited for,
	// or take nothing of a response, before the exchange is given up: 408 while
	// the response has not begun, otherwise the stream is reset. Default 30 s.
	Stalled time.Duration

	// Handshake is how long a client may be silent during the handshake; twice
	// that is all the time it has. Default 5 s.
	Handshake time.Duration

	// Streams is how many requests a client may have open at once on a
	// connection. Default 100.
	Streams int

	// StreamWindow is how many bytes of one request's content may wait to be read.
	// It is the limit up to which the window grows, from a quarter of it, while
	// the content is read quickly. Default 2 MiB.
	StreamWindow int

	// ConnectionWindow is the same for all requests of a connection together.
	// Default 8 MiB.
	ConnectionWindow int

	// Connections is how many connections may be open at once, handshakes
	// included. More are refused (CONNECTION_REFUSED) and counted. Default 100000.
	Connections int

	// DrainGrace is how long a connection without an exchange is kept once the
	// server drains, so that the client learns of it (GOAWAY) before the
	// connection goes. Default 1 s.
	DrainGrace time.Duration
}

// limits is a Config with its defaults filled in, and what follows from it.
type limits struct {
	Config
	quic *quic.Config
}

func newLimits(c Config) *limits {
	number := func(n *int, to int) {
		if *n <= 0 {
			*n = to
		}
	}
	span := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	number(&c.HeaderBytes, 32<<10)
	number(&c.Fields, 100)
	number(&c.Streams, 100)
	number(&c.StreamWindow, 2<<20)
	number(&c.ConnectionWindow, 8<<20)
	number(&c.Connections, 100_000)
	span(&c.Idle, 2*time.Minute)
	span(&c.Stalled, 30*time.Second)
	span(&c.Handshake, 5*time.Second)
	span(&c.DrainGrace, time.Second)
	return &limits{c, &quic.Config{
		HandshakeIdleTimeout: c.Handshake,
		// RFC 9114, section 5.1: servers should not keep connections open
		// actively; a client that waits for a response does.
		MaxIdleTimeout:                 c.Idle,
		InitialStreamReceiveWindow:     uint64(c.StreamWindow / 4),
		MaxStreamReceiveWindow:         uint64(c.StreamWindow),
		InitialConnectionReceiveWindow: uint64(c.ConnectionWindow / 4),
		MaxConnectionReceiveWindow:     uint64(c.ConnectionWindow),
		MaxIncomingStreams:             int64(c.Streams),
		// Control, and two of QPACK; RFC 9114, section 6.2 asks for at least
		// three, and clients send a few of reserved types besides.
		MaxIncomingUniStreams: 8,
		Allow0RTT:             false,
	}}
}
