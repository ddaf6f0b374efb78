package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/githost"
)

// The variables that say how GitHub is reached. The last two are a workflow's own.
const (
	hostTokenEnv = "GITHUB_TOKEN"
	hostAPIEnv   = "GITHUB_API_URL"
	hostRepoEnv  = "GITHUB_REPOSITORY"
	pageEnv      = "DEPLOY_PAGE_URL"
)

// hostFlags are the flags that say how GitHub is reached.
func hostFlags(flags *pflag.FlagSet, o *githost.Options) {
	flags.StringVar(&o.TokenFile, "github-token-file", "", "file with a token for GitHub's API (environment: "+hostTokenEnv+", the token itself); without one GitHub is told nothing")
	flags.StringVar(&o.Repository, "github-repository", os.Getenv(hostRepoEnv), "owner/name at GitHub (default: from the repository's address; environment: "+hostRepoEnv+")")
	flags.StringVar(&o.API, "github-api", os.Getenv(hostAPIEnv), "base address of GitHub's API (default "+githost.DefaultAPI+"; environment: "+hostAPIEnv+")")
}

// speaker is nil where no token is given.
func (f *runFlags) speaker(log *zap.Logger) (*githost.Speaker, error) {
	o := f.host
	if o.TokenFile == "" {
		if os.Getenv(hostTokenEnv) == "" {
			return nil, nil
		}
		o.TokenEnv = hostTokenEnv
	}
	if o.Repository == "" {
		o.Repository = githost.RepositoryOf(f.git.Source)
	}
	if o.Repository == "" {
		return nil, usageError{errors.New("--github-token-file needs --github-repository owner/name, which --source does not tell")}
	}
	o.Branch = f.git.Branch
	host, err := githost.Open(o)
	if err != nil {
		return nil, fmt.Errorf("tell GitHub: %w", err)
	}
	return githost.New(host, f.page, log), nil
}
