package main

import (
	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/diag"
)

func newCompletion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print what a shell needs to complete command lines",
		Long: `Print a script by which bash, zsh, fish or powershell complete commands, flags and files, and, if a proxy runs,
the names of its filters, functions and routes. bash needs its package bash-completion.`,
		Example: `  sluice completion bash > /etc/bash_completion.d/sluice
  sluice completion zsh > /usr/local/share/zsh/site-functions/_sluice
  sluice completion fish > ~/.config/fish/completions/sluice.fish
  sluice completion powershell >> sluice.ps1`,
		Args:              positional,
		ValidArgsFunction: cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			if meant := diag.Suggest(args[0], shells); meant != "" {
				return usagef("no completion for %q; did you mean %s?", args[0], meant)
			}
			return usagef("no completion for %q; have bash, zsh, fish, powershell", args[0])
		},
	}
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]...",
		Short: "Say how a command is used",
		Args:  positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			of := cmd.Root()
			for _, name := range args {
				found := child(of, name)
				if found == nil {
					return verb(of, []string{name})
				}
				of = found
			}
			return of.Help()
		},
	}
}

// child returns a command of a command, or nil.
func child(of *cobra.Command, name string) *cobra.Command {
	for _, c := range of.Commands() {
		if c.Name() == name || c.HasAlias(name) {
			return c
		}
	}
	return nil
}
