package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func (k *kind) newRoll(g *globals) *cobra.Command {
	var change api.Change
	var guard string
	cmd := &cobra.Command{
		Use:   "roll NAME VERSION PERCENT|shadow",
		Short: "Give a version a share of the traffic, or copies of it",
		Long: fmt.Sprintf(`Give a version of a %s a share of the traffic; the version that serves beside it, or alone until now, has the
rest. Clients are told apart by their addresses: who has got a version keeps it while its share grows. At 100%%
it serves alone, at 0%% no more. In shadow it runs on copies of the traffic, of which nothing is kept but what
it would have done otherwise.

With --guard the newer of two versions is rolled back by itself when it does not do well. The guard stays, for
later versions too, until another takes its place, or "off".`, k.noun),
		Example: fmt.Sprintf(`  %[1]s roll hello 4 shadow   copies of the traffic
  %[1]s roll hello 4 5%% --guard "roll back if traps > 0.1%%"
  %[1]s roll hello 4 100%%     it alone`, k.command),
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names)),
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := parseVersion(args[1])
			if err != nil {
				return err
			}
			to, err := parseRoll(args[2])
			if err != nil {
				return err
			}
			return g.ask(func(c *api.Client) error {
				_, m, err := k.get(cmd.Context(), c, args[0])
				if err != nil {
					return err
				}
				next, err := roll(m.deployment, version, to)
				if err != nil {
					return err
				}
				if guard != "" {
					next.Guard = &guard
				}
				d, err := k.deploy(c, cmd.Context(), args[0], next, change)
				if err != nil {
					return err
				}
				return g.done(cmd, d, func(out *screen) error {
					would := ""
					if change.DryRun {
						would = " would be"
					}
					out.printf("%s%s %s\n", text.Printable(args[0]), would, deploymentText(d))
					return nil
				})
			})
		},
	}
	cmd.Flags().StringVar(&guard, "guard", "", "`when` the newer of two versions is rolled back, as in \"roll back if traps > 1%\"; or off")
	cmd.Flags().BoolVar(&change.DryRun, "dry-run", false, "say what would become of it, and change nothing")
	return cmd
}

// rolled is what a version is to get: a share in percent, or copies.
type rolled struct {
	percent float64
	shadow  bool
}

func parseRoll(s string) (rolled, error) {
	if s == "shadow" {
		return rolled{shadow: true}, nil
	}
	percent, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || math.IsNaN(percent) || percent < 0 || percent > 100 {
		return rolled{}, usagef("%q is neither a share, such as 5%%, nor shadow", s)
	}
	return rolled{percent: percent}, nil
}

func parseVersion(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "@"))
	if err != nil || n < 1 {
		return 0, usagef("%q is no version: give its number, such as 4 or @4", s)
	}
	return n, nil
}

// roll returns the deployment in which a version gets what it is to.
func roll(d api.Deployment, version int, to rolled) (api.DeploymentChange, error) {
	next := api.DeploymentChange{Shadow: d.Shadow}
	var others []api.Deployed
	serves := false
	for _, v := range d.Versions {
		if v.Version == version {
			serves = true
		} else {
			others = append(others, v)
		}
	}
	if version == d.Shadow {
		next.Shadow = 0
	}
	keep := func() {
		for _, v := range d.Versions {
			next.Versions = append(next.Versions, api.DeployedShare{Version: v.Version, Percent: v.Percent})
		}
	}
	switch {
	case to.shadow && serves && len(others) > 0:
		return next, usagef("version %d serves: what is in shadow gets copies of what others serve; give it 0%% first", version)
	case to.shadow && serves:
		return next, usagef("version %d serves alone: what is in shadow gets copies of what others serve", version)
	case to.shadow && len(d.Versions) == 0:
		return next, usagef("no version serves, of which version %d could get copies: give one 100%% first", version)
	case to.shadow:
		keep()
		next.Shadow = version
	case to.percent == 100:
		next.Versions = []api.DeployedShare{{Version: version, Percent: 100}}
	case len(others) == 0:
		return next, usagef("no other version serves, that could have the other %s", text.Percent(round(100-to.percent)))
	case to.percent == 0 && !serves: // out of the shadow, if there
		keep()
	case len(others) == 2:
		return next, usagef("versions %d and %d serve already: give one of them 100%% first", others[0].Version, others[1].Version)
	case to.percent == 0:
		next.Versions = []api.DeployedShare{{Version: others[0].Version, Percent: 100}}
	default:
		next.Versions = []api.DeployedShare{{Version: others[0].Version, Percent: round(100 - to.percent)}, {Version: version, Percent: to.percent}}
	}
	return next, nil
}

// deploymentText says what runs: "@3 95%, @4 5%, @5 in shadow".
func deploymentText(d api.Deployment) string {
	var all []string
	for _, v := range d.Versions {
		all = append(all, fmt.Sprintf("@%d %s", v.Version, text.Percent(v.Percent)))
	}
	if d.Shadow != 0 {
		all = append(all, fmt.Sprintf("@%d in shadow", d.Shadow))
	}
	return strings.Join(all, ", ")
}

// showDeployment shows the versions that run side by side, if there is more to say than
// that one does.
func showDeployment(g *globals, out *screen, d api.Deployment) error {
	if r := d.RolledBack; r != nil {
		out.printf("\n%s\n", out.paint.In(text.Red, fmt.Sprintf("@%d was rolled back to @%d by its guard %s ago", r.From, r.To, text.Age(g.now().Sub(r.Time)))))
		wrapped(out, "  ", text.Printable(r.Reason))
		if r.Unsaved != "" {
			wrapped(out, "  ", "It is not saved, so a restart would undo it; the proxy tries again: "+text.Printable(r.Unsaved))
		}
	}
	if len(d.Versions) == 0 {
		return nil
	}
	out.printf("\n")
	t := text.NewTable("SERVES", ">SHARE", ">REQUESTS", ">ERRORS", ">TRAPS", ">MEAN", ">P95")
	for _, v := range d.Versions {
		mean, p95 := "-", "-"
		if v.Requests > 0 {
			mean, p95 = text.Milliseconds(v.Mean), text.Milliseconds(v.P95)
		}
		t.Add("@"+strconv.Itoa(v.Version), text.Percent(v.Percent), text.Count(v.Requests), countOf(v.Errors, v.Requests), countOf(v.Traps, v.Requests), mean, p95)
	}
	if err := out.tables(t); err != nil {
		return err
	}
	for _, v := range d.Versions {
		if v.WhyFresh != "" {
			wrapped(out, fmt.Sprintf("@%d: ", v.Version), "each request starts an instance of its own, since the module "+text.Printable(v.WhyFresh)+". Built without that, instances are put back in microseconds.")
		}
	}
	var said []string
	if d.Shadow != 0 {
		said = append(said, fmt.Sprintf("@%d in shadow", d.Shadow))
	}
	if !d.Since.IsZero() {
		said = append(said, "unchanged for "+text.Age(g.now().Sub(d.Since)))
	}
	if said != nil {
		out.printf("%s\n", strings.Join(said, ", "))
	}
	if d.Guard != "" && d.Guard != "off" {
		wrapped(out, "guard: ", text.Printable(d.Guard))
	}
	return nil
}

// countOf returns a number with its share of all.
func countOf(n, all uint64) string {
	if n == 0 || all == 0 {
		return text.Count(n)
	}
	return text.Count(n) + " (" + text.Share(float64(n)/float64(all)) + ")"
}
