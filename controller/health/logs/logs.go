// Package logs judges what the deployment's own tasks write: a forbidden line fails it, and a required one must come.
package logs

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Name is the check's name in git.
const Name = "logs"

// Params are the check's parameters.
type Params struct {
	// Forbid are regular expressions (RE2); one matching line of the new tasks fails the rollout.
	Forbid []string `json:"forbid,omitempty"`
	// Require are regular expressions (RE2); each must match a line of the new tasks before the rollout is good.
	Require []string `json:"require,omitempty"`
}

// Kind checks the parameters in a file.
type Kind struct{}

// patternsMax bounds the work that one line costs.
const patternsMax = 20

// Check implements desired.Kind.
func (Kind) Check(raw json.RawMessage, _ *desired.ServiceSpec) []desired.Problem {
	p, out := desired.StrictParams[Params](raw)
	if len(out) > 0 {
		return out
	}
	for member, list := range map[string][]string{"forbid": p.Forbid, "require": p.Require} {
		if len(list) > patternsMax {
			out = append(out, desired.Problem{Path: []string{member}, Message: fmt.Sprintf("%d patterns are too many; at most %d, join some with |", len(list), patternsMax)})
		}
		for i, pattern := range list {
			if _, err := regexp.Compile(pattern); err != nil {
				out = append(out, desired.Problem{Path: []string{member, strconv.Itoa(i)}, Message: fmt.Sprintf("%q is not a regular expression of RE2 syntax: %v", pattern, err)})
			} else if pattern == "" {
				out = append(out, desired.Problem{Path: []string{member, strconv.Itoa(i)}, Message: "the empty pattern matches every line; write what the line must contain"})
			}
		}
	}
	return out
}

// Params implements desired.Kind.
func (Kind) Params() any { return &Params{} }

// Check is the logs check.
type Check struct{ params Params }

// New builds the check.
func New(raw json.RawMessage) (Check, error) {
	var p Params
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &p); err != nil {
			return Check{}, err
		}
	}
	return Check{p}, nil
}

// Facts implements health.Check.
func (c Check) Facts(s rollout.Subject) observed.Look {
	if s.Before || s.Kind != rollout.KindDeploy || len(c.params.Forbid)+len(c.params.Require) == 0 {
		return observed.Look{}
	}
	// Tasks start after the deployment was asked for, by whatever clock: a minute covers the clocks' difference, and the
	// streams are those of this deployment's tasks only.
	return observed.Look{Logs: &observed.LogLook{Revision: s.Revision, Since: s.RolledAt.Add(-clockSlack), Patterns: append(append([]string{}, c.params.Forbid...), c.params.Require...)}}
}

const clockSlack = time.Minute

// Read implements health.Check.
func (c Check) Read(s rollout.Subject, seen observed.Service) (observed.Reading, bool) {
	if s.Before || s.Kind != rollout.KindDeploy || len(c.params.Forbid)+len(c.params.Require) == 0 {
		return observed.Reading{}, false
	}
	r := observed.Reading{Check: Name}
	// A forbidden line that was found is one, however much of the log could not be read.
	for _, pattern := range c.params.Forbid {
		if seen.Logs != nil && len(seen.Logs.Matches[pattern]) > 0 {
			r.Verdict, r.Class, r.Reason = observed.Fail, observed.ClassProduct, "ForbiddenLogLine"
			r.Value, r.Threshold = fmt.Sprintf("%d forbidden", len(seen.Logs.Matches[pattern])), "none forbidden"
			r.Detail = fmt.Sprintf("a log line matches the forbidden pattern %q", pattern)
			for _, line := range seen.Logs.Matches[pattern] {
				r.Lines = append(r.Lines, line.Message)
			}
			return r, true
		}
	}
	if seen.Logs == nil || lacking(seen) {
		unread(&r, seen)
		return r, true
	}
	r.Behind = seen.Logs.Behind
	written := 0
	for _, pattern := range c.params.Require {
		if len(seen.Logs.Matches[pattern]) > 0 {
			written++
		}
	}
	r.Value = fmt.Sprintf("none forbidden, %d required", written)
	r.Threshold = fmt.Sprintf("none forbidden, %d required", len(c.params.Require))
	for _, pattern := range c.params.Require {
		if len(seen.Logs.Matches[pattern]) == 0 {
			r.Verdict, r.Detail = observed.NoData, fmt.Sprintf("no log line matches the required pattern %q yet", pattern)
			return r, true
		}
	}
	r.Verdict, r.Detail = observed.Pass, "no forbidden line was written and every required one was"
	if r.Behind > 0 { // of what was written up to then
		r.Detail = fmt.Sprintf("%s up to %.0f s ago: more is written in that time than is read at once", r.Detail, r.Behind.Seconds())
	}
	return r, true
}

func lacking(seen observed.Service) bool {
	_, lacks := seen.Lacks(observed.FactLogs)
	return lacks
}

// unread says why there is no log to judge: it could not be read, or the tasks could not, whose streams it is in.
func unread(r *observed.Reading, seen observed.Service) {
	r.Verdict, r.Detail = observed.NoData, "the logs were not read"
	for _, fact := range []observed.Fact{observed.FactTasks, observed.FactLogs} {
		m, lacks := seen.Lacks(fact)
		if !lacks {
			continue
		}
		r.Class, r.Reason, r.Detail = m.Class(), m.Reason, fmt.Sprintf("the %s could not be read: %s", fact, m.Message)
		if fact == observed.FactLogs && m.Kind == "not_found" {
			r.Reason = "LogGroupMissing"
		}
	}
}
