// Package urgency says how long a request to AWS may wait for its turn where many want one at once. It travels with the
// context from the pass, which knows what it is about, to the budget, which knows who waits.
package urgency

import (
	"context"
	"time"
)

// Class is what a request is for.
type Class int

// The classes, the most urgent first. The zero class is Sweep: who says nothing can wait.
const (
	Sweep   Class = iota // looks whether anything has changed
	Begin                // begins a rollout
	Rolling              // follows one that is under way
	Revert               // puts the last good version back
	classes
)

// Patience is how long after it came a request's turn is due. Whoever's turn is due first goes first, so that what is urgent
// goes before what is not, and what has waited for its patience before everything that comes later: nobody starves.
func (c Class) Patience() time.Duration {
	switch c {
	case Revert:
		return 0
	case Rolling:
		return 2 * time.Second
	case Begin:
		return 5 * time.Second
	}
	return 10 * time.Second
}

// String is the closed word for metrics.
func (c Class) String() string {
	switch c {
	case Revert:
		return "revert"
	case Rolling:
		return "rolling"
	case Begin:
		return "begin"
	}
	return "sweep"
}

// Classes are all of them, for metrics that begin at zero.
func Classes() []Class {
	var all []Class
	for c := range classes {
		all = append(all, c)
	}
	return all
}

type key struct{}

// With makes the requests of a context so urgent.
func With(ctx context.Context, c Class) context.Context { return context.WithValue(ctx, key{}, c) }

// Of is how urgent the requests of a context are.
func Of(ctx context.Context) Class {
	c, _ := ctx.Value(key{}).(Class)
	return c
}
