package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // failed while running
	exitUsage       = 2 // bad usage or bad configuration
	exitUnreachable = 3 // admin API out of reach
	exitFound       = 4 // a check found something
)

// exitError is an error that decides the exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usagef returns an error for bad usage.
func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// globals is what all verbs share.
type globals struct {
	admin   string // address of the admin API
	token   string
	output  string // "table" or "json"
	quiet   bool
	verbose bool

	now func() time.Time
}

// newRoot returns the command with all its verbs.
func newRoot() *cobra.Command { return newRootOf(&globals{now: time.Now}) }

func newRootOf(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "An edge proxy in one binary",
		Long: `sluice takes HTTP/1.1, HTTP/2 and HTTP/3, runs WebAssembly filters on every request,
splits traffic between upstreams, caches, compresses, and forwards.

Exit codes: 0 done, 1 failed while running, 2 bad usage or bad configuration,
3 the admin API is out of reach, 4 a check found something.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          needVerb,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if g.output != "table" && g.output != "json" {
				return usagef("--output %q is neither table nor json", g.output)
			}
			return nil
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&g.admin, "admin", "", "where the admin API is: URL, host:port or unix:PATH (default $SLUICE_ADMIN, or "+api.DefaultAddress+")")
	f.StringVar(&g.token, "token", "", "token of the admin API (default $SLUICE_TOKEN)")
	f.StringVarP(&g.output, "output", "o", "table", "how results are printed: table or json")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print results and errors only")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "print more")

	root.AddCommand(
		newDemo(g),
		newTo(g),
		newRun(g),
		newCheck(g),
		newFilter(g),
		newSplit(g),
		newStatus(g),
		newFetch(g),
		newVersion(g),
	)
	return root
}

// needVerb is for commands that only hold other commands.
func needVerb(cmd *cobra.Command, _ []string) error {
	cmd.SetOut(cmd.ErrOrStderr())
	if err := cmd.Help(); err != nil {
		return err
	}
	return usagef("%s needs a command", cmd.CommandPath())
}

// noArgs refuses arguments, and says which command may have been meant.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !cmd.HasSubCommands():
		return usagef("%s takes no arguments, but got %q", cmd.CommandPath(), args[0])
	}
	cmd.SuggestionsMinimumDistance = 2
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		return usagef("%s has no command %q; did you mean %s?", cmd.CommandPath(), args[0], strings.Join(similar, " or "))
	}
	return usagef("%s has no command %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
}

// execute runs the command line, reports its error, and returns the exit code.
func execute(root *cobra.Command, args []string) int {
	root.SetArgs(args)
	begun := false
	check := root.PersistentPreRunE
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		begun = err == nil
		return err
	}
	cmd, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(root.ErrOrStderr(), "sluice: %s\n%s", printableLines(err.Error()), hint(err))
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*api.Unreachable](err); ok {
		return exitUnreachable
	}
	if !begun {
		fmt.Fprintf(root.ErrOrStderr(), "%s --help says how it is used.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// hint returns what to do about an error of the admin API, or "".
func hint(err error) string {
	if _, ok := errors.AsType[*api.Unreachable](err); ok {
		return "Is sluice running? Start it with `sluice run`, or say where its admin API is with --admin or SLUICE_ADMIN.\n"
	}
	if p, ok := errors.AsType[*api.Problem](err); ok && p.Status == http.StatusUnauthorized && p.Hint == "" {
		return "Give the admin API's token with --token or SLUICE_TOKEN.\n"
	}
	return ""
}

// client returns a client of the admin API that the flags or the environment name.
func (g *globals) client() (*api.Client, error) {
	c, err := api.NewClient(cmp.Or(g.admin, os.Getenv("SLUICE_ADMIN")), cmp.Or(g.token, os.Getenv("SLUICE_TOKEN")))
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return c, nil
}
