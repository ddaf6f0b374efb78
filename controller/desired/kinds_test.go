package desired_test

import (
	"encoding/json"
	"fmt"

	"github.com/canteen/deploy/controller/desired"
)

// rolling, targets, logs and alarms have the fields of the product's own; their rules are only examples of what a kind may say.
type rolling struct {
	MinimumHealthyPercent int `json:"minimumHealthyPercent"`
	MaximumPercent        int `json:"maximumPercent,omitempty"`
	InitialCount          int `json:"initialCount,omitempty"`
}

type recreate struct {
	Order order `json:"order,omitempty"`
}

type order string

func (order) Values() []string { return []string{"stop-first", "start-first"} }

type targets struct{}

type logs struct {
	Forbid  []string         `json:"forbid,omitempty"`
	Require []string         `json:"require,omitempty"`
	Within  desired.Duration `json:"within,omitempty"`
}

type alarms struct {
	RevertOn []string `json:"revertOn,omitempty"`
	HoldOn   []string `json:"holdOn,omitempty"`
}

// kindOf is a Kind whose rule sees the decoded parameters.
type kindOf[T any] struct {
	rule func(T, *desired.ServiceSpec) []desired.Problem
}

func (kindOf[T]) Params() any { return new(T) }

func (k kindOf[T]) Check(params json.RawMessage, spec *desired.ServiceSpec) []desired.Problem {
	var p T
	if err := json.Unmarshal(params, &p); err != nil {
		return []desired.Problem{{Message: err.Error()}}
	}
	if k.rule == nil {
		return nil
	}
	return k.rule(p, spec)
}

func testKinds() desired.Kinds {
	return desired.Kinds{
		Strategies: map[string]desired.Kind{
			"rolling": kindOf[rolling]{func(p rolling, _ *desired.ServiceSpec) []desired.Problem {
				if p.MinimumHealthyPercent >= 100 && p.MaximumPercent != 0 && p.MaximumPercent <= 100 {
					return []desired.Problem{{Path: []string{"maximumPercent"}, Message: "nothing could ever start; write more than 100"}}
				}
				return nil
			}},
			"recreate": kindOf[recreate]{},
		},
		Checks: map[string]desired.Kind{
			"targets": kindOf[targets]{},
			"logs": kindOf[logs]{func(p logs, _ *desired.ServiceSpec) []desired.Problem {
				var found []desired.Problem
				for i, f := range p.Forbid {
					if f == "(" {
						found = append(found, desired.Problem{Path: []string{"forbid", fmt.Sprint(i)}, Message: "not a regular expression; close the parenthesis"})
					}
				}
				return found
			}},
			"alarms": kindOf[alarms]{func(p alarms, spec *desired.ServiceSpec) []desired.Problem {
				if len(p.RevertOn) > 0 && spec.Verify.Bake.Std().Minutes() < 1 {
					return []desired.Problem{{Path: []string{"revertOn"}, Message: "an alarm needs a longer bake; write at least 1m"}}
				}
				return nil
			}},
		},
	}
}
