package standin

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Refuse lets f answer in place of the server where it returns something; nil ends that.
func (s *Server) Refuse(f func(*http.Request) *Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

// Secondary is the answer where requests come too fast:
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
func Secondary(after time.Duration) *Refusal {
	return &Refusal{Code: http.StatusForbidden, Header: map[string]string{"Retry-After": fmt.Sprint(int(after.Seconds()))},
		Body: `{"message":"You have exceeded a secondary rate limit","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`}
}

// Primary is the answer where an hour's requests are spent, until a time.
func Primary(reset time.Time) *Refusal {
	return &Refusal{Code: http.StatusForbidden, Header: map[string]string{"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(reset.Unix())},
		Body: `{"message":"API rate limit exceeded","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}`}
}

// Refused is how many requests were answered by Refuse.
func (s *Server) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limitsSent
}

// Status is one commit status or deployment status.
type Status struct{ State, Description, URL string }

// Statuses are a commit's statuses of a context, oldest first.
func (s *Server) Statuses(sha, context string) []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Status
	for _, o := range slices.Backward(s.statuses[sha]) {
		if o["context"] == context {
			out = append(out, status(o, "target_url"))
		}
	}
	return out
}

// Deployment is one deployment with its statuses, oldest first.
type Deployment struct {
	SHA, Task, Environment string
	Payload                any
	Statuses               []Status
}

// Deployments are all of them, oldest first.
func (s *Server) Deployments() []Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Deployment
	for _, o := range slices.Backward(s.deployments) {
		d := Deployment{SHA: text(o["sha"]), Task: text(o["task"]), Environment: text(o["environment"]), Payload: o["payload"]}
		for _, one := range slices.Backward(s.of[o["id"].(int)]) {
			d.Statuses = append(d.Statuses, status(one, "log_url"))
		}
		out = append(out, d)
	}
	return out
}

// Pull is one pull request.
type Pull struct {
	Number                   int
	State, Title, Body, Head string
}

// Pulls are all of them, oldest first.
func (s *Server) Pulls() []Pull {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Pull
	for _, o := range slices.Backward(s.pulls) {
		out = append(out, Pull{o["number"].(int), text(o["state"]), text(o["title"]), text(o["body"]), text(o["head"].(object)["ref"])})
	}
	return out
}

// Writes is how many requests changed something.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if c[:3] != "GET" {
			n++
		}
	}
	return n
}

func status(o object, url string) Status {
	return Status{State: text(o["state"]), Description: text(o["description"]), URL: text(o[url])}
}

func text(v any) string { s, _ := v.(string); return s }
