package main

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newSplit(g *globals) *cobra.Command {
	var change api.Change
	cmd := &cobra.Command{
		Use:   "split ROUTE [PERCENT|ARM=PERCENT]...",
		Short: "Show or change how a route's traffic is divided",
		Long: `Show how a route's traffic is divided between its arms, or divide it anew.

A percentage alone is for the last arm, the canary, of a split of two. Arms that are not named keep their
proportions in what is left.`,
		Example: `  sluice split checkout                 show it
  sluice split checkout 10%             10% to the second arm, 90% to the first
  sluice split checkout 10% --dry-run   what that would be
  sluice split checkout shop-v2=0%      no new visitors for shop-v2`,
		Args:              positional,
		ValidArgsFunction: g.complete(first(splitNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			shares, err := parseShares(args[1:])
			if err != nil {
				return err
			}
			return g.ask(func(c *api.Client) error {
				s, err := c.Split(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				show := func(out *screen) error { return showSplit(out, s) }
				if len(shares) == 0 {
					return g.show(cmd, s, show)
				}
				weights, err := divide(s, shares)
				if err != nil {
					return err
				}
				if s, err = c.SetSplit(cmd.Context(), args[0], api.SplitChange{Weights: weights}, change); err != nil {
					return err
				}
				return g.done(cmd, s, show)
			})
		},
	}
	cmd.Flags().BoolVar(&change.DryRun, "dry-run", false, "show what would become of it, and change nothing")
	return cmd
}

func showSplit(out *screen, s api.Split) error {
	out.printf("%s  by %s\n\n", out.paint.In(text.Bold, text.Printable(s.Route)), text.Printable(s.By))
	t := text.NewTable("ARM", ">SHARE", ">REQUESTS", ">ERRORS", ">ERROR RATE")
	for _, a := range s.Arms {
		rate := "-"
		if a.Requests > 0 {
			rate = text.Share(float64(a.Errors) / float64(a.Requests))
		}
		t.Add(a.Name, text.Percent(a.Share), text.Count(a.Requests), text.Count(a.Errors), rate)
	}
	return out.tables(t)
}

// share is one argument: an arm, or "" where it is not named, and its percent.
type share struct {
	arm     string
	percent float64
}

func parseShares(args []string) ([]share, error) {
	var shares []share
	for _, arg := range args {
		// The arm may be function:NAME or hold other signs, but no '='.
		arm, text, named := strings.Cut(arg, "=")
		if !named {
			arm, text = "", arg
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if err != nil || math.IsNaN(percent) || percent < 0 || percent > 100 {
			return nil, usagef("%q is not a share: give a percentage from 0%% to 100%%, such as 5%% or arm=5%%", arg)
		}
		switch {
		case named && arm == "":
			return nil, usagef("%q names no arm", arg)
		case !named && len(args) > 1:
			return nil, usagef("%q names no arm: only a single share may be without", arg)
		case slices.ContainsFunc(shares, func(s share) bool { return s.arm == arm }):
			return nil, usagef("arm %q is given twice", arm)
		}
		shares = append(shares, share{arm, percent})
	}
	return shares, nil
}

// precision is what shares are rounded to, in parts of a percent.
const precision = 1e6

func round(percent float64) float64 { return math.Round(percent*precision) / precision }

// divide returns the weight of every arm of s if some of them get shares. The
// others keep their proportions in the rest.
func divide(s api.Split, shares []share) (map[string]float64, error) {
	names := make([]string, len(s.Arms))
	for i, a := range s.Arms {
		names[i] = a.Name
	}
	have := strings.Join(names, ", ")
	if shares[0].arm == "" {
		if len(s.Arms) != 2 {
			return nil, usagef("route %q has not two arms but %d: say whose share it is, as in arm=%s; have %s",
				s.Route, len(s.Arms), text.Percent(shares[0].percent), have)
		}
		shares = []share{{s.Arms[1].Name, shares[0].percent}}
	}
	weights := make(map[string]float64, len(s.Arms))
	rest := 100.0
	for _, share := range shares {
		if !slices.Contains(names, share.arm) {
			return nil, usagef("route %q has no arm %q; have %s", s.Route, share.arm, have)
		}
		weights[share.arm] = share.percent
		rest = round(rest - share.percent)
	}
	var others []api.Arm
	sum := 0.0
	for _, a := range s.Arms {
		if _, given := weights[a.Name]; !given {
			others = append(others, a)
			sum += a.Share
		}
	}
	switch {
	case rest < 0:
		return nil, usagef("the shares are %s in sum, more than 100%%", text.Percent(round(100-rest)))
	case len(others) == 0 && rest > 0:
		return nil, usagef("the shares are %s in sum, and no other arm is left for the rest", text.Percent(round(100-rest)))
	}
	left := rest
	for i, a := range others {
		switch {
		case i == len(others)-1:
			weights[a.Name] = round(left) // what rounding has left over too
		case sum == 0: // nobody had anything: in equal parts
			weights[a.Name] = round(rest / float64(len(others)))
		default:
			weights[a.Name] = round(rest * a.Share / sum)
		}
		left -= weights[a.Name]
	}
	return weights, nil
}
