package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/release"
)

func newSetImageCommand(kinds desired.Kinds) *cobra.Command {
	var c release.Change
	var repo release.Repo
	var commit, push bool
	cmd := &cobra.Command{
		Use:   "set-image --env ENV --service SERVICE --tag TAG [--digest DIGEST]",
		Short: "Ask for another image in one file of desired/: tag and digest, and no other byte",
		Long: "Set-image changes the file in the work tree, commits it with --commit, or with --push commits it on top of the remote's branch and\n" +
			"pushes that, again and again while others are faster; the work tree is not touched then. Tags are commits of the repository:\n" +
			"where git asks for a newer build than the one given, nothing is written. It may be repeated. It deploys nothing.",
		Example: "  controller set-image --env dev --service order-processing --tag 1a2b3c4\n" +
			"  controller set-image --env dev --service order-processing --tag 1a2b3c4 --digest sha256:… --push",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkChange(c); err != nil {
				return err
			}
			var r release.Result
			var err error
			if push {
				r, err = release.Set(cmd.Context(), repo, kinds, c)
			} else {
				r, err = release.SetHere(cmd.Context(), repo, kinds, c, commit)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), toldOf(c, r))
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.Env, "env", "", "environment: the folder below desired/")
	flags.StringVar(&c.Service, "service", "", "service: the file's name without .yaml")
	flags.StringVar(&c.Container, "container", "", "container, where the service has several")
	flags.StringVar(&c.Image.Tag, "tag", "", "the short git SHA under which the image was pushed")
	flags.StringVar(&c.Image.Digest, "digest", "", "what the registry answered to the push: sha256:…")
	flags.BoolVar(&commit, "commit", false, "commit the file")
	flags.BoolVar(&push, "push", false, "commit on top of the remote's branch and push")
	repoFlags(cmd, &repo)
	return cmd
}

func repoFlags(cmd *cobra.Command, repo *release.Repo) {
	cmd.Flags().StringVarP(&repo.Dir, "directory", "C", ".", "the clone to work in")
	cmd.Flags().StringVar(&repo.Remote, "remote", "origin", "remote of the clone")
	cmd.Flags().StringVar(&repo.Branch, "branch", "main", "branch that the controllers follow")
}

var (
	shaPattern    = regexp.MustCompile(`^[0-9a-f]{7,40}$`)
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

func checkChange(c release.Change) error {
	switch {
	case !isName(c.Env):
		return usageError{errors.New("--env must name a folder of desired/, such as --env dev")}
	case !isName(c.Service):
		return usageError{errors.New("--service must name a file of that folder without .yaml, such as --service order-processing")}
	case !shaPattern.MatchString(c.Image.Tag):
		return usageError{fmt.Errorf("--tag is %q; it must be the short git SHA under which the image was pushed, such as 1a2b3c4", c.Image.Tag)}
	case c.Image.Digest != "" && !digestPattern.MatchString(c.Image.Digest):
		return usageError{fmt.Errorf("--digest is %q; it must be sha256: and 64 hexadecimal digits", c.Image.Digest)}
	}
	return nil
}

// isName reports whether the text is a file's name and leads nowhere else.
func isName(s string) bool {
	return s != "" && !strings.ContainsAny(s, `/\`) && !strings.HasPrefix(s, ".")
}

func toldOf(c release.Change, r release.Result) string {
	switch r.Outcome {
	case release.Already:
		return fmt.Sprintf("%s asks for %s of %s already; nothing is written", c.Env, c.Image.Tag, c.Service)
	case release.Older:
		return fmt.Sprintf("%s asks for %s of %s, which is newer than %s; nothing is written", c.Env, r.Before.Tag, c.Service, c.Image.Tag)
	}
	told := fmt.Sprintf("%s asks for %s of %s in place of %s", c.Env, c.Image.Tag, c.Service, r.Before.Tag)
	if r.Commit != "" {
		told += ", in commit " + short(r.Commit)
	}
	return told
}
