package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// The closed reasons of failures that the reasoning itself finds; checks have their own.
const (
	ReasonMigrationFailed     = "MigrationFailed"
	ReasonMigrationTimeout    = "MigrationTimeout"
	ReasonMigrationLost       = "MigrationOutcomeLost"
	ReasonMigrationNotStarted = "MigrationNotStarted"
	ReasonRolledBack          = "RolledBackByECS"
	ReasonDeadline            = "DeadlineExceeded"
	ReasonNoData              = "NoData"
	ReasonRefused             = "Refused"
	ReasonRevertFailed        = "RevertFailed"
	ReasonNoLastGood          = "NoLastGood"
	ReasonFrozen              = "Frozen"
	ReasonTemplateRejected    = "TemplateRejected"
	ReasonSecretRejected      = "SecretRejected"
	ReasonContested           = "Contested"
)

// ReasonDraining is the steady check's word for a deployment whose tasks all run and whose predecessor's only drain: slow, and
// no failure.
const ReasonDraining = "Draining"

// ReasonAlarmRed is the alarms check's word for an alarm of revertOn that is red, before anything was begun as well as later: the only
// failure that another version may be the cure of.
const ReasonAlarmRed = "AlarmRed"

const (
	checkMigration = "migration"
	checkRequest   = "request"
)

// evidenceFor is how long the revert waits at most for evidence that cannot be had.
const evidenceFor = 3 * time.Second

// fail stops a rollout and collects the evidence before anything is put back, since the revert destroys it.
func fail(in Input, rec Record, e Evidence) Decision {
	if e.At.IsZero() {
		e.At = in.Now
	}
	rec.Rollout.Failure = &e
	rec = rec.enter(in.Now, StageEvidence)
	return wait(in, rec, sayFails(rec.Rollout.Target.Name(), e.Message), in.Now)
}

// conclude ends a failed rollout with its verdict and begins what puts things right.
func conclude(in Input, rec Record) Decision {
	ro := rec.Rollout
	if !in.Look.Tasks && in.Now.Before(ro.StageAt.Add(evidenceFor)) {
		return wait(in, rec, sayFails(ro.Target.Name(), ro.Failure.Message), in.Now)
	}
	e := collect(*ro.Failure, in)
	ro.Failure = &e
	if ro.Kind != KindDeploy {
		return revertFailed(in, rec, e)
	}
	var result Result
	rec, result = judge(in, rec, e)
	entry := rec.entry(in.Now, result, e.Message)
	touched := ro.Deployment != nil && !ro.TakesOver
	rec.Rollout, rec.Superseded, rec.Overtaken = nil, 0, 0
	if !touched {
		return moveOn(rec, entry)
	}
	return moveOn(putBack(in, rec, *ro, e), entry)
}

// judge writes the verdict into the record. Only the product's own fault condemns an ask.
func judge(in Input, rec Record, e Evidence) (Record, Result) {
	ro := rec.Rollout
	switch e.Class {
	case observed.ClassProduct:
		if contains(rec.GoodAsks, ro.Target.Ask) && (ro.Trigger == TriggerTemplate || ro.Trigger == TriggerSecret) {
			return templateRejected(in, rec, e), ResultRejected
		}
		rec = rec.forgive(ro.Target.Ask)
		rec.Rejected = append([]Rejection{{Ask: ro.Target.Ask, Commit: ro.Target.Commit.SHA, At: in.Now, Retry: ro.Retry, Check: e.Check,
			Checks: checksHash(rec.spec(), e.Check), Reason: e.Reason, Message: e.Message, Rollout: ro.Number}}, rec.Rejected...)
		rec.Rejected = rec.Rejected[:min(len(rec.Rejected), rejectionsMax)]
		rec.Blocked = nil
		return rec, ResultRejected
	case observed.ClassBlocked:
		attempts := 1
		if b := rec.Blocked; b != nil && b.Ask == ro.Target.Ask {
			attempts = b.Attempts + 1
		}
		rec.Blocked = &Hold{Ask: ro.Target.Ask, Reason: e.Reason, Message: e.Message, Attempts: attempts, Retry: ro.Retry, Until: in.Now.Add(blockedFor(attempts))}
		return rec, ResultBlocked
	default:
		rec.Stalled = stall(in, rec, *ro, e.Reason, e.Message)
		return rec, ResultStalled
	}
}

// templateRejected is the verdict against a template: the ask was good before it, so the ask stays good.
func templateRejected(in Input, rec Record, e Evidence) Record {
	ro := rec.Rollout
	rec.Failed = append([]Failure{{Fingerprint: ro.Fingerprint, Retry: ro.Retry}}, slices.DeleteFunc(rec.Failed, func(f Failure) bool { return f.Fingerprint == ro.Fingerprint })...)
	rec.Failed = rec.Failed[:min(len(rec.Failed), rejectionsMax)]
	if ro.Trigger == TriggerSecret {
		rec.Stalled = stall(in, rec, *ro, ReasonSecretRejected, fmt.Sprintf("%s, which was good before, fails with the new value of a secret: %s", ro.Target.Name(), e.Message))
		return rec
	}
	rec.Stalled = stall(in, rec, *ro, ReasonTemplateRejected, fmt.Sprintf("%s, which was good before, fails on the new template %s: %s", ro.Target.Name(), family(ro.Template), e.Message))
	return rec
}

func stall(in Input, rec Record, ro Rollout, reason, message string) *Stall {
	m := ro.Target.Migration
	return &Stall{Idempotent: reason == ReasonMigrationLost && m != nil && m.Idempotent, Wanted: wanted(in, rec), Ask: ro.Target.Ask, Fingerprint: ro.Fingerprint, Retry: ro.Retry, Reason: reason, Message: message, At: in.Now, Rollout: ro.Number}
}

// wanted is git's ask now, empty while an image of it is not known.
func wanted(in Input, rec Record) string {
	if rec.Intent == nil {
		return ""
	}
	t, unknown := resolve(*rec.Intent, repository(in), rec.Pins)
	if len(unknown) > 0 {
		return ""
	}
	return t.Ask
}

// holds reports whether the stall still stands in the way of what git asks.
func (s *Stall) holds(target Target, rec Record) bool {
	if s == nil || s.Wanted != target.Ask || rec.Intent.Service.Spec.Retry > s.Retry {
		return false
	}
	m := target.Migration
	switch {
	case s.Reason != ReasonMigrationLost || m == nil:
		return true
	case m.Assume == "":
		return !m.Idempotent || s.Idempotent
	}
	return rec.Lost != nil && rec.said() == ""
}

// spent reports whether the stall is the end of the try that git gave a rejected ask: without another word it gets none.
func (s *Stall) spent(verdict Rejection) bool {
	for ; s != nil; s = s.Cause {
		if s.Ask == verdict.Ask && s.Rollout > verdict.Rollout {
			return true
		}
	}
	return false
}

// putBack begins the revert of a rollout that touched the service. It waits for nothing: no window, no alarm, no other.
func putBack(in Input, rec Record, failed Rollout, e Evidence) Record {
	behind := rec.Good != nil && contains(rec.Behind, rec.Good.Target.Ask)
	if behind || failed.Target.Spec != nil && failed.Target.Spec.OnFailure == desired.OnFailureFreeze {
		rec.Stalled = stall(in, rec, failed, ReasonFrozen, e.Message+"; nothing is put back because onFailure is freeze or a breaking migration came between")
		if failed.Wanted != "" {
			rec.Stalled.Wanted = failed.Wanted
		}
		return rec
	}
	if rec.Good == nil && e.Class != observed.ClassBlocked { // what is only missing is tried again by itself
		rec.Stalled = stall(in, rec, failed, ReasonNoLastGood, e.Message+"; no version was ever good here, so there is nothing to go back to")
	}
	if rec.Good == nil && failed.CountWas > 0 {
		return rec // tasks ran already: the count is whoever's they were, and was not touched
	}
	rec.Generation++
	next := &Rollout{Number: rec.Generation, Kind: KindRevert, Trigger: TriggerFailure, Stage: StageRoll, StartedAt: in.Now, StageAt: in.Now,
		CountWas: failed.CountWas, Baseline: failed.Baseline, Wanted: failed.Target.Ask}
	if rec.Good != nil {
		next.Target, next.Fingerprint, next.Revision, next.Secrets = rec.Good.Target, rec.Good.Fingerprint, rec.Good.Revision, rec.Good.Secrets
		rec.Rollout = next
		return rec
	}
	next.Kind, next.Target = KindUndo, failed.Target
	rec.Rollout = next
	return rec
}

// revertFailed ends a revert or restore that did not come true: it is never itself reverted, and says so loudly.
func revertFailed(in Input, rec Record, e Evidence) Decision {
	ro := rec.Rollout
	entry := rec.entry(in.Now, ResultRevertFailed, e.Message)
	what := "putting " + ro.Target.Name() + " back"
	if ro.Kind == KindUndo { // no version was ever good
		what = fmt.Sprintf("putting the count back to %d", ro.CountWas)
	}
	s := stall(in, rec, *ro, ReasonRevertFailed, what+" did not come true: "+e.Message)
	s.Wanted = cmp.Or(ro.Wanted, s.Wanted) // what git asked for since has not had its chance yet
	if old := rec.Stalled; old != nil && old.Reason != ReasonRevertFailed {
		s.Cause = old
	}
	rec.Stalled = s
	rec.Rollout = nil
	return moveOn(rec, entry)
}

// The longest pauses of a blocked ask, and after failed passes.
const (
	blockedMax = 15 * time.Minute
	backoffMax = 2 * time.Minute
)

// blockedFor is how long a blocked ask is left alone after so many attempts.
func blockedFor(attempts int) time.Duration {
	return min(30*time.Second<<min(max(attempts-1, 0), 6), blockedMax)
}

// Backoff is how long to wait after so many failed passes: 2 s, doubling, at most 2 min.
func Backoff(attempts int) time.Duration {
	return min(2*time.Second<<min(max(attempts-1, 0), 8), backoffMax)
}
