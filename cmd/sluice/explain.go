package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

func newExplain(g *globals) *cobra.Command {
	var (
		r      api.ExplainRequest
		fields []string
		file   string
	)
	cmd := &cobra.Command{
		Use:   "explain URL",
		Short: "Say what would become of a request, and why",
		Long: `Say what would become of a request, stage by stage: the site and the route that take it and why others do not,
the arm, the filters, what the cache would do, and what is sent to which upstream or function. Nothing of it is
done: no filter runs, and nobody is asked.

The running proxy is asked, or with -c a file that need not be running.`,
		Example: `  sluice explain https://example.com/api/users
  sluice explain http://example.com/checkout -H "Cookie: sid=1" -X POST
  sluice explain example.com/old/page -c sluice.yaml`,
		Args: positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.URL = args[0]
			for _, f := range fields {
				name, value, ok := strings.Cut(f, ":")
				if name = strings.TrimSpace(name); !ok || name == "" {
					return usagef("field %q: expected \"Name: value\"", f)
				}
				r.Headers = append(r.Headers, api.Field{Name: name, Value: strings.TrimSpace(value)})
			}
			e, err := g.explain(cmd, r, file)
			if err != nil {
				return err
			}
			return g.show(cmd, e, func(out *screen) error { return showExplanation(out, g.verbose, r, e) })
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&fields, "header", "H", nil, "request `field`, as \"Name: value\"; may be repeated")
	f.StringVarP(&r.Method, "request", "X", "", "`method` (default GET)")
	f.StringVar(&r.Client, "client", "", "`address` of the client (default 127.0.0.1)")
	f.StringVarP(&file, "config", "c", "", "a `file` instead of what the running proxy has in force")
	cmd.MarkFlagFilename("config", "yaml", "yml")
	return cmd
}

// explain asks the running proxy, or what would be it with a file.
func (g *globals) explain(cmd *cobra.Command, r api.ExplainRequest, path string) (e api.Explanation, err error) {
	if path == "" {
		err = g.ask(func(c *api.Client) error {
			e, err = c.Explain(cmd.Context(), r)
			return err
		})
		return e, err
	}
	file, problems := config.Load(path, config.Options{})
	if !problems.Failed() {
		e, problems, err = server.Explain(file, r)
	}
	if err != nil {
		return e, err
	}
	if problems.Failed() {
		report(cmd.ErrOrStderr(), problems)
		return e, errConfig
	}
	return e, nil
}
