package rollout

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// begin starts a deploy of the goal, unless something holds it back.
func begin(in Input, rec Record, goal Target, print string, trigger Trigger, secrets map[string]string) Decision {
	if d, ok := takesOver(in, rec, goal, print, trigger, secrets); ok {
		return d
	}
	if foreign(in, rec) && in.Want.Policy.Drift.Action != desired.DriftReport {
		if d, ok := tolerate(in, rec, wanted(in, rec)); ok {
			return d
		}
		rec = noticed(in, rec, wanted(in, rec))
	}
	if b := rec.Blocked; b != nil && b.Ask == goal.Ask && rec.Intent.Service.Spec.Retry <= b.Retry && in.pauses(b.Until, blockedMax) {
		return wait(in, rec, sayBlocked(b.Message), b.Until)
	}
	if d, ok := held(in, rec); ok {
		return d
	}
	if d, ok := paused(in, rec); ok {
		return d
	}
	if d, ok := gated(in, rec, goal); ok {
		return d
	}
	if errant(in, rec) && locked(in, rec, goal) { // else it is begun, and waits for its lock while the last good version serves
		say := sayLockTaken(goal.Name(), goal.Migration.Lock, in.Want.LockHolder)
		if in.Want.LockHolder == "" || in.Want.LockHolder == rec.Service {
			say = sayLockLost(goal.Name(), rec.Lost.Lock)
		}
		return wait(in, rec, say, in.watchAt())
	}
	if !in.Look.Fresh {
		look := beforeLook(rec)
		look.Containers = goal.digests()
		return Decision{Record: rec, Look: look}
	}
	if d, ok := expired(in, rec, goal); ok {
		return d
	}
	if d, ok := unstartable(in, rec); ok {
		return d
	}
	if d, ok := unhealthy(in, rec, goal, excused(in, rec)...); ok {
		return d
	}
	if in.Seen.Desired == 0 && rec.Good != nil && !bare(in) {
		return wait(in, rec, sayScaledToZero(goal.Name()), in.idleAt())
	}
	if trigger == TriggerGit && tried(rec, goal.Ask) {
		trigger = TriggerRetry
	}
	if rec.Queued.IsZero() && in.Want.Policy.MaxConcurrentRollouts > 0 {
		rec.Queued = in.Now
	}
	rec = rec.retrySaidOf(goal.Ask)
	rec.Generation++
	rec.Drift, rec.Stalled = nil, nil
	rec.Rollout = &Rollout{Number: rec.Generation, Kind: KindDeploy, Wanted: wanted(in, rec), Trigger: trigger, Target: goal, Fingerprint: print, Template: in.Seen.Template.ARN, Secrets: secrets,
		Retry: rec.Intent.Service.Spec.Retry, First: rec.Good == nil || bare(in), Stage: StageRegister, StartedAt: in.Now, StageAt: in.Now, CountWas: in.Seen.Desired, Baseline: in.Seen.Alarms}
	return moveOn(rec)
}

// bare reports whether the service is as the infrastructure creates it: at 0, with the template itself. What the record
// remembers was good in a service of this name that is gone, and nobody has scaled this one.
func bare(in Input) bool {
	return in.Seen.Desired == 0 && in.Seen.Template != nil && lineage(in.Seen.Primary().TaskDefinition) == lineage(in.Seen.Template.ARN)
}

// tried reports whether the ask has failed without a verdict: it is tried again because git says so, or by itself.
func tried(rec Record, ask string) bool {
	return rec.Blocked != nil && rec.Blocked.Ask == ask || rec.Stalled != nil && rec.Stalled.Ask == ask
}

// beforeLook is what must be seen at once before anything is begun: nothing from a cache, what the checks say now, and the
// way back.
func beforeLook(rec Record) *observed.Look {
	look := &observed.Look{Fresh: true, Before: true}
	if rec.Good != nil {
		look.Startable = []string{rec.Good.Revision}
	}
	return look
}

// held covers what keeps every new write back: the infrastructure at work, a person's hold, a suspension.
func held(in Input, rec Record) (Decision, bool) {
	if in.Seen.Stack.InProgress {
		return wait(in, rec, sayStackBusy(in.Seen.Stack.Name, in.Seen.Stack.Status), in.watchAt()), true
	}
	return restrained(in, rec)
}

// restrained covers the word of a person that nothing new is to be begun: a hold, a suspension. It is asked for again before a migration
// and before the service is touched, since a deploy may wait long for either.
func restrained(in Input, rec Record) (Decision, bool) {
	if owner, until, ok := holdTag(in.Seen.Tags[TagHold]); ok && in.Now.Before(until) {
		return wait(in, rec, sayHeld(owner, until), sooner(until, in.idleAt())), true
	}
	if s := rec.Intent.Service.Spec.Suspend; s.Active(in.Now) {
		return wait(in, rec, saySuspended(s.Owner, s.Until, s.Reason), sooner(s.Until, in.idleAt())), true
	}
	return Decision{}, false
}

// gated covers what a new version waits for and a revert never does.
func gated(in Input, rec Record, goal Target) (Decision, bool) {
	if opens, open := window(in.Want.Policy.Windows, in.Now); !open {
		return wait(in, rec, sayWindow(goal.Name(), opens), sooner(opens, in.idleAt())), true
	}
	if len(in.Want.Waiting) > 0 {
		return wait(in, rec, sayDependency(goal.Name(), in.Want.Waiting...), in.watchAt()), true
	}
	return crowded(in, rec, goal)
}

// crowded covers the places that others take, or will because they have waited for longer. Who gives a place up wakes who is
// next. It is asked again before the first thing that takes one: a deploy that waits
// for a permission or a lock must not keep the others out.
func crowded(in Input, rec Record, goal Target) (Decision, bool) {
	limit := in.Want.Policy.MaxConcurrentRollouts
	if limit <= 0 || in.Want.Others+in.Want.Ahead < limit {
		return Decision{}, false
	}
	if rec.Queued.IsZero() {
		rec.Queued = in.Now
	}
	return wait(in, rec, sayCrowded(goal.Name(), limit), in.idleAt()), true
}

// HoldsPlace reports whether the service has taken one of the places of those that may roll at once: its migration or its deployment was
// asked for. A deploy that a person keeps from touching the service, once its migration is over, has given its place up, and asks for one
// again; what is taken over needs none.
func (r Record) HoldsPlace() bool {
	ro := r.Rollout
	if ro == nil || ro.Kind != KindDeploy || ro.TakesOver {
		return false
	}
	givenUp := ro.Stage == StageRoll && slices.Contains([]State{StateSuspended, StateHeld, StateWaitingConcurrent}, r.State)
	return ro.Deployment != nil || ro.Migration != nil && !givenUp
}

// queues reports whether the record waits for nothing of its own, so that it keeps its place in the order.
func (r Record) queues() bool {
	return slices.Contains([]State{StateWaitingConcurrent, StateMassChange, StateManyMissing}, r.State)
}

// expired holds back an ask whose image is not in the registry any more, since a lifecycle policy or a person removed it after
// it was looked up. It is looked up anew: a tag that was pushed again is what git asks.
func expired(in Input, rec Record, goal Target) (Decision, bool) {
	if m, lacks := in.Seen.Lacks(observed.FactImages); lacks {
		return wait(in, rec, sayRegistrySilent(m.Message), in.watchAt()), true
	}
	var gone []string
	for name, c := range goal.Containers.All() {
		if image, looked := in.Seen.Images[name]; looked && image.Tag == c.Digest && image.Digest == "" {
			gone = append(gone, cmp.Or(c.Tag, c.Digest))
			rec.Pins = slices.DeleteFunc(slices.Clone(rec.Pins), func(pin Item[string]) bool { return pin.Value == c.Digest })
		}
	}
	if len(gone) == 0 {
		return Decision{}, false
	}
	return wait(in, rec, sayImageMissing(repository(in), strings.Join(gone, ", ")), in.Now.Add(imageEvery)), true
}

// unstartable holds everything back while there would be no way back: the last good revision could not be started.
func unstartable(in Input, rec Record) (Decision, bool) {
	if rec.Good == nil || rec.Intent.Service.Spec.Emergency.Active(in.Now) {
		return Decision{}, false
	}
	s, ok := in.Seen.Startable[rec.Good.Revision]
	reason := rec.Good.lacks(s)
	if ok && reason == "" {
		return Decision{}, false
	}
	say := sayNoWayBack(rec.Good.Target.Name(), reason)
	if m, lacks := in.Seen.Lacks(observed.FactStartable); lacks {
		say = sayWayBackUnknown(m.Message)
	}
	return wait(in, rec, say, in.watchAt()), true
}

// unhealthy holds back an ask that was never good here while a check already fails: its verdict would mean nothing.
func unhealthy(in Input, rec Record, goal Target, excused ...string) (Decision, bool) {
	r, bad := failing(in, excused...)
	if !bad || contains(rec.GoodAsks, goal.Ask) || rec.Intent.Service.Spec.Emergency.Active(in.Now) {
		return Decision{}, false
	}
	return wait(in, rec, sayUnhealthyBefore(goal.Name(), r.Detail), in.watchAt()), true
}

// failing returns a reading that fails before anything was begun, for another reason than those that are excused.
func failing(in Input, excused ...string) (observed.Reading, bool) {
	for _, r := range in.Readings {
		if r.Deployment == "" && r.Verdict == observed.Fail && !contains(excused, r.Reason) {
			return r, true
		}
	}
	return observed.Reading{}, false
}

// excused are the reasons for which a check may fail that does not hold a new version back: an alarm that is red where what serves may
// be its cause. Nobody would put that back, and what is held back may be the cure.
func excused(in Input, rec Record) []string {
	if unjudged(in, rec) {
		return []string{ReasonAlarmRed}
	}
	return nil
}

// unjudged reports whether a version of ours serves that has no good verdict: it was left for a newer one, or it was condemned and
// not put back. A revert that did not come true leaves tasks of it beside the last good revision.
func unjudged(in Input, rec Record) bool {
	primary := in.Seen.Primary()
	if rec.Good == nil || primary.TaskDefinition != rec.Good.Revision {
		return primary.ID != "" && ours(primary, rec)
	}
	return slices.ContainsFunc(in.Seen.Deployments, func(d observed.Deployment) bool {
		return d.Running > 0 && d.TaskDefinition != rec.Good.Revision && registered(d, rec)
	})
}

// holdTag reads <owner>/<until>; a value that cannot be read holds nothing, since nobody could tell when it ends. It is told.
func holdTag(v string) (owner string, until time.Time, ok bool) {
	owner, end, found := strings.Cut(v, "/")
	if !found {
		return "", time.Time{}, false
	}
	until, err := time.Parse(time.RFC3339, end)
	return owner, until, err == nil
}

// HoldsNothing reports whether a value of the tag TagHold is one that nobody can read: whoever wrote it believes that the
// service is held.
func HoldsNothing(v string) bool {
	_, _, ok := holdTag(v)
	return v != "" && !ok
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
