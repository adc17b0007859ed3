package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newHistory(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "List the configurations that were in force",
		Long: `List the configurations that were in force, the latest first: when, and what made the change. sluice rollback
puts one in force again.`,
		Example: "  sluice history\n  sluice history -o json",
		Args:    positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.ask(func(c *api.Client) error {
				all, err := c.History(cmd.Context())
				if err != nil {
					return err
				}
				return g.show(cmd, list(all), func(out *screen) error {
					if len(all) == 0 {
						g.note(cmd, "There is no history yet.")
					}
					t := text.NewTable(">NUMBER", "", ">AGE", ">?SIZE", "CAUSE")
					for _, r := range all {
						current := ""
						if r.Current {
							current = "in force"
						}
						t.Add(strconv.Itoa(r.Number), current, text.Age(g.now().Sub(r.Time)), text.Bytes(int64(r.Bytes)), r.Cause)
					}
					return out.tables(t)
				})
			})
		},
	}
}

func newRollback(g *globals) *cobra.Command {
	var change api.Change
	cmd := &cobra.Command{
		Use:   "rollback [NUMBER]",
		Short: "Put a configuration of the history in force again",
		Long: `Put a configuration of the history in force again: the one of a number, or the one before the current one.
The configuration file stays as it is: sluice diff shows how it differs, and sluice apply --write makes it the
same.`,
		Example: "  sluice rollback            the one before\n  sluice rollback 7",
		Args:    positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			number := 0
			if len(args) > 0 {
				n, err := strconv.Atoi(args[0])
				if err != nil || n < 1 {
					return usagef("%q is no number of sluice history", args[0])
				}
				number = n
			}
			return g.ask(func(c *api.Client) error {
				now, err := c.RollBackConfig(cmd.Context(), number, change)
				if err != nil {
					return err
				}
				what := "The configuration before is in force again."
				switch {
				case change.DryRun:
					what = "It is right, and could be in force again."
				case number > 0:
					what = "Configuration " + strconv.Itoa(number) + " is in force again."
				}
				return g.done(cmd, now, func(out *screen) error {
					warn(cmd, now.Warnings)
					out.printf("%s\n", what)
					return nil
				})
			})
		},
	}
	cmd.Flags().BoolVar(&change.DryRun, "dry-run", false, "check it, and change nothing")
	return cmd
}
