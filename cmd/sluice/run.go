package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
)

func newRun(*globals) *cobra.Command {
	var given string
	cmd := &cobra.Command{
		Use:   "run [-c sluice.yaml]",
		Short: "Serve in the foreground",
		Long: `Serve what the configuration file says, in the foreground. The file is watched:
a change that is right is in force at once, and cuts nothing; one that is wrong is
reported, and what was in force goes on.

Signals: TERM and INT let exchanges end (twice: cut them), QUIT cuts them at once,
HUP loads the file again.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := configFile(given)
			load := func() (*config.File, *diag.List) { return config.Load(path, config.Options{}) }
			file, problems := load()
			if problems.Failed() {
				report(cmd.ErrOrStderr(), problems)
				return errConfig
			}
			current := file
			s := &service{file: file, stderr: cmd.ErrOrStderr()}
			s.load = func() (*config.File, *diag.List) {
				f, problems := load()
				if f != nil {
					current = f
				}
				return f, problems
			}
			s.watched = func() []string { return current.Files() }
			s.started = func() { s.log.Info("serving", "config", path, "addresses", s.proxy.Addresses()) }
			return s.serve()
		},
	}
	cmd.Flags().StringVarP(&given, "config", "c", "", "configuration file (default $SLUICE_CONFIG, or sluice.yaml)")
	return cmd
}

func newCheck(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "check [sluice.yaml]",
		Short: "Check a configuration file",
		Long: `Check a configuration file, and list all that is wrong with it: line, column, and
what was probably meant. The exit code is 2 if there are errors.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := ""
			if len(args) > 0 {
				given = args[0]
			}
			path := configFile(given)
			file, problems := config.Load(path, config.Options{})
			if g.output == "json" {
				if err := printJSON(cmd.OutOrStdout(), problems); err != nil {
					return err
				}
			} else {
				report(cmd.ErrOrStderr(), problems)
			}
			if problems.Failed() {
				return errConfig
			}
			if !g.quiet && g.output != "json" {
				routes := 0
				for _, s := range file.Sites {
					routes += len(s.Routes)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is right: %s, %s, %s, %s\n", path,
					plural(len(file.Sites), "site"), plural(routes, "route"), plural(len(file.Upstreams), "upstream"), plural(len(file.Filters), "filter"))
			}
			return nil
		},
	}
}
