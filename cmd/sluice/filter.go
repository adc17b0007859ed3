package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newFilter(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "filter",
		Short: "Upload, list and remove filters of the running proxy",
		Args:  noArgs,
		RunE:  needVerb,
	}
	c.AddCommand(newFilterPush(g), newFilterList(g), newFilterShow(g), newFilterRemove(g))
	return c
}

func newFilterPush(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "push <name> <file.wasm>",
		Short: "Upload a module as a new version of a filter: checked, compiled, live",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := push(g, cmd, args[0], args[1])
			if err != nil {
				return err
			}
			if g.output == "json" {
				return printJSON(cmd.OutOrStdout(), v)
			}
			for _, w := range v.Warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", printable(w))
			}
			if g.quiet {
				return nil
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), pushText(v))
			return err
		},
	}
}

func push(g *globals, cmd *cobra.Command, name, path string) (v api.ModuleVersion, err error) {
	file, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return v, err
	}
	if !info.Mode().IsRegular() {
		return v, usagef("%s is not a file", path)
	}
	client, err := g.client()
	if err != nil {
		return v, err
	}
	defer client.Close()
	var report func(int64)
	if columns := width(cmd.ErrOrStderr()); columns > 0 && !g.quiet {
		bar := newProgress(cmd.ErrOrStderr(), columns, "upload "+name, info.Size(), g.now)
		defer bar.clear()
		report = bar.set
	}
	return client.PushFilter(cmd.Context(), name, io.LimitReader(file, info.Size()), info.Size(), api.Use{}, report)
}

func pushText(v api.ModuleVersion) string {
	s := fmt.Sprintf("%s @%d ", printable(v.Filter), v.Version)
	switch {
	case !v.Live:
		s += "is stored"
	case len(v.Routes) == 0:
		s += "is live, on no route yet"
	default:
		s += "is live on " + printable(strings.Join(v.Routes, ", "))
	}
	return fmt.Sprintf("%s (%s, %s, compiled in %.1f ms)", s, printable(v.ABI), bytesText(v.Bytes), v.CompileMS)
}

func newFilterList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the filters",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := g.client()
			if err != nil {
				return err
			}
			defer client.Close()
			filters, err := client.Filters(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if g.output == "json" {
				return printJSON(out, filters)
			}
			if len(filters) == 0 {
				if !g.quiet {
					fmt.Fprintln(cmd.ErrOrStderr(), "There are no filters. Upload one: sluice filter push <name> <file.wasm>")
				}
				return nil
			}
			return filterTable(filters).print(out, width(out))
		},
	}
}

func filterTable(filters []api.Filter) *table {
	t := newTable("FILTER", "LIVE", ">VERSIONS", ">RUNS", ">FAILURES", "ROUTES")
	for _, f := range filters {
		t.add(f.Name, liveText(f.Live), strconv.Itoa(len(f.Versions)), countText(f.Runs), countText(f.Failures), or(strings.Join(f.Routes, ", ")))
	}
	return t
}

func liveText(version int) string {
	if version == 0 {
		return "-"
	}
	return "@" + strconv.Itoa(version)
}

func newFilterShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show <name>",
		Short: "Show a filter and the versions of its module",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := g.client()
			if err != nil {
				return err
			}
			defer client.Close()
			f, err := client.Filter(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if g.output == "json" {
				return printJSON(out, f)
			}
			return showFilter(g, out, f)
		},
	}
}

func showFilter(g *globals, out io.Writer, f api.Filter) error {
	fmt.Fprintf(out, "%s  live %s, %s runs, %s failures\n", printable(f.Name), liveText(f.Live), countText(f.Runs), countText(f.Failures))
	fmt.Fprintf(out, "on %s\n\n", or(printable(strings.Join(f.Routes, ", "))))
	heads := []string{"VERSION", "", "ABI", ">SIZE", ">AGE", "DIGEST", "SOURCE"}
	if g.verbose {
		heads = append(heads, "IMPORTS")
	}
	t := newTable(heads...)
	for _, v := range f.Versions {
		live := ""
		if v.Live {
			live = "live"
		}
		digest := v.Digest
		if !g.verbose {
			digest = shortDigest(digest)
		}
		cells := []string{"@" + strconv.Itoa(v.Version), live, v.ABI, bytesText(v.Bytes), ageText(g.now().Sub(v.Uploaded)), digest, or(v.Source)}
		if g.verbose {
			cells = append(cells, or(strings.Join(v.Imports, " ")))
		}
		t.add(cells...)
	}
	return t.print(out, width(out))
}

// shortDigest returns enough of a digest to tell versions apart.
func shortDigest(d string) string {
	d = strings.TrimPrefix(d, "sha256:")
	return d[:min(len(d), 12)]
}

func newFilterRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "rm <name>",
		Aliases: []string{"remove"},
		Short:   "Remove a filter with all versions that were uploaded",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := g.client()
			if err != nil {
				return err
			}
			defer client.Close()
			if err := client.RemoveFilter(cmd.Context(), args[0]); err != nil {
				return err
			}
			if !g.quiet && g.output == "table" {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is removed\n", printable(args[0]))
			}
			return nil
		},
	}
}
