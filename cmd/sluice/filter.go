package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/scaffold"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newFilter(g *globals) *cobra.Command {
	k := &kind{
		noun: "filter", command: "sluice filter", flag: "on", project: scaffold.Filter,
		push:   (*api.Client).PushFilter,
		back:   (*api.Client).RollBackFilter,
		remove: (*api.Client).RemoveFilter,
		deploy: (*api.Client).DeployFilter,
		shadow: (*api.Client).FilterShadow,
		list: func(ctx context.Context, c *api.Client) (any, []module, error) {
			all, err := c.Filters(ctx)
			return list(all), modulesOf(ofFilter, all), err
		},
		get: func(ctx context.Context, c *api.Client, name string) (any, module, error) {
			f, err := c.Filter(ctx, name)
			return f, ofFilter(f), err
		},
	}
	c := &cobra.Command{
		Use:   "filter",
		Short: "Make, upload, list and remove filters",
		Long: `Filters are WebAssembly modules that run on the requests of a route: they answer, change or refuse them.
Every upload is a new version; the one that was live before is kept, and one command away.`,
		Example: `  sluice filter new auth                              a project to begin with
  sluice filter push auth auth.wasm --on example.com  live when this returns
  sluice filter back auth                             the version before`,
		Args: positional,
		RunE: needVerb,
	}
	c.AddCommand(newFilterPush(g, k), k.newBack(g), k.newList(g), k.newNew(g), k.newRemove(g), k.newRoll(g), k.newShadow(g), k.newShow(g), k.newTest(g), k.newTry(g, (*api.Client).TryFilter))
	return c
}

func newFilterPush(g *globals, k *kind) *cobra.Command {
	var use api.Use
	var to pushTo
	cmd := &cobra.Command{
		Use:   "push NAME FILE",
		Short: "Upload a module as a new version of a filter: checked, compiled, live",
		Long: `Upload a module as a new version of a filter. It is checked and compiled, and then live on every route that
uses the filter and names no version. --on puts it to use on one more route, or on a whole site; the
configuration file stays as it is, and sluice diff shows the difference.`,
		Example: `  sluice filter push auth auth.wasm
  sluice filter push auth auth.wasm --on 'example.com/api/*' --config @auth.json
  sluice filter push auth auth.wasm --dry-run`,
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names), secondFile("wasm")),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if use.Config, err = valueOf("config", use.Config, maxModuleConfig); err != nil {
				return err
			}
			return k.runPush(g, cmd, args[0], args[1], use, to)
		},
	}
	f := cmd.Flags()
	f.StringVar(&use.Route, "on", "", "`route` that it is to run on besides, as SITE/PATH, or a site")
	f.StringVar(&use.Config, "config", "", "configuration of the filter: a `text` or JSON, or @FILE")
	f.BoolVar(&use.DryRun, "dry-run", false, "check the module, and change nothing")
	to.flags(f)
	cmd.RegisterFlagCompletionFunc("on", g.complete(every(routeNames)))
	return cmd
}
