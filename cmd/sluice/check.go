package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

// errStrict is errConfig for those who want no warnings either.
var errStrict = &exitError{exitUsage, errors.New("the configuration has warnings, and --strict wants none")}

func newCheck(g *globals) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration file",
		Long: `Check a configuration file, and list all that is wrong with it: line, column, and what was probably meant. The
modules that it names are compiled, and begun as they would be; which versions were uploaded only the running
proxy knows (sluice apply --dry-run). The exit code is 2 if there are errors, and with --strict if there are
warnings.`,
		Example: `  sluice check
  sluice check sluice.yaml --strict
  sluice check sluice.yaml -o json`,
		Args:              positional,
		ValidArgsFunction: g.complete(firstFile("yaml", "yml")),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := ""
			if len(args) > 0 {
				given = args[0]
			}
			path := configFile(given)
			file, problems := config.Load(path, config.Options{})
			if !problems.Failed() {
				more, err := server.Check(cmd.Context(), file)
				if err != nil {
					return err
				}
				if more.Failed() {
					problems = more
				}
			}
			if g.output == "table" {
				report(cmd.ErrOrStderr(), problems)
			} else if err := g.print(cmd.OutOrStdout(), problems); err != nil {
				return err
			}
			switch {
			case problems.Failed():
				return errConfig
			case strict && problems.Warned():
				return errStrict
			case g.quiet || g.output != "table":
				return nil
			}
			routes := 0
			for _, s := range file.Sites {
				routes += len(s.Routes)
			}
			count := func(n int, thing string) string { return text.Plural(uint64(n), thing) }
			g.out(cmd).printf("%s is right: %s, %s, %s, %s, %s\n", text.Printable(path), count(len(file.Sites), "site"), count(routes, "route"),
				count(len(file.Upstreams), "upstream"), count(len(file.Filters), "filter"), count(len(file.Functions), "function"))
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for errors")
	return cmd
}
