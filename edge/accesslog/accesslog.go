// Package accesslog writes one line of JSON for each exchange.
//
// The keys, of which those are left out that have nothing to say:
//
//	ts         when the request began: RFC 3339, UTC, milliseconds
//	id         request id
//	site       name of the site
//	route      name of the route
//	client_ip  address of the client
//	method     of the request
//	uri        path and query, as received
//	proto      "HTTP/1.1", ...
//	status     of the response
//	why        short stable code of the outcome
//	error      cause of a failure
//	cache      what the cache did
//	bytes_in   request content that was read
//	bytes_out  response content that was delivered
//	encoding   content coding that we applied
//	ms         milliseconds: {"total", "filters", "upstream"}
//	upstream   name of the upstream
//	endpoint   its address that answered, or was tried last
//	tries      requests sent upstream
//	arm        of the route's split
//	filters    milliseconds by filter: {"name@version": ms}
//	tls        {"version", "kx"}
//	fields     request fields that the configuration asks for
package accesslog

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// Logger writes lines to a sink, from a goroutine of its own: exchanges do not
// wait for the sink. What the sink does not take in time is dropped, counted and
// reported.
type Logger struct {
	cfg    Config
	fields atomic.Pointer[[]field]
	wake   chan struct{} // something is pending
	full   chan struct{} // enough is pending for a write
	done   chan struct{} // closed by Close
	over   chan struct{} // closed by the flusher when it has ended

	mu      sync.Mutex // guards the following fields
	pending []byte     // whole lines
	spare   []byte     // the other buffer; nil while it is written
	dropped uint64
	closed  bool
	failure error // of the last write
}

// field is a request field that lines carry.
type field struct {
	name     string
	redacted bool
}

// line is memory for one line.
type line struct{ b []byte }

var lines = sync.Pool{New: func() any { return &line{make([]byte, 0, 1024)} }}

// New returns a Logger. Close ends it.
func New(cfg Config) *Logger {
	cfg.setDefaults()
	l := &Logger{
		cfg:  cfg,
		wake: make(chan struct{}, 1),
		full: make(chan struct{}, 1),
		done: make(chan struct{}),
		over: make(chan struct{}),
	}
	l.SetFields(cfg.Fields, cfg.Redact)
	if cfg.Output == nil {
		close(l.over)
		return l
	}
	go l.flushes()
	return l
}

// SetFields changes which request fields the lines carry from now on.
func (l *Logger) SetFields(names, redact []string) {
	fields := make([]field, len(names))
	for i, name := range names {
		fields[i].name = name
		for _, r := range redact {
			fields[i].redacted = fields[i].redacted || edge.EqualFold(name, r)
		}
	}
	l.fields.Store(&fields)
}

// Log writes the line of x, which is over but whose enders have not all run. It
// may be called from any goroutine, and allocates nothing unless x has failed.
func (l *Logger) Log(x *edge.Exchange) {
	if l.cfg.Output == nil {
		return
	}
	buf := lines.Get().(*line)
	e := encoder{b: buf.b[:0], maxValue: l.cfg.MaxValue}
	e.exchange(x, time.Now(), *l.fields.Load())
	l.write(e.b)
	buf.b = e.b
	if cap(buf.b) <= 64<<10 { // one long line shall not hold memory for ever
		lines.Put(buf)
	}
}

// write hands a line to the flusher, or drops it.
func (l *Logger) write(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.pending)+len(b) > l.cfg.Buffer {
		l.dropped++
		return
	}
	first := len(l.pending) == 0
	l.pending = append(l.pending, b...)
	if first {
		signal(l.wake)
	}
	if len(l.pending) >= l.cfg.Flush {
		signal(l.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Dropped returns how many lines the sink did not take.
func (l *Logger) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Close writes what is pending, and returns why the last write failed, if it
// did. It waits for a sink that does not take anything, but not for ever. Lines
// that come later are dropped. The output stays open: it belongs to who gave it.
func (l *Logger) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
	l.mu.Unlock()
	t := time.NewTimer(l.cfg.Linger)
	defer t.Stop()
	select {
	case <-l.over:
	case <-t.C:
		return errStuck
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// report tells the operator of lines that were lost, at most once in a while.
type report struct {
	log  *slog.Logger
	last time.Time
	said uint64 // lines lost that were reported
}

const reportEvery = 10 * time.Second

func (r *report) lost(dropped uint64, err error) {
	if dropped == r.said || r.log == nil {
		return
	}
	now := time.Now()
	if !r.last.IsZero() && now.Sub(r.last) < reportEvery {
		return
	}
	if err != nil {
		r.log.Error("access log lines lost", "lines", dropped-r.said, "err", err)
	} else {
		r.log.Error("access log lines lost: the output is too slow", "lines", dropped-r.said)
	}
	r.last, r.said = now, dropped
}
