package main

import (
	"cmp"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// globals is what all verbs share.
type globals struct {
	admin   string // address of the admin API
	token   string
	output  string // "table", "json" or "yaml"
	quiet   bool
	verbose bool

	now   func() time.Time
	width func(io.Writer) int // columns of a terminal; 0: it is none
}

// newRoot returns the command with all its verbs.
func newRoot() *cobra.Command {
	return newRootOf(&globals{now: time.Now, width: terminalWidth})
}

func newRootOf(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "An edge proxy in one binary",
		Long: `sluice takes HTTP/1.1, HTTP/2 and HTTP/3, runs WebAssembly filters on every request, answers from
WebAssembly functions, splits traffic between upstreams, caches, compresses, and forwards.

Exit codes: 0 done, 1 failed while running, 2 bad usage or bad configuration, 3 the admin API is out of
reach, 4 a check found something.`,
		Example: `  sluice demo                           try everything on loopback
  sluice to 3000                        HTTPS in front of a port
  sluice run -c sluice.yaml             serve what a file says`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          positional,
		RunE:          needVerb,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			switch g.output {
			case "table", "json", "yaml":
				return nil
			}
			return usagef("--output %q is neither table, nor json, nor yaml", g.output)
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&g.admin, "admin", "", "`address` of the admin API: URL, host:port or unix:PATH (default $SLUICE_ADMIN, or "+api.DefaultAddress+")")
	f.StringVar(&g.token, "token", "", "`token` of the admin API (default $SLUICE_TOKEN)")
	f.StringVarP(&g.output, "output", "o", "table", "`format` of results: table, json or yaml")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print results and errors only")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "print more")
	root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(g.help)
	root.SetUsageFunc(func(cmd *cobra.Command) error { g.help(cmd, nil); return nil })

	group := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("start", "Start", newDemo(g), newTo(g), newRun(g))
	group("configure", "Configure", newCheck(g), newExplain(g), newDiff(g), newApply(g), newHistory(g), newRollback(g), newSplit(g))
	group("modules", "Modules", newFilter(g), newFn(g), newKV(g))
	group("watch", "Watch", newStatus(g), newRoutes(g), newCapture(g), newFetch(g))
	group("other", "Other", newCompletion(), newMan(g), newVersion(g))
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(newHelp())
	return root
}

// client returns a client of the admin API that the flags or the environment name.
func (g *globals) client() (*api.Client, error) {
	c, err := api.NewClient(cmp.Or(g.admin, os.Getenv("SLUICE_ADMIN")), cmp.Or(g.token, os.Getenv("SLUICE_TOKEN")))
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return c, nil
}

// ask gives do a client of the admin API.
func (g *globals) ask(do func(c *api.Client) error) error {
	c, err := g.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}
