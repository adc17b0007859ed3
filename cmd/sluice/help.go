package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
)

// maxProse is how many columns of a terminal a text takes: longer lines are hard to
// read.
const maxProse = 100

// help prints how a command is used. It is the same text with and without colours.
func (g *globals) help(cmd *cobra.Command, _ []string) {
	out := g.out(cmd)
	prose := min(out.columns, maxProse)
	if out.columns == 0 {
		prose = maxProse
	}
	head := func(title string) { out.printf("\n%s\n", out.paint.In(text.Bold, title)) }
	for _, line := range paragraphs(describe(cmd), prose) {
		out.printf("%s\n", line)
	}
	head("Usage")
	for _, line := range usage(cmd) {
		out.printf("  %s\n", line)
	}
	if cmd.Example != "" {
		head("Examples")
		out.printf("%s\n", cmd.Example)
	}
	for _, group := range groups(cmd) {
		head(group.title)
		rows(out, prose, group.rows)
	}
	if own := flagRows(cmd.LocalFlags()); len(own) > 0 {
		head("Flags")
		rows(out, prose, own)
	}
	if global := flagRows(cmd.InheritedFlags()); len(global) > 0 {
		head("Flags of every command")
		rows(out, prose, global)
	}
	if cmd.HasAvailableSubCommands() {
		out.printf("\n%s COMMAND --help says more.\n", cmd.CommandPath())
	}
}

// describe returns what a command does.
func describe(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short
}

// paragraphs returns a text in lines of at most n columns. Lines that are indented
// stay as they are.
func paragraphs(s string, n int) []string {
	var lines, words []string
	flush := func() {
		if len(words) > 0 {
			lines = append(lines, text.Wrap(strings.Join(words, " "), n)...)
		}
		words = nil
	}
	for line := range strings.Lines(s) {
		switch line = strings.TrimRight(line, "\n"); {
		case line == "":
			flush()
			lines = append(lines, "")
		case line[0] == ' ':
			flush()
			lines = append(lines, line)
		default:
			words = append(words, line)
		}
	}
	flush()
	return lines
}

// usage returns the lines that a command is called by.
func usage(cmd *cobra.Command) []string {
	var lines []string
	if cmd.HasAvailableSubCommands() {
		return []string{cmd.CommandPath() + " COMMAND"}
	}
	line := cmd.CommandPath()
	if _, args, ok := strings.Cut(cmd.Use, " "); ok {
		line += " " + args
	}
	if cmd.HasAvailableLocalFlags() {
		line += " [FLAGS]"
	}
	return append(lines, line)
}

// helpRow is a command or a flag, and what is said of it.
type helpRow struct{ name, said string }

// helpGroup is commands under a title.
type helpGroup struct {
	title string
	rows  []helpRow
}

// groups returns the commands of a command.
func groups(cmd *cobra.Command) []helpGroup {
	of := func(id string) (list []helpRow) {
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.GroupID == id {
				list = append(list, helpRow{c.Name(), c.Short})
			}
		}
		return list
	}
	var all []helpGroup
	for _, g := range cmd.Groups() {
		all = append(all, helpGroup{g.Title, of(g.ID)})
	}
	if rest := of(""); len(rest) > 0 {
		all = append(all, helpGroup{"Commands", rest})
	}
	return all
}

// flagRows returns the flags of a set.
func flagRows(set *pflag.FlagSet) []helpRow {
	var all []helpRow
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name, said := pflag.UnquoteUsage(f)
		switch f.DefValue {
		case "", "false", "[]", "0":
		default:
			said += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		row := "    --" + f.Name
		if f.Shorthand != "" {
			row = "-" + f.Shorthand + ", --" + f.Name
		}
		switch {
		case name == "":
		case f.NoOptDefVal != "":
			row += "[=" + strings.ToUpper(name) + "]"
		default:
			row += " " + strings.ToUpper(name)
		}
		all = append(all, helpRow{row, said})
	})
	return all
}

// rows prints names, and beside each what is said of it, in at most n columns.
func rows(out *screen, n int, list []helpRow) {
	const most = 28 // columns of a name; a longer one has a line of its own
	wide := 0
	for _, r := range list {
		if w := len(r.name); w <= most {
			wide = max(wide, w)
		}
	}
	for _, r := range list {
		lines := text.Wrap(r.said, max(20, n-wide-4))
		name := text.Pad(r.name, wide)
		if len(r.name) > wide {
			out.printf("  %s\n", r.name)
			name = text.Pad("", wide)
		}
		for _, line := range lines {
			out.printf("  %s  %s\n", name, line)
			name = text.Pad("", wide)
		}
	}
}
