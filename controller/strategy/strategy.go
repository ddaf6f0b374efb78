// Package strategy is the list of ways to roll a revision out, each a pure package of its own. A new one is a folder here
// and a line in the table below.
package strategy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/strategy/recreate"
	"github.com/canteen/deploy/controller/strategy/rolling"
)

type kind struct {
	desired.Kind
	build func() rollout.Strategy
}

var known = map[string]kind{
	rolling.Name:  {rolling.Kind{}, func() rollout.Strategy { return rolling.Strategy{} }},
	recreate.Name: {recreate.Kind{}, func() rollout.Strategy { return recreate.Strategy{} }},
}

// Kinds are the strategies that a file may name.
func Kinds() map[string]desired.Kind {
	out := map[string]desired.Kind{}
	for name, k := range known {
		out[name] = k.Kind
	}
	return out
}

// For returns the strategy of a service; none named is rolling.
func For(spec desired.ServiceSpec) (rollout.Strategy, error) {
	name := spec.Rollout.Strategy
	if name == "" {
		name = rolling.Name
	}
	k, ok := known[name]
	if !ok {
		return nil, fmt.Errorf("strategy %q is not known; known are %v", name, slices.Sorted(maps.Keys(known)))
	}
	return k.build(), nil
}

// Named is the strategy that the spec of each request names: in one pass a rollout may end and the next one begin, by another
// word of git. A name that For does not know panics.
type Named struct{}

// Next implements rollout.Strategy.
func (Named) Next(spec desired.ServiceSpec, ro rollout.Rollout, seen observed.Service) rollout.Action {
	s, err := For(spec)
	if err != nil {
		panic("strategy: " + err.Error())
	}
	return s.Next(spec, ro, seen)
}
