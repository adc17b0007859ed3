package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/server"
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

// errFound ends a check that has shown what it found.
var errFound = errors.New("the check found something")

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
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFound):
		return exitFound
	}
	fmt.Fprintf(root.ErrOrStderr(), "sluice: %s\n%s", text.Lines(err.Error()), hint(err))
	if e, ok := errors.AsType[*exitError](err); ok {
		if e.code == exitUsage && !begun {
			seeHelp(cmd)
		}
		return e.code
	}
	if _, ok := errors.AsType[*api.Unreachable](err); ok {
		return exitUnreachable
	}
	if !begun {
		seeHelp(cmd)
		return exitUsage
	}
	return exitFailed
}

func seeHelp(cmd *cobra.Command) {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s --help says how it is used.\n", cmd.CommandPath())
}

// hint returns what to do about an error, or "".
func hint(err error) string {
	if _, ok := errors.AsType[*api.Unreachable](err); ok {
		return "Is sluice running? Start it with `sluice run`, or say where its admin API is with --admin or SLUICE_ADMIN.\n"
	}
	if _, ok := errors.AsType[*server.InUse](err); ok {
		return "Stop that one, or give this one a directory of its own: write `state: DIRECTORY` in its file.\n"
	}
	p, ok := errors.AsType[*api.Problem](err)
	switch {
	case !ok:
		return ""
	case p.Status == http.StatusUnauthorized:
		return "Give the admin API's token with --token or SLUICE_TOKEN.\n"
	case p.Status == http.StatusPreconditionFailed && p.Hint == "":
		return "Somebody else has changed the configuration meanwhile: look at it with `sluice diff`, and try again.\n"
	}
	return ""
}
