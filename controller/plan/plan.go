// Package plan says what would happen now if git asked for certain files, and why. It reasons nothing itself: a rehearsal has
// let the controller's own passes run on an account that only pretends to be written to, and the plan is what they came
// to, made into plain values and into text, JSON and Markdown. It is pure. No secret is ever in a plan.
package plan

import (
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// Source is where a plan's knowledge of the account comes from.
type Source string

// The sources.
const (
	SourceAccount    Source = "account"    // looked at for the plan; verdicts as far as the account's tags tell
	SourceController Source = "controller" // the record and the last look of a running controller
)

// Plan is what would happen. Its JSON is the command's, so members are only ever added.
type Plan struct {
	Environment string          `json:"environment"`
	Account     string          `json:"account"`
	Region      string          `json:"region"`
	At          time.Time       `json:"at"`
	Source      Source          `json:"source"`
	Services    []Service       `json:"services"`          // in order of name
	Invalid     []desired.Error `json:"invalid,omitempty"` // of files that are no service's, such as environment.yaml
	Notes       []string        `json:"notes,omitempty"`   // what the plan could not know
}

// Effect is what the files come to for one service.
type Effect string

// The effects.
const (
	EffectNone     Effect = "none"     // what they ask runs
	EffectChange   Effect = "change"   // something is done at once
	EffectWait     Effect = "wait"     // something is done once what it waits for is over
	EffectUnderWay Effect = "underway" // a rollout is in flight, and goes on
	EffectRefused  Effect = "refused"  // nothing is done until git or a person says something else
	EffectReported Effect = "reported" // by policy only told
	EffectReleased Effect = "released" // the file is gone; the service is left as it is
	EffectInvalid  Effect = "invalid"  // the file is
	EffectUnknown  Effect = "unknown"  // it could not be found out
)

// Effects are all effects, those first that a reader must know of first.
func Effects() []Effect {
	return []Effect{EffectUnknown, EffectInvalid, EffectRefused, EffectWait, EffectChange, EffectUnderWay, EffectReported, EffectReleased, EffectNone}
}

// Service is the plan of one service.
type Service struct {
	Name    string          `json:"name"`
	Effect  Effect          `json:"effect"`
	Summary string          `json:"summary"`           // what and why, in a sentence
	Advice  string          `json:"advice,omitempty"`  // what a person can do; begins with "Nothing" where nobody need do anything
	Kind    rollout.Kind    `json:"kind,omitempty"`    // of the rollout that would begin or goes on
	Trigger rollout.Trigger `json:"trigger,omitempty"` // and what begins it

	Running *Version `json:"running,omitempty"` // what runs now
	Target  *Version `json:"target,omitempty"`  // what would run

	Now   []Step `json:"now,omitempty"`   // what is done at once, in order
	Holds []Hold `json:"holds,omitempty"` // what it waits for, in the order in which it is asked about
	Then  []Step `json:"then,omitempty"`  // what is done once nothing of that holds any more

	Changes   *Changes   `json:"changes,omitempty"`   // of the task definition
	Migration *Migration `json:"migration,omitempty"` // of the rollout that would begin
	Verify    *Verify    `json:"verify,omitempty"`    // how it would be judged
	Rejected  *Rejected  `json:"rejected,omitempty"`  // the verdict against what git asks
	Drift     *Drift     `json:"drift,omitempty"`     // a deployment that git did not ask for
	Leaves    []string   `json:"leaves,omitempty"`    // rollouts that would end without a verdict
	Took      *Took      `json:"took,omitempty"`      // the last rollouts; absent where nobody knows

	Assumed []string        `json:"assumed,omitempty"` // what the plan relies on and nobody looked at
	Invalid []desired.Error `json:"invalid,omitempty"` // errors of its file
	Error   string          `json:"error,omitempty"`   // why it could not be found out
}

// Version is something that runs or would run.
type Version struct {
	Name     string   `json:"name"`             // as people call it: its tags, else its commit or revision
	Images   []string `json:"images,omitempty"` // container:tag
	Ask      string   `json:"ask,omitempty"`
	Commit   string   `json:"commit,omitempty"`
	Revision string   `json:"revision,omitempty"` // family:revision
}

// Step is one request that would be sent.
type Step struct {
	Do   string `json:"do"`   // closed: rollout.Action's names
	Text string `json:"text"` // for people
}

// Hold is something that is waited for.
type Hold struct {
	Said   string        `json:"said"` // which sentence Why is: closed
	State  rollout.State `json:"state"`
	Why    string        `json:"why"`
	Advice string        `json:"advice,omitempty"`
	Until  time.Time     `json:"until,omitzero"` // when it ends by itself, where that is known
}

// Migration says whether a migration would run.
type Migration struct {
	Runs          bool         `json:"runs"`
	Skip          rollout.Skip `json:"skip,omitempty"` // why it does not
	Why           string       `json:"why"`            // for people
	Container     string       `json:"container,omitempty"`
	Command       []string     `json:"command,omitempty"`
	Lock          string       `json:"lock,omitempty"`
	Timeout       string       `json:"timeout,omitempty"`
	Compatibility string       `json:"compatibility,omitempty"`
	Idempotent    bool         `json:"idempotent,omitempty"`
}

// Verify is how a rollout is judged.
type Verify struct {
	Bake      string   `json:"bake"`
	Deadline  string   `json:"deadline"`
	Checks    []string `json:"checks"`
	OnFailure string   `json:"onFailure"`
}

// Rejected is the verdict against what git asks.
type Rejected struct {
	Ask       string    `json:"ask"`
	At        time.Time `json:"at"`
	Check     string    `json:"check,omitempty"`
	Message   string    `json:"message"`
	ClearedBy []string  `json:"clearedBy"`
}

// Drift is a deployment that git did not ask for.
type Drift struct {
	Revision string    `json:"revision"`
	Since    time.Time `json:"since"` // when it was first seen
}

// Took is how long the last successful deploys of the service took, from their beginning to the verdict.
type Took struct {
	Count  int              `json:"count"`
	Median desired.Duration `json:"median"`
	Least  desired.Duration `json:"least"`
	Most   desired.Duration `json:"most"`
}

// Failed reports whether the plan is not whole: an invalid file, or a service that could not be looked at.
func (p Plan) Failed() bool {
	for _, s := range p.Services {
		if s.Effect == EffectInvalid || s.Effect == EffectUnknown {
			return true
		}
	}
	return len(p.Invalid) > 0
}

// Changes reports whether anything would be done, now or once what it waits for is over.
func (p Plan) Changes() bool {
	for _, s := range p.Services {
		if s.changes() {
			return true
		}
	}
	return false
}

func (s Service) changes() bool {
	switch s.Effect {
	case EffectChange, EffectWait, EffectUnderWay, EffectReleased:
		return true
	}
	return len(s.Now) > 0
}

// Count is how many services have the effect.
func (p Plan) Count(e Effect) int {
	n := 0
	for _, s := range p.Services {
		if s.Effect == e {
			n++
		}
	}
	return n
}
