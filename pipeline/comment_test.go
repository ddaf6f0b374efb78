package pipeline

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// host keeps the comments of one pull request, as GitHub's REST API does:
// https://docs.github.com/en/rest/issues/comments
type host struct {
	t        *testing.T
	comments []string
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const issue, comment = "/repos/canteen/deploy/issues/7/comments", "/repos/canteen/deploy/issues/comments/"
	if r.Header.Get("Authorization") != "Bearer a-token" {
		http.Error(w, `{"message": "Bad credentials"}`, http.StatusUnauthorized)
		return
	}
	var in struct{ Body string }
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Body == "" || utf8.RuneCountInString(in.Body) > 65536 {
			http.Error(w, `{"message": "Validation Failed"}`, http.StatusUnprocessableEntity)
			return
		}
	}
	show := func(i int) map[string]any { return map[string]any{"id": i + 1000, "body": h.comments[i]} }
	switch {
	case r.Method == http.MethodGet && r.URL.Path == issue:
		size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		list := []any{}
		for i := (page - 1) * size; i < min(page*size, len(h.comments)); i++ {
			list = append(list, show(i))
		}
		_ = json.NewEncoder(w).Encode(list)
	case r.Method == http.MethodPost && r.URL.Path == issue:
		h.comments = append(h.comments, in.Body)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(show(len(h.comments) - 1))
	case r.Method == http.MethodPatch && strings.HasPrefix(r.URL.Path, comment):
		id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, comment))
		if err != nil || id < 1000 || id-1000 >= len(h.comments) {
			http.Error(w, `{"message": "Not Found"}`, http.StatusNotFound)
			return
		}
		h.comments[id-1000] = in.Body
		_ = json.NewEncoder(w).Encode(show(id - 1000))
	default:
		http.Error(w, `{"message": "Not Found"}`, http.StatusNotFound)
	}
}

func TestComment(t *testing.T) {
	tool(t, "curl", "jq")
	for _, others := range []int{0, 1, 99, 100, 250} {
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			h := &host{t: t}
			for i := range others {
				h.comments = append(h.comments, fmt.Sprintf("comment %d of a person, about <!-- controller plan: dev -->", i))
			}
			srv := httptest.NewServer(h)
			defer srv.Close()
			env := []string{"GITHUB_TOKEN=a-token", "GITHUB_REPOSITORY=canteen/deploy", "GITHUB_API_URL=" + srv.URL}
			file := filepath.Join(t.TempDir(), "plan.md")
			post := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				if out, err := call(t, ".", env, "comment", "7", file); err != nil || out != "" {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			post("<!-- controller plan: dev -->\nfirst, with \"quotes\" \\ and ä\n")
			post("<!-- controller plan: qa -->\nanother environment's\n")
			post("<!-- controller plan: dev -->\nsecond\n")
			if len(h.comments) != others+2 || h.comments[others] != "<!-- controller plan: dev -->\nsecond\n" || h.comments[others+1] != "<!-- controller plan: qa -->\nanother environment's\n" {
				t.Errorf("%d comments, the last ones %q", len(h.comments), h.comments[others:])
			}
			post("<!-- controller plan: dev -->\n" + strings.Repeat("ä", 70000))
			if got := h.comments[others]; !strings.HasSuffix(got, "The rest is in the log of the run.") {
				t.Errorf("a long text ends with %q", got[len(got)-50:])
			}
		})
	}
}

func TestCommentRefuses(t *testing.T) {
	tool(t, "curl", "jq")
	srv := httptest.NewServer(&host{t: t})
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "plan.md")
	for _, tt := range []struct{ token, text, want string }{
		{"a-token", "no marker\n", "no HTML comment"},
		{"another-one", "<!-- x -->\n", "401"},
	} {
		if err := os.WriteFile(file, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := call(t, ".", []string{"GITHUB_TOKEN=" + tt.token, "GITHUB_REPOSITORY=canteen/deploy", "GITHUB_API_URL=" + srv.URL}, "comment", "7", file)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), tt.token) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}
