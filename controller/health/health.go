// Package health is the list of ways to judge a deployment. A check names the facts that it needs and turns facts into
// readings; it never looks by itself. A new check is a folder here and a line in the table below.
package health

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/health/alarms"
	"github.com/canteen/deploy/controller/health/logs"
	"github.com/canteen/deploy/controller/health/steady"
	"github.com/canteen/deploy/controller/health/targets"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Check judges one deployment.
type Check interface {
	// Facts says what must be seen for the subject.
	Facts(rollout.Subject) observed.Look
	// Read turns what was seen into a reading; ok is false where the check has nothing to say about the subject.
	Read(rollout.Subject, observed.Service) (r observed.Reading, ok bool)
}

type kind struct {
	desired.Kind
	build func(json.RawMessage) (Check, error)
}

// known are the checks that git may name; steady always runs and takes no parameters.
var known = map[string]kind{
	targets.Name: {targets.Kind{}, func(p json.RawMessage) (Check, error) { return targets.New(p) }},
	logs.Name:    {logs.Kind{}, func(p json.RawMessage) (Check, error) { return logs.New(p) }},
	alarms.Name:  {alarms.Kind{}, func(p json.RawMessage) (Check, error) { return alarms.New(p) }},
}

// Kinds are the checks that a file may name.
func Kinds() map[string]desired.Kind {
	out := map[string]desired.Kind{}
	for name, k := range known {
		out[name] = k.Kind
	}
	return out
}

// For builds the checks of a service, steady first and the others in order of name.
func For(spec desired.ServiceSpec) ([]Check, error) {
	checks := []Check{steady.Check{}}
	for _, name := range slices.Sorted(maps.Keys(spec.Verify.Checks)) {
		k, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("check %q is not known; known are %v", name, slices.Sorted(maps.Keys(known)))
		}
		c, err := k.build(spec.Verify.Checks[name])
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", name, err)
		}
		checks = append(checks, c)
	}
	return checks, nil
}

// Facts joins what the checks must see.
func Facts(checks []Check, s rollout.Subject) observed.Look {
	var look observed.Look
	for _, c := range checks {
		look = look.Merge(c.Facts(s))
	}
	return look
}

// Read collects what the checks say.
func Read(checks []Check, s rollout.Subject, seen observed.Service) []observed.Reading {
	var out []observed.Reading
	for _, c := range checks {
		if r, ok := c.Read(s, seen); ok {
			r.Deployment, r.At = s.Deployment, s.Now
			out = append(out, r)
		}
	}
	return out
}
