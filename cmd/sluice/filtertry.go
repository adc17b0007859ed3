package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// newTry returns the command that has the running proxy try a module.
func (k *kind) newTry(g *globals, try func(c *api.Client, ctx context.Context, name string, t api.TryRequest) (api.Trial, error)) *cobra.Command {
	var t trialFlags
	var version int
	var effects bool
	cmd := &cobra.Command{
		Use:   "try NAME [URL]",
		Short: "Run one request through a version of a " + k.noun + ", apart from all traffic",
		Long: fmt.Sprintf(`Have the running proxy run one request through a version of a %[1]s, configured as it is there, and say what it has
changed, what it says, how long it ran and how much memory it had. Any version that is stored can be tried, live or
not. No other request has part in it, and nothing is counted or logged: without --effects it reads the keys and asks
the upstreams that it is allowed, but changes nothing.

The exit code is 4 if the %[1]s fails.`, k.noun),
		Example: fmt.Sprintf(`  %[1]s try auth http://example.com/api -H "Authorization: Bearer x"
  %[1]s try auth --version 3 -d @body.json -o json`, k.command),
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names)),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := t.request(cmd, args[1:])
			if err != nil {
				return err
			}
			q.Version, q.Effects = version, effects
			return g.ask(func(c *api.Client) error {
				r, err := try(c, cmd.Context(), args[0], q)
				if err != nil {
					return err
				}
				err = g.show(cmd, r, func(out *screen) error {
					out.printf("%s", trialText(&tried{q, r}, out.paint))
					out.printf("\n%s @%d ran for %s\n", text.Printable(r.Filter+r.Function), r.Version, text.Milliseconds(r.Cost.MS))
					return costs(out, r.ABI, r.Cost.StartMS, r.Cost.Memory, r.Cost.Fresh, r.Cost.Why)
				})
				if err == nil && (r.Verdict == api.TrialFailed || r.Verdict == api.TrialSkipped) {
					err = errFound
				}
				return err
			})
		},
	}
	cmd.Flags().IntVar(&version, "version", 0, "`number` of the version (default the one that is live)")
	cmd.Flags().BoolVar(&effects, "effects", false, "let it write keys, send upstreams more than questions, and count, as far as it is allowed")
	t.add(cmd, k)
	return cmd
}
