// Package accesslog writes one line for each exchange: of JSON, in the formats
// common and combined, or by a template. docs/reference/log.md has what lines say.
package accesslog

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// Logger writes lines to a sink, from a goroutine of its own: exchanges do not
// wait for the sink. What the sink does not take in time is dropped, counted and
// reported.
type Logger struct {
	cfg  Config
	says atomic.Pointer[says]
	wake chan struct{} // something is pending
	full chan struct{} // enough is pending for a write
	done chan struct{} // closed by Close
	over chan struct{} // closed by the flusher when it has ended

	mu      sync.Mutex // guards the following fields
	pending []byte     // whole lines
	spare   []byte     // the other buffer; nil while it is written
	dropped uint64
	closed  bool
	failure error // of the last write
}

// says is what lines carry of fields.
type says struct {
	fields []field // in JSON
	parts  []part  // of a template; nil: JSON
}

// field is a field that lines carry.
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

// SetFields changes which request fields lines of JSON carry from now on, and of
// which fields no line tells the value.
func (l *Logger) SetFields(names, redact []string) {
	hidden := func(name string) bool {
		return slices.ContainsFunc(redact, func(r string) bool { return edge.EqualFold(name, r) })
	}
	s := says{fields: make([]field, len(names)), parts: slices.Clone(l.cfg.Format.parts)}
	for i, name := range names {
		s.fields[i] = field{name, hidden(name)}
	}
	for i := range s.parts {
		f := &s.parts[i].field
		f.redacted = hidden(f.name)
	}
	l.says.Store(&s)
}

// Log writes the line of x, which has ended at that time but whose enders have not all
// run. It may be called from any goroutine, and allocates nothing unless x has failed.
func (l *Logger) Log(x *edge.Exchange, end time.Time) {
	if l.cfg.Output == nil {
		return
	}
	buf := lines.Get().(*line)
	s := l.says.Load()
	e := encoder{b: buf.b[:0], maxValue: l.cfg.MaxValue, text: s.parts != nil}
	if e.text {
		e.template(x, end, s.parts)
	} else {
		e.object(x, end, s.fields)
	}
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
