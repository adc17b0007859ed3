package httpwasm

import (
	"bytes"
	"log/slog"
	"strings"

	"github.com/sluice-edge/sluice/filters/journal"
)

// says is what is logged with what a guest says.
func (r role) says() string {
	if r == asFunction {
		return "function says"
	}
	return "filter says"
}

// say logs a line of the guest's, within what it may log in an exchange. The line may
// alias the guest's memory.
func (g *guest) say(level slog.Level, line string) {
	left := g.f.cfg.LogBytes - g.logged
	if left <= 0 || line == "" || g.silent {
		return
	}
	g.logged += len(line)
	if len(line) > left {
		line = line[:left] + "..."
	}
	if g.x == nil && g.said == "" {
		g.said = strings.Clone(line)
	}
	g.f.cfg.Journal.Say(g.f.role.says(), journal.Line{Level: level, Version: g.f.cfg.Version, ID: g.id(), Text: line})
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
	g.line = g.line[:0]
}

func (g *guest) id() string {
	if g.x == nil {
		return ""
	}
	return g.x.Record.ID
}
