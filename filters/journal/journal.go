// Package journal takes what guests say: it logs their lines, bounded in rate,
// keeps the last of them to be read back, and shows them to whoever follows. Secrets
// that they were given are taken out. A guest never waits for any of that.
package journal

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// Config bounds a journal.
type Config struct {
	Lines     int // that are kept; default 1000
	Bytes     int // of their text; default 256 KiB
	Line      int // bytes of a line, of which the rest is cut off; default 4 KiB
	Followers int // at once; default 16
	PerSecond int // lines that are logged in a second; default 100
}

func (c *Config) setDefaults() {
	if c.Lines == 0 {
		c.Lines = 1000
	}
	if c.Bytes == 0 {
		c.Bytes = 256 << 10
	}
	if c.Line == 0 {
		c.Line = 4 << 10
	}
	if c.Followers == 0 {
		c.Followers = 16
	}
	if c.PerSecond == 0 {
		c.PerSecond = 100
	}
}

// Line is one line that a guest said.
type Line struct {
	Time    time.Time
	Level   slog.Level
	Version int    // of its module
	ID      string // of the request; "" if there was none
	Text    string // what is not printable is quoted as in Go
	Missed  int    // lines before it that a follower was too slow for
}

// Journal holds the lines of one filter or function, of all its versions. It may
// be used by several goroutines.
type Journal struct {
	cfg  Config
	log  *Limiter
	hide atomic.Pointer[strings.Replacer] // of hidden; nil: nothing is hidden

	mu        sync.Mutex // guards the following fields
	hidden    []string
	lines     []Line // the oldest first
	bytes     int
	followers []*follower
}

type follower struct {
	lines  chan Line
	missed int
}

// New returns an empty journal that logs to log.
func New(log *slog.Logger, cfg Config) *Journal {
	cfg.setDefaults()
	return &Journal{cfg: cfg, log: NewLimiter(log, cfg.PerSecond)}
}

// Say takes a line. Its text may alias memory that changes: what is kept is a
// copy.
func (j *Journal) Say(msg string, l Line) {
	if hide := j.hide.Load(); hide != nil {
		l.Text = hide.Replace(l.Text)
	}
	if len(l.Text) > j.cfg.Line {
		l.Text = l.Text[:j.cfg.Line] + "..."
	}
	l.Text, l.ID = strings.Clone(Quote(l.Text)), strings.Clone(l.ID)
	if l.Time.IsZero() {
		l.Time = time.Now()
	}
	j.keep(l)
	j.log.Log(l.Level, msg, "version", l.Version, "text", l.Text, "id", l.ID)
}

func (j *Journal) keep(l Line) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.lines) > 0 && j.bytes+len(l.Text) > j.cfg.Bytes {
		j.drop()
	}
	if len(j.lines) == j.cfg.Lines {
		j.drop()
	}
	j.lines = append(j.lines, l)
	j.bytes += len(l.Text)
	for _, f := range j.followers {
		l.Missed = f.missed
		select {
		case f.lines <- l:
			f.missed = 0
		default:
			f.missed++
		}
	}
}

func (j *Journal) drop() {
	j.bytes -= len(j.lines[0].Text)
	j.lines[0] = Line{}
	j.lines = j.lines[1:]
}

// Lines returns what is kept, the oldest first.
func (j *Journal) Lines() []Line {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// Follow returns what is kept, and a channel of the lines after that. Lines that
// are not taken in time are missed, and counted in the next. ok is false if there
// are too many followers. Who follows calls stop in the end, which closes the
// channel.
func (j *Journal) Follow() (kept []Line, next <-chan Line, stop func(), ok bool) {
	f := &follower{lines: make(chan Line, 256)}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.followers) == j.cfg.Followers {
		return nil, nil, nil, false
	}
	j.followers = append(j.followers, f)
	stop = sync.OnceFunc(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.followers = slices.DeleteFunc(j.followers, func(other *follower) bool { return other == f })
		close(f.lines)
	})
	return slices.Clone(j.lines), f.lines, stop, true
}

// Quote returns s with what is not printable, but for tabs, quoted as in Go: it
// neither ends a line nor moves a terminal's cursor.
func Quote(s string) string {
	plain := func(r rune, size int) bool {
		return r == '\t' || (r != utf8.RuneError || size > 1) && unicode.IsPrint(r)
	}
	i := 0
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !plain(r, size) {
			break
		}
		i += size
	}
	if i == len(s) {
		return s
	}
	b := append(make([]byte, 0, len(s)+16), s[:i]...)
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if plain(r, size) {
			b = append(b, s[i:i+size]...)
		} else {
			q := strconv.AppendQuote(nil, s[i:i+size])
			b = append(b, q[1:len(q)-1]...)
		}
		i += size
	}
	return string(b)
}
