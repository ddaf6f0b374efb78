package rollout

import (
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// settle decides for a service with nothing in flight: what is the goal, and is it what runs?
func settle(in Input, rec Record) Decision { return withheld(in, meanwhile(in, settled(in, rec))) }

func settled(in Input, rec Record) Decision {
	if d, ok := unreachable(in, rec); ok {
		return d
	}
	target, unknown := resolve(*rec.Intent, repository(in), rec.Pins)
	if len(unknown) > 0 {
		return imageMissing(in, rec, unknown)
	}
	rec = assumed(rec, target)
	if !in.Look.Template {
		// A rollout ended in this pass, and what follows it was not looked at.
		look := Needs(in.Want, rec)
		return Decision{Record: rec, Look: &look}
	}
	if in.Seen.Template == nil {
		return templateMissing(in, rec)
	}
	rec, wanting := rebuild(in, rec, target)
	if wanting != nil {
		return *wanting
	}
	if rec, wanting = frozenBefore(in, rec, target); wanting != nil {
		return *wanting
	}
	d := toward(in, rec, target)
	a := due(in, rec)
	switch {
	case a == nil || d.Look != nil:
		return d
	case d.Action != nil || d.again:
		// What must not be lost is written down before anything else is begun. Until it is, what git asks does not run: who depends
		// on the service waits.
		return act(in, rec, sayWritesDown(written(a), StateWritingDown), a)
	}
	d.Action, d.WakeAt = a, in.watchAt() // it holds nothing back that is told
	return d
}

// toward decides which goal git's target comes to, and the first step toward it.
func toward(in Input, rec Record, target Target) Decision {
	well := serves(in, rec) && in.Seen.Primary().Rollout == observed.RolloutCompleted
	if s := rec.Stalled; s != nil && s.Reason == ReasonRevertFailed && well {
		rec.Stalled = s.Cause // the revert has come true after all
	}
	trigger := TriggerGit
	verdict := rec.RejectionOf(target.Ask)
	if verdict != nil && cleared(*verdict, *rec.Intent) {
		verdict, trigger = nil, TriggerRetry
	}
	again := trigger == TriggerRetry && !rec.Stalled.spent(*rec.RejectionOf(target.Ask))
	if s := rec.Stalled; s.holds(target, rec) && final(*s) && !again && !well {
		return wait(in, rec, sayStalled(*s), in.idleAt())
	}
	if leftBehind(rec, target.Ask) {
		return wait(in, rec, sayWentBack(target.Name(), rec.BehindRetry+1), in.idleAt())
	}
	goal := target
	if verdict != nil {
		if rec.Good == nil {
			return wait(in, rec, sayNoneGood(target.Name(), verdict.Message), in.idleAt())
		}
		if rec.Good.Target.Containers == nil || contains(rec.Behind, rec.Good.Target.Ask) {
			// Rebuilt from tags its content is not known, and what was left behind is not rolled: it can be kept but not rendered anew.
			return standing(in, rec, verdict, rec.Good.Fingerprint)
		}
		goal, trigger = rec.Good.Target, TriggerTemplate
	}
	secrets, message := secretsOf(in, rec, goal)
	if message != "" {
		if rec.Good != nil && rec.Good.Target.Ask == goal.Ask && serves(in, rec) {
			return wait(in, rec, saySecretsUnseen(goal.Name(), message), in.idleAt())
		}
		return wait(in, rec, saySecretUnreadable(goal.Name(), message), in.watchAt())
	}
	print := fingerprint(goal.Ask, *in.Seen.Template, secrets)
	if rec.Good != nil && rec.Good.Fingerprint == print {
		return standing(in, rec, verdict, print)
	}
	if rec.Good != nil && rec.Good.Target.Ask == goal.Ask {
		trigger = TriggerTemplate
		if rec.Good.Fingerprint == fingerprint(goal.Ask, *in.Seen.Template, rec.Good.Secrets) {
			trigger = TriggerSecret
		}
		if trigger == TriggerTemplate && in.Want.Policy.TemplateChange == desired.TemplateReport || condemned(rec, print) {
			return standing(in, rec, verdict, print)
		}
	}
	if s := rec.Stalled; !(again && trigger == TriggerRetry) && s.holds(target, rec) && s.Fingerprint == print {
		return wait(in, rec, sayStalled(*s), in.idleAt())
	}
	return begin(in, rec, goal, print, trigger, secrets)
}

// leftBehind reports whether a breaking migration has left the ask behind, and git has not said since that it is to run all the
// same.
func leftBehind(rec Record, ask string) bool {
	return contains(rec.Behind, ask) && rec.Intent.Service.Spec.Retry <= rec.BehindRetry
}

// serves reports whether the last good revision is what the service names.
func serves(in Input, rec Record) bool {
	return rec.Good != nil && in.Seen.Primary().TaskDefinition == rec.Good.Revision
}

// condemned reports whether the last good ask has failed on this template.
func condemned(rec Record, print string) bool {
	return slices.ContainsFunc(rec.Failed, func(f Failure) bool {
		return f.Fingerprint == print && rec.Intent.Service.Spec.Retry <= f.Retry
	})
}

// unreachable covers what makes every comparison pointless.
func unreachable(in Input, rec Record) (Decision, bool) {
	switch {
	case in.Want.Removed:
		return wait(in, rec, sayReleased(), in.idleAt()), true
	case rec.Intent == nil && in.Want.Withheld && in.Want.Pause != nil:
		return wait(in, rec, sayPaused(*in.Want.Pause), pausedUntil(in)), true
	case rec.Intent == nil:
		return wait(in, rec, sayNeverValid(in.Want.Invalid), in.idleAt()), true
	}
	switch in.Seen.Status {
	case observed.StatusActive:
		return Decision{}, false
	case observed.StatusDraining:
		return wait(in, rec, sayDraining(), in.idleAt()), true
	default:
		return wait(in, rec, sayMissing(in.Seen.Name, in.Seen.Status, rec.Intent.Service.Spec.Stack), in.idleAt()), true
	}
}

func imageMissing(in Input, rec Record, unknown []string) Decision {
	if m, ok := in.Seen.Lacks(observed.FactImages); ok {
		return wait(in, rec, sayRegistrySilent(m.Message), in.watchAt())
	}
	if !asked(in.Look, rec) {
		return Decision{Record: rec, Look: &observed.Look{Containers: references(rec)}}
	}
	if rec.pinGood() {
		return moveOn(rec)
	}
	return wait(in, rec, sayImageMissing(repository(in), strings.Join(unknown, ", ")), in.Now.Add(imageEvery))
}

// pinGood pins references that the registry has no image of any more to the digests that they had in the last good version:
// it may run and be what git asks, though no task of it could be started again. It answers whether any was.
func (r *Record) pinGood() bool {
	pinned := false
	for container, ref := range references(*r) {
		if r.Good == nil {
			continue
		}
		if was := r.Good.Target.Containers.Of(container); was.Digest != "" && (was.Tag == ref || was.Digest == ref) {
			r.Pins, pinned = r.Pins.With(ref, was.Digest), true
		}
	}
	return pinned
}

// imageEvery is how often a registry is asked for an image that is not there.
const imageEvery = 15 * time.Second

// asked reports whether the look had every reference that is not pinned.
func asked(look observed.Look, rec Record) bool {
	for name, c := range rec.Intent.Service.Spec.Containers {
		if ref := reference(c.Image); rec.Pins.Of(ref) == "" && look.Containers[name] != ref {
			return false
		}
	}
	return true
}

// references are the references of the intent that are not pinned, by container.
func references(rec Record) map[string]string {
	out := map[string]string{}
	if rec.Intent == nil {
		return out
	}
	for name, c := range rec.Intent.Service.Spec.Containers {
		if ref := reference(c.Image); rec.Pins.Of(ref) == "" {
			out[name] = ref
		}
	}
	return out
}

func templateMissing(in Input, rec Record) Decision {
	say := sayTemplateMissing(rec.Intent.Service.Spec.Stack)
	if m, ok := in.Seen.Lacks(observed.FactTemplate); ok {
		say = sayTemplateUnreadable(m.Message)
	}
	return wait(in, rec, say, in.watchAt())
}

// cleared reports whether git has answered a rejection: by a higher retry, or by another wording of the check that
// condemned it. A changed template, default or commit never clears it.
func cleared(r Rejection, intent Intent) bool {
	if intent.Service.Spec.Retry > r.Retry {
		return true
	}
	// Which check condemned it is not known where the verdict was read from a tag.
	return !r.Inferred && checksHash(intent.Service.Spec, r.Check) != r.Checks
}

// standing compares what runs with the last good revision, which is to serve: because git asks for it, because what git
// asks was rejected, or because the template that it would be rendered onto is bad or only reported.
func standing(in Input, rec Record, verdict *Rejection, print string) Decision {
	if !serves(in, rec) {
		return astray(in, rec, print)
	}
	rec.Drift, rec.Blocked = nil, nil
	rec, look := wayBack(in, rec)
	if look != nil {
		return Decision{Record: rec, Look: look}
	}
	same := rec.Good.Fingerprint == print
	if s := rec.Stalled; s != nil && s.Reason != ReasonRevertFailed && verdict == nil && (same || s.Ask != rec.Good.Target.Ask) {
		rec.Stalled = nil // git has returned to what is good
	}
	switch {
	case rec.Stalled != nil:
		return wait(in, rec, sayStalled(*rec.Stalled), in.sweepAt())
	case verdict != nil:
		return wait(in, rec, sayReverted(rec.Good.Target.Name(), nameOf(rec, verdict.Ask), verdict.Message), in.sweepAt())
	case same && rec.WayBack.Reason != "":
		return wait(in, rec, sayRunsOnce(rec.Good.Target.Name(), rec.WayBack.Reason), in.idleAt())
	case same && rec.WayBack.Unseen != "":
		return wait(in, rec, sayRunsUnproven(rec.Good.Target.Name(), rec.WayBack.Unseen), in.idleAt())
	case same:
		if rec.Lost != nil {
			return wait(in, rec, sayRunsLocked(rec.Good.Target.Name(), rec.Lost.Lock), in.sweepAt())
		}
		return wait(in, rec, sayRuns(rec.Good.Target.Name()), in.sweepAt())
	}
	return wait(in, rec, sayTemplateReported(rec.Good.Target.Name()), in.sweepAt())
}

// astray decides for a service that runs something else than the last good revision, which is to serve.
func astray(in Input, rec Record, print string) Decision {
	if wanted(in, rec) != rec.Good.Target.Ask && contains(rec.Behind, rec.Good.Target.Ask) || leftBehind(rec, rec.Good.Target.Ask) {
		return wait(in, rec, sayGoodLeftBehind(rec.Good.Target.Name()), in.idleAt())
	}
	trigger := TriggerGit
	if foreign(in, rec) {
		if d, ok := tolerate(in, rec, rec.Good.Target.Ask); ok {
			return d
		}
		rec = noticed(in, rec, rec.Good.Target.Ask)
		trigger = TriggerDrift
	}
	if d, ok := held(in, rec); ok {
		return d
	}
	if p := in.Want.Pause; p != nil && p.Reason == StateManyMissing {
		// What is seen of this service may be of another place as well.
		if d, ok := paused(in, rec); ok {
			return d
		}
	}
	if !in.Look.Fresh {
		return Decision{Record: rec, Look: beforeLook(rec)}
	}
	if d, ok := unstartable(in, rec); ok {
		return d
	}
	rec.Generation++
	rec.Rollout = &Rollout{Number: rec.Generation, Kind: KindRestore, Trigger: trigger, Target: rec.Good.Target, Fingerprint: rec.Good.Fingerprint, Secrets: rec.Good.Secrets,
		Revision: rec.Good.Revision, First: bare(in), Stage: StageRoll, StartedAt: in.Now, StageAt: in.Now, CountWas: in.Seen.Desired, Baseline: in.Seen.Alarms, Wanted: wanted(in, rec)}
	return moveOn(rec)
}

// nameOf is the ask as people call it, where git still says what it is.
func nameOf(rec Record, ask string) string {
	if rec.Intent != nil {
		if t, unknown := resolve(*rec.Intent, "", rec.Pins); len(unknown) == 0 && t.Ask == ask {
			return t.Name()
		}
	}
	return short(ask)
}
