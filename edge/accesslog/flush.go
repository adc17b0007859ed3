package accesslog

import (
	"bytes"
	"errors"
	"time"
)

var errStuck = errors.New("close the access log: its output takes nothing")

// flushes writes what is pending until the logger is closed.
func (l *Logger) flushes() {
	defer close(l.over)
	r := report{log: l.cfg.Log}
	delay := time.NewTimer(l.cfg.Delay)
	defer delay.Stop()
	torn := false // the output ends within a line
	for closing := false; !closing; {
		select {
		case <-l.wake:
			delay.Reset(l.cfg.Delay)
			select {
			case <-l.full:
			case <-delay.C:
			case <-l.done:
				closing = true
			}
		case <-l.done:
			closing = true
		}
		torn = l.flush(&r, torn)
	}
}

// flush writes what is pending, and reports whether the output ends within a
// line.
func (l *Logger) flush(r *report, torn bool) bool {
	l.mu.Lock()
	b := l.pending
	l.pending, l.spare = l.spare[:0], nil
	l.mu.Unlock()

	var err error
	lost := 0
	if len(b) > 0 {
		n := 0
		if torn { // what is there of a line must not spoil the next
			_, err = l.cfg.Output.Write([]byte{'\n'})
			torn = err != nil
		}
		if err == nil {
			n, err = l.cfg.Output.Write(b)
			n = max(0, min(n, len(b)))
			torn = n > 0 && b[n-1] != '\n'
		}
		if err != nil {
			lost = bytes.Count(b[n:], []byte{'\n'})
		}
	}

	l.mu.Lock()
	l.spare = b[:0]
	l.dropped += uint64(lost)
	dropped := l.dropped
	if len(b) > 0 {
		l.failure = err
	}
	l.mu.Unlock()
	r.lost(dropped, err)
	return torn
}
