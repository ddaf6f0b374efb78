// Package standin is a server for tests that speaks the part of GitHub's REST API that the controller uses, over a real git repository.
// Every request and every answer is held to the description that GitHub publishes; answers are its own examples with the state put in.
package standin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Repository is what the server calls the repository, Token the only token that it takes.
const (
	Repository = "canteen/deploy"
	Token      = "ghs_of-this-test-only"
)

const root = "/repos/{owner}/{repo}"

// object is a JSON object.
type object = map[string]any

// Server is one repository at GitHub.
type Server struct {
	URL string

	t   testing.TB
	doc *openapi3.T
	dir string // of the repository

	mu          sync.Mutex
	statuses    map[string][]object // by commit, newest first
	deployments []object            // newest first
	of          map[int][]object    // statuses by deployment, newest first
	pulls       []object            // newest first
	ids         int
	calls       []string
	refuse      func(*http.Request) *Refusal
	limitsSent  int
}

// Refusal is an answer in place of the right one.
type Refusal struct {
	Code   int
	Header map[string]string
	Body   string
}

// Open serves the repository in a folder until the test ends.
func Open(t testing.TB, dir string) *Server {
	t.Helper()
	s := &Server{t: t, dir: dir, statuses: map[string][]object{}, of: map[int][]object{}}
	routes := s.routes()
	var paths []string
	for _, r := range routes {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
		}
	}
	s.doc = describe(t, paths)
	mux := http.NewServeMux()
	for _, r := range routes {
		pattern := strings.NewReplacer("{path}", "{path...}", "/git/ref/{ref}", "/git/ref/{ref...}", "/git/refs/{ref}", "/git/refs/{ref...}").Replace(r.path)
		mux.Handle(r.method+" "+pattern, s.handler(r))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("nothing answers %s %s", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// route is one operation. do answers under the server's lock; it may use Server.t for what must not happen.
type route struct {
	method, path string
	do           func(*call) (code int, body any)
}

// call is one request.
type call struct {
	r     *http.Request
	body  object
	base  func(code int) object // GitHub's example of an answer, one element where it is a list
	param func(name string) string
}

func (c *call) text(name string) string { s, _ := c.body[name].(string); return s }

func (s *Server) handler(r route) http.HandlerFunc {
	item := s.doc.Paths.Value(r.path)
	operation := item.GetOperation(r.method)
	if operation == nil {
		s.t.Fatalf("GitHub's description has no %s %s", r.method, r.path)
	}
	at := &routers.Route{Spec: s.doc, Path: r.path, PathItem: item, Method: r.method, Operation: operation}
	return func(w http.ResponseWriter, req *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, r.method+" "+strings.TrimPrefix(r.path, root))
		if s.refuse != nil {
			if no := s.refuse(req); no != nil {
				s.limitsSent++
				for k, v := range no.Header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(no.Code)
				_, _ = io.WriteString(w, no.Body)
				return
			}
		}
		if req.Header.Get("Authorization") != "Bearer "+Token {
			write(w, http.StatusUnauthorized, object{"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"})
			return
		}
		raw, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(raw))
		params := map[string]string{}
		for _, p := range append(slices.Clone(item.Parameters), operation.Parameters...) {
			if p.Value.In == "path" {
				params[p.Value.Name] = req.PathValue(p.Value.Name)
			}
		}
		in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: at,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
		if err := openapi3filter.ValidateRequest(req.Context(), in); err != nil {
			s.t.Errorf("request %s %s: %v\n%s", r.method, req.URL, err, raw)
			write(w, http.StatusUnprocessableEntity, problem(err.Error()))
			return
		}
		c := &call{r: req, param: func(name string) string { return params[name] }, base: func(code int) object { return s.example(operation, code) }}
		if len(raw) > 0 {
			_ = json.Unmarshal(raw, &c.body) // it was validated
		}
		code, body := r.do(c)
		s.check(in, code, body)
		write(w, code, body)
	}
}

// check holds an answer to its schema.
func (s *Server) check(in *openapi3filter.RequestValidationInput, code int, body any) {
	if body == nil {
		return
	}
	text, _ := json.Marshal(body)
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: code, Header: http.Header{"Content-Type": {"application/json"}}, Options: in.Options}
	out.SetBodyBytes(text)
	if err := openapi3filter.ValidateResponse(in.Request.Context(), out); err != nil {
		s.t.Errorf("answer of %s %s: %v", in.Route.Method, in.Route.Path, err)
	}
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-RateLimit-Limit", "5000")
	w.Header().Set("X-RateLimit-Remaining", "4999")
	w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
	w.WriteHeader(code)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func problem(message string) object {
	return object{"message": "Validation Failed", "documentation_url": "https://docs.github.com/rest", "errors": []object{{"code": "custom", "message": message}}}
}

func notFound() (int, any) {
	return http.StatusNotFound, object{"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}
}

// example is a copy of what GitHub gives as an example. Nobody asks a team for a review here: the team in the examples lacks a field that
// the schema requires.
func (s *Server) example(op *openapi3.Operation, code int) object {
	for name, e := range op.Responses.Status(code).Value.Content["application/json"].Examples {
		if strings.Contains(name, "directory") || strings.Contains(name, "symlink") || strings.Contains(name, "submodule") {
			continue
		}
		text, _ := json.Marshal(e.Value.Value)
		var list []object
		one := object{}
		if json.Unmarshal(text, &list) == nil {
			one = list[0]
		} else if err := json.Unmarshal(text, &one); err != nil {
			s.t.Errorf("example of %s: %v", op.OperationID, err)
		}
		if _, ok := one["requested_teams"]; ok {
			one["requested_teams"] = []any{}
		}
		return one
	}
	s.t.Errorf("%s has no example of %d", op.OperationID, code)
	return object{}
}

// id numbers everything.
func (s *Server) id() int { s.ids++; return s.ids }
