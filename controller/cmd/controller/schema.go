package main

import (
	"fmt"
	"os"

	"github.com/canteen/deploy/controller/desired"
	"github.com/spf13/cobra"
)

func newSchemaCommand(kinds desired.Kinds) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:       "schema [service|environment]",
		Short:     "Print the JSON Schema of a service's or an environment's file, for editors",
		Example:   "  controller schema service -o desired/schema/service.schema.json",
		ValidArgs: []string{"service", "environment"},
		Args:      arguments(cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := "service"
			if len(args) > 0 {
				kind = args[0]
			}
			schema, err := desired.Schema(kinds, kind)
			if err != nil {
				return err
			}
			if file == "" {
				_, err = cmd.OutOrStdout().Write(schema)
			} else {
				err = os.WriteFile(file, schema, 0o644)
			}
			if err != nil {
				return fmt.Errorf("write the schema: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "write to this file instead of the standard output")
	return cmd
}
