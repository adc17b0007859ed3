package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func (k *kind) newShadow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "shadow NAME",
		Short: "Show what a version in shadow would have done otherwise",
		Long: fmt.Sprintf(`Show what the version of a %s that runs in shadow has made of copies of the traffic, and the last requests of
which it would have made something else than the version that served them.`, k.noun),
		Example:           fmt.Sprintf("  %[1]s roll hello 4 shadow\n  %[1]s shadow hello\n  %[1]s shadow hello -o json", k.command),
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.ask(func(c *api.Client) error {
				s, err := k.shadow(c, cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return g.show(cmd, s, func(out *screen) error {
					showShadow(g, out, args[0], s)
					return nil
				})
			})
		},
	}
}

func showShadow(g *globals, out *screen, name string, s api.Shadow) {
	out.printf("%s  in shadow for %s\n", out.paint.In(text.Bold, fmt.Sprintf("%s@%d", text.Printable(name), s.Version)), text.Age(g.now().Sub(s.Since)))
	out.printf("%s the same, %s otherwise, %s failed%s\n", text.Count(s.Same), text.Count(s.Differs), text.Count(s.Failed), countsText("; not copied: %s", s.Dropped))
	if len(s.Kinds) > 0 {
		wrapped(out, "otherwise in ", countsText("%s", s.Kinds))
	}
	if s.Same+s.Differs > 0 {
		out.printf("%s each, %s of the versions that serve\n", text.Milliseconds(s.ShadowMean), text.Milliseconds(s.LiveMean))
	}
	for _, d := range s.Differences {
		out.printf("\n")
		wrapped(out, "", fmt.Sprintf("%s %s", text.Printable(d.Method), text.Printable(d.Target)))
		wrapped(out, "  ", fmt.Sprintf("%s ago, by @%d, id %s", text.Age(g.now().Sub(d.Time)), d.Live, text.Printable(d.ID)))
		for _, detail := range d.Details {
			wrapped(out, "  - ", text.Printable(detail))
		}
	}
}

// wrapped prints a text behind a lead, on as many lines as it takes.
func wrapped(out *screen, lead, s string) {
	for _, line := range text.Wrap(s, max(0, out.columns-len(lead))) {
		out.printf("%s%s\n", lead, line)
		lead = strings.Repeat(" ", len(lead))
	}
}

// countsText says how many there are of what, in a sentence; "" if there is nothing.
func countsText(format string, counts map[string]uint64) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, text.Printable(what)+" "+text.Count(counts[what]))
	}
	if all == nil {
		return ""
	}
	return fmt.Sprintf(format, strings.Join(all, ", "))
}
