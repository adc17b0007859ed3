package httpwasm

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"
)

// limiter logs so many lines in a second, and then how many it has left out.
type limiter struct {
	log       *slog.Logger
	perSecond int

	mu      sync.Mutex // guards the following fields
	window  time.Time  // when the current second began
	lines   int        // logged in it
	dropped int
}

func (l *limiter) line(level slog.Level, msg string, attrs ...any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	ok, dropped := l.admit(time.Now())
	if dropped != 0 {
		l.log.Warn("filter's log lines left out", "lines", dropped, "limit", l.perSecond)
	}
	if ok {
		l.log.Log(ctx, level, msg, attrs...)
	}
}

// admit counts a line. It returns whether the line may be logged, and how many
// before it could not.
func (l *limiter) admit(now time.Time) (ok bool, dropped int) {
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

// say logs a line of the guest's, within what it may log in an exchange.
func (g *guest) say(level slog.Level, line string) {
	left := g.f.cfg.LogBytes - g.logged
	if left <= 0 || line == "" {
		return
	}
	g.logged += len(line)
	if len(line) > left {
		line = line[:left] + "..."
	}
	if g.x == nil && g.said == "" {
		g.said = line
	}
	g.f.guests.line(level, "filter says", "text", line, "id", g.id())
}

// print takes what the guest writes to standard output and standard error, and
// logs it by lines.
func (g *guest) print(p []byte) {
	for len(p) > 0 && g.logged < g.f.cfg.LogBytes {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			g.line = append(g.line, p[:min(len(p), g.f.cfg.LogBytes-min(len(g.line), g.f.cfg.LogBytes))]...)
			return
		}
		g.say(slog.LevelInfo, string(g.line)+string(p[:min(i, g.f.cfg.LogBytes)]))
		g.line = g.line[:0]
		p = p[i+1:]
	}
}

// flush logs the last line that has no end.
func (g *guest) flush() {
	g.say(slog.LevelInfo, string(g.line))
	g.line = nil
}

func (g *guest) id() string {
	if g.x == nil {
		return ""
	}
	return g.x.Record.ID
}
