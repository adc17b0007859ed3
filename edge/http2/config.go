package http2

import "time"

// Config holds the limits of the server side. A field that is zero means its
// default.
type Config struct {
	// HeaderBytes bounds a request's field section, counted as RFC 9113, section
	// 6.5.2 does: names, values, and 32 bytes a field. It is advertised. A larger
	// one is answered 431; one whose compressed form is more than twice as long
	// ends the connection. Default 32 KiB.
	HeaderBytes int

	// Fields bounds the number of field lines of a section. More are answered
	// 431. Default 100.
	Fields int

	// Streams is how many exchanges a client may have open at once on a
	// connection. It is advertised; more are refused. Default 128.
	Streams int

	// StreamWindow is how many bytes of content a client may send ahead on a
	// stream, and so what a stream that nobody reads can make us hold. Default
	// 256 KiB, at least 64 KiB.
	StreamWindow int

	// ConnWindow is the same for all streams of a connection together. Default
	// 1 MiB, at least 64 KiB.
	ConnWindow int

	// Waiting is how many bytes of responses may wait for the socket before
	// those who write them wait, too. Default 128 KiB.
	Waiting int

	// Queued is how many control frames (answers to PING and SETTINGS,
	// RST_STREAM) may wait for the socket while the client does not read. More
	// end the connection with ENHANCE_YOUR_CALM. Default 1000.
	Queued int

	// Resets is how many streams a client may reset before they are answered, or
	// lose to errors of its own, beyond those that it lets be answered. More end
	// the connection with ENHANCE_YOUR_CALM. Default 200.
	Resets int

	// Empty is how many frames that carry nothing (DATA and CONTINUATION without
	// content, PRIORITY, unknown types, windows opened by less than 64 bytes) a
	// client may send a second beyond its requests. More end the connection with
	// ENHANCE_YOUR_CALM. Default 1000.
	Empty int

	// Preface is the time until a new client has sent its preface and settings.
	// Default 10 s.
	Preface time.Duration

	// Idle is how long a connection without streams is kept. Default 2 m.
	Idle time.Duration

	// Stalled is how long a client may go without taking anything of what waits
	// for it (the stream ends, or the connection if it is the socket that does
	// not move), or without sending content that a request waits for before it
	// can be answered (408). Default 30 s.
	Stalled time.Duration
}

func (c Config) withDefaults() *Config {
	number := func(v *int, standard int) {
		if *v <= 0 {
			*v = standard
		}
	}
	number(&c.HeaderBytes, 32<<10)
	number(&c.Fields, 100)
	number(&c.Streams, 128)
	number(&c.StreamWindow, 256<<10)
	number(&c.ConnWindow, 1<<20)
	number(&c.Waiting, 128<<10)
	number(&c.Queued, 1000)
	number(&c.Resets, 200)
	number(&c.Empty, 1000)
	// A window cannot be made smaller than what a client may send before it has
	// seen our settings (RFC 9113, section 6.9.2), nor larger than its integer.
	c.StreamWindow = min(max(c.StreamWindow, defaultWindow), maxWindow)
	c.ConnWindow = min(max(c.ConnWindow, defaultWindow), maxWindow)
	duration := func(v *time.Duration, standard time.Duration) {
		if *v <= 0 {
			*v = standard
		}
	}
	duration(&c.Preface, 10*time.Second)
	duration(&c.Idle, 2*time.Minute)
	duration(&c.Stalled, 30*time.Second)
	return &c
}
