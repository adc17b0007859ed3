package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// completeTime is how long a person waits for names that the admin API completes.
const completeTime = 500 * time.Millisecond

// lister returns names that the running proxy knows.
type lister func(ctx context.Context, c *api.Client) ([]string, error)

// candidates is what may stand at a place of the command line.
type candidates struct {
	at   int    // index of the argument; -1: any
	list lister // nil: files
	ext  []string
}

func first(l lister) candidates           { return candidates{list: l} }
func every(l lister) candidates           { return candidates{at: -1, list: l} }
func secondFile(ext ...string) candidates { return candidates{at: 1, ext: ext} }
func firstFile(ext ...string) candidates  { return candidates{at: 0, ext: ext} }

// complete returns a function that completes arguments. It is quick, and says
// nothing where the proxy does not run.
func (g *globals) complete(places ...candidates) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		for _, p := range places {
			switch {
			case p.at >= 0 && p.at != len(args):
				continue
			case p.list == nil:
				return p.ext, cobra.ShellCompDirectiveFilterFileExt
			}
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			ctx, cancel := context.WithTimeout(ctx, completeTime)
			defer cancel()
			var found []string
			err := g.ask(func(c *api.Client) error {
				names, err := p.list(ctx, c)
				for _, name := range names {
					if strings.HasPrefix(name, begun) && harmless(name) {
						found = append(found, name)
					}
				}
				return err
			})
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return found, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// harmless reports whether a name may go to a shell's completion, which may expand
// what it gets.
func harmless(name string) bool {
	return name != "" && strings.TrimFunc(name, func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./@:*{}+,= ", r)
	}) == ""
}

func (k *kind) names(ctx context.Context, c *api.Client) ([]string, error) {
	_, modules, err := k.list(ctx, c)
	var names []string
	for _, m := range modules {
		names = append(names, m.name)
	}
	return names, err
}

func routeNames(ctx context.Context, c *api.Client) ([]string, error) {
	routes, err := c.Routes(ctx)
	var names []string
	for _, r := range routes {
		names = append(names, r.ID)
	}
	return names, err
}

func siteNames(ctx context.Context, c *api.Client) ([]string, error) {
	routes, err := c.Routes(ctx)
	var names []string
	for _, r := range routes {
		if n := len(names); n == 0 || names[n-1] != r.Site {
			names = append(names, r.Site)
		}
	}
	return names, err
}

func splitNames(ctx context.Context, c *api.Client) ([]string, error) {
	s, err := c.Status(ctx)
	var names []string
	for _, p := range s.Splits {
		names = append(names, p.Route)
	}
	return names, err
}
