package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/release"
)

func newSetControllerCommand() *cobra.Command {
	var repo release.Repo
	var c release.ControllerChange
	cmd := &cobra.Command{
		Use:   "set-controller --env ENV --tag TAG",
		Short: "Ask for another build of the controller itself in infra/cdk.json, and push that",
		Long: "Set-controller commits one value on top of the remote's branch and pushes it, like set-image --push. The infrastructure's pipeline\n" +
			"rolls the controller then; a controller never rolls itself. ENV is a name of infra/cdk.json, such as production. A build that is\n" +
			"older than the one asked for is written with --back only, which says why. Where the branch takes pull requests only, --propose\n" +
			"pushes the commit to a new branch, for a pull request.",
		Example: "  controller set-controller --env dev --tag 1a2b3c4\n" +
			"  controller set-controller --env production --tag 1a2b3c4 --back \"2b3c4d5 does not start\" --propose controller-back",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case !isName(c.Env):
				return usageError{errors.New("--env must name an environment of infra/cdk.json, such as --env dev")}
			case !shaPattern.MatchString(c.Tag):
				return usageError{fmt.Errorf("--tag is %q; it must be the short git SHA under which the image was pushed, such as 1a2b3c4", c.Tag)}
			case cmd.Flags().Changed("back") && strings.TrimSpace(c.Back) == "":
				return usageError{errors.New("--back is empty; it must say why an older build is meant")}
			case cmd.Flags().Changed("propose") && (c.Propose == "" || strings.HasPrefix(c.Propose, "-") || c.Propose == repo.Branch):
				return usageError{fmt.Errorf("--propose is %q; it must name a new branch, such as controller-back", c.Propose)}
			}
			r, err := release.SetController(cmd.Context(), repo, c)
			if errors.Is(err, release.ErrRefused) {
				return fmt.Errorf("%w. Where %s takes pull requests only, --propose BRANCH pushes to a new branch for one", err, repo.Branch)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), toldOfController(c, repo, r))
			return err
		},
	}
	cmd.Flags().StringVar(&c.Env, "env", "", "environment of infra/cdk.json")
	cmd.Flags().StringVar(&c.Tag, "tag", "", "the short git SHA under which the image was pushed")
	cmd.Flags().StringVar(&c.Back, "back", "", "why an older build is meant; it ends up in the commit")
	cmd.Flags().StringVar(&c.Propose, "propose", "", "new branch to push to in place of --branch, for a pull request")
	repoFlags(cmd, &repo)
	return cmd
}

func toldOfController(c release.ControllerChange, repo release.Repo, r release.Result) string {
	asked := release.Change{Env: c.Env, Service: "the controller", Image: desired.Image{Tag: c.Tag}}
	switch {
	case r.Outcome == release.Older:
		return toldOf(asked, r) + ". To go back to it, say why with --back"
	case r.Outcome == release.Written && c.Propose != "":
		return fmt.Sprintf("%s shall ask for %s of the controller in place of %s: commit %s on branch %s; open its pull request into %s",
			c.Env, c.Tag, r.Before.Tag, short(r.Commit), c.Propose, repo.Branch)
	}
	return toldOf(asked, r)
}
