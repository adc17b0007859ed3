package main

import (
	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
)

func newRun(*globals) *cobra.Command {
	var given string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve in the foreground",
		Long: `Serve what the configuration file says, in the foreground. The file is watched: a change that is right is in
force at once, and cuts nothing; one that is wrong is reported, and what was in force goes on.

Signals: TERM and INT let exchanges end (twice: cut them), QUIT cuts them at once, HUP loads the file again.`,
		Example: `  sluice run
  sluice run -c /etc/sluice/sluice.yaml`,
		Args: positional,
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
	cmd.Flags().StringVarP(&given, "config", "c", "", "configuration `file` (default $SLUICE_CONFIG, or sluice.yaml)")
	cmd.MarkFlagFilename("config", "yaml", "yml")
	return cmd
}
