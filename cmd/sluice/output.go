package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
)

// screen is where results for people go.
type screen struct {
	io.Writer
	columns int // 0: as many as it takes
	paint   text.Paint
}

// out returns where the results of cmd go.
func (g *globals) out(cmd *cobra.Command) *screen { return g.screen(cmd.OutOrStdout()) }

func (g *globals) screen(w io.Writer) *screen {
	columns := g.width(w)
	return &screen{w, columns, text.Paint(columns > 0 && coloured())}
}

// printf prints what is printable already.
func (s *screen) printf(format string, args ...any) { fmt.Fprintf(s, format, args...) }

// tables prints those that have rows, with a line between them.
func (s *screen) tables(list ...*text.Table) error {
	first := true
	for _, t := range list {
		if t.Len() == 0 {
			continue
		}
		if !first {
			s.printf("\n")
		}
		first = false
		if err := t.Write(s, s.columns, s.paint); err != nil {
			return err
		}
	}
	return nil
}

// show prints v as -o says: for programs, or for people by table.
func (g *globals) show(cmd *cobra.Command, v any, table func(*screen) error) error {
	if g.output == "table" {
		return table(g.out(cmd))
	}
	return g.print(cmd.OutOrStdout(), v)
}

// done is show for what has changed something: people who want it quiet get
// nothing.
func (g *globals) done(cmd *cobra.Command, v any, table func(*screen) error) error {
	if g.output == "table" && g.quiet {
		return nil
	}
	return g.show(cmd, v, table)
}

// note tells people something beside the results.
func (g *globals) note(cmd *cobra.Command, format string, args ...any) {
	if !g.quiet && g.output == "table" {
		fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
	}
}

// list returns l, so that it is [] for programs if it is empty.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// terminalWidth returns how many columns w shows, or 0 if it is no terminal.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		return 80
	}
	return columns
}

// smart reports whether terminals can do more than print lines.
func smart() bool { return os.Getenv("TERM") != "dumb" }

// coloured reports whether terminals are to show colours (no-color.org).
func coloured() bool { return smart() && os.Getenv("NO_COLOR") == "" }

// colours reports whether w is a terminal that shows colours.
func colours(w io.Writer) bool { return terminalWidth(w) > 0 && coloured() }
