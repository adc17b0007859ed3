package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-edge/sluice/edge/diag"
)

// needVerb is for commands that only hold other commands.
func needVerb(cmd *cobra.Command, _ []string) error {
	cmd.SetOut(cmd.ErrOrStderr())
	if err := cmd.Help(); err != nil {
		return err
	}
	return usagef("%s needs a command", cmd.CommandPath())
}

// positional wants the arguments that the command's line of use names: those in
// brackets may be left out, and a last one with dots may be repeated.
func positional(cmd *cobra.Command, args []string) error {
	if cmd.HasSubCommands() {
		return verb(cmd, args)
	}
	names := strings.Fields(cmd.Use)[1:]
	for i, name := range names {
		switch {
		case strings.HasSuffix(name, "..."):
			return nil
		case i >= len(args) && !strings.HasPrefix(name, "["):
			return usagef("%s is missing: %s %s", name, cmd.CommandPath(), strings.Join(names, " "))
		}
	}
	switch {
	case len(args) <= len(names):
		return nil
	case len(names) == 0:
		return usagef("%s takes no arguments, but got %q", cmd.CommandPath(), args[0])
	}
	return usagef("%q is too much: %s %s", args[len(names)], cmd.CommandPath(), strings.Join(names, " "))
}

// verb refuses what is no command, and says which one may have been meant.
func verb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(append(names, c.Name()), c.Aliases...)
		}
	}
	if meant := diag.Suggest(args[0], names); meant != "" {
		return usagef("%s has no command %q; did you mean %s?", cmd.CommandPath(), args[0], meant)
	}
	return usagef("%s has no command %q", cmd.CommandPath(), args[0])
}

// flagError says which flag may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return &exitError{exitUsage, err}
	}
	if of := unknown.GetSpecifiedShortnames(); of != "" {
		return usagef("%s has no flag -%s", cmd.CommandPath(), unknown.GetSpecifiedName())
	}
	var names []string
	collect := func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	}
	cmd.NonInheritedFlags().VisitAll(collect)
	cmd.InheritedFlags().VisitAll(collect)
	if meant := diag.Suggest(unknown.GetSpecifiedName(), names); meant != "" {
		return usagef("%s has no flag --%s; did you mean --%s?", cmd.CommandPath(), unknown.GetSpecifiedName(), meant)
	}
	return usagef("%s has no flag --%s", cmd.CommandPath(), unknown.GetSpecifiedName())
}
