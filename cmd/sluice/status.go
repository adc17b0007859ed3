package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newStatus(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the health of the running proxy",
		Long: `Show the health of the running proxy on one page. Rates, shares of errors and times are those of the last
minute: a time is from a request's head to the end of its answer; of an upstream, from sending the request to
the head of the answer. Requests and errors count since the start.`,
		Example: "  sluice status\n  sluice status -o json",
		Args:    positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.ask(func(c *api.Client) error {
				s, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				return g.show(cmd, s, func(out *screen) error { return showStatus(g, out, s) })
			})
		},
	}
}

func showStatus(g *globals, out *screen, s api.Status) error {
	state := out.paint.In(text.Green, "ready")
	if !s.Ready {
		state = out.paint.In(text.Red, "not ready")
	}
	out.printf("%s, up %s, %s\n", versionText(s.Version), text.Age(g.now().Sub(s.Started)), state)
	showConfig(g, out, s.Config)
	out.printf("%s, %s\n", text.Plural(s.Requests, "request"), text.Plural(s.Errors, "error"))
	if l := s.Latest; l.Requests > 0 {
		out.printf("last minute: %s, %s errors, p50 %s, p95 %s, p99 %s, max %s\n", text.Rate(l.Rate), text.Share(l.Errors),
			text.Milliseconds(l.P50), text.Milliseconds(l.P95), text.Milliseconds(l.P99), text.Milliseconds(l.Max))
	}
	if c := s.Cache; c != nil {
		out.printf("cache: %s of %s, %s, %s, %s\n", text.Bytes(c.Bytes), text.Bytes(c.Limit),
			entries(c.Entries), text.Plural(c.Hits, "hit"), text.Plural(c.Misses, "miss"))
	}
	if s.Sandboxes != "" {
		out.printf("sandboxes are put back by %s\n", text.Printable(s.Sandboxes))
	}
	out.printf("\n")
	return out.tables(statusTables(g.now(), s)...)
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return text.Count(uint64(max(n, 0))) + " entries"
}

func showConfig(g *globals, out *screen, c api.Config) {
	changes := ""
	if c.Overlays > 0 {
		changes = ", " + text.Plural(uint64(c.Overlays), "change") + " by the API (sluice diff)"
	}
	if c.File != "" {
		out.printf("%s, loaded %s ago, %s%s\n", text.Printable(c.File), text.Age(g.now().Sub(c.Loaded)), text.Plural(c.Reloads, "reload"), changes)
	} else if changes != "" {
		out.printf("no file%s\n", changes)
	}
	if p := c.Problem; p != nil {
		out.printf("%s\n", out.paint.In(text.Red, "The file as it is now is not in force:"))
		out.printf("  %s\n", strings.ReplaceAll(text.Lines(p.Error()), "\n", "\n  "))
	}
}

// latestHeads are the headings of what latestCells returns.
var latestHeads = []string{">RATE", ">ERRORS", ">?P50", ">P95", ">?P99", ">??MAX"}

func latestCells(l api.Latest) []string {
	if l.Requests == 0 {
		return []string{"-", "-", "-", "-", "-", "-"}
	}
	if l.Max == 0 { // none has been answered
		return []string{text.Rate(l.Rate), text.Share(l.Errors), "-", "-", "-", "-"}
	}
	return []string{text.Rate(l.Rate), text.Share(l.Errors), text.Milliseconds(l.P50), text.Milliseconds(l.P95), text.Milliseconds(l.P99), text.Milliseconds(l.Max)}
}

func statusTables(now time.Time, s api.Status) []*text.Table {
	listeners := text.NewTable("LISTENER", "ADDRESS", "PROTOCOLS")
	for _, l := range s.Listeners {
		listeners.Add(l.Name, l.Address, strings.Join(l.Protocols, " "))
	}
	connections := text.NewTable("PROTOCOL", ">OPEN", ">ACTIVE", ">TUNNELS")
	for _, c := range s.Connections {
		connections.Add(c.Protocol, strconv.Itoa(c.Open), strconv.Itoa(c.Active), strconv.Itoa(c.Tunnels))
	}
	routes := text.NewTable(append([]string{"ROUTE", ">REQUESTS"}, latestHeads...)...)
	for _, r := range s.Routes {
		routes.Add(append([]string{r.Route, text.Count(r.Requests)}, latestCells(r.Latest)...)...)
	}
	upstreams := text.NewTable(append([]string{"UPSTREAM"}, latestHeads...)...)
	endpoints := text.NewTable("UPSTREAM", "ENDPOINT", ">?WEIGHT", ">ACTIVE", ">?IDLE", ">REQUESTS", ">ERRORS")
	for _, u := range s.Upstreams {
		if u.Latest.Requests > 0 {
			upstreams.Add(append([]string{u.Name}, latestCells(u.Latest)...)...)
		}
		for _, e := range u.Endpoints {
			weight := strconv.Itoa(e.Weight)
			if e.Backup {
				weight = "backup " + weight
			}
			endpoints.Add(u.Name, e.Address, weight, strconv.Itoa(e.Active), strconv.Itoa(e.Idle), text.Count(e.Requests), text.Count(e.Errors))
		}
	}
	splits := text.NewTable("SPLIT", "ARM", ">SHARE", ">REQUESTS", ">ERRORS")
	for _, p := range s.Splits {
		for _, a := range p.Arms {
			splits.Add(p.Route, a.Name, text.Percent(a.Share), text.Count(a.Requests), text.Count(a.Errors))
		}
	}
	functions := modulesOf(ofFunction, s.Functions)
	return []*text.Table{listeners, connections, routes, upstreams, endpoints, splits,
		moduleTable("FILTER", modulesOf(ofFilter, s.Filters)), moduleTable("FUNCTION", functions), scheduleTable(now, functions)}
}

func versionText(v api.Version) string {
	revision := ""
	if v.Revision != "" {
		hash, changes, changed := strings.Cut(v.Revision, "+")
		revision = ", revision " + text.Printable(hash[:min(len(hash), 12)])
		if changed {
			revision += "+" + text.Printable(changes)
		}
	}
	return fmt.Sprintf("sluice %s (%s, %s%s)", text.Printable(v.Version), text.Printable(v.Platform), text.Printable(v.Go), revision)
}
