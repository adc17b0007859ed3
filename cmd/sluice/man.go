package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newMan(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIRECTORY",
		Short: "Write the manual pages into a directory",
		Long: `Write a manual page for every command into a directory, which is made if there is none: sluice.1,
sluice-run.1 and so on. Files of these names that are there are replaced.`,
		Example: "  sluice man /usr/local/share/man/man1",
		Args:    positional,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return err
			}
			pages := 0
			for _, c := range visible(cmd.Root()) {
				name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(manPage(c)), 0o666); err != nil {
					return err
				}
				pages++
			}
			g.note(cmd, "%d pages are in %s", pages, args[0])
			return nil
		},
	}
}

// visible returns a command and those below it that people are to know, in order.
func visible(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			all = append(all, visible(c)...)
		}
	}
	return all
}

// manPage returns the manual page of a command, in the man macros of roff (man(7)).
func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(".TH %s 1 \"\" \"sluice %s\"", roffQuote(strings.ToUpper(name)), roff(buildVersion().Version))
	line(".SH NAME\n%s \\- %s", roff(name), roff(cmd.Short))
	line(".SH SYNOPSIS")
	for _, u := range usage(cmd) {
		line(".B %s", roffQuote(u))
	}
	line(".SH DESCRIPTION")
	for _, p := range paragraphs(describe(cmd), 0) {
		switch {
		case p == "":
			line(".PP")
		case p[0] == ' ':
			line(".nf\n%s\n.fi", roff(p))
		default:
			line("%s", roff(p))
		}
	}
	for _, g := range groups(cmd) {
		line(".SH %s", roffQuote(strings.ToUpper(g.title)))
		for _, r := range g.rows {
			line(".TP\n.B %s\n%s", roffQuote(r.name), roff(r.said))
		}
	}
	manFlags(&b, "OPTIONS", flagRows(cmd.LocalFlags()))
	manFlags(&b, "OPTIONS OF EVERY COMMAND", flagRows(cmd.InheritedFlags()))
	if cmd.Example != "" {
		line(".SH EXAMPLES\n.nf")
		for l := range strings.Lines(cmd.Example) {
			line("%s", roff(strings.TrimRight(l, "\n")))
		}
		line(".fi")
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, strings.ReplaceAll(cmd.Parent().CommandPath(), " ", "-"))
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			also = append(also, strings.ReplaceAll(c.CommandPath(), " ", "-"))
		}
	}
	line(".SH SEE ALSO")
	for i, a := range also {
		comma := ","
		if i == len(also)-1 {
			comma = ""
		}
		line(".BR %s (1)%s", roff(a), comma)
	}
	return b.String()
}

func manFlags(b *strings.Builder, title string, list []helpRow) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", roffQuote(title))
	for _, r := range list {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roffQuote(strings.TrimSpace(r.name)), roff(r.said))
	}
}

// roff returns text as roff prints it: a backslash begins an escape, a line that
// begins with a dot or a quote is a request, and a hyphen is not a minus.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// roffQuote returns text as one argument of a request.
func roffQuote(s string) string { return `"` + strings.ReplaceAll(roff(s), `"`, `\(dq`) + `"` }
