package pipeline

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestReviewers asks a server that answers as GitHub does of an environment.
// https://docs.github.com/en/rest/deployments/environments#get-an-environment
func TestReviewers(t *testing.T) {
	tool(t, "curl", "jq")
	const someone = `{"type": "User", "reviewer": {"login": "ada"}}`
	for name, tt := range map[string]struct {
		status      int
		rules, want string
	}{
		"a person":      {200, `{"type": "branch_policy"}, {"type": "required_reviewers", "reviewers": [` + someone + `]}`, ""},
		"no rule":       {200, `{"type": "branch_policy"}`, "nobody has to approve what is deployed to production"},
		"nobody in it":  {200, `{"type": "required_reviewers", "reviewers": []}`, "nobody has to approve what is deployed to production"},
		"another rule":  {200, `{"type": "wait_timer", "wait_timer": 30}`, "PRODUCTION_REVIEWERS"},
		"not there":     {404, "", "GitHub did not say who approves what is deployed to production"},
		"not permitted": {403, "", "GitHub did not say who approves what is deployed to production"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/repos/canteen/deploy/environments/production" || r.Header.Get("Authorization") != "Bearer a-token" {
					t.Errorf("it asks %s of %s", r.Header.Get("Authorization"), r.URL)
				}
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprintf(w, `{"name": "production", "protection_rules": [%s]}`, tt.rules)
			}))
			defer server.Close()
			out, err := call(t, ".", []string{"GITHUB_API_URL=" + server.URL, "GITHUB_REPOSITORY=canteen/deploy", "GITHUB_TOKEN=a-token"}, "reviewers", "production")
			if tt.want == "" && (err != nil || !strings.Contains(out, "ada")) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v\n%swant %q", err, out, tt.want)
			}
		})
	}
}
