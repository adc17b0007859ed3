package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// difference is how what is in force differs from a file.
type difference struct {
	Differs  bool          `json:"differs"`
	Diff     string        `json:"diff,omitempty"`     // unified
	Overlays []api.Overlay `json:"overlays,omitempty"` // changes by the API
	Problems []api.Problem `json:"problems,omitempty"` // of the file
}

func newDiff(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "diff [FILE]",
		Short: "Show how what is in force differs from a file",
		Long: `Without FILE: show what the admin API has changed of the running configuration, as a difference between the
files as they were read and what is in force. With FILE: show what would change if it were applied, and what is to
be said of it; - is standard input.

The exit code is 4 if something differs, and 2 if FILE is wrong. Not on a terminal, the difference is as patch
takes it.`,
		Example: `  sluice diff
  sluice diff sluice.yaml`,
		Args:              positional,
		ValidArgsFunction: g.complete(firstFile("yaml", "yml")),
		RunE: func(cmd *cobra.Command, args []string) error {
			var d difference
			err := g.ask(func(c *api.Client) (err error) {
				if len(args) > 0 {
					d, err = g.diffFile(cmd, c, args[0])
					return err
				}
				current, err := c.Config(cmd.Context())
				d = overlaid(current)
				return err
			})
			if err != nil {
				return err
			}
			if err := g.show(cmd, d, func(out *screen) error { return showDiff(out, d.Diff) }); err != nil {
				return err
			}
			for _, o := range d.Overlays {
				g.note(cmd, "changed by the API %s ago: %s", text.Age(g.now().Sub(o.Since)), overlayText(o))
			}
			if d.Differs {
				return errFound
			}
			if len(args) > 0 {
				g.note(cmd, "Nothing would change.")
			} else {
				g.note(cmd, "The API has changed nothing.")
			}
			return nil
		},
	}
}

func overlayText(o api.Overlay) string {
	if o.Kind == "file" {
		return text.Printable(o.Name) // "the whole file"
	}
	return strings.TrimSpace(text.Printable(o.Kind + " " + o.Name))
}

// overlaid returns what overlays change of the files.
func overlaid(c api.Configuration) difference {
	d := difference{Overlays: c.Overlays}
	for _, t := range c.Effective {
		d.Diff += config.DiffText(t.Name, []byte(textOf(c.Texts, t.Name)), []byte(t.Text), 3)
	}
	d.Differs = d.Diff != "" || len(d.Overlays) > 0
	return d
}

func textOf(texts []api.Text, name string) string {
	for _, t := range texts {
		if t.Name == name {
			return t.Text
		}
	}
	return ""
}

// diffFile returns what a file would change. Problems are printed; one that is wrong
// is an error.
func (g *globals) diffFile(cmd *cobra.Command, c *api.Client, path string) (difference, error) {
	b, err := readFile(cmd, path)
	if err != nil {
		return difference{}, err
	}
	check, err := c.CheckConfig(cmd.Context(), b)
	d := difference{Differs: check.Diff != "", Diff: check.Diff, Problems: check.Problems}
	if err == nil {
		err = g.judge(cmd, check, d)
	}
	return d, err
}

// judge tells what the running proxy has to say of a configuration: that it is wrong
// is an error. Programs, for which the answer is v, get that all the same.
func (g *globals) judge(cmd *cobra.Command, check api.Check, v any) error {
	switch {
	case check.Right && g.output == "table":
		warn(cmd, check.Problems)
	case check.Right:
	case g.output == "table":
		return &exitError{exitUsage, &api.Problem{Detail: errConfig.Error(), Problems: check.Problems}}
	default:
		if err := g.print(cmd.OutOrStdout(), v); err != nil {
			return err
		}
		return errConfig
	}
	return nil
}

// maxConfig bounds a configuration that is sent, in bytes.
const maxConfig = 16 << 20

// readFile returns what a file, or for - standard input, holds.
func readFile(cmd *cobra.Command, path string) ([]byte, error) {
	from := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxConfig+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxConfig:
		return nil, usagef("%s is larger than %s", path, text.Bytes(maxConfig))
	}
	return b, nil
}

// showDiff prints a unified diff: on a terminal with colours and without what could
// steer it, elsewhere as it is.
func showDiff(out *screen, diff string) error {
	if out.columns == 0 {
		_, err := io.WriteString(out, diff)
		return err
	}
	for line := range strings.Lines(diff) {
		line = text.Lines(strings.TrimSuffix(line, "\n"))
		style := text.Plain
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
			style = text.Bold
		case strings.HasPrefix(line, "@@"):
			style = text.Cyan
		case strings.HasPrefix(line, "-"):
			style = text.Red
		case strings.HasPrefix(line, "+"):
			style = text.Green
		}
		if _, err := fmt.Fprintln(out, out.paint.In(style, line)); err != nil {
			return err
		}
	}
	return nil
}
