// Package alarms judges what CloudWatch alarms say. An alarm of revertOn that turns red during the rollout condemns it, also one that
// was red before it and has been green since; one of holdOn holds the verdict back. Either, red before anything was begun, holds the start back, but for one of revertOn that is red
// under a version without a good verdict (rollout.Subject.Inherits).
package alarms

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Name is the check's name in git.
const Name = "alarms"

// The reasons besides rollout.ReasonAlarmRed. Before anything was begun only that one may be what the next version mends.
const (
	reasonHolds   = "AlarmHolds"
	reasonMissing = "AlarmMissing"
)

// Params are the check's parameters.
type Params struct {
	// RevertOn are alarms that fail the rollout when they turn red during it.
	RevertOn []string `json:"revertOn,omitempty"`
	// HoldOn are alarms that hold the verdict back while they are red.
	HoldOn []string `json:"holdOn,omitempty"`
}

// Kind checks the parameters in a file.
type Kind struct{}

// Check implements desired.Kind.
func (Kind) Check(raw json.RawMessage, _ *desired.ServiceSpec) []desired.Problem {
	p, out := desired.StrictParams[Params](raw)
	if len(out) > 0 {
		return out
	}
	seen := map[string]bool{}
	check := func(member string, list []string) {
		for i, name := range list {
			switch {
			case name == "":
				out = append(out, desired.Problem{Path: []string{member, strconv.Itoa(i)}, Message: "an alarm needs a name; write the CloudWatch alarm's name"})
			case seen[name]:
				out = append(out, desired.Problem{Path: []string{member, strconv.Itoa(i)}, Message: fmt.Sprintf("alarm %s is named twice; keep one", name)})
			}
			seen[name] = true
		}
	}
	check("revertOn", p.RevertOn)
	check("holdOn", p.HoldOn)
	return out
}

// Params implements desired.Kind.
func (Kind) Params() any { return &Params{} }

// Check is the alarms check.
type Check struct{ params Params }

// New builds the check.
func New(raw json.RawMessage) (Check, error) {
	var p Params
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &p); err != nil {
			return Check{}, err
		}
	}
	return Check{p}, nil
}

func (c Check) names() []string { return slices.Concat(c.params.RevertOn, c.params.HoldOn) }

// Facts implements health.Check.
func (c Check) Facts(s rollout.Subject) observed.Look {
	if !s.Before && s.Kind != rollout.KindDeploy {
		return observed.Look{}
	}
	return observed.Look{Alarms: c.names()}
}

// Read implements health.Check.
func (c Check) Read(s rollout.Subject, seen observed.Service) (observed.Reading, bool) {
	if len(c.names()) == 0 || (!s.Before && s.Kind != rollout.KindDeploy) {
		return observed.Reading{}, false
	}
	r := observed.Reading{Check: Name, Verdict: observed.Pass, Detail: "no alarm is red"}
	if m, lacks := seen.Lacks(observed.FactAlarms); lacks {
		r.Verdict, r.Class, r.Reason, r.Detail = observed.NoData, m.Class(), m.Reason, "the alarms could not be read: "+m.Message
		if s.Before {
			r.Verdict = observed.Fail
		}
		return r, true
	}
	red := 0
	for _, a := range seen.Alarms {
		if a.State == observed.AlarmRed && slices.Contains(c.names(), a.Name) {
			red++
		}
	}
	r.Value, r.Threshold = fmt.Sprintf("%d red", red), "none red that was not before"
	for _, name := range c.names() {
		v, class, reason, detail := c.judge(name, s, seen)
		// Of what fails before the start, that is told which no version mends.
		mends := s.Before && reason == rollout.ReasonAlarmRed
		if v == observed.Pass || mends && r.Verdict == observed.Fail {
			continue
		}
		r.Verdict, r.Class, r.Reason, r.Detail = v, class, reason, detail
		if v == observed.Fail && !mends {
			return r, true
		}
	}
	return r, true
}

func (c Check) judge(name string, s rollout.Subject, seen observed.Service) (v observed.Verdict, class observed.Class, reason, detail string) {
	state := stateOf(seen.Alarms, name)
	reason = rollout.ReasonAlarmRed
	if slices.Contains(c.params.HoldOn, name) {
		reason = reasonHolds
	}
	switch {
	case s.Before && state == observed.AlarmMissing:
		return observed.Fail, observed.ClassBlocked, reasonMissing, fmt.Sprintf("alarm %s does not exist in this account", name)
	case s.Before && state == observed.AlarmRed:
		return observed.Fail, observed.ClassBlocked, reason, fmt.Sprintf("alarm %s is red already", name)
	case s.Before || state == observed.AlarmOK || state == observed.AlarmInsufficient:
		// Too little data is what a new or quiet metric has; the alarm's treatMissingData says when that is bad.
		return observed.Pass, "", "", ""
	case state == observed.AlarmMissing:
		return observed.NoData, "", reasonMissing, fmt.Sprintf("alarm %s no longer exists", name)
	case reason == reasonHolds:
		return observed.NoData, "", reason, fmt.Sprintf("alarm %s is red and holds the verdict back", name)
	case stateOf(s.Baseline, name) != observed.AlarmRed:
		return observed.Fail, observed.ClassProduct, reason, fmt.Sprintf("alarm %s turned red during the rollout", name)
	case s.Inherits:
		// Whose doing it is only its end can tell: to call this version good would call good what may have the same fault, and to
		// condemn it would condemn it for the one before.
		return observed.NoData, "", reason, fmt.Sprintf("alarm %s was red already under a version without a good verdict, and holds this one's back", name)
	}
	return observed.Pass, "", "", "" // it was red before: not this rollout's doing
}

func stateOf(alarms []observed.Alarm, name string) observed.AlarmState {
	for _, a := range alarms {
		if a.Name == name {
			return a.State
		}
	}
	return observed.AlarmMissing
}
