package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// GitHub is one repository there, by its REST API: https://docs.github.com/en/rest/pulls/pulls
type GitHub struct {
	API        string // such as https://api.github.com
	Repository string // owner/name
	Token      string
}

const (
	githubTimeout = 30 * time.Second
	githubMax     = 8 << 20 // bytes of an answer
)

// OpenPull opens the pull request of a branch, or brings the text of the one that is open up to date, and returns its address. It may
// be repeated. No error holds the token.
func (g GitHub) OpenPull(ctx context.Context, branch, base, title, body string) (string, error) {
	owner, _, ok := strings.Cut(g.Repository, "/")
	if !ok {
		return "", fmt.Errorf("the repository is %q; it must be owner/name", g.Repository)
	}
	var open []struct {
		Number int `json:"number"`
	}
	query := url.Values{"state": {"open"}, "head": {owner + ":" + branch}, "base": {base}}
	if err := g.call(ctx, http.MethodGet, "/pulls?"+query.Encode(), nil, &open); err != nil {
		return "", fmt.Errorf("look for the pull request of %s: %w", branch, err)
	}
	var pull struct {
		Address string `json:"html_url"`
	}
	text := map[string]string{"title": title, "body": body}
	if len(open) > 0 {
		if err := g.call(ctx, http.MethodPatch, fmt.Sprintf("/pulls/%d", open[0].Number), text, &pull); err != nil {
			return "", fmt.Errorf("update pull request %d: %w", open[0].Number, err)
		}
		return pull.Address, nil
	}
	text["head"], text["base"] = branch, base
	if err := g.call(ctx, http.MethodPost, "/pulls", text, &pull); err != nil {
		return "", fmt.Errorf("open the pull request of %s: %w", branch, err)
	}
	return pull.Address, nil
}

func (g GitHub) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, githubTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(g.API, "/")+"/repos/"+g.Repository+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("Authorization", "Bearer "+g.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, githubMax))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		var problem struct {
			Message string `json:"message"`
			Errors  []struct {
				Message string `json:"message"`
			} `json:"errors"`
		}
		_ = json.Unmarshal(answer, &problem) // what is no JSON has no message
		for _, e := range problem.Errors {
			problem.Message += "; " + e.Message
		}
		return errors.New("GitHub answers " + strings.TrimSpace(res.Status+" "+problem.Message))
	}
	return json.Unmarshal(answer, out)
}
