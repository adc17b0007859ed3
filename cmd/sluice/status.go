package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newStatus(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the health of the running proxy",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := g.client()
			if err != nil {
				return err
			}
			defer client.Close()
			s, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if g.output == "json" {
				return printJSON(out, s)
			}
			return showStatus(g, out, s)
		},
	}
}

func showStatus(g *globals, out io.Writer, s api.Status) error {
	columns := width(out)
	state := "ready"
	if !s.Ready {
		state = "not ready"
	}
	fmt.Fprintf(out, "%s, up %s, %s\n", versionText(s.Version), ageText(g.now().Sub(s.Started)), state)
	if s.Config.File != "" {
		fmt.Fprintf(out, "%s, loaded %s ago, %s\n", printable(s.Config.File), ageText(g.now().Sub(s.Config.Loaded)), plural(int(s.Config.Reloads), "reload"))
	}
	if p := s.Config.Problem; p != nil {
		fmt.Fprintf(out, "The file as it is now is not in force:\n")
		fmt.Fprintf(out, "  %s\n", strings.ReplaceAll(printableLines(p.Error()), "\n", "\n  "))
	}
	fmt.Fprintf(out, "%s requests, %s errors\n", countText(s.Requests), countText(s.Errors))
	if c := s.Cache; c != nil {
		fmt.Fprintf(out, "cache: %s of %s, %s entries, %s hits, %s misses\n", bytesText(c.Bytes), bytesText(c.Limit), countText(uint64(c.Entries)), countText(c.Hits), countText(c.Misses))
	}
	for _, t := range statusTables(s) {
		if len(t.rows) == 0 {
			continue
		}
		fmt.Fprintln(out)
		if err := t.print(out, columns); err != nil {
			return err
		}
	}
	return nil
}

func statusTables(s api.Status) []*table {
	listeners := newTable("LISTENER", "ADDRESS", "PROTOCOLS")
	for _, l := range s.Listeners {
		listeners.add(l.Name, l.Address, strings.Join(l.Protocols, " "))
	}
	connections := newTable("PROTOCOL", ">OPEN", ">ACTIVE", ">TUNNELS")
	for _, c := range s.Connections {
		connections.add(c.Protocol, strconv.Itoa(c.Open), strconv.Itoa(c.Active), strconv.Itoa(c.Tunnels))
	}
	upstreams := newTable("UPSTREAM", "ENDPOINT", ">WEIGHT", ">ACTIVE", ">IDLE", ">REQUESTS", ">ERRORS")
	for _, u := range s.Upstreams {
		for _, e := range u.Endpoints {
			weight := strconv.Itoa(e.Weight)
			if e.Backup {
				weight = "backup " + weight
			}
			upstreams.add(u.Name, e.Address, weight, strconv.Itoa(e.Active), strconv.Itoa(e.Idle), countText(e.Requests), countText(e.Errors))
		}
	}
	splits := newTable("SPLIT", "ARM", ">SHARE", ">REQUESTS", ">ERRORS")
	for _, p := range s.Splits {
		for _, a := range p.Arms {
			splits.add(p.Route, a.Name, percentText(a.Share), countText(a.Requests), countText(a.Errors))
		}
	}
	return []*table{listeners, connections, upstreams, splits, filterTable(s.Filters)}
}
