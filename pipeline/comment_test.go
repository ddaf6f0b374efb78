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
		})
	}
}

// TestCommentIsCut: a text that is too long ends with a whole line outside of any code, and is in the log of the run as it is, where no
// line of it is a command to the runner.
func TestCommentIsCut(t *testing.T) {
	tool(t, "curl", "jq")
	const marker, end = "<!-- infra diff -->\n", "\n…\n\nThis is too long for a comment; all of it is in the log of the run.\n"
	lines := strings.Repeat("+  \"ä\": \"```\" ::x::\n", 4000)
	for _, tt := range []struct{ name, text, begins, closes string }{
		{"no code", lines, "", ""},
		{"open code", "~~~~~~diff\n" + lines + "~~~~~~\n", "~~~~~~diff\n", "~~~~~~\n"},
		{"code in code", "````\n```\n~~~\n" + lines, "````\n```\n~~~\n", "````\n"},
		{"code that is closed", "```diff\nx\n``` \n" + lines, "```diff\nx\n``` \n", ""},
		{"the second is open", "```\nx\n```\n  ~~~\n" + lines, "```\nx\n```\n  ~~~\n", "~~~\n"},
		{"no fence", "``` a `b` c\n" + lines, "``` a `b` c\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &host{t: t}
			srv := httptest.NewServer(h)
			defer srv.Close()
			file := filepath.Join(t.TempDir(), "diff.md")
			if err := os.WriteFile(file, []byte(marker+tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := call(t, ".", []string{"GITHUB_TOKEN=a-token", "GITHUB_REPOSITORY=canteen/deploy", "GITHUB_API_URL=" + srv.URL}, "comment", "7", file)
			if err != nil || len(h.comments) != 1 {
				t.Fatalf("%v: %d comments", err, len(h.comments))
			}
			got, whole := strings.CutSuffix(h.comments[0], tt.closes+end)
			body, begun := strings.CutPrefix(got, marker+tt.begins)
			if !whole || !begun || len(body) < 60000 || body != lines[:len(body)] || !strings.HasSuffix(body, "\n") {
				t.Errorf("it begins with %q and ends with %q", got[:50], h.comments[0][len(h.comments[0])-150:])
			}
			first, rest, _ := strings.Cut(out, "\n")
			token, stops := strings.CutPrefix(first, "::stop-commands::")
			if !stops || len(token) < 32 || rest != marker+tt.text+"::"+token+"::\n" {
				t.Errorf("the log has %.100q", out)
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
