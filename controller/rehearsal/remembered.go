package rehearsal

import (
	"context"
	"fmt"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/rollout"
)

// CodeUnmet is the code of the error of a look at a service, or at a place, that the controller has never looked at.
const CodeUnmet = "unmet"

// Remembered is the account as a controller saw it last: nothing is asked of AWS, and what the controller did not look at is
// assumed to be as it must be. It is not safe for concurrent use.
type Remembered struct {
	services map[string]Known
	history  func(service string) []rollout.Entry
	assumed  map[string][]string
}

// Known is what a controller knows of one service.
type Known struct {
	Record rollout.Record
	Seen   observed.Service
}

// Remember makes an account of what a controller knows. history answers the finished rollouts of a service, newest first; it
// is asked where what the record knows is not enough.
func Remember(known []Known, history func(service string) []rollout.Entry) *Remembered {
	r := &Remembered{services: map[string]Known{}, history: history, assumed: map[string][]string{}}
	for _, k := range known {
		r.services[k.Record.Service] = k
	}
	return r
}

// Observe implements Account. A service that the controller has not looked at is an error.
func (r *Remembered) Observe(_ context.Context, intent *rollout.Intent, look observed.Look) (observed.Service, error) {
	name := intent.Service.Metadata.Name
	known, ok := r.services[name]
	if stack := known.Seen.Stack.Name; !ok || stack != "" && stack != intent.Service.Spec.Stack {
		return observed.Service{}, fault.New(fault.NotFound, CodeUnmet, fmt.Errorf("the controller has not met %s in stack %s", name, intent.Service.Spec.Stack))
	}
	if known.Seen.At.IsZero() {
		return observed.Service{}, fault.New(fault.NotFound, "", fmt.Errorf("the controller has not looked at %s yet", name))
	}
	seen, assumed := plan.Recall(known.Record, known.Seen, look, func() []rollout.Entry { return r.history(name) })
	r.assumed[name] = append(r.assumed[name], assumed...)
	return seen, nil
}

// Preview implements Account: the template's content is the account's alone.
func (r *Remembered) Preview(context.Context, observed.Service, rollout.Register) (string, error) {
	return "", nil
}

// Content implements Account: see Preview.
func (r *Remembered) Content(context.Context, string) (string, error) { return "", nil }

// Assumed implements Account.
func (r *Remembered) Assumed(service string) []string { return r.assumed[service] }
