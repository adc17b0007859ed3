package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newApply(g *globals) *cobra.Command {
	var dry, write bool
	cmd := &cobra.Command{
		Use:   "apply [FILE]",
		Short: "Put a configuration in force, or write what is in force to its files",
		Long: `With FILE: put it in force in the running proxy, in the place of its main file; - is standard input. That is
all or nothing, cuts no request, and sluice rollback takes it back. If somebody else changes the configuration
meanwhile, nothing is done.

--write writes what is in force, with all that the admin API has changed, to the files that the proxy has read,
which must be on this machine. Comments and layout stay. A file that has changed since it was read is not
touched. It is done when the proxy has read them again.`,
		Example: `  sluice apply sluice.yaml --dry-run   what would change
  sluice apply sluice.yaml
  sluice apply --write                 fold what the API has changed into files`,
		Args:              positional,
		ValidArgsFunction: g.complete(firstFile("yaml", "yml")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !write {
				return usagef("name the file that is to be put in force, or say --write to write what is in force to its files")
			}
			return g.ask(func(c *api.Client) error {
				if len(args) > 0 {
					if err := g.applyFile(cmd, c, args[0], dry, write); err != nil {
						return err
					}
				}
				if write && (len(args) == 0 || !dry) {
					return g.writeEffective(cmd, c, dry)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would change, and change nothing")
	cmd.Flags().BoolVar(&write, "write", false, "write what is in force to the files of the configuration")
	return cmd
}

// applyFile puts a file in force. If more follows, it is that which is shown to
// programs.
func (g *globals) applyFile(cmd *cobra.Command, c *api.Client, path string, dry, more bool) error {
	b, err := readFile(cmd, path)
	if err != nil {
		return err
	}
	before, err := c.Config(cmd.Context())
	if err != nil {
		return err
	}
	check, err := c.CheckConfig(cmd.Context(), b)
	if err != nil {
		return err
	}
	if err := g.judge(cmd, check, check); err != nil {
		return err
	}
	change := api.Change{DryRun: dry, IfMatch: before.ETag}
	now, err := c.SetConfig(cmd.Context(), b, change)
	switch {
	case err != nil:
		return err
	case dry:
		return g.show(cmd, check, func(out *screen) error {
			if check.Diff == "" {
				g.note(cmd, "Nothing would change.")
			}
			return showDiff(out, check.Diff)
		})
	case more && g.output != "table":
		return nil
	}
	return g.done(cmd, now, func(out *screen) error {
		if check.Diff == "" {
			out.printf("%s is in force, as it was before.\n", text.Printable(path))
			return nil
		}
		out.printf("%s is in force. sluice rollback takes it back.\n", text.Printable(path))
		return nil
	})
}

// written is a file that was written, for programs.
type written struct {
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
}

// writeEffective writes what is in force to the files that it comes from.
func (g *globals) writeEffective(cmd *cobra.Command, c *api.Client, dry bool) error {
	current, err := c.Config(cmd.Context())
	if err != nil {
		return err
	}
	if current.File == "" {
		return fmt.Errorf("the proxy runs without a configuration file: there is nothing to write to")
	}
	edits := editsOf(current)
	status, err := c.Status(cmd.Context())
	if err != nil {
		return err
	}
	for _, e := range edits { // before the first is touched
		if err := e.check(); err != nil {
			return err
		}
	}
	if dry {
		d := overlaid(current)
		return g.show(cmd, d, func(out *screen) error { return showDiff(out, d.Diff) })
	}
	done := []written{}
	for _, e := range edits {
		if err := e.write(); err != nil {
			return err
		}
		done = append(done, written{e.path, len(e.now)})
	}
	if err := awaitRead(cmd.Context(), c, edits, status.Config.Problem, readWithin); err != nil {
		return err
	}
	return g.done(cmd, done, func(out *screen) error {
		if len(done) == 0 {
			g.note(cmd, "The files say already what is in force.")
		}
		for _, d := range done {
			out.printf("%s is written\n", text.Printable(d.File))
		}
		return nil
	})
}
