package rollout

import "slices"

// unsound says what is impossible about the rollout in flight, empty where it is one that the rules can have written. A ledger
// may have been changed by hand, or by a controller with other rules; nothing is written to the account on its word.
func (r Record) unsound() string {
	ro := r.Rollout
	switch {
	case ro == nil:
		return ""
	case r.Intent == nil:
		return "git never asked for it"
	case !slices.Contains([]Kind{KindDeploy, KindRevert, KindRestore, KindUndo}, ro.Kind):
		return "its kind is " + quoted(string(ro.Kind))
	case ro.Stage == StageEvidence && ro.Failure == nil:
		return "it failed and nothing says why"
	case ro.Stage != StageEvidence && ro.Failure != nil:
		return "it failed and goes on"
	case ro.Kind == KindUndo && (r.Good != nil || ro.CountWas < 0):
		return "it takes a count back that was never there, or though a version was good"
	case ro.TakesOver && (ro.Kind != KindDeploy || !slices.Contains([]Stage{StageRoll, StageBake, StageEvidence}, ro.Stage) || ro.Deployment == nil || ro.Deployment.ID == ""):
		return "it takes over what does not run"
	case (ro.Kind == KindRevert || ro.Kind == KindRestore) && !r.goesBack():
		return "it puts back what was not good"
	}
	return r.unsoundStage()
}

// unsoundStage is what is impossible for the stage that the rollout is in.
func (r Record) unsoundStage() string {
	ro := r.Rollout
	switch ro.Stage {
	case StageRegister:
		if ro.Kind == KindUndo {
			return "it takes a count back and registers something"
		}
		if ro.Migration != nil && r.SkipsMigration() == SkipNothing {
			return "its migration began before there was a revision to run it from"
		}
	case StageMigrate:
		run := ro.Migration
		if ro.Revision == "" || run != nil && (ro.Kind != KindDeploy || ro.Target.Migration == nil || run.Key != ro.Target.Key) {
			return "its migration is not that of its version"
		}
	case StageRoll, StageBake:
		if ro.Kind != KindUndo && ro.Revision == "" {
			return "no revision is known of it"
		}
		if ro.Stage == StageBake && (ro.Kind != KindDeploy || ro.Deployment == nil || ro.Deployment.ID == "") {
			return "it is watched before it was rolled"
		}
		if ro.Kind == KindDeploy && r.SkipsMigration() == SkipNothing {
			return "its migration has not succeeded"
		}
	case StageEvidence:
	default:
		return "its stage is " + quoted(string(ro.Stage))
	}
	return ""
}

// goesBack reports whether the rollout in flight goes to what is recorded as good: that revision, or one that was registered
// anew with its content.
func (r Record) goesBack() bool {
	ro := r.Rollout
	if r.Good == nil || ro.Target.Ask != r.Good.Target.Ask {
		return false
	}
	return ro.Revision == r.Good.Revision || ro.Revision == "" && ro.Stage == StageRegister ||
		slices.ContainsFunc(r.Known, func(k Known) bool { return k.Revision == ro.Revision && k.Fingerprint == ro.Fingerprint })
}

// abandon ends a rollout that cannot be. What became of it is found in the account, as after the loss of the ledger; a migration
// of its that may be running keeps its lock.
func abandon(in Input, rec Record, why string) Decision {
	ro := rec.Rollout
	entry := rec.entry(in.Now, ResultSuperseded, "the record of it cannot be true: "+why+"; the account shows what became of it")
	if run := ro.Migration; run != nil && run.Requests > 0 && rec.Lost == nil && ro.Stage != StageEvidence && !contains(rec.Migrated, run.Key) {
		rec = lose(rec, Lost{Key: run.Key, Lock: run.Lock, Task: run.Task})
	}
	name := ro.Target.Name()
	rec.Rollout, rec.Superseded, rec.Overtaken = nil, 0, 0
	d := wait(in, rec, sayUnsound(name, why), in.Now)
	d.History = []Entry{entry}
	return d
}

func quoted(s string) string { return "“" + s + "”, which is none" }
