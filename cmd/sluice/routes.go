package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newRoutes(g *globals) *cobra.Command {
	var site string
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "List the routes that are in force",
		Long: `List the routes of the running proxy, in the order of the file: what they match, where their requests go,
and the filters that run on the way. Routes that the API has changed say so; sluice diff shows how.`,
		Example: "  sluice routes\n  sluice routes --site example.com -o json",
		Args:    positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.ask(func(c *api.Client) error {
				routes, err := c.Routes(cmd.Context())
				if err != nil {
					return err
				}
				if site != "" {
					if routes, err = ofSite(routes, site); err != nil {
						return err
					}
				}
				return g.show(cmd, list(routes), func(out *screen) error { return out.tables(routeTable(routes)) })
			})
		},
	}
	cmd.Flags().StringVar(&site, "site", "", "`site` whose routes are listed")
	cmd.RegisterFlagCompletionFunc("site", g.complete(every(siteNames)))
	return cmd
}

// ofSite returns the routes of a site.
func ofSite(routes []api.Route, site string) ([]api.Route, error) {
	var have []string
	for _, r := range routes {
		if !slices.Contains(have, r.Site) {
			have = append(have, r.Site)
		}
	}
	if !slices.Contains(have, site) {
		return nil, usagef("no site %q; have %s", site, text.Printable(strings.Join(have, ", ")))
	}
	return slices.DeleteFunc(routes, func(r api.Route) bool { return r.Site != site }), nil
}

func routeTable(routes []api.Route) *text.Table {
	t := text.NewTable("ROUTE", "MATCH", "TARGET", "?WHEN", "?FILTERS", "CHANGED")
	for _, r := range routes {
		changed := ""
		if r.Overlaid {
			changed = "by the API"
		}
		t.Add(r.ID, r.Match, r.Target, strings.Join(r.When, ", "), strings.Join(r.Filters, ", "), changed)
	}
	return t
}
