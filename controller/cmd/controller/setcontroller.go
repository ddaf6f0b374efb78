package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/release"
)

func newSetControllerCommand() *cobra.Command {
	var repo release.Repo
	var env, tag string
	cmd := &cobra.Command{
		Use:   "set-controller --env ENV --tag TAG",
		Short: "Ask for another build of the controller itself in infra/cdk.json, and push that",
		Long: "Set-controller commits one value on top of the remote's branch and pushes it, like set-image --push. The infrastructure's pipeline\n" +
			"rolls the controller then; a controller never rolls itself. ENV is a name of infra/cdk.json, such as production.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case !isName(env):
				return usageError{errors.New("--env must name an environment of infra/cdk.json, such as --env dev")}
			case !shaPattern.MatchString(tag):
				return usageError{fmt.Errorf("--tag is %q; it must be the short git SHA under which the image was pushed, such as 1a2b3c4", tag)}
			}
			r, err := release.SetController(cmd.Context(), repo, env, tag)
			if err != nil {
				return err
			}
			c := release.Change{Env: env, Service: "the controller", Image: desired.Image{Tag: tag}}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), toldOf(c, r))
			return err
		},
	}
	cmd.Flags().StringVar(&env, "env", "", "environment of infra/cdk.json")
	cmd.Flags().StringVar(&tag, "tag", "", "the short git SHA under which the image was pushed")
	repoFlags(cmd, &repo)
	return cmd
}
