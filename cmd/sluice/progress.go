package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
)

const (
	progressAfter = time.Second            // what takes less shows no bar
	progressEvery = 100 * time.Millisecond // between two drawings
)

// progress is a bar on a terminal. It is drawn from one goroutine at a time.
type progress struct {
	w       io.Writer
	columns int
	what    string
	total   int64 // bytes
	now     func() time.Time
	start   time.Time
	drawn   time.Time // zero: nothing is on the screen
}

// progress returns a bar on the standard error of cmd, or nil where nobody would
// see it, or none is wanted.
func (g *globals) progress(cmd *cobra.Command, what string, total int64) *progress {
	columns := g.width(cmd.ErrOrStderr())
	if columns == 0 || g.quiet || !smart() {
		return nil
	}
	return newProgress(cmd.ErrOrStderr(), columns, what, total, g.now)
}

func newProgress(w io.Writer, columns int, what string, total int64, now func() time.Time) *progress {
	return &progress{w: w, columns: columns, what: text.Printable(what), total: total, now: now, start: now()}
}

// set shows that done bytes of the total are.
func (p *progress) set(done int64) {
	now := p.now()
	if now.Sub(p.start) < progressAfter || (now.Sub(p.drawn) < progressEvery && done < p.total) {
		return
	}
	p.drawn = now
	share := 1.0
	if p.total > 0 {
		share = min(1, float64(done)/float64(p.total))
	}
	head := p.what + " "
	tail := fmt.Sprintf(" %3.0f%% %s of %s", share*100, text.Bytes(done), text.Bytes(p.total))
	line := head + tail
	// One column stays free, or some terminals would begin a new line.
	if room := p.columns - 1 - text.Width(head) - len(tail) - 2; room >= 10 {
		full := int(share * float64(room))
		line = head + "[" + strings.Repeat("=", full) + strings.Repeat(" ", room-full) + "]" + tail
	}
	fmt.Fprintf(p.w, "\r%s\x1b[K", text.Cut(line, p.columns-1))
}

// clear takes the bar off the screen.
func (p *progress) clear() {
	if !p.drawn.IsZero() {
		io.WriteString(p.w, "\r\x1b[K")
		p.drawn = time.Time{}
	}
}
