package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/scaffold"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newFn(g *globals) *cobra.Command {
	k := &kind{
		noun: "function", command: "sluice fn", flag: "route", project: scaffold.Function,
		push:   (*api.Client).PushFunction,
		back:   (*api.Client).RollBackFunction,
		remove: (*api.Client).RemoveFunction,
		deploy: (*api.Client).DeployFunction,
		shadow: (*api.Client).FunctionShadow,
		list: func(ctx context.Context, c *api.Client) (any, []module, error) {
			all, err := c.Functions(ctx)
			return list(all), modulesOf(ofFunction, all), err
		},
		get: func(ctx context.Context, c *api.Client, name string) (any, module, error) {
			f, err := c.Function(ctx, name)
			return f, ofFunction(f), err
		},
	}
	c := &cobra.Command{
		Use:     "fn",
		Aliases: []string{"function"},
		Short:   "Make, upload, list, call and remove functions",
		Long: `Functions are WebAssembly modules that answer the requests of a route: WASI commands in the way of CGI, or
http-wasm guests. Every upload is a new version; the one that was live before is kept, and one command away.`,
		Example: `  sluice fn new hello                                        a project
  sluice fn push hello hello.wasm --route example.com/hello  live at once
  sluice fn call /hello                                      try it`,
		Args: positional,
		RunE: needVerb,
	}
	c.AddCommand(newFnPush(g, k), k.newBack(g), newFnCall(g), k.newList(g), newFnLogs(g, k), k.newNew(g), k.newRemove(g), k.newRoll(g), k.newShadow(g), k.newShow(g), k.newTest(g), k.newTry(g, (*api.Client).TryFunction))
	return c
}

func newFnPush(g *globals, k *kind) *cobra.Command {
	var use api.Use
	var to pushTo
	cmd := &cobra.Command{
		Use:   "push NAME FILE",
		Short: "Upload a module as a new version of a function: checked, compiled, live",
		Long: `Upload a module as a new version of a function. It is checked and compiled, and then live on every route
whose target the function is and which names no version. --route makes a route for it, or makes it the target of
one; the configuration file stays as it is, and sluice diff shows the difference.`,
		Example: `  sluice fn push hello hello.wasm
  sluice fn push hello hello.wasm --route example.com/hello
  sluice fn push hello hello.wasm --dry-run`,
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names), secondFile("wasm")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.runPush(g, cmd, args[0], args[1], use, to)
		},
	}
	f := cmd.Flags()
	f.StringVar(&use.Route, "route", "", "`route` that it is to answer, as SITE/PATH; it is made if there is none")
	f.BoolVar(&use.DryRun, "dry-run", false, "check the module, and change nothing")
	to.flags(f)
	cmd.RegisterFlagCompletionFunc("route", g.complete(every(routeNames)))
	return cmd
}
