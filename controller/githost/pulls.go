package githost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-github/v88/github"
)

// pull opens the pull request that takes a service's file back, unless there is one or ever was: what a person closed stays closed. A
// crash in between leaves a branch, which the next try goes on with.
func (h *Host) pull(ctx context.Context, branch, file, back, title, body string) (opened bool, err error) {
	list, _, err := h.client.PullRequests.List(ctx, h.owner, h.repo, &github.PullRequestListOptions{State: "all", Head: h.owner + ":" + branch})
	if err != nil {
		return false, fmt.Errorf("look for the pull request of %s: %w", branch, err)
	}
	if len(list) > 0 {
		return false, nil
	}
	was, _, err := h.content(ctx, file, back)
	if err != nil {
		return false, err
	}
	if now, _, err := h.content(ctx, file, h.branch); err != nil || now == was {
		return false, err // git has moved on already
	}
	if err := h.start(ctx, branch); err != nil {
		return false, err
	}
	if err := h.put(ctx, branch, file, was, title); err != nil {
		return false, err
	}
	if err := h.write(ctx); err != nil {
		return false, err
	}
	_, _, err = h.client.PullRequests.Create(ctx, h.owner, h.repo, &github.NewPullRequest{Title: &title, Head: &branch, Base: &h.branch, Body: &body})
	if err != nil {
		return false, fmt.Errorf("open the pull request of %s: %w", branch, err)
	}
	return true, nil
}

// content is a file's text and its blob at a commit or branch.
func (h *Host) content(ctx context.Context, file, at string) (text, blob string, err error) {
	c, _, _, err := h.client.Repositories.GetContents(ctx, h.owner, h.repo, file, &github.RepositoryContentGetOptions{Ref: at})
	if err == nil && c == nil {
		err = fmt.Errorf("it is a folder")
	}
	if err == nil {
		text, err = c.GetContent()
	}
	if err != nil {
		return "", "", fmt.Errorf("read %s at %s: %w", file, at, err)
	}
	return text, c.GetSHA(), nil
}

// start makes the branch at the tip of the followed one, unless it is there.
func (h *Host) start(ctx context.Context, branch string) error {
	_, _, err := h.client.Git.GetRef(ctx, h.owner, h.repo, "heads/"+branch)
	if err == nil {
		return nil
	}
	if !notFound(err) {
		return fmt.Errorf("look for the branch %s: %w", branch, err)
	}
	tip, _, err := h.client.Git.GetRef(ctx, h.owner, h.repo, "heads/"+h.branch)
	if err != nil {
		return fmt.Errorf("look for the branch %s: %w", h.branch, err)
	}
	if err := h.write(ctx); err != nil {
		return err
	}
	if _, _, err := h.client.Git.CreateRef(ctx, h.owner, h.repo, github.CreateRef{Ref: "refs/heads/" + branch, SHA: tip.GetObject().GetSHA()}); err != nil {
		return fmt.Errorf("make the branch %s: %w", branch, err)
	}
	return nil
}

// put commits a file's text onto the branch, unless it has it.
func (h *Host) put(ctx context.Context, branch, file, text, title string) error {
	now, blob, err := h.content(ctx, file, branch)
	if err != nil || now == text {
		return err
	}
	if err := h.write(ctx); err != nil {
		return err
	}
	_, _, err = h.client.Repositories.UpdateFile(ctx, h.owner, h.repo, file,
		&github.RepositoryContentFileOptions{Message: &title, Content: []byte(text), SHA: &blob, Branch: &branch})
	if _, _, refused := judge(err, time.Now()); refused {
		return fmt.Errorf("commit to %s: %w; a ruleset may forbid the controller's App to push %s, and must then have it in its bypass list", branch, err, file)
	}
	if err != nil {
		return fmt.Errorf("commit to %s: %w", branch, err)
	}
	return nil
}

// pullsMax bounds how many open pull requests are looked through.
const pullsMax = 1000

// closePulls closes the environment's open revert pull requests that are no longer meant, and deletes their branches. moot answers for
// a service and a branch why it is not meant, and empty where it is, or where that is not known. One that the host refuses to close keeps
// no other from being closed.
func (h *Host) closePulls(ctx context.Context, environment string, moot func(service, branch string) string) (closed []string, err error) {
	opts := &github.PullRequestListOptions{State: "open", Base: h.branch, ListOptions: github.ListOptions{PerPage: 100}}
	var over []*github.PullRequest
	for seen := 0; seen < pullsMax; {
		list, answer, err := h.client.PullRequests.List(ctx, h.owner, h.repo, opts)
		if err != nil {
			return nil, fmt.Errorf("look for revert pull requests: %w", err)
		}
		over = append(over, list...)
		seen += len(list)
		if opts.Page = answer.NextPage; opts.Page == 0 {
			break
		}
	}
	var failed []error
	for _, p := range over {
		branch := p.GetHead().GetRef()
		service, ours := serviceOf(environment, branch)
		if !ours {
			continue
		}
		why := moot(service, branch)
		if why == "" {
			continue
		}
		err := h.closePull(ctx, p, branch, why)
		_, _, refused := judge(err, time.Now())
		switch {
		case err == nil:
			closed = append(closed, branch)
		case refused:
			failed = append(failed, err)
		default:
			return closed, err
		}
	}
	return closed, errors.Join(failed...)
}

func (h *Host) closePull(ctx context.Context, p *github.PullRequest, branch, why string) error {
	if err := h.write(ctx); err != nil {
		return err
	}
	body := strings.TrimRight(p.GetBody(), "\n") + "\n\n---\n\nClosed by the controller: " + why + ".\n"
	_, _, err := h.client.PullRequests.Edit(ctx, h.owner, h.repo, p.GetNumber(), &github.PullRequest{State: github.Ptr("closed"), Body: &body})
	if err != nil {
		return fmt.Errorf("close pull request %d: %w", p.GetNumber(), err)
	}
	if err := h.write(ctx); err != nil {
		return err
	}
	if _, err := h.client.Git.DeleteRef(ctx, h.owner, h.repo, "heads/"+branch); err != nil && !notFound(err) {
		return fmt.Errorf("delete the branch %s: %w", branch, err)
	}
	return nil
}
