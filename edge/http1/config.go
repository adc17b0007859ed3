package http1

import "time"

// Config holds the limits of the server side. A zero field means its default.
type Config struct {
	// HeaderBytes is the largest head of a request, in bytes, start line
	// included. More is answered with 431. Default 32 KiB.
	HeaderBytes int
	// MethodBytes is the longest request method, in bytes. More is answered with
	// 501. Default 32.
	MethodBytes int
	// TargetBytes is the longest request target, in bytes. More is answered
	// with 414. Default 8 KiB.
	TargetBytes int
	// Fields is the largest number of field lines in a head, and in a trailer
	// section. More is answered with 431. Default 100.
	Fields int
	// TrailerBytes is the largest trailer section, and the longest size line of a
	// chunk with its extensions, in bytes. More is answered with 400. Default 4 KiB.
	TrailerBytes int
	// DrainBytes is how much content that nobody wanted is read and dropped, so
	// that the connection can be used again, in bytes; with more to come it is
	// closed. Default 256 KiB.
	DrainBytes int

	// Idle is how long a connection may wait for its next request. Default 2m.
	Idle time.Duration
	// Head is how long a head may take from its first byte to its last. Then
	// the answer is 408. Default 30s.
	Head time.Duration
	// Stalled is how long a client may neither send the content that it owes
	// nor take any of the response. The first is answered with 408; the second
	// cuts the connection, and is noticed within half as long again. Default 30s.
	Stalled time.Duration
	// Linger is how long a connection that is closed while the client may still
	// be sending stays half open, so that the client gets to read the response.
	// Default 2s.
	Linger time.Duration
	// Park is how long an idle connection keeps its buffers. Default 1s.
	Park time.Duration
	// Tick is the period of the sweep that enforces the times above, and notices
	// clients that have left within two periods. Default 50ms.
	Tick time.Duration

	// HalfClose says that a client which has closed its sending side behind a
	// complete request still waits for the response. Default false: it has left,
	// and its exchange is cancelled.
	HalfClose bool
}

func (c Config) withDefaults() *Config {
	defaultTo(&c.HeaderBytes, 32<<10)
	defaultTo(&c.MethodBytes, 32)
	defaultTo(&c.TargetBytes, 8<<10)
	defaultTo(&c.Fields, 100)
	defaultTo(&c.TrailerBytes, 4<<10)
	defaultTo(&c.DrainBytes, 256<<10)
	defaultTo(&c.Idle, 2*time.Minute)
	defaultTo(&c.Head, 30*time.Second)
	defaultTo(&c.Stalled, 30*time.Second)
	defaultTo(&c.Linger, 2*time.Second)
	defaultTo(&c.Park, time.Second)
	defaultTo(&c.Tick, 50*time.Millisecond)
	return &c
}

// TransportConfig holds the limits towards an endpoint. A zero field means its
// default.
type TransportConfig struct {
	// Idle is how many idle connections are kept; less than 0 keeps none.
	// Default 256.
	Idle int
	// IdleTime is how long an idle connection is kept. Default 1m.
	IdleTime time.Duration
	// Connect is how long connecting may take; Limits.Connect of an exchange
	// overrides it. Default 5s.
	Connect time.Duration
	// FirstByte is how long the endpoint may take from the request's last byte
	// until the response's head is complete; Limits.FirstByte overrides it.
	// Default 60s.
	FirstByte time.Duration
	// Stalled is how long a read or write of content may make no progress;
	// Limits.Stalled overrides it. Default 30s.
	Stalled time.Duration

	// HeaderBytes is the largest head of a response, in bytes. More is a 502.
	// Default 64 KiB.
	HeaderBytes int
	// Fields is the largest number of field lines in a response's head, and in
	// its trailer section. More is a 502. Default 256.
	Fields int
	// TrailerBytes is the largest trailer section, and the longest size line of a
	// chunk with its extensions, in bytes. Default 4 KiB.
	TrailerBytes int
	// Interim is how many 1xx responses an endpoint may send to one request.
	// More is a 502. Default 16.
	Interim int
}

func (c TransportConfig) withDefaults() TransportConfig {
	defaultTo(&c.Idle, 256)
	defaultTo(&c.IdleTime, time.Minute)
	defaultTo(&c.Connect, 5*time.Second)
	defaultTo(&c.FirstByte, time.Minute)
	defaultTo(&c.Stalled, 30*time.Second)
	defaultTo(&c.HeaderBytes, 64<<10)
	defaultTo(&c.Fields, 256)
	defaultTo(&c.TrailerBytes, 4<<10)
	defaultTo(&c.Interim, 16)
	return c
}

func defaultTo[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}
