package rollout

import (
	"fmt"
	"strings"

	"github.com/canteen/deploy/controller/desired"
)

// lawsOfBeginning say what must be so before anything new begins.
var lawsOfBeginning = []law{
	{7, "nothing is written while a person holds the service or the infrastructure is at work, but that a task that took too long is stopped", func(s stepped) (bool, string) {
		_, stops := action[StopTask](s)
		switch {
		case s.isHeld() && s.d.Action != nil:
			return true, "writes under a hold"
		case s.in.Seen.Stack.InProgress && s.d.Action != nil && !stops:
			return true, "writes while the stack changes"
		}
		return s.isHeld() || s.in.Seen.Stack.InProgress, ""
	}},
	{7, "nothing begins under a suspension", func(s stepped) (bool, string) {
		a := s.adopted()
		if a.Intent == nil || !a.Intent.Service.Spec.Suspend.Active(s.in.Now) {
			return false, ""
		}
		if ro := s.begun(); ro != nil && ro.Kind != KindRevert && ro.Kind != KindUndo {
			return true, "begins a " + string(ro.Kind)
		}
		if ro := a.Rollout; ro != nil && ro.Kind == KindDeploy {
			if _, migrates := action[RunMigration](s); migrates && ro.Migration == nil {
				return true, "begins a migration"
			}
			if _, rolls := action[Roll](s); rolls && ro.Deployment == nil {
				return true, "touches the service"
			}
		}
		return true, ""
	}},
	{9, "a version that touched the service is left without a verdict only for one that may begin", func(s stepped) (bool, string) {
		e := s.ended()
		if e == nil || e.Result != ResultSuperseded || s.before.Rollout.Deployment == nil || !strings.HasPrefix(e.Message, "git asked for ") {
			return false, ""
		}
		_, open := window(s.in.Want.Policy.Windows, s.in.Now)
		suspended := s.adopted().Intent.Service.Spec.Suspend.Active(s.in.Now)
		limit := s.in.Want.Policy.MaxConcurrentRollouts
		waits := !open || len(s.in.Want.Waiting) > 0 || limit > 0 && s.in.Want.Others+s.in.Want.Ahead >= limit
		if good := s.before.Good; good != nil && good.Target.Ask == wanted(s.in, s.adopted()) {
			waits = false // what is put back waits for none of these
		}
		if waits || suspended {
			return true, "is left"
		}
		return true, ""
	}},
	{7, "a deploy begins only in its window and turn, after what it depends on; what is taken over begins nothing", func(s stepped) (bool, string) {
		ro := s.begun()
		if ro == nil || ro.Kind != KindDeploy || ro.TakesOver {
			return false, ""
		}
		_, open := window(s.in.Want.Policy.Windows, s.in.Now)
		limit := s.in.Want.Policy.MaxConcurrentRollouts
		if !open || len(s.in.Want.Waiting) > 0 || limit > 0 && s.in.Want.Others+s.in.Want.Ahead >= limit {
			return true, "begins"
		}
		return true, ""
	}},
	{15, "no deploy begins in a pause of the environment, unless it is an emergency", func(s stepped) (bool, string) {
		if a := s.adopted(); s.in.Want.Pause == nil || a.Intent == nil || a.Intent.Service.Spec.Emergency.Active(s.in.Now) {
			return false, ""
		}
		if ro := s.begun(); ro != nil && ro.Kind == KindDeploy {
			return true, "begins one"
		}
		return true, ""
	}},
	{7, "nothing begins on a stale look, or without a way back to the last good version", func(s stepped) (bool, string) {
		ro := s.begun()
		if ro == nil || ro.Kind == KindRevert || ro.Kind == KindUndo {
			return false, ""
		}
		if !s.in.Look.Fresh {
			return true, "on what may be stale"
		}
		good := s.d.Record.Good
		if good == nil || s.d.Record.Intent.Service.Spec.Emergency.Active(s.in.Now) {
			return true, ""
		}
		if st, ok := s.in.Seen.Startable[good.Revision]; !ok || good.lacks(st) != "" {
			return true, fmt.Sprintf("%s is %+v", good.Revision, st)
		}
		return true, ""
	}},
	{11, "an ask that was never good here does not begin, nor touch the service, while a check fails already, unless it is an emergency, or all that fails are red alarms and what serves is none that was good", func(s stepped) (bool, string) {
		ro := s.begun()
		if _, rolls := action[Roll](s); rolls && s.before.Rollout != nil && s.before.Rollout.Deployment == nil {
			ro = s.d.Record.Rollout
		}
		if _, bad := failing(s.in); !bad || ro == nil || ro.Kind != KindDeploy {
			return false, ""
		}
		if contains(s.d.Record.GoodAsks, ro.Target.Ask) || s.d.Record.Intent.Service.Spec.Emergency.Active(s.in.Now) || s.onlyRed() && s.servesUnjudged() && !ro.TakesOver {
			return true, ""
		}
		return true, "begins"
	}},
	{11, "a red alarm alone does not keep a version of the controller's serving that is none that was good", func(s stepped) (bool, string) {
		if !s.onlyRed() || !s.servesUnjudged() || !s.undisturbed() {
			return false, ""
		}
		if s.d.Record.Said == SaidUnhealthyBefore && !metRunning(s.in, s.adopted(), s.in.Seen.Primary()) {
			return true, "waits"
		}
		return true, ""
	}},
	{7, "a foreign deployment is left alone for the time that the policy gives it, and where the policy is to report", func(s stepped) (bool, string) {
		a := s.adopted()
		ro := s.begun()
		if ro == nil || a.Rollout != nil || a.Drift == nil || !foreign(s.in, a) || a.Drift.TaskDefinition != s.in.Seen.Primary().TaskDefinition || older(s.in, a) {
			return false, ""
		}
		policy := s.in.Want.Policy.Drift
		goal := ro.Target.Ask
		if ro.Kind == KindDeploy {
			goal = wanted(s.in, a)
		}
		newWord := a.Drift.Wanted != "" && a.Drift.Wanted != goal
		if ro.Kind == KindRestore && policy.Action == desired.DriftReport && !newWord {
			return true, "it is put right although it is only to be reported"
		}
		if policy.Action != desired.DriftReport && !newWord && !a.Drift.Stack && s.in.Now.Before(a.Drift.Since.Add(policy.After.Std())) {
			return true, "too soon"
		}
		return true, ""
	}},
}

// lawsOfRepeating say what a crash or a lost answer may lead to.
var lawsOfRepeating = []law{
	{8, "whatever a repeat needs is in the record that is saved before the request", func(s stepped) (bool, string) {
		ro := s.d.Record.Rollout
		switch a := s.d.Action.(type) {
		case Roll:
			if ro.Deployment == nil || !ro.Deployment.RequestedAt.Equal(s.in.Now) || ro.AskedAt.IsZero() || ro.Deployment.Before != a.Before {
				return true, "of the roll"
			}
		case RunMigration:
			if !ro.Migration.RequestedAt.Equal(s.in.Now) || ro.Migration.Requests == 0 || ro.Migration.AskedAt.IsZero() {
				return true, "of the migration"
			}
		case Register:
			if ro == nil || ro.Revision != "" && ro.Stage == StageRegister || ro.Fingerprint != a.Fingerprint {
				return true, "of the registration"
			}
		case Tag:
			if a.Set[TagCount] == "" || s.d.Record.Count <= min(s.before.Count, countMax) {
				return true, fmt.Sprintf("of the tags: %v after %d", a.Set, s.before.Count)
			}
		default:
			return false, ""
		}
		return true, ""
	}},
	{8, "a crash after the save repeats the same request, or looks first", func(s stepped) (bool, string) {
		if !s.writes() {
			return false, ""
		}
		in := s.in
		in.Seen.At = in.Now
		again := Decide(in, s.d.Record)
		switch a := s.d.Action.(type) {
		case Roll:
			if _, rolls := again.Action.(Roll); rolls {
				return true, "rolls again at once"
			}
		case RunMigration:
			if b, runs := again.Action.(RunMigration); runs && b.Token != a.Token {
				return true, "another token"
			}
		case Register:
			if b, registers := again.Action.(Register); registers && !b.Look {
				return true, "registers again without a look"
			}
		case Scale:
			if _, scales := again.Action.(Scale); scales {
				return true, "scales again at once"
			}
		}
		return true, ""
	}},
	{8, "a roll whose answer was lost is not asked for again while a read may not show it", func(s stepped) (bool, string) {
		ro := s.before.Rollout
		if _, rolls := action[Roll](s); !rolls || ro == nil || ro.Deployment == nil || s.begun() != nil || ro.Kind == KindUndo {
			return false, ""
		}
		if s.in.Now.Before(ro.Deployment.RequestedAt.Add(staleFor)) {
			return true, "asks again"
		}
		return true, ""
	}},
}
