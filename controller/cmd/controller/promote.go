package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/githost"
	"github.com/canteen/deploy/controller/release"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
)

type promoteFlags struct {
	release.Promotion
	repo       release.Repo
	server     string
	push, pull bool
	github     release.GitHub
}

func newPromoteCommand(kinds desired.Kinds) *cobra.Command {
	var f promoteFlags
	cmd := &cobra.Command{
		Use:   "promote --from ENV --to ENV",
		Short: "Ask in one environment for what was verified in another: show it, or open the pull request",
		Long: "Promote shows which images would move, the commits that come with them, since when they are good in the source, and which names of\n" +
			"env and secrets the target lacks. With --push it writes tag and digest to a branch of its own, with --pull-request it also opens\n" +
			"or updates the pull request (token in GITHUB_TOKEN; GITHUB_REPOSITORY, GITHUB_API_URL as in a workflow). Whether an image is good is\n" +
			"asked of the source's controller where --server names it, else read from the deployments that it told GitHub of. What was never\n" +
			"verified there is refused unless --force gives a reason, which is committed. A file that is invalid, or that cannot be edited without\n" +
			"changing something else, holds up its own service: the others go on, and the exit code is 1. Where --service names any, it is an error.",
		Example: "  controller promote --from staging --to prod --server http://10.0.0.1:8080\n" +
			"  controller promote --from dev --to qa --service order-processing --push --pull-request",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return promote(cmd.Context(), cmd.OutOrStdout(), kinds, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.From, "from", "", "environment that it is verified in: a folder below desired/")
	flags.StringVar(&f.To, "to", "", "environment that shall have it")
	flags.StringSliceVar(&f.Services, "service", nil, "services, by name (default: all that both have)")
	flags.StringVar(&f.server, "server", "", "address of the source's controller (environment: DEPLOY_SERVER)")
	flags.StringVar(&f.Reason, "force", "", "why what was never verified in the source shall be promoted")
	flags.BoolVar(&f.push, "push", false, "commit to the branch promote/FROM-to-TO and push it")
	flags.BoolVar(&f.pull, "pull-request", false, "open or update the pull request of that branch; needs --push")
	repoFlags(cmd, &f.repo)
	return cmd
}

func promote(ctx context.Context, out io.Writer, kinds desired.Kinds, f promoteFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	moves, err := release.Plan(ctx, f.repo, kinds, f.Promotion, f.source())
	if err != nil {
		return err
	}
	if err := f.carryOut(ctx, out, moves); err != nil {
		return err
	}
	if len(moves.Refused) > 0 {
		return errInvalid // the text has said why
	}
	return nil
}

// carryOut shows the moves, and writes them where that is asked for.
func (f *promoteFlags) carryOut(ctx context.Context, out io.Writer, moves *release.Moves) error {
	text := moves.Text()
	switch {
	case len(moves.List) == 0 && len(moves.Refused) == 0:
		text += fmt.Sprintf("%s asks for all that %s does; nothing to promote\n", f.To, f.From)
	case len(moves.List) == 0:
		text += "nothing to promote besides\n"
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if !f.push || len(moves.List) == 0 {
		return nil
	}
	branch, err := moves.Write(ctx, f.repo)
	if errors.Is(err, release.ErrUnproven) {
		return fmt.Errorf("%w. Wait for its verdict, leave it out by --service, or give a reason with --force", err)
	}
	if err != nil {
		return err
	}
	if !f.pull {
		_, err = fmt.Fprintf(out, "pushed %s\n", branch)
		return err
	}
	address, err := f.github.OpenPull(ctx, branch, f.repo.Branch, moves.Title(), moves.Text())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, address)
	return err
}

func (f *promoteFlags) check() error {
	if f.server == "" {
		f.server = os.Getenv("DEPLOY_SERVER")
	}
	f.github = release.GitHub{API: os.Getenv("GITHUB_API_URL"), Repository: os.Getenv("GITHUB_REPOSITORY"), Token: os.Getenv("GITHUB_TOKEN")}
	if f.github.API == "" {
		f.github.API = "https://api.github.com"
	}
	switch {
	case !isName(f.From) || !isName(f.To) || f.From == f.To:
		return usageError{errors.New("--from and --to must name two folders of desired/, such as --from staging --to prod")}
	case f.server == "" && f.Reason == "" && (f.github.Token == "" || f.github.Repository == ""):
		return usageError{fmt.Errorf("--server must name the controller of %s, which knows what was verified, or GITHUB_TOKEN and GITHUB_REPOSITORY where it is told; without either, --force needs a reason", f.From)}
	case f.pull && !f.push:
		return usageError{errors.New("--pull-request needs --push")}
	case f.pull && (f.github.Token == "" || f.github.Repository == ""):
		return usageError{errors.New("--pull-request needs GITHUB_TOKEN and GITHUB_REPOSITORY (owner/name)")}
	}
	if f.server == "" {
		return nil
	}
	base, err := baseOf(f.server)
	f.server = base
	return err
}

// source answers for the environment that is promoted from: its controller, or GitHub what that told it. It is nil where there is neither.
func (f *promoteFlags) source() release.Source {
	switch {
	case f.server != "":
		return f.asked
	case f.github.Token != "" && f.github.Repository != "":
		return f.told
	}
	return nil
}

// asked makes sure that it is the source's controller which answers: an address is easily another one's.
func (f *promoteFlags) asked(ctx context.Context, environment *desired.Environment) (release.Prover, error) {
	first, err := askIdentity(ctx, f.server)
	if err == nil {
		err = wantIdentity(f.server, first, "desired/"+f.From, environment)
	}
	return f.prove, err
}

// prove asks the controller for the verdict.
func (f *promoteFlags) prove(ctx context.Context, service, container string, image desired.Image) (release.Proof, error) {
	base := f.server + "/api/v1/services/" + url.PathEscape(service)
	var s server.Service
	var h server.History
	for address, into := range map[string]any{base: &s, base + "/history?limit=500": &h} {
		body, err := ask(ctx, address)
		if err == nil {
			err = json.Unmarshal(body, into)
		}
		if err != nil {
			return release.Proof{}, fmt.Errorf("ask whether %s is good: %w", service, err)
		}
	}
	return proof(s, h.Entries, container+":"+image.Tag, image.Digest), nil
}

// told reads the verdict from GitHub's deployments. They carry the environment's name, which its file says.
func (f *promoteFlags) told(_ context.Context, environment *desired.Environment) (release.Prover, error) {
	host, err := githost.Open(githost.Options{API: f.github.API, Repository: f.github.Repository, Branch: f.repo.Branch, TokenEnv: hostTokenEnv})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, service, container string, image desired.Image) (release.Proof, error) {
		v, found, err := host.Verdict(ctx, environment.Metadata.Name, service, container, image.Tag, image.Digest)
		if err != nil {
			return release.Proof{}, fmt.Errorf("ask whether %s is good: %w", service, err)
		}
		return proofTold(v, found), nil
	}, nil
}

func proofTold(v githost.Verdict, found bool) release.Proof {
	switch {
	case !found:
		return release.Proof{Why: "GitHub was not told of a deployment of it"}
	case v.State == githost.Success:
		return release.Proof{Good: true, Since: v.At, Digest: v.Digest}
	case v.State == githost.Failure:
		return release.Proof{Why: "rejected: " + v.Why, Digest: v.Digest}
	case v.State == "":
		return release.Proof{Why: "it has no verdict yet", Digest: v.Digest}
	}
	return release.Proof{Why: "it could not be judged: " + v.Why, Digest: v.Digest}
}

// proof is the newest verdict on an image. What ended without one (superseded, blocked, stalled) says nothing against it.
func proof(s server.Service, entries []server.Entry, image, digest string) release.Proof {
	var none *release.Proof
	for _, e := range entries {
		at := slices.Index(e.Images, image)
		if at < 0 || e.Kind != rollout.KindDeploy {
			continue
		}
		found := ""
		if at < len(e.Digests) {
			found = e.Digests[at]
		}
		if digest != "" && found != "" && digest != found {
			continue // an image of that name, and not this one
		}
		p := release.Proof{Good: e.Result == rollout.ResultSucceeded, Since: e.EndedAt, Digest: found}
		if p.Good {
			return p
		}
		p.Why = fmt.Sprintf("%s: %s", e.Result, e.Message)
		if e.Result == rollout.ResultRejected {
			return p
		}
		if none == nil {
			none = &p
		}
	}
	// History is bounded and can be lost; what was good last is not.
	if s.Good != nil {
		found := ""
		at := slices.Index(s.Good.Images, image)
		if at >= 0 && at < len(s.Good.Digests) {
			found = s.Good.Digests[at]
		}
		if at >= 0 && (digest == "" || found == "" || digest == found) {
			return release.Proof{Good: true, Since: s.Good.At, Digest: found}
		}
	}
	if none == nil {
		none = &release.Proof{Why: "it was never deployed there. " + s.Words()}
	}
	return *none
}
