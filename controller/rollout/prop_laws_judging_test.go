package rollout

import (
	"fmt"
	"slices"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// lawsOfMigrating say when a migration may run, and what its end means.
var lawsOfMigrating = []law{
	{2, "no version is rolled before its migration has succeeded, unless it needs none", func(s stepped) (bool, string) {
		ro := s.d.Record.Rollout
		if _, is := action[Roll](s); !is || ro.Kind != KindDeploy || ro.Target.Migration == nil {
			return false, ""
		}
		if !contains(s.d.Record.Migrated, ro.Target.Key) && !contains(s.d.Record.GoodAsks, ro.Target.Ask) {
			return true, "rolls"
		}
		return true, ""
	}},
	{2, "a migration has succeeded only where its named container ended by itself with code 0, or git or the tags say so", func(s stepped) (bool, string) {
		a, applies := s.adopted(), false
		for _, key := range s.d.Record.Migrated {
			if contains(s.before.Migrated, key) || key == s.in.Seen.Tags[TagMigrated] {
				continue
			}
			applies = true
			if l := s.before.Lost; l != nil && l.Key == key && (s.d.Record.assumes(desired.AssumeDone) || a.assumes(desired.AssumeDone)) {
				continue // begun and settled by git's word in one pass
			}
			if a.Rollout == nil || a.Rollout.Target.Migration == nil || a.Rollout.Target.Key != key {
				return true, "nothing in flight has the key " + key
			}
			m, task := a.Rollout.Target.Migration, s.in.Seen.Migration
			if m.Assume == desired.AssumeDone {
				continue
			}
			if task == nil || !task.Stopped() || task.StopCode != stopContainerExited {
				return true, "the task did not end by itself"
			}
			if c, ok := task.Container(m.Container); !ok || !c.Exited || c.ExitCode != 0 {
				return true, fmt.Sprintf("the container is %+v", c)
			}
		}
		return applies, ""
	}},
	{2, "a migration that failed leaves the service untouched", func(s stepped) (bool, string) {
		e := s.ended()
		if e == nil || e.Evidence == nil || e.Evidence.Check != checkMigration || s.before.Rollout.Deployment != nil || e.Kind != KindDeploy {
			return false, ""
		}
		if ro := s.d.Record.Rollout; ro != nil && (ro.Kind == KindRevert || ro.Kind == KindUndo) {
			return true, "puts something back"
		}
		return true, ""
	}},
	{3, "a migration runs only for a deploy whose key never succeeded and whose ask was never good", func(s stepped) (bool, string) {
		run, is := action[RunMigration](s)
		if !is {
			return false, ""
		}
		ro := s.d.Record.Rollout
		switch {
		case ro == nil || ro.Kind != KindDeploy || ro.Migration == nil || ro.Target.Migration == nil:
			return true, "nothing in flight has one"
		case run.Key != ro.Migration.Key || run.Token != ro.Migration.Token || run.Revision == "" || run.Revision != ro.Revision:
			return true, "the record says another"
		case contains(s.before.Migrated, run.Key) || contains(s.before.GoodAsks, ro.Target.Ask):
			return true, "it succeeded before"
		}
		return true, ""
	}},
	{3, "no migration runs beside another of its lock", func(s stepped) (bool, string) {
		if _, is := action[RunMigration](s); !is {
			return false, ""
		}
		lock, holder := s.d.Record.Rollout.Migration.Lock, s.in.Want.LockHolder
		if holder != "" && holder != s.before.Service && (s.before.Rollout == nil || s.before.Rollout.Migration == nil || s.before.Rollout.Migration.Lock != lock) {
			return true, holder + " holds the lock " + lock
		}
		if held := s.d.Record.HoldsLock(); held != lock && s.d.Record.Lost == nil {
			return true, "the record does not hold it"
		}
		return true, ""
	}},
	{3, "a migration whose outcome is not known is not run again without git's word", func(s stepped) (bool, string) {
		run, is := action[RunMigration](s)
		if !is {
			return false, ""
		}
		a := s.adopted()
		idempotent := s.d.Record.Rollout.Target.Migration.Idempotent
		repeat := a.Rollout != nil && a.Rollout.Migration != nil && a.Rollout.Migration.Token == run.Token
		failed := a.said() == desired.AssumeFailed // one that was done would not be asked for
		if l := s.before.Lost; l != nil && l.Key == run.Key && !idempotent && !repeat && !failed {
			return true, "it was lost"
		}
		if a.Rollout == nil || a.Rollout.Migration == nil || a.Rollout.Migration.Requests == 0 || a.Rollout.Number != s.d.Record.Rollout.Number || a.Rollout.Migration.Token == run.Token {
			again := a.Rollout != nil && a.Rollout.Migration != nil && a.Rollout.Migration.Attempt > 1 // decided on before, and asked for after a pause
			return s.before.Lost != nil || again, ""
		}
		if !idempotent {
			return true, "another task than the one that was asked for"
		}
		return true, ""
	}},
	{3, "another task of a migration is decided on only where the last never ran the program, or a repeat does no harm", func(s stepped) (bool, string) {
		a, n := s.adopted().Rollout, s.d.Record.Rollout
		if a == nil || n == nil || a.Number != n.Number || a.Migration == nil || n.Migration == nil || n.Migration.Attempt == a.Migration.Attempt {
			return false, ""
		}
		task := s.in.Seen.Migration
		never := task != nil && task.LastStatus == "STOPPED" && (task.StopCode == stopFailedToStart || task.StartedAt.IsZero())
		switch {
		case n.Migration.Attempt != a.Migration.Attempt+1 || n.Migration.Token == a.Migration.Token:
			return true, "it is counted otherwise"
		case n.Migration.Lock != a.Migration.Lock || n.Migration.Key != a.Migration.Key:
			return true, "it is another migration, or another lock"
		case !n.Target.Migration.Idempotent && !never:
			return true, "the last may have run"
		}
		return true, ""
	}},
	{3, "a lost outcome keeps its lock until it is known", func(s stepped) (bool, string) {
		l := s.before.Lost
		if l == nil {
			return false, ""
		}
		if a := s.adopted(); a.assumes(desired.AssumeDone) || a.assumes(desired.AssumeFailed) {
			return true, ""
		}
		if n := s.d.Record; n.Lost == nil && !contains(n.Migrated, l.Key) && n.HoldsLock() == "" {
			e := s.ended()
			ro := n.Rollout
			assumed := e != nil && e.Evidence != nil && e.Evidence.Check == checkMigration || ro != nil && ro.Failure != nil && ro.Failure.Check == checkMigration
			if !assumed && !contains(n.Migrated, keyOf(s.before)) {
				return true, "it is forgotten"
			}
		}
		return true, ""
	}},
	{3, "a lost migration stays refused until its outcome is known, or said", func(s stepped) (bool, string) {
		refused := slices.Clone(s.before.unknown())
		if l := s.before.Lost; l != nil {
			refused = append(refused, l.Key)
		}
		if a := s.adopted(); len(refused) == 0 || a.assumes(desired.AssumeDone) || a.assumes(desired.AssumeFailed) {
			return false, ""
		}
		n := s.d.Record
		for _, key := range refused {
			if (n.Lost == nil || n.Lost.Key != key) && !contains(n.unknown(), key) && !contains(n.Migrated, key) {
				return true, key + " is forgotten"
			}
		}
		return true, ""
	}},
	{9, "a migration that may be running is let finish", func(s stepped) (bool, string) {
		ro := s.before.Rollout
		if ro == nil || ro.Stage != StageMigrate || ro.Migration == nil || ro.Migration.Task == "" || !s.sound() || s.in.Seen.Migration == nil || s.in.Seen.Migration.Stopped() || !s.undisturbed() || s.adopted().SkipsMigration() != SkipNothing {
			return false, ""
		}
		if now := s.d.Record.Rollout; now == nil || now.Stage == StageMigrate && now.Migration == nil || s.ended() != nil {
			return true, "it is left alone"
		}
		return true, ""
	}},
}

// assumes reports whether git says so of the migration that it asks for, or said so of the one in flight.
func (r Record) assumes(word desired.Assumption) bool {
	said := func(m *desired.Migration) bool { return m != nil && m.Assume == word }
	return r.Intent != nil && said(r.Intent.Service.Spec.Migration) || r.Rollout != nil && said(r.Rollout.Target.Migration)
}

func keyOf(rec Record) string {
	if rec.Rollout == nil {
		return ""
	}
	return rec.Rollout.Target.Key
}

// lawsOfJudging say what a verdict takes.
var lawsOfJudging = []law{
	{5, "good is only what completed as that deployment and passed every check for the whole bake", func(s stepped) (bool, string) {
		e := s.ended()
		if e == nil || e.Result != ResultSucceeded {
			return false, ""
		}
		a := s.adopted()
		ro, bake := a.Rollout, a.spec().Verify.Bake.Std()
		own := own(s.in.Readings, ro.Deployment.ID)
		switch {
		case ro.Kind != KindDeploy || ro.Stage != StageBake:
			return true, "it was in stage " + string(ro.Stage)
		case len(own) == 0 || slices.ContainsFunc(own, func(r observed.Reading) bool { return r.Verdict != observed.Pass }):
			return true, fmt.Sprintf("the checks say %+v", own)
		case s.in.Seen.Primary().ID != ro.Deployment.ID:
			return true, "another deployment serves"
		case bake > 0 && s.in.Now.Before(ro.BakeFrom.Add(bake)):
			return true, fmt.Sprintf("the bake of %s began %s", bake, ro.BakeFrom)
		case s.d.Record.Good == nil || s.d.Record.Good.Revision != ro.Revision || s.d.Record.Good.Target.Ask != ro.Target.Ask:
			return true, "another is written down as good"
		}
		return true, ""
	}},
	{5, "what is good changes only by a verdict, by the same version put back anew, or by the account's tags", func(s stepped) (bool, string) {
		was, is := s.before.Good, s.d.Record.Good
		if is == nil || was != nil && was.Target.Ask == is.Target.Ask && was.Revision == is.Revision {
			if was != nil && is == nil {
				return true, "it is forgotten"
			}
			return false, ""
		}
		e := s.ended()
		tagged := s.in.Seen.Tags[TagGood] == is.Revision && (s.before.Generation <= 0 || s.d.Record.Said == "OlderLedger" || older(s.in, s.adopted()))
		anew := was != nil && e != nil && (e.Result == ResultReverted || e.Result == ResultRestored) && was.Target.Ask == is.Target.Ask && s.before.Rollout.Revision == is.Revision
		if e != nil && e.Result == ResultSucceeded || tagged || anew {
			return true, ""
		}
		return true, "now " + is.Revision
	}},
	{4, "a verdict is taken back only by a success of the same ask, by newer verdicts, or by the account's tags", func(s stepped) (bool, string) {
		if len(s.before.Rejected) == 0 {
			return false, ""
		}
		e, older := s.ended(), s.d.Record.Said == "OlderLedger" || older(s.in, s.adopted())
		for _, r := range s.before.Rejected {
			if older && s.d.Record.Good != nil && s.d.Record.Good.Target.Ask == r.Ask {
				continue
			}
			if s.d.Record.RejectionOf(r.Ask) == nil && (e == nil || e.Result != ResultSucceeded || e.Ask != r.Ask) {
				return true, "that of " + r.Ask
			}
		}
		return true, ""
	}},
	{4, "nothing begins for a rejected ask that git has not answered, unless it is the last good on another template", func(s stepped) (bool, string) {
		ro := s.begun()
		if ro == nil || ro.Kind != KindDeploy {
			return false, ""
		}
		if v := s.d.Record.RejectionOf(ro.Target.Ask); v != nil && !cleared(*v, *s.d.Record.Intent) && (s.d.Record.Good == nil || s.d.Record.Good.Target.Ask != ro.Target.Ask) {
			return true, "begins " + ro.Target.Ask
		}
		return true, ""
	}},
	{4, "a template or a secret that has condemned the last good ask is not tried again by itself", func(s stepped) (bool, string) {
		ro := s.begun()
		if ro == nil || ro.Kind != KindDeploy || len(s.before.Failed) == 0 || s.d.Record.Good == nil || s.d.Record.Good.Target.Ask != ro.Target.Ask {
			return false, ""
		}
		if condemned(s.d.Record, ro.Fingerprint) {
			return true, "begins " + ro.Fingerprint
		}
		return true, ""
	}},
	{11, "only a fault of the product condemns an ask; what is blocked is tried again, and the rest is stalled", func(s stepped) (bool, string) {
		e := s.ended()
		for _, r := range s.d.Record.Rejected {
			if old := s.before.RejectionOf(r.Ask); old == nil && !r.Inferred && (e == nil || e.Evidence == nil || e.Evidence.Class != observed.ClassProduct || e.Result != ResultRejected) {
				return true, "condemned " + r.Ask
			}
		}
		if e == nil || e.Kind != KindDeploy || e.Evidence == nil || e.Result == ResultSuperseded {
			return false, ""
		}
		want := map[observed.Class]Result{observed.ClassProduct: ResultRejected, observed.ClassBlocked: ResultBlocked}[e.Evidence.Class]
		if want == "" {
			want = ResultStalled
		}
		if contested := e.Evidence.Reason == ReasonContested; e.Result != want && !(contested && e.Result == ResultStalled) {
			return true, fmt.Sprintf("%s ended as %s", e.Evidence.Class, e.Result)
		}
		return true, ""
	}},
	{11, "a deployment fails by the product's fault only where a check or ECS says so", func(s stepped) (bool, string) {
		ro := s.d.Record.Rollout
		if ro == nil || ro.Failure == nil || s.before.Rollout == nil || s.before.Rollout.Failure != nil || ro.Failure.Class != observed.ClassProduct || ro.Failure.Check == checkMigration {
			return false, ""
		}
		if ro.Failure.Reason == ReasonRolledBack {
			return true, ""
		}
		if !slices.ContainsFunc(s.in.Readings, func(r observed.Reading) bool {
			return r.Deployment == ro.Deployment.ID && r.Verdict == observed.Fail && r.Class == observed.ClassProduct
		}) {
			return true, "no check does"
		}
		return true, ""
	}},
}
