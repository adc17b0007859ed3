package main

import (
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
		Use:     "version",
		Short:   "Print the version of this binary",
		Long:    "Print the version of this binary, and what it was built with. sluice status prints that of the running proxy.",
		Example: "  sluice version\n  sluice version -o json",
		Args:    positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersion()
			return g.show(cmd, v, func(out *screen) error {
				out.printf("%s\n", versionText(v))
				return nil
			})
		},
	}
}
