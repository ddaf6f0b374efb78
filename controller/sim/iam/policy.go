// Package iam decides whether a caller may do what it asks, by policies as IAM reads them, and remembers which of their
// statements were needed. It is written from the IAM user guide and the Service Authorization Reference.
//
// Modelled are identity policies: Allow and Deny, actions and resources with wildcards, and the condition operators on texts
// and ARNs. What is not modelled makes a policy unreadable; nothing in it is ignored.
package iam

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Policy is an identity policy. The zero value allows nothing.
type Policy struct{ Statements []Statement }

// Statement is one of a policy.
type Statement struct {
	Sid        string
	Effect     string // Allow or Deny
	Actions    []string
	Resources  []string
	Conditions []Condition
}

// Condition holds where one of Values matches the request's Key.
type Condition struct {
	Operator string // without its qualifier
	ForAll   bool   // ForAllValues: each of the request's values must match, also where there are none
	Key      string
	Values   []string
}

// Request is one action on one resource, with what the caller's request says of the condition keys.
type Request struct {
	Action, Resource string
	Context          map[string][]string
}

// texts is a list that may be written as one text.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// ReadPolicy reads a policy document. An error names the statement and what is not modelled.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
func ReadPolicy(document []byte) (Policy, error) {
	var d struct {
		Version   string
		Id        string `json:",omitempty"`
		Statement []struct {
			Sid, Effect string
			Action      texts
			Resource    texts
			Condition   map[string]map[string]texts
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return Policy{}, fmt.Errorf("policy: %w", err)
	}
	if d.Version != "2012-10-17" {
		return Policy{}, fmt.Errorf("policy: Version must be 2012-10-17, is %q", d.Version)
	}
	var p Policy
	for i, s := range d.Statement {
		out := Statement{Sid: s.Sid, Effect: s.Effect, Actions: s.Action, Resources: s.Resource}
		if out.Effect != "Allow" && out.Effect != "Deny" || len(out.Actions) == 0 || len(out.Resources) == 0 {
			return Policy{}, fmt.Errorf("policy: statement %d (%s) must have Effect Allow or Deny, Action and Resource", i, s.Sid)
		}
		for operator, keys := range s.Condition {
			name, forAll := strings.CutPrefix(operator, "ForAllValues:")
			if !slices.Contains([]string{"StringEquals", "StringLike", "ArnEquals", "ArnLike"}, name) {
				return Policy{}, fmt.Errorf("policy: statement %d (%s): condition operator %s is not modelled", i, s.Sid, operator)
			}
			for key, values := range keys {
				out.Conditions = append(out.Conditions, Condition{Operator: name, ForAll: forAll, Key: key, Values: values})
			}
		}
		p.Statements = append(p.Statements, out)
	}
	return p, nil
}

// Use is one entry of a policy: an action of a statement.
type Use struct{ Sid, Action string }

// Uses are all entries of the policy that allow something, in its order.
func (p Policy) Uses() []Use {
	var out []Use
	for _, s := range p.Statements {
		if s.Effect == "Deny" {
			continue // nobody needs to be refused
		}
		for _, a := range s.Actions {
			out = append(out, Use{s.Sid, a})
		}
	}
	return out
}

// Allows reports whether the request is allowed, and by which entry: the first that does. A statement that denies has the last
// word; what no statement allows is refused.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func (p Policy) Allows(r Request) (by Use, ok bool) { return allows(p.about(r.Action), r) }

// candidate is a statement that speaks of an action, and the entry in which it does.
type candidate struct {
	*Statement
	action string
}

// about are the statements that speak of an action, in their order.
func (p Policy) about(action string) []candidate {
	var out []candidate
	for i := range p.Statements {
		s := &p.Statements[i]
		if at := slices.IndexFunc(s.Actions, func(pattern string) bool { return matchAction(pattern, action) }); at >= 0 {
			out = append(out, candidate{s, s.Actions[at]})
		}
	}
	return out
}

func allows(about []candidate, r Request) (by Use, ok bool) {
	for _, s := range about {
		if !slices.ContainsFunc(s.Resources, func(pattern string) bool { return match(pattern, r.Resource) }) || !s.holds(r) {
			continue
		}
		if s.Effect == "Deny" {
			return Use{}, false
		}
		if !ok {
			by, ok = Use{s.Sid, s.action}, true
		}
	}
	return by, ok
}

// holds reports whether all conditions do. A key that the request does not have fails all but ForAllValues.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func (s Statement) holds(r Request) bool {
	for _, c := range s.Conditions {
		values, there := r.Context[c.Key]
		if !there && !c.ForAll {
			return false
		}
		matches := func(v string) bool {
			return slices.ContainsFunc(c.Values, func(want string) bool {
				if c.Operator == "StringEquals" {
					return want == v
				}
				return match(want, v) // ArnEquals is ArnLike
			})
		}
		if c.ForAll && slices.ContainsFunc(values, func(v string) bool { return !matches(v) }) {
			return false
		}
		if !c.ForAll && !slices.ContainsFunc(values, matches) {
			return false
		}
	}
	return true
}

// matchAction matches names of actions, which have no case.
func matchAction(pattern, action string) bool {
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '*' || c == '?':
			return match(strings.ToLower(pattern[i:]), strings.ToLower(action[i:]))
		case i == len(action) || lower(c) != lower(action[i]):
			return false
		}
	}
	return len(pattern) == len(action)
}

// lower is the letter without its case; actions are of ASCII.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// match matches with * for any characters and ? for any one. A request's own * is a character like any other, so that what is
// asked of everything is allowed by what is given for everything only.
func match(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for i < len(s) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, mark = j, i
			j++
		case j < len(pattern) && (pattern[j] == '?' || pattern[j] == s[i]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(pattern) && pattern[j] == '*' {
		j++
	}
	return j == len(pattern)
}
