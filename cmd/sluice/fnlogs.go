package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// maxLogLine bounds a line of a function's log, in bytes. A longer one is cut.
const maxLogLine = 64 << 10

// logLine is a line that a function has written.
type logLine struct {
	Time    time.Time `json:"time,omitzero"`
	Version int       `json:"version,omitempty"`
	Request string    `json:"request,omitempty"` // its id
	Text    string    `json:"text"`
}

func newFnLogs(g *globals, k *kind) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show what a function writes to its standard error",
		Long: `Show the last lines that a function has written to its standard error: when, by which version, and in which
request. With -f it goes on with those that it writes from now on. -o json prints an object a line.`,
		Example:           "  sluice fn logs hello\n  sluice fn logs hello -f",
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.ask(func(c *api.Client) error {
				lines, err := c.FunctionLogs(cmd.Context(), args[0], follow)
				if err != nil {
					return err
				}
				defer lines.Close()
				return g.copyLog(cmd, lines)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new lines until you stop it")
	return cmd
}

// copyLog prints lines as they come.
func (g *globals) copyLog(cmd *cobra.Command, lines io.Reader) error {
	out := g.out(cmd)
	r := bufio.NewReaderSize(lines, maxLogLine)
	for {
		line, more, err := r.ReadLine()
		for more && err == nil { // the rest of a line that is too long
			_, more, err = r.ReadLine()
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the log has broken off: %w", err)
		}
		if err := g.printLine(out, parseLine(string(line))); err != nil {
			return err
		}
	}
}

func (g *globals) printLine(out *screen, l logLine) error {
	switch {
	case g.output != "table":
		return g.printRow(out, l)
	case l.Time.IsZero():
		_, err := fmt.Fprintln(out, text.Printable(l.Text))
		return err
	}
	head := fmt.Sprintf("%s v%d %s", l.Time.Format("2006-01-02T15:04:05.000Z07:00"), l.Version, text.Printable(l.Request))
	_, err := fmt.Fprintf(out, "%s %s\n", out.paint.In(text.Dim, head), text.Printable(l.Text))
	return err
}

// parseLine takes a line of the log apart. One that has another form is all text.
func parseLine(s string) logLine {
	parts := strings.SplitN(s, " ", 4)
	if len(parts) < 4 {
		return logLine{Text: s}
	}
	at, err := time.Parse(time.RFC3339Nano, parts[0])
	version, verr := strconv.Atoi(strings.TrimPrefix(parts[1], "v"))
	if err != nil || verr != nil {
		return logLine{Text: s}
	}
	return logLine{at, version, parts[2], parts[3]}
}
