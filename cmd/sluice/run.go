package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
)

// errNoFile is what somebody is told who has just begun.
var errNoFile = usagef(`there is no sluice.yaml in this directory. What is to be served?

  sluice demo          try everything on loopback, without a file
  sluice to 3000       HTTPS in front of a port, without a file
  sluice run -c FILE   what a file says`)

// ownAdmin refuses flags that say where a running proxy is: this one has its file.
func (g *globals) ownAdmin() error {
	switch {
	case g.admin != "":
		return usagef("sluice run takes no --admin: its admin API is where the file says; write there admin: { listen: %q }", g.admin)
	case g.token != "":
		return usagef("sluice run takes no --token: its admin API has the token of the file; write there admin: { token: env:SLUICE_TOKEN }")
	}
	return nil
}

func newRun(g *globals) *cobra.Command {
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
			if err := g.ownAdmin(); err != nil {
				return err
			}
			path := configFile(given)
			if given == "" && os.Getenv("SLUICE_CONFIG") == "" {
				if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
					return errNoFile
				}
			}
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
			s.started = func() {
				s.log.Info("serving", "config", path, "addresses", s.proxy.Addresses(), "sandboxes", s.proxy.Sandboxes())
			}
			return s.serve()
		},
	}
	cmd.Flags().StringVarP(&given, "config", "c", "", "configuration `file` (default $SLUICE_CONFIG, or sluice.yaml)")
	cmd.MarkFlagFilename("config", "yaml", "yml")
	return cmd
}
