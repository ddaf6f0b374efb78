package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// lawsOfMoving say what may be made to serve.
var lawsOfMoving = []law{
	{1, "the service moves only to the revision that the record names, toward an ask of git or to what was good", func(s stepped) (bool, string) {
		roll, is := action[Roll](s)
		if !is {
			return false, ""
		}
		ro := s.d.Record.Rollout
		switch {
		case ro == nil:
			return true, "nothing is in flight"
		case roll.Revision == "" || roll.Revision != ro.Revision:
			return true, fmt.Sprintf("rolls %q, the record says %q", roll.Revision, ro.Revision)
		case ro.Kind == KindDeploy && s.begun() == nil && ro.Target.Ask != s.before.Rollout.Target.Ask:
			return true, "another ask than the one in flight"
		case ro.Kind == KindDeploy && s.begun() != nil && ro.Target.Ask != wanted(s.in, s.d.Record) && (s.d.Record.Good == nil || s.d.Record.Good.Target.Ask != ro.Target.Ask):
			return true, "nobody asked for " + ro.Target.Ask
		case ro.Kind != KindDeploy && !s.d.Record.goesBack():
			return true, roll.Revision + " was not good"
		}
		return true, ""
	}},
	{1, "what is taken over is what runs alone, is the same as what git asks, and has no migration to run", func(s stepped) (bool, string) {
		ro := s.begun()
		if ro == nil || !ro.TakesOver {
			return false, ""
		}
		switch primary := s.in.Seen.Primary(); {
		case s.in.Seen.Alike == nil || !*s.in.Seen.Alike || s.in.Look.Alike == nil || !s.in.Look.Fresh:
			return true, "nobody has seen that it is the same"
		case ro.Revision != primary.TaskDefinition || ro.Deployment == nil || ro.Deployment.ID != primary.ID || len(s.in.Seen.Deployments) != 1 || s.in.Seen.Desired == 0:
			return true, "something else runs"
		case ro.Target.Ask != wanted(s.in, s.d.Record) || s.before.Good != nil || ro.Trigger != TriggerGit:
			return true, "git does not ask for it, or another was good"
		case s.d.Record.SkipsMigration() == SkipNothing:
			return true, "its migration did not run"
		}
		return true, ""
	}},
	{1, "what is taken over is neither rolled nor scaled, nor put back where it fails", func(s stepped) (bool, string) {
		ro := s.before.Rollout
		if ro == nil || !ro.TakesOver || ro.Kind != KindDeploy || s.before.unsound() != "" || older(s.in, s.before) {
			return false, ""
		}
		if next := s.d.Record.Rollout; next != nil && (next.Kind == KindUndo || next.Kind == KindRevert) {
			return true, "puts something back"
		}
		if s.begun() != nil {
			return false, "" // another one, begun after it
		}
		switch s.d.Action.(type) {
		case Roll, Scale, Register, RunMigration, StopTask:
			return true, s.d.Action.Name()
		}
		return true, ""
	}},
	{1, "nothing is written to a service of which git never said anything", func(s stepped) (bool, string) {
		if s.before.Intent != nil || s.in.Want.Intent != nil {
			return false, ""
		}
		if s.d.Action != nil {
			return true, "acts"
		}
		return true, ""
	}},
	{1, "after a failure under freeze nothing is put back", func(s stepped) (bool, string) {
		e := s.ended()
		if e == nil || e.Kind != KindDeploy || s.before.Rollout.Deployment == nil || !slices.Contains([]Result{ResultRejected, ResultStalled, ResultBlocked}, e.Result) {
			return false, ""
		}
		if spec := s.adopted().Rollout.Target.Spec; spec == nil || spec.OnFailure != desired.OnFailureFreeze {
			return false, ""
		}
		if ro := s.d.Record.Rollout; ro != nil && (ro.Kind == KindRevert || ro.Kind == KindUndo) {
			return true, "puts something back"
		}
		return true, ""
	}},
	{1, "what is frozen, or could not be put back, is left alone until git says something else", func(s stepped) (bool, string) {
		st, a := s.before.Stalled, s.adopted()
		if st == nil || !final(*st) || s.before.Rollout != nil || a.Intent == nil || a.Intent.Service.Spec.Retry > st.Retry || !s.undisturbed() {
			return false, ""
		}
		ask := wanted(s.in, a)
		verdict := a.RejectionOf(ask)
		well := serves(s.in, a) && s.in.Seen.Primary().Rollout == observed.RolloutCompleted
		if ask == "" || ask != st.Wanted || well || verdict != nil && cleared(*verdict, *a.Intent) || s.before.Generation <= 0 {
			return false, ""
		}
		if s.writes() || s.d.Record.Rollout != nil {
			return true, "goes on"
		}
		return true, ""
	}},
	{1, "what a breaking migration left behind, as the record or newer tags have it, is begun only where git asks for it and has raised retry since", func(s stepped) (bool, string) {
		ro, r := s.begun(), s.d.Record
		behind := slices.Clone(r.Behind)
		if counted(s.in) > s.before.Count && (s.before.Generation > 0 || s.before.Rollout == nil) { // no other record has anything in flight
			behind = append(behind, strings.Fields(s.in.Seen.Tags[TagBehind])...)
		}
		if ro == nil || ro.Kind == KindUndo || !contains(behind, ro.Target.Ask) {
			return r.Good != nil && r.Intent != nil && contains(behind, r.Good.Target.Ask), ""
		}
		if ro.Kind == KindRevert || ro.Target.Ask != wanted(s.in, r) || r.Intent.Service.Spec.Retry <= r.BehindRetry {
			return true, "begins a " + string(ro.Kind) + " of " + ro.Target.Ask
		}
		return true, ""
	}},
	{1, "nothing is done before what newer tags say was left behind is remembered", func(s stepped) (bool, string) {
		if s.d.Action == nil || s.before.Rollout != nil || counted(s.in) <= s.before.Count {
			return false, ""
		}
		asks := strings.Fields(s.in.Seen.Tags[TagBehind])
		for _, ask := range asks {
			if !contains(s.d.Record.Behind, ask) {
				return true, ask + " is forgotten"
			}
		}
		return len(asks) > 0, ""
	}},
	{8, "no version is asked for before the account knows that the last good one was left behind", func(s stepped) (bool, string) {
		ro, r := s.d.Record.Rollout, s.d.Record
		if ro == nil || ro.Kind != KindDeploy || r.Good == nil || !contains(r.Behind, r.Good.Target.Ask) {
			return false, ""
		}
		if tag, is := action[Tag](s); is && ro.Stage == StageRoll {
			return tag.Set[TagBehind] != "", "" // it comes first
		}
		if _, is := action[Roll](s); !is || s.before.Rollout != nil && s.before.Rollout.Deployment != nil {
			return false, "" // a request that is repeated is one that was made
		}
		if mark := r.behindMark(); s.in.Seen.Tags[TagBehind] != mark && (r.Tagged == nil || r.Tagged.Set.Of(TagBehind) != mark) {
			return true, "the tag says " + s.in.Seen.Tags[TagBehind]
		}
		return true, ""
	}},
	{6, "what is put back was good, runs no migration and waits for no window, no turn and no check", func(s stepped) (bool, string) {
		ro := s.d.Record.Rollout
		if ro == nil || ro.Kind == KindDeploy || !s.sound() && s.d.Action == nil {
			return false, "" // what cannot be is not gone on with, whatever it says
		}
		if _, runs := action[RunMigration](s); runs {
			return true, "runs a migration"
		}
		if ro.Kind != KindUndo && !s.d.Record.goesBack() {
			return true, "goes back to " + ro.Target.Ask + ", which was not good"
		}
		if ro.Kind == KindUndo && s.d.Record.Good != nil {
			return true, "only takes the count back although a version was good"
		}
		if waits(s.d.Record.Said) {
			return true, "waits"
		}
		return true, ""
	}},
	{6, "what failed to be put back is not put back again: it is stalled, and says so", func(s stepped) (bool, string) {
		e := s.ended()
		if e == nil || e.Result != ResultRevertFailed {
			return false, ""
		}
		if ro := s.d.Record.Rollout; ro != nil && (ro.Kind == KindRevert || ro.Kind == KindUndo) {
			return true, "puts something back once more"
		}
		if st := s.d.Record.Stalled; s.begun() == nil && (st == nil || st.Reason != ReasonRevertFailed) && !serves(s.in, s.d.Record) {
			return true, "is not stalled"
		}
		return true, ""
	}},
	{7, "the count is not the controller's, but for what a first rollout found", func(s stepped) (bool, string) {
		if scale, is := action[Scale](s); is {
			ro := s.d.Record.Rollout
			if ro == nil || ro.Kind != KindUndo || scale.Count != ro.CountWas || scale.Count < 0 || s.d.Record.Good != nil {
				return true, fmt.Sprintf("sets the count to %d", scale.Count)
			}
			return true, ""
		}
		return false, ""
	}},
	{9, "what git has overtaken is left before it touches the service", func(s stepped) (bool, string) {
		a := s.adopted()
		ro := a.Rollout
		if ro == nil || ro.Kind != KindDeploy || ro.Deployment != nil || a.Intent == nil || s.in.Want.Removed || !s.undisturbed() || !s.sound() {
			return false, ""
		}
		run := ro.Migration
		if early := ro.Stage == StageRegister || ro.Stage == StageRoll || ro.Stage == StageMigrate && (run == nil || run.Task == "" && run.UnsureSince.IsZero() && (run.Refused || run.Requests == 0)); !early {
			return false, ""
		}
		newer := wanted(s.in, a)
		if newer == "" || newer == ro.Target.Ask || a.RejectionOf(newer) != nil {
			return false, ""
		}
		if now := s.d.Record.Rollout; now != nil && now.Number == ro.Number && now.Target.Ask == ro.Target.Ask {
			return true, "goes on with " + ro.Target.Ask
		}
		return true, ""
	}},
	{13, "what is good and is what git asks is neither registered, nor migrated, nor rolled again", func(s stepped) (bool, string) {
		a := s.adopted()
		if a.Good == nil || a.Rollout != nil || a.Intent == nil || s.in.Seen.Template == nil || !serves(s.in, a) {
			return false, ""
		}
		target, unknown := resolve(*a.Intent, repository(s.in), a.Pins)
		secrets, message := secretsOf(s.in, a, target)
		if len(unknown) > 0 || message != "" || target.Ask != a.Good.Target.Ask || a.Good.Fingerprint != fingerprint(target.Ask, *s.in.Seen.Template, secrets) {
			return false, ""
		}
		if s.writes() || s.begun() != nil {
			return true, "begins something"
		}
		return true, ""
	}},
}
