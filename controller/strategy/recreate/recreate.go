// Package recreate stops the tasks of the version before, then starts those of the new one: two versions never run beside
// each other, and in between nothing serves. It is one request, a rolling deployment of ECS's between 0 and 100 percent.
package recreate

import (
	"encoding/json"
	"fmt"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Name is the strategy's name in git.
const Name = desired.StrategyRecreate

// With a minimum of 0 ECS may stop every task first, and with a maximum of 100 it must, before it starts one of the new
// revision (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html).
const (
	minimumHealthyPercent = 0
	maximumPercent        = 100
)

// Params are the strategy's parameters.
type Params struct {
	// InitialCount is the count that a service at 0 is given by its first rollout. Afterwards the count is not git's.
	InitialCount *int `json:"initialCount,omitempty" jsonschema:"minimum=1,maximum=5000"`
}

// Kind checks the parameters in a file.
type Kind struct{}

// Check implements desired.Kind.
func (Kind) Check(raw json.RawMessage, _ *desired.ServiceSpec) []desired.Problem {
	p, out := desired.StrictParams[Params](raw)
	if len(out) > 0 || p.InitialCount == nil {
		return out
	}
	bad := func(format string, args ...any) {
		out = append(out, desired.Problem{Path: []string{"initialCount"}, Message: fmt.Sprintf(format, args...)})
	}
	switch count := *p.InitialCount; {
	case count < 1:
		bad("%d would start nothing that could be verified; write 1 or more", count)
	case count > rollout.CountMax:
		bad("%d is more than ECS runs in one service; write %d or less", count, rollout.CountMax)
	}
	return out
}

// Params implements desired.Kind.
func (Kind) Params() any { return &Params{} }

// Strategy is the recreate strategy.
type Strategy struct{}

// Next implements rollout.Strategy. A revert goes the same way: the failed version must not run beside the one before it
// either.
func (Strategy) Next(spec desired.ServiceSpec, ro rollout.Rollout, seen observed.Service) rollout.Action {
	p, _ := desired.StrictParams[Params](spec.Rollout.Params)
	roll := rollout.Roll{Revision: ro.Revision, MinimumHealthyPercent: minimumHealthyPercent, MaximumPercent: maximumPercent, Before: ro.Deployment.Before}
	if seen.Desired == 0 && ro.First && p.InitialCount != nil {
		count := *p.InitialCount
		roll.Count = &count
	}
	return roll
}
