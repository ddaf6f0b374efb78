// Package targets judges what the load balancer says of the deployment's tasks: all of them healthy in every target group
// of the service. A service without a target group has nothing to be judged by it.
package targets

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Name is the check's name in git.
const Name = "targets"

// Params are empty: the load balancer's own health check is the parameter.
type Params struct{}

// Kind checks the parameters in a file.
type Kind struct{}

// Check implements desired.Kind.
func (Kind) Check(raw json.RawMessage, _ *desired.ServiceSpec) []desired.Problem {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return []desired.Problem{{Message: "targets takes no parameters; write targets: {}"}}
	}
	var out []desired.Problem
	for name := range m {
		out = append(out, desired.Problem{Path: []string{name}, Message: fmt.Sprintf("targets has no parameter %s; write targets: {}", name)})
	}
	return out
}

// Params implements desired.Kind.
func (Kind) Params() any { return &Params{} }

// Check is the targets check.
type Check struct{}

// New builds the check.
func New(json.RawMessage) (Check, error) { return Check{}, nil }

// Facts implements health.Check: targets matter once the deployment claims to be complete; before that ECS itself replaces
// unhealthy tasks, and their deaths are counted.
func (Check) Facts(s rollout.Subject) observed.Look {
	return observed.Look{Targets: !s.BakeFrom.IsZero()}
}

// Read implements health.Check.
func (Check) Read(s rollout.Subject, seen observed.Service) (observed.Reading, bool) {
	if s.Before || s.BakeFrom.IsZero() || len(seen.TargetGroups) == 0 {
		return observed.Reading{}, false
	}
	r := observed.Reading{Check: Name}
	if m, lacks := seen.Lacks(observed.FactTargets); lacks {
		r.Verdict, r.Class, r.Reason, r.Detail = observed.NoData, m.Class(), m.Reason, "the load balancer could not be asked: "+m.Message
		return r, true
	}
	healthy, unused, unchecked, unhealthy := count(seen.Targets)
	want := seen.Primary().Desired * len(seen.TargetGroups)
	r.Value, r.Threshold = fmt.Sprintf("%d healthy", healthy), fmt.Sprintf("%d healthy", want)
	switch {
	case len(unhealthy) > 0 && healthy < want:
		r.Verdict, r.Detail = observed.NoData, "a target is unhealthy and ECS is replacing it: "+unhealthy[0]
	case len(unused) > 0 && healthy == 0:
		r.Verdict, r.Class, r.Reason, r.Detail = observed.Fail, observed.ClassBlocked, "TargetsUnused", "the target group receives no traffic: "+unused[0]
	case len(unchecked) > 0 && healthy < want:
		r.Verdict, r.Class, r.Reason, r.Detail = observed.NoData, observed.ClassInfrastructure, "TargetsUnavailable", "the load balancer does not check its targets: "+unchecked[0]
	case healthy < want:
		r.Verdict, r.Detail = observed.NoData, fmt.Sprintf("%d of %d targets are healthy", healthy, want)
	default:
		r.Verdict, r.Detail = observed.Pass, fmt.Sprintf("%d targets are healthy", healthy)
	}
	if r.Verdict == observed.NoData && healthy == 0 && len(unhealthy) >= 2 {
		r.Verdict, r.Class, r.Reason, r.Detail = observed.Fail, observed.ClassProduct, "TargetsUnhealthy", fmt.Sprintf("all %d targets are unhealthy: %s", len(unhealthy), unhealthy[0])
	}
	return r, true
}

func count(targets []observed.Target) (healthy int, unused, unchecked, unhealthy []string) {
	for _, t := range targets {
		switch t.State {
		case "healthy":
			healthy++
		case "unused":
			unused = append(unused, t.Reason)
		case "unavailable":
			unchecked = append(unchecked, t.Reason)
		case "unhealthy":
			unhealthy = append(unhealthy, fmt.Sprintf("%s:%d %s", t.ID, t.Port, t.Reason))
		}
	}
	slices.Sort(unhealthy)
	return healthy, unused, unchecked, unhealthy
}
