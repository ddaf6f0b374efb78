package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/canteen/deploy/controller/desired"
)

func newImagesCommand(kinds desired.Kinds) *cobra.Command {
	return &cobra.Command{
		Use:   "images FOLDER",
		Short: "List what an environment's files ask for, for scripts: account, region, and each image",
		Long: "Images prints words separated by spaces. The first line is the environment: its name, account and region. Each other line is an image:\n" +
			"service, container, tag, and its digest or a dash.",
		Example: "  controller images desired/qa",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
				return usageError{fmt.Errorf("%s is no folder of an environment", args[0])}
			}
			snapshot := desired.Load(os.DirFS(args[0]), kinds)
			if len(snapshot.Errors) > 0 {
				for _, e := range snapshot.Errors {
					fmt.Fprintln(cmd.ErrOrStderr(), e)
				}
				return errInvalid
			}
			return listImages(cmd.OutOrStdout(), snapshot)
		},
	}
}

func listImages(w io.Writer, snapshot *desired.Snapshot) error {
	env := snapshot.Environment
	if _, err := fmt.Fprintln(w, env.Metadata.Name, env.Spec.Account, env.Spec.Region); err != nil {
		return err
	}
	for _, name := range sortedNames(snapshot.Services) {
		containers := snapshot.Services[name].Spec.Containers
		for _, container := range sortedNames(containers) {
			image := containers[container].Image
			if image.Digest == "" {
				image.Digest = "-"
			}
			if _, err := fmt.Fprintln(w, name, container, image.Tag, image.Digest); err != nil {
				return err
			}
		}
	}
	return nil
}
