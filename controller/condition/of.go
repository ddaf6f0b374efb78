package condition

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Input is what the words are made of.
type Input struct {
	Record  rollout.Record
	Seen    observed.Service // zero where the account has not been looked at yet
	Invalid string           // why git's newest file is invalid, with its position; empty when it is valid
	NextAt  time.Time
}

// Of makes the status of a service.
func Of(in Input) Status {
	rec := in.Record
	s := Status{Service: rec.Service, Phase: phase(in), Said: rec.Said, Why: rec.Why, Next: rec.Next, Since: rec.Since, NextActionAt: in.NextAt}
	if in.Invalid != "" {
		s.Why = "Git's file is invalid, so its last valid version counts: " + in.Invalid + ". " + rec.Why
		s.Next = "Mend the file; controller validate shows every error before a commit does."
	}
	if tag := in.Seen.Tags[rollout.TagHold]; rollout.HoldsNothing(tag) {
		s.Why += fmt.Sprintf(" The service's tag %s is %q, which holds nothing, since nobody can tell when it ends.", rollout.TagHold, tag)
		s.Next = "Write the tag as <owner>/<RFC 3339 time>, such as ops/2027-01-31T18:00:00Z, or remove it. " + s.Next
	}
	if rec.Intent != nil {
		s.Wanted = wanted(rec)
	}
	if rec.Good != nil {
		s.Running = Version{Commit: rec.Good.Target.Commit.SHA, Images: rec.Good.Target.Images(), Ask: rec.Good.Target.Ask, Revision: rec.Good.Revision}
	}
	s.Conditions = conditions(in)
	if in.Invalid == "" {
		s.Next = next(s, rec)
	}
	if c := s.Condition(Healthy); s.Phase == PhaseDegraded && c.Message != "" {
		s.Why += " But it is not well: " + strings.TrimSuffix(c.Message, ".") + "."
	}
	return s
}

func wanted(rec rollout.Record) Version {
	v := Version{Commit: rec.Intent.Commit.SHA}
	if ro := rec.Rollout; ro != nil && ro.Kind == rollout.KindDeploy {
		v.Ask, v.Revision = ro.Target.Ask, ro.Revision
	}
	v.Images = rec.Intent.Images()
	return v
}

// phase is the one word, the first that fits.
func phase(in Input) Phase {
	rec := in.Record
	if in.Invalid != "" && rec.Rollout == nil && rec.State != rollout.StateUnknown {
		return PhaseInvalid
	}
	if p, ok := phases[rec.State]; ok {
		switch {
		case p != PhaseHealthy:
		case in.Seen.Status == observed.StatusUnknown && rec.Trouble != nil:
			return PhaseUnknown // what is not looked at is not known to be well
		case !healthy(in.Seen) && in.Seen.Status != observed.StatusUnknown:
			return PhaseDegraded
		}
		return p
	}
	return PhaseUnknown
}

// phases is the phase of each state.
var phases = map[rollout.State]Phase{
	rollout.StateSettled:           PhaseHealthy,
	rollout.StateReverted:          PhaseReverted,
	rollout.StateReleased:          PhaseReleased,
	rollout.StateRegistering:       PhaseRollingOut,
	rollout.StateMigrating:         PhaseMigrating,
	rollout.StateRolling:           PhaseRollingOut,
	rollout.StateBaking:            PhaseVerifying,
	rollout.StateFailing:           PhaseReverting,
	rollout.StateReverting:         PhaseReverting,
	rollout.StateRestoring:         PhaseDrifted,
	rollout.StateInvalid:           PhaseInvalid,
	rollout.StateSuspended:         PhaseSuspended,
	rollout.StateHeld:              PhaseSuspended,
	rollout.StateDrifted:           PhaseDrifted,
	rollout.StateBlocked:           PhaseBlocked,
	rollout.StateStalled:           PhaseStalled,
	rollout.StateWaitingWindow:     PhasePending,
	rollout.StateWaitingConcurrent: PhasePending,
	rollout.StateWaitingDependency: PhasePending,
	rollout.StateWaitingStack:      PhasePending,
	rollout.StateWaitingLock:       PhasePending,
	rollout.StateWaitingHealth:     PhasePending,
	rollout.StateWritingDown:       PhasePending,
	rollout.StateMassChange:        PhasePending,
	rollout.StateManyMissing:       PhasePending,
	rollout.StateWaitingTemplate:   PhaseHealthy,
}

func conditions(in Input) []Condition {
	made := map[Type]Condition{
		Reconciling: reconciling(in),
		Stalled:     stalled(in),
		Blocked:     blocked(in),
		Valid:       valid(in),
		Migrated:    migrated(in),
		Synced:      synced(in),
		Healthy:     health(in),
		Verified:    verified(in),
		Drifted:     drifted(in),
		Suspended:   suspended(in),
	}
	made[Ready] = ready(made)
	out := make([]Condition, 0, len(types))
	for _, t := range types {
		c := made[t]
		c.Type, c.Reason = t, closed(c.Reason)
		out = append(out, c)
	}
	return out
}

func is(b bool) Truth {
	if b {
		return True
	}
	return False
}

func reconciling(in Input) Condition {
	if in.Record.Rollout != nil {
		return Condition{Status: True, Reason: string(in.Record.State), Message: in.Record.Why}
	}
	return Condition{Status: False, Reason: "Idle"}
}

func stalled(in Input) Condition {
	switch s := in.Record.Stalled; {
	case s != nil:
		return Condition{Status: True, Reason: s.Reason, Message: s.Message}
	case in.Record.State == rollout.StateStalled:
		return Condition{Status: True, Reason: rollout.ReasonNoLastGood, Message: in.Record.Why}
	}
	return Condition{Status: False, Reason: "NotStalled"}
}

func blocked(in Input) Condition {
	rec := in.Record
	switch {
	case rec.State == rollout.StateBlocked && rec.Trouble != nil:
		return Condition{Status: True, Reason: fault.Reason(fault.Kind(rec.Trouble.Kind), rec.Trouble.Code), Message: rec.Trouble.Message}
	case rec.State == rollout.StateBlocked && saids[rec.Said] != "":
		return Condition{Status: True, Reason: saids[rec.Said], Message: rec.Why}
	case rec.State == rollout.StateBlocked && rec.Blocked != nil && rec.Rollout == nil:
		return Condition{Status: True, Reason: rec.Blocked.Reason, Message: rec.Blocked.Message}
	case rec.State == rollout.StateBlocked:
		return Condition{Status: True, Reason: "Waiting", Message: rec.Why}
	}
	if r, ok := unanswered(rec); ok && r.Class == observed.ClassBlocked {
		return Condition{Status: True, Reason: r.Reason, Message: r.Detail}
	}
	return Condition{Status: False, Reason: "NotBlocked"}
}

// unanswered is the first check of the deploy in flight that has no answer, if it says why.
func unanswered(rec rollout.Record) (observed.Reading, bool) {
	if rec.Rollout != nil && rec.Rollout.Kind == rollout.KindDeploy {
		for _, r := range rec.Rollout.Readings {
			if r.Verdict == observed.NoData && r.Reason != "" {
				return r, true
			}
		}
	}
	return observed.Reading{}, false
}

func valid(in Input) Condition {
	if in.Invalid != "" {
		return Condition{Status: False, Reason: "InvalidManifest", Message: in.Invalid}
	}
	return Condition{Status: is(in.Record.Intent != nil), Reason: "Parsed"}
}

func migrated(in Input) Condition {
	rec := in.Record
	ro := rec.Rollout
	switch {
	case ro != nil && ro.Stage == rollout.StageMigrate && ro.Migration != nil:
		return Condition{Status: False, Reason: "Running", Message: rec.Why}
	case rec.State == rollout.StateWaitingLock:
		return Condition{Status: False, Reason: "WaitingForLock", Message: rec.Why}
	case rec.Intent == nil || rec.Intent.Service.Spec.Migration == nil:
		return Condition{Status: True, Reason: "NotRequired"}
	case len(rec.Rejected) > 0 && rec.State == rollout.StateReverted && verdict(in).Check == "migration":
		return Condition{Status: False, Reason: verdict(in).Reason, Message: verdict(in).Message}
	case ro != nil && ro.Kind == rollout.KindDeploy && slices.Contains(rec.Migrated, ro.Target.Key),
		ro == nil && rec.State == rollout.StateSettled && len(rec.Migrated) > 0:
		return Condition{Status: True, Reason: "Applied"}
	}
	return Condition{Status: Unknown, Reason: "NotYetRun"}
}

// verdict is why the last good version runs: the rejection of what git asks, which may be older than the newest one.
func verdict(in Input) rollout.Rejection {
	if in.Record.State == rollout.StateReverted {
		if v := in.Record.Verdict(in.Seen); v != nil {
			return *v
		}
	}
	return in.Record.Rejected[0]
}

func synced(in Input) Condition {
	rec := in.Record
	switch rec.State {
	case rollout.StateSettled:
		return Condition{Status: True, Reason: "Synced"}
	case rollout.StateWaitingTemplate:
		// The environment's policy is to tell of a changed template and not to roll it: what git asks runs.
		return Condition{Status: True, Reason: "TemplateReported", Message: rec.Why}
	case rollout.StateReverted:
		return Condition{Status: False, Reason: "Reverted", Message: rec.Why}
	case rollout.StateUnknown:
		return Condition{Status: Unknown, Reason: "NotYetSeen"}
	}
	return Condition{Status: False, Reason: string(rec.State), Message: rec.Why}
}

func healthy(seen observed.Service) bool {
	p := seen.Primary()
	return p.Rollout == observed.RolloutCompleted && p.Running >= p.Desired && p.Desired > 0
}

func health(in Input) Condition {
	p := in.Seen.Primary()
	tasks := fmt.Sprintf("%d of %d tasks run", in.Seen.Running, in.Seen.Desired)
	switch {
	case in.Seen.Status == observed.StatusUnknown && in.Record.Trouble != nil:
		t := in.Record.Trouble
		return Condition{Status: Unknown, Reason: fault.Reason(fault.Kind(t.Kind), t.Code), Message: t.Message}
	case in.Seen.Status == observed.StatusUnknown:
		return Condition{Status: Unknown, Reason: "NotYetSeen"}
	case in.Seen.Status != observed.StatusActive:
		return Condition{Status: False, Reason: "ServiceGone", Message: "the ECS service is " + string(in.Seen.Status)}
	case in.Seen.Desired == 0:
		return Condition{Status: False, Reason: "ScaledToZero", Message: "the service's count is 0"}
	case healthy(in.Seen):
		return Condition{Status: True, Reason: "Stable", Message: tasks}
	case in.Seen.Running >= in.Seen.Desired && p.Rollout == observed.RolloutInProgress:
		return Condition{Status: True, Reason: "Rolling", Message: tasks}
	case p.Rollout == observed.RolloutFailed:
		return Condition{Status: False, Reason: "DeploymentFailed", Message: p.Reason}
	}
	return Condition{Status: False, Reason: "TasksMissing", Message: tasks}
}

func verified(in Input) Condition {
	rec := in.Record
	switch {
	case rec.Rollout != nil && rec.Rollout.Kind == rollout.KindDeploy:
		if r, ok := unanswered(rec); ok {
			return Condition{Status: Unknown, Reason: r.Reason, Message: r.Detail}
		}
		return Condition{Status: Unknown, Reason: "Verifying"}
	case rec.State == rollout.StateSettled, rec.State == rollout.StateWaitingTemplate:
		return Condition{Status: True, Reason: "Passed", Message: "every check passed for the whole bake"}
	case len(rec.Rejected) > 0 && (rec.State == rollout.StateReverted || rec.State == rollout.StateReverting):
		return Condition{Status: False, Reason: verdict(in).Reason, Message: verdict(in).Message}
	case rec.Stalled != nil:
		return Condition{Status: Unknown, Reason: "Inconclusive", Message: rec.Stalled.Message}
	}
	return Condition{Status: Unknown, Reason: "NotYetJudged"}
}

func drifted(in Input) Condition {
	if d := in.Record.Drift; d != nil {
		return Condition{Status: True, Reason: "TaskDefinitionChanged", Message: "somebody else deployed " + d.TaskDefinition}
	}
	return Condition{Status: False, Reason: "NoDrift"}
}

func suspended(in Input) Condition {
	switch in.Record.State {
	case rollout.StateSuspended:
		return Condition{Status: True, Reason: "SuspendedByGit", Message: in.Record.Why}
	case rollout.StateHeld:
		return Condition{Status: True, Reason: "HeldByOperator", Message: in.Record.Why}
	}
	return Condition{Status: False, Reason: "NotSuspended"}
}

// ready is computed, never set: what git asks runs, it is healthy, and nothing waits for a person.
func ready(c map[Type]Condition) Condition {
	for _, t := range []Type{Valid, Synced, Healthy} {
		if c[t].Status != True {
			return Condition{Status: c[t].Status, Reason: c[t].Reason, Message: c[t].Message}
		}
	}
	for _, t := range []Type{Stalled, Blocked} {
		if c[t].Status == True {
			return Condition{Status: False, Reason: c[t].Reason, Message: c[t].Message}
		}
	}
	return Condition{Status: True, Reason: "Succeeded"}
}
