package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Limiter logs so many lines in a second, and then how many it has left out.
type Limiter struct {
	log       *slog.Logger
	perSecond int

	mu      sync.Mutex // guards the following fields
	window  time.Time  // when the current second began
	lines   int        // logged in it
	dropped int
}

// NewLimiter returns a limiter of what is logged to log.
func NewLimiter(log *slog.Logger, perSecond int) *Limiter {
	return &Limiter{log: log, perSecond: perSecond}
}

// Log logs a line, or leaves it out.
func (l *Limiter) Log(level slog.Level, msg string, attrs ...any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	ok, dropped := l.admit(time.Now())
	if dropped != 0 {
		l.log.Warn("log lines left out", "lines", dropped, "limit", l.perSecond)
	}
	if ok {
		l.log.Log(ctx, level, msg, attrs...)
	}
}

// Ready reports whether a line would be logged now, for who would take trouble to make it.
func (l *Limiter) Ready(level slog.Level) bool {
	if !l.log.Enabled(context.Background(), level) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines < l.perSecond || time.Since(l.window) >= time.Second
}

// admit counts a line. It returns whether the line may be logged, and how many
// before it could not.
func (l *Limiter) admit(now time.Time) (ok bool, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.window) >= time.Second {
		l.window, l.lines = now, 0
		l.dropped, dropped = 0, l.dropped
	}
	if l.lines >= l.perSecond {
		l.dropped++
		return false, dropped
	}
	l.lines++
	return true, dropped
}
