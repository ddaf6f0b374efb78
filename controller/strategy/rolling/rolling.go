// Package rolling rolls a revision out by ECS's own rolling deployment: one request, which ECS carries out task by task
// between the two percentages.
package rolling

import (
	"encoding/json"
	"fmt"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Name is the strategy's name in git.
const Name = "rolling"

// The defaults of the ECS API (DeploymentConfiguration).
const (
	defaultMinimumHealthyPercent = 100
	defaultMaximumPercent        = 200
)

// Params are the strategy's parameters.
type Params struct {
	// MinimumHealthyPercent of the count keeps serving throughout. Default 100.
	MinimumHealthyPercent *int `json:"minimumHealthyPercent,omitempty" jsonschema:"minimum=0,maximum=100"`
	// MaximumPercent of the count may run at once. Default 200.
	MaximumPercent *int `json:"maximumPercent,omitempty" jsonschema:"minimum=100,maximum=400"`
	// InitialCount is the count that a service at 0 is given by its first rollout. Afterwards the count is not git's.
	InitialCount *int `json:"initialCount,omitempty" jsonschema:"minimum=1,maximum=5000"`
}

// Kind checks the parameters in a file.
type Kind struct{}

// Check implements desired.Kind.
func (Kind) Check(raw json.RawMessage, _ *desired.ServiceSpec) []desired.Problem {
	p, out := desired.StrictParams[Params](raw)
	if len(out) > 0 {
		return out
	}
	low, high := percentages(p)
	bad := func(member, format string, args ...any) {
		out = append(out, desired.Problem{Path: []string{member}, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case low < 0 || low > 100:
		bad("minimumHealthyPercent", "%d is not a percentage of tasks to keep; write 0 to 100", low)
	case high < 100 || high > 400:
		bad("maximumPercent", "%d is not a percentage that a rollout can work with; write 100 to 400", high)
	case low == 100 && high == 100:
		bad("maximumPercent", "100 with a minimumHealthyPercent of 100 lets ECS neither start nor stop a task; raise maximumPercent (200) or lower minimumHealthyPercent")
	case p.InitialCount != nil && *p.InitialCount < 1:
		bad("initialCount", "%d would start nothing that could be verified; write 1 or more", *p.InitialCount)
	case p.InitialCount != nil && *p.InitialCount > rollout.CountMax:
		bad("initialCount", "%d is more than ECS runs in one service; write %d or less", *p.InitialCount, rollout.CountMax)
	case p.InitialCount != nil && stuck(*p.InitialCount, low, high):
		bad("maximumPercent", "with %d tasks, %d and %d percent let ECS neither start nor stop a task; widen the range, such as 100 and 200", *p.InitialCount, low, high)
	}
	return out
}

// Params implements desired.Kind.
func (Kind) Params() any { return &Params{} }

// stuck reports whether nothing could ever start or stop: ECS rounds the minimum up and the maximum down
// (DeploymentConfiguration in the ECS API reference).
func stuck(count, low, high int) bool {
	return (count*low+99)/100 >= count && count*high/100 <= count
}

// Strategy is the rolling strategy.
type Strategy struct{}

// Next implements rollout.Strategy. It never sends a count except to a service that is at 0, since the count belongs to
// whoever scales.
func (Strategy) Next(spec desired.ServiceSpec, ro rollout.Rollout, seen observed.Service) rollout.Action {
	p, _ := desired.StrictParams[Params](spec.Rollout.Params)
	low, high := percentages(p)
	roll := rollout.Roll{Revision: ro.Revision, MinimumHealthyPercent: low, MaximumPercent: high, Before: ro.Deployment.Before}
	if seen.Desired == 0 && ro.First && p.InitialCount != nil {
		count := *p.InitialCount
		roll.Count = &count
	}
	return roll
}

func percentages(p Params) (low, high int) {
	low, high = defaultMinimumHealthyPercent, defaultMaximumPercent
	if p.MinimumHealthyPercent != nil {
		low = *p.MinimumHealthyPercent
	}
	if p.MaximumPercent != nil {
		high = *p.MaximumPercent
	}
	return low, high
}
