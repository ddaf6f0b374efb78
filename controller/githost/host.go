package githost

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/go-github/v88/github"
	"golang.org/x/time/rate"
)

// Options say which repository on which host.
type Options struct {
	API        string // base of the REST API; DefaultAPI for GitHub itself, https://HOST/api/v3 for a server of one's own
	Repository string // owner/name
	Branch     string // that is followed, and that pull requests go to
	TokenFile  string // read again for each request, because tokens of Apps live for an hour
	TokenEnv   string // or the name of the variable with it
	// WriteGap is the least time between two writes; 0 is DefaultWriteGap.
	WriteGap time.Duration
}

// The defaults. GitHub asks for a second between two writes:
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
const (
	DefaultAPI      = "https://api.github.com"
	DefaultWriteGap = time.Second
)

// requestFor bounds one request.
const requestFor = 15 * time.Second

// RepositoryOf is owner/name of a git address, empty where it has no such form.
func RepositoryOf(source string) string {
	path := ""
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		path = u.Path
	} else if _, after, ok := strings.Cut(source, ":"); ok && !strings.HasPrefix(source, "/") {
		path = after // user@host:owner/name
	}
	name := strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if checkRepository(name) != nil {
		return ""
	}
	return name
}

func checkRepository(name string) error {
	owner, repo, ok := strings.Cut(name, "/")
	if !ok || owner == "" || repo == "" || strings.ContainsAny(name, " ?#%\\") || strings.Contains(repo, "/") {
		return fmt.Errorf("the repository is %q; it must be owner/name", name)
	}
	return nil
}

// Host is one repository at the host. Its methods are for one goroutine.
type Host struct {
	client              *github.Client
	owner, repo, branch string
	writes              *rate.Limiter
}

// Open checks the options and the token's place; it asks nobody.
func Open(o Options) (*Host, error) {
	if err := checkRepository(o.Repository); err != nil {
		return nil, err
	}
	if o.API == "" {
		o.API = DefaultAPI
	}
	u, err := url.Parse(o.API)
	if err != nil || u.Host == "" || u.Scheme != "https" && !local(u.Hostname()) {
		return nil, fmt.Errorf("the API's address is %q; it must be https://…, such as %s", o.API, DefaultAPI)
	}
	bearer := &bearer{file: o.TokenFile, env: o.TokenEnv, scheme: u.Scheme, host: u.Host}
	if _, err := bearer.token(); err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(o.API, "/") + "/"
	client, err := github.NewClient(github.WithTransport(bearer), github.WithTimeout(requestFor), github.WithURLs(&base, nil), github.WithUserAgent("deploy-controller"))
	if err != nil {
		return nil, fmt.Errorf("open the API of %s: %w", o.Repository, err)
	}
	if o.WriteGap == 0 {
		o.WriteGap = DefaultWriteGap
	}
	owner, repo, _ := strings.Cut(o.Repository, "/")
	return &Host{client: client, owner: owner, repo: repo, branch: o.Branch, writes: rate.NewLimiter(rate.Every(o.WriteGap), 1)}, nil
}

func local(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// bearer shows the token to the API's host, and to no other that this may send requests on to. No error of its holds it.
type bearer struct{ file, env, scheme, host string }

func (b *bearer) token() (string, error) {
	raw, where := os.Getenv(b.env), "variable "+b.env
	if b.file != "" {
		data, err := os.ReadFile(b.file)
		if err != nil {
			return "", fmt.Errorf("read the git host's token: %w", err)
		}
		raw, where = string(data), "file "+b.file
	}
	token := strings.TrimSpace(raw)
	if token == "" {
		return "", fmt.Errorf("the git host's token is empty: %s", where)
	}
	return token, nil
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != b.scheme || r.URL.Host != b.host {
		return http.DefaultTransport.RoundTrip(r)
	}
	token, err := b.token()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return http.DefaultTransport.RoundTrip(r)
}

// write waits for the turn of a write.
func (h *Host) write(ctx context.Context) error { return h.writes.Wait(ctx) }

// status tells a commit's status, unless it is the newest of its context already.
func (h *Host) status(ctx context.Context, sha string, s Status) error {
	all, _, err := h.client.Repositories.ListStatuses(ctx, h.owner, h.repo, sha, &github.ListOptions{PerPage: 100})
	if err != nil {
		return fmt.Errorf("read the statuses of %s: %w", sha, err)
	}
	for _, old := range all { // newest first
		if old.GetContext() != s.Context {
			continue
		}
		if old.GetState() == s.State && old.GetDescription() == s.Description && old.GetTargetURL() == s.URL {
			return nil
		}
		break
	}
	if err := h.write(ctx); err != nil {
		return err
	}
	next := github.RepoStatus{State: &s.State, Description: &s.Description, Context: &s.Context}
	if s.URL != "" {
		next.TargetURL = &s.URL
	}
	if _, _, err := h.client.Repositories.CreateStatus(ctx, h.owner, h.repo, sha, next); err != nil {
		return fmt.Errorf("tell the status of %s: %w", sha, err)
	}
	return nil
}

// payload is what a deployment says of itself, for whoever asks later what was judged.
type payload struct {
	Service string   `json:"service"`
	Ask     string   `json:"ask"`
	Images  []string `json:"images"`
}

// deployment returns the deployment of a word, making it where there is none.
func (h *Host) deployment(ctx context.Context, environment string, w Word) (id int64, created bool, err error) {
	kind := task(w.Service)
	list, _, err := h.client.Repositories.ListDeployments(ctx, h.owner, h.repo, &github.DeploymentsListOptions{SHA: w.Commit, Task: kind, Environment: environment})
	if err != nil {
		return 0, false, fmt.Errorf("look for the deployment of %s: %w", w.Service, err)
	}
	if len(list) > 0 {
		return list[0].GetID(), false, nil
	}
	if err := h.write(ctx); err != nil {
		return 0, false, err
	}
	d, _, err := h.client.Repositories.CreateDeployment(ctx, h.owner, h.repo, &github.DeploymentRequest{
		Ref: &w.Commit, Task: &kind, Environment: &environment, AutoMerge: new(bool), RequiredContexts: &[]string{},
		Payload: payload{w.Service, w.Ask, w.Images}, Description: github.Ptr(clip(w.Service)),
	})
	if err != nil {
		return 0, false, fmt.Errorf("tell of the deployment of %s: %w", w.Service, err)
	}
	return d.GetID(), true, nil
}

// deploymentStatus tells how a deployment stands, unless that is its newest status already. GitHub itself would make all earlier
// deployments of the environment inactive, those of other services too; hence AutoInactive.
func (h *Host) deploymentStatus(ctx context.Context, id int64, state, description, address string) error {
	old, err := h.newest(ctx, id)
	if err != nil || old.GetState() == state && old.GetDescription() == description && old.GetLogURL() == address {
		return err
	}
	if err := h.write(ctx); err != nil {
		return err
	}
	next := &github.DeploymentStatusRequest{State: &state, Description: &description, AutoInactive: new(bool)}
	if address != "" {
		next.LogURL = &address
	}
	if _, _, err := h.client.Repositories.CreateDeploymentStatus(ctx, h.owner, h.repo, id, next); err != nil {
		return fmt.Errorf("tell the status of deployment %d: %w", id, err)
	}
	return nil
}

func (h *Host) newest(ctx context.Context, id int64) (*github.DeploymentStatus, error) {
	list, _, err := h.client.Repositories.ListDeploymentStatuses(ctx, h.owner, h.repo, id, &github.ListOptions{PerPage: 1})
	if err != nil {
		return nil, fmt.Errorf("read the statuses of deployment %d: %w", id, err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], nil
}

// earlierMax is how many deployments before the newest are looked at.
const earlierMax = 10

// retire makes the service's earlier deployments inactive: those that came to no verdict, and with good those that were good before.
// It returns the commits of the former.
func (h *Host) retire(ctx context.Context, environment string, w Word, good bool) (open []string, err error) {
	list, _, err := h.client.Repositories.ListDeployments(ctx, h.owner, h.repo,
		&github.DeploymentsListOptions{Task: task(w.Service), Environment: environment, ListOptions: github.ListOptions{PerPage: earlierMax}})
	if err != nil {
		return nil, fmt.Errorf("look for earlier deployments of %s: %w", w.Service, err)
	}
	for _, d := range list {
		if d.GetSHA() == w.Commit {
			continue
		}
		old, err := h.newest(ctx, d.GetID())
		if err != nil {
			return nil, err
		}
		switch state := State(old.GetState()); {
		case state == "inactive", state == Failure, state == Error, state == Success && !good:
			continue
		case state != Success:
			open = append(open, d.GetSHA())
		}
		if err := h.deploymentStatus(ctx, d.GetID(), "inactive", clip(supersededBy(w.Service, w.Commit)), old.GetLogURL()); err != nil {
			return nil, err
		}
	}
	return open, nil
}

func supersededBy(service, commit string) string {
	return service + ": superseded by " + commit[:min(7, len(commit))]
}

// notFound reports whether the host has no such thing.
func notFound(err error) bool {
	var e *github.ErrorResponse
	return errors.As(err, &e) && e.Response.StatusCode == http.StatusNotFound
}
