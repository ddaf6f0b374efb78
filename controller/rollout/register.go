package rollout

import (
	"fmt"
	"strings"

	"github.com/canteen/deploy/controller/observed"
)

// register makes sure that a revision with the rollout's fingerprint exists.
func register(in Input, rec Record) Decision {
	if d, ok := superseded(in, rec); ok {
		return d
	}
	if d, ok := outdated(in, rec); ok {
		return d
	}
	ro := rec.Rollout
	if by := in.Seen.DeployedBy; by != "" && ro.Kind == KindDeploy {
		return fail(in, rec, failDeployedBy(by)) // its migration would run for nothing
	}
	if ro.Revision != "" {
		return moveOn(rec.enter(in.Now, StageMigrate)) // registered in the pass before
	}
	if known := rec.RevisionOf(ro.Fingerprint); known != "" && known != ro.Except {
		r, seen := in.Seen.Revisions[known]
		if _, lacks := in.Seen.Lacks(observed.FactRevisions); !lacks && !contains(in.Look.Startable, known) {
			return Decision{Record: rec, Look: &observed.Look{Revisions: []string{known}, Startable: []string{known}}}
		}
		// A retry of what serves already needs another revision: ECS begins nothing for the same one.
		again := ro.Trigger == TriggerRetry && in.Seen.TaskDefinition == known
		// A secret that was deleted and made anew has another ARN, so a revision that names the old one never starts.
		again = again || in.Seen.Startable[known].Lacks == observed.LackSecret
		if seen && r.Active && r.Fingerprint == ro.Fingerprint && !again {
			ro.Revision = known
			return moveOn(rec.enter(in.Now, StageMigrate))
		}
		if again {
			ro.Except = known
		}
	}
	if ro.Registers == 0 && ro.Except == "" {
		// A revision of the same content may serve already: a controller that lost its ledger comes this way.
		if r, ok := in.Seen.Revisions[in.Seen.TaskDefinition]; ok && r.Active && r.Fingerprint == ro.Fingerprint {
			ro.Revision = r.ARN
			return moveOn(rec.know(ro.Fingerprint, r.ARN).enter(in.Now, StageMigrate))
		}
	}
	ro.Registers = max(ro.Registers, 0) + 1
	return act(in, rec, sayRegisters(ro.Target.Name()), Register{
		Template: ro.Template, Ask: ro.Target.Ask, Fingerprint: ro.Fingerprint, Commit: ro.Target.Commit.SHA,
		Containers: ro.Target.Containers.Map(), Look: ro.Registers > 1, Except: ro.Except,
	})
}

// outdated ends a deploy that is refused its registration, where the template is another one by now: what was refused may be mended in
// it, and a deploy of the same ask begins with it. Nothing of the one that is left was run.
func outdated(in Input, rec Record) (Decision, bool) {
	ro, t := rec.Rollout, in.Seen.Template
	if ro.Kind != KindDeploy || rec.Trouble == nil || ro.Revision != "" || ro.Migration != nil || ro.Deployment != nil || t == nil || t.ARN == ro.Template {
		return Decision{}, false
	}
	entry := rec.entry(in.Now, ResultSuperseded, "the template changed before a revision of it was registered")
	rec.Rollout, rec.Trouble, rec.Overtaken = nil, nil, 0
	return moveOn(rec, entry), true
}

// superseded ends a deploy that git has overtaken: no verdict is passed on it. Once it has touched the service it is let through to its
// verdict where the newer one may not begin, and as the third in a row, or a busy repository would never get one. The pass ends with
// it: what was seen was about the one that is left.
func superseded(in Input, rec Record) (Decision, bool) {
	ro := rec.Rollout
	if d, ok := unwanted(in, rec); ok {
		return d, true
	}
	if ro.Kind != KindDeploy || rec.Intent == nil || in.Want.Removed || ro.Deployment != nil && rec.Superseded >= supersededMax {
		return Decision{}, false
	}
	target, unknown := resolve(*rec.Intent, repository(in), rec.Pins)
	newer := target.Name()
	switch {
	case len(unknown) > 0 && ro.Deployment != nil:
		return Decision{}, false // it goes on to its verdict until the image of the newer ask is there
	case len(unknown) > 0:
		newer = strings.Join(unknown, ", ") // not even pushed, but what nobody asks for any more is not begun
	case target.Ask == ro.Target.Ask || !overtakes(rec, target):
		return Decision{}, false
	case ro.Deployment != nil && hindered(in, rec, target):
		return Decision{}, false // who watched it, while the newer one may not begin?
	}
	entry := rec.entry(in.Now, ResultSuperseded, fmt.Sprintf("git asked for %s before it had a verdict", newer))
	if ro.Deployment != nil {
		rec.Superseded++
	}
	rec.Overtaken = 0
	rec.Rollout = nil
	say := saySuperseded(ro.Target.Name(), newer)
	if in.Want.Policy.MaxConcurrentRollouts > 0 {
		say.state = StateWaitingConcurrent // nobody who has waited for less long gets the place that it gives up
	}
	d := wait(in, rec, say, in.Now)
	d.History = []Entry{entry}
	return d, true
}

// unwanted ends a deploy whose file is gone, or names another stack, before it has touched the service or begun its migration: what git
// has nothing to say of is told, and not touched. What was begun goes on to its verdict.
func unwanted(in Input, rec Record) (Decision, bool) {
	ro := rec.Rollout
	m := ro.Migration
	if ro.Kind != KindDeploy || !in.Want.Removed && in.Want.Moves == "" || ro.Deployment != nil {
		return Decision{}, false
	}
	over := in.Want.Moves != "" && m != nil && contains(rec.Migrated, m.Key) // nothing of it runs, and it may wait for ever for what it needs there
	if m != nil && m.asked() && !over {
		return Decision{}, false
	}
	why := "its file was removed"
	if in.Want.Moves != "" {
		why = "git named the stack " + in.Want.Moves
	}
	entry := rec.entry(in.Now, ResultSuperseded, why+" before it had touched the service")
	rec.Rollout = nil
	return moveOn(rec, entry), true
}

// hindered reports whether the target could not be begun now. Going back to the last good version waits for no window and no other.
func hindered(in Input, rec Record, target Target) bool {
	_, isHeld := held(in, rec)
	_, isPaused := paused(in, rec)
	if rec.Good != nil && target.Ask == rec.Good.Target.Ask {
		return isHeld || isPaused && in.Want.Pause.Reason == StateManyMissing
	}
	_, isGated := gated(in, rec, target)
	return isHeld || isPaused || isGated || locked(in, rec, target)
}

// overtakes reports whether the target is a reason to leave what is in flight: not when it was rejected itself, since
// then git's newest valid answer is what is in flight or the last good.
func overtakes(rec Record, target Target) bool {
	verdict := rec.RejectionOf(target.Ask)
	return verdict == nil || cleared(*verdict, *rec.Intent) || rec.Rollout.Trigger == TriggerGit || rec.Rollout.Trigger == TriggerRetry
}

const supersededMax = 2
