package release

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// host answers the three requests about pull requests as GitHub's description of its REST API says, and keeps what it was sent.
type host struct {
	t     *testing.T
	pulls []map[string]string
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in map[string]string
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			h.t.Error(err)
		}
	}
	answer := func(code int, v any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	show := func(i int) map[string]any {
		return map[string]any{"number": i + 1, "html_url": fmt.Sprintf("https://github.example/canteen/deploy/pull/%d", i+1)}
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer a-token":
		answer(http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
	case r.URL.Path == "/repos/canteen/deploy/pulls" && r.Method == http.MethodGet:
		list := []any{}
		for i, p := range h.pulls {
			q := r.URL.Query()
			if q.Get("state") == "open" && q.Get("head") == "canteen:"+p["head"] && q.Get("base") == p["base"] {
				list = append(list, show(i))
			}
		}
		answer(http.StatusOK, list)
	case r.URL.Path == "/repos/canteen/deploy/pulls" && r.Method == http.MethodPost:
		if in["head"] == "gone" {
			answer(http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed", "errors": []any{map[string]any{"resource": "PullRequest", "field": "head", "code": "invalid", "message": "No commits between main and gone"}}})
			return
		}
		h.pulls = append(h.pulls, in)
		answer(http.StatusCreated, show(len(h.pulls)-1))
	case r.URL.Path == "/repos/canteen/deploy/pulls/1" && r.Method == http.MethodPatch:
		h.pulls[0]["title"], h.pulls[0]["body"] = in["title"], in["body"]
		answer(http.StatusOK, show(0))
	default:
		answer(http.StatusNotFound, map[string]any{"message": "Not Found"})
	}
}

func TestOpenPull(t *testing.T) {
	h := &host{t: t}
	srv := httptest.NewServer(h)
	defer srv.Close()
	g := GitHub{API: srv.URL, Repository: "canteen/deploy", Token: "a-token"}
	for _, title := range []string{"first", "second"} { // a second run brings the first one's up to date
		address, err := g.OpenPull(t.Context(), "promote/dev-to-qa", "main", title, "what moves")
		if err != nil || address != "https://github.example/canteen/deploy/pull/1" {
			t.Errorf("%q, %v", address, err)
		}
	}
	if len(h.pulls) != 1 || h.pulls[0]["title"] != "second" || h.pulls[0]["base"] != "main" {
		t.Errorf("the pull requests are %v", h.pulls)
	}
	if _, err := g.OpenPull(t.Context(), "gone", "main", "x", "y"); err == nil || !strings.Contains(err.Error(), "422 Unprocessable Entity Validation Failed; No commits between main and gone") {
		t.Errorf("error %v", err)
	}
	g.Token = "another-one"
	if _, err := g.OpenPull(t.Context(), "promote/dev-to-qa", "main", "x", "y"); err == nil || !strings.Contains(err.Error(), "Bad credentials") || strings.Contains(err.Error(), "another-one") {
		t.Errorf("error %v", err)
	}
}
