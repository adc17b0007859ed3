package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// warn prints what the API has to say beside its answer.
func warn(cmd *cobra.Command, warnings []api.Problem) {
	for i := range warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", text.Lines(warnings[i].Error()))
	}
}
