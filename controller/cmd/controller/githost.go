package main

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/githost"
)

// hostTokenEnv names the variable with a workflow's token; pageEnv that with the page's address.
const (
	hostTokenEnv = "GITHUB_TOKEN"
	pageEnv      = "DEPLOY_PAGE_URL"
)

// hostFlags are the flags that say how GitHub is reached.
func hostFlags(flags *pflag.FlagSet, o *githost.Options) {
	flags.StringVar(&o.TokenFile, "github-token-file", "", "file with a token for GitHub's API; without one GitHub is told nothing")
	flags.StringVar(&o.TokenEnv, "github-token-env", "", "or the environment variable with it")
	flags.StringVar(&o.Repository, "github-repository", "", "owner/name at GitHub (default: from --source)")
	flags.StringVar(&o.API, "github-api", githost.DefaultAPI, "base address of GitHub's API; https://HOST/api/v3 for GitHub Enterprise")
	flags.DurationVar(&o.WriteGap, "github-write-gap", githost.DefaultWriteGap, "least time between two writes to GitHub")
}

// speaker is nil where no token is given.
func (f *runFlags) speaker(log *zap.Logger, registry prometheus.Registerer) (*githost.Speaker, error) {
	o := f.host
	switch {
	case o.TokenFile == "" && o.TokenEnv == "":
		return nil, nil
	case o.TokenFile != "" && o.TokenEnv != "":
		return nil, usageError{errors.New("--github-token-file and --github-token-env are two places for one token; name one of them")}
	case o.WriteGap <= 0:
		return nil, usageError{errors.New("--github-write-gap must be above 0, such as 1s")}
	}
	if o.Repository == "" {
		o.Repository = githost.RepositoryOf(f.git.Source)
	}
	if o.Repository == "" {
		return nil, usageError{errors.New("--github-token-file or --github-token-env needs --github-repository owner/name, which --source does not tell")}
	}
	o.Branch = f.git.Branch
	host, err := githost.Open(o)
	if err != nil {
		return nil, fmt.Errorf("tell GitHub: %w", err)
	}
	return githost.New(host, f.page, log, registry), nil
}
