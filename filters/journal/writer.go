package journal

import (
	"bytes"
	"log/slog"
)

// Writer makes lines of what one guest writes. It is used by one goroutine at a
// time.
type Writer struct {
	Journal *Journal
	Message string // what a line is logged as
	Version int    // of the guest's module
	ID      string // of the request
	Limit   int    // bytes that are taken; what is beyond is left out, and said so

	line  []byte // as far as it has been written
	taken int
}

// Write takes bytes of lines, of which it keeps nothing.
func (w *Writer) Write(p []byte) {
	if w.taken > w.Limit {
		return
	}
	w.taken += len(p)
	over := w.taken > w.Limit
	if over {
		p = p[:len(p)-(w.taken-w.Limit)]
	}
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		w.say(slog.LevelInfo, p[:i])
		p = p[i+1:]
	}
	w.hold(p)
	if over {
		w.Flush()
		w.Journal.Say(w.Message, Line{Level: slog.LevelWarn, Version: w.Version, ID: w.ID, Text: "... (the rest is left out)"})
	}
}

// hold keeps the beginning of a line, as far as a line may be long.
func (w *Writer) hold(p []byte) {
	room := max(0, w.Journal.cfg.Line+1-len(w.line))
	w.line = append(w.line, p[:min(len(p), room)]...)
}

// Flush takes the last line, which has no end.
func (w *Writer) Flush() {
	if len(w.line) > 0 {
		w.say(slog.LevelInfo, nil)
	}
}

func (w *Writer) say(level slog.Level, rest []byte) {
	w.hold(rest)
	line := bytes.TrimSuffix(w.line, []byte("\r"))
	w.line = w.line[:0]
	if len(line) > 0 {
		w.Journal.Say(w.Message, Line{Level: level, Version: w.Version, ID: w.ID, Text: string(line)})
	}
}
