package accesslog

import (
	"bytes"
	"errors"
	"log/slog"
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
		torn = l.flush(&r, torn, closing)
	}
}

// flush writes what is pending, and reports whether the output ends within a
// line.
func (l *Logger) flush(r *report, torn, closing bool) bool {
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
	r.flushed(dropped, err, len(b) > 0, closing)
	return torn
}

// report tells the operator of lines that were lost, at most once in a while.
type report struct {
	log     *slog.Logger
	last    time.Time
	said    uint64 // lines lost that were reported
	cause   error  // of a loss that is not reported yet
	failing bool   // the last report was of an error, and nothing was written since
}

const reportEvery = 10 * time.Second

// flushed is told of every flush: of the lines lost so far, of the error of a
// write, if something was to be written, and whether this is the end.
func (r *report) flushed(dropped uint64, err error, some, closing bool) {
	if r.log == nil {
		return
	}
	if err != nil {
		r.cause = err
	}
	now := time.Now()
	if dropped != r.said && (closing || r.last.IsZero() || now.Sub(r.last) >= reportEvery) {
		if r.cause != nil {
			r.log.Error("access log lines lost", "lines", dropped-r.said, "error", r.cause)
		} else {
			r.log.Error("access log lines lost: the output is too slow", "lines", dropped-r.said)
		}
		r.last, r.said, r.failing, r.cause = now, dropped, r.cause != nil, nil
	}
	if r.failing && some && err == nil {
		r.log.Info("the access log is written again")
		r.failing = false
	}
}
