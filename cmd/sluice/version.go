package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// buildVersion returns what this binary is made of.
func buildVersion() api.Version {
	v := api.Version{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if v.Revision != "" && modified {
		v.Revision += "+changes"
	}
	return v
}

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersion()
			if g.output == "json" {
				return printJSON(cmd.OutOrStdout(), v)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionText(v))
			return err
		},
	}
}

func versionText(v api.Version) string {
	revision := ""
	if v.Revision != "" {
		revision = ", revision " + printable(v.Revision)
	}
	return fmt.Sprintf("sluice %s (%s, %s%s)", printable(v.Version), printable(v.Platform), printable(v.Go), revision)
}
