package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// gapMax is how long the checks may go unread within a bake: a check that nobody looked at did not pass. Where AWS's request limits
// make the turns of all services come round later than that, it is as long as they take; else no bake would ever end.
const gapMax = 30 * time.Second

func (p Pace) gap() time.Duration { return max(gapMax, 3*p.Watch, 2*(p.Watch+p.Behind)) }

// bake holds the verdict until every check has passed up to the end of the bake. Where one lapses, or where nobody looked
// for too long, the bake begins anew; at the deadline a check without an answer stalls the rollout and condemns nothing.
func bake(in Input, rec Record) Decision {
	ro := rec.Rollout
	if d, ok := superseded(in, rec); ok {
		return d
	}
	ro.BakeUntil = ro.BakeFrom.Add(rec.spec().Verify.Bake.Std()) // as git has it now
	gap := in.Now.Sub(ro.WatchedAt) > in.Want.Pace.gap()
	ro.WatchedAt = in.Now
	_, lapsed := unanswered(ro.Readings)
	ro.Readings, ro.Baseline = own(in.Readings, ro.Deployment.ID), greened(ro.Baseline, in.Seen.Alarms)
	if d, ok := replaced(in, rec); ok {
		return d
	}
	if e, ok := failed(ro.Readings); ok {
		return fail(in, rec, e)
	}
	if r, silent := unanswered(ro.Readings); silent {
		rec = rec.bakeFrom(in.Now)
		until := ro.StageAt.Add(rec.spec().Verify.Bake.Std() + rec.spec().Rollout.Deadline.Std())
		if in.Now.Before(until) {
			return wait(in, rec, sayBakeWaits(ro.Target.Name(), r.Check, r.Detail), sooner(in.watchAt(), until))
		}
		return fail(in, rec, failNoData(r))
	}
	if gap || lapsed { // a check that lapsed passes again from this look on, not from the one before
		rec = rec.bakeFrom(in.Now)
	}
	if until := ro.BakeUntil.Add(behind(in.Readings)); in.Now.Before(until) {
		return wait(in, rec, sayBakes(ro.Target.Name(), until), sooner(in.watchAt(), until))
	}
	return good(in, rec)
}

// completedAt is when ECS finished, as far as it lies between the last two looks: then the bake does not wait for a poll.
// Outside of them the account's clock is not ours, and now is the safe answer.
func completedAt(in Input, ro Rollout, before time.Time) time.Time {
	d, _ := in.Seen.Deployment(ro.Deployment.ID)
	at := d.UpdatedAt
	if sd := in.Seen.ServiceDeployment; sd != nil && sd.FinishedAt.After(at) {
		at = sd.FinishedAt
	}
	at = at.Add(time.Millisecond) // AWS's times are cut to the millisecond
	if before.IsZero() || at.Before(before) || at.After(in.Now) || in.Now.Sub(before) > 2*in.Want.Pace.Watch {
		return in.Now
	}
	return at
}

// bakeFrom begins the bake, or begins it anew.
func (r Record) bakeFrom(at time.Time) Record {
	ro := r.Rollout
	ro.BakeFrom, ro.BakeUntil = at, at.Add(r.spec().Verify.Bake.Std())
	return r
}

// unanswered returns a check that has not passed; no reading at all is none that passed.
func unanswered(readings []observed.Reading) (observed.Reading, bool) {
	if len(readings) == 0 {
		return observed.Reading{Check: CheckSteady, Detail: "it was not looked at"}, true
	}
	for _, r := range readings {
		if r.Verdict != observed.Pass {
			return r, true
		}
	}
	return observed.Reading{}, false
}

// behind is how old what the checks were read from is: up to the end of the bake it was not seen before so much later.
func behind(readings []observed.Reading) (most time.Duration) {
	for _, r := range readings {
		most = max(most, r.Behind)
	}
	return most
}

// good is the verdict.
func good(in Input, rec Record) Decision {
	ro := rec.Rollout
	entry := rec.entry(in.Now, ResultSucceeded, "every check passed for the whole bake")
	rec.Good = &Good{Target: ro.Target, Fingerprint: ro.Fingerprint, Revision: ro.Revision, Secrets: ro.Secrets, At: in.Now}
	rec.GoodAsks = remember(rec.GoodAsks, ro.Target.Ask, goodAsksMax)
	rec = rec.forgive(ro.Target.Ask).provenSince(ro.Target.Ask)
	rec.Failed = slices.DeleteFunc(rec.Failed, func(f Failure) bool { return f.Fingerprint == ro.Fingerprint })
	rec = rec.ahead(in, ro.Target.Ask)
	rec.Blocked, rec.Stalled, rec.Drift, rec.Superseded, rec.Overtaken = nil, nil, nil, 0, 0
	rec.WayBack = &WayBack{At: in.Now}
	rec.Rollout = nil
	// The verdict is saved and told at once; what follows from it is another pass.
	d := wait(in, rec, sayGood(ro.Target.Name()), in.Now)
	d.History = []Entry{entry}
	return d
}

// complete ends a revert or a restore: the revision was good before, so it needs no bake.
func complete(in Input, rec Record) Decision {
	ro := rec.Rollout
	result, message := ResultReverted, fmt.Sprintf("%s serves again", ro.Target.Name())
	if ro.Kind == KindRestore {
		result = ResultRestored
	}
	if rec.Good != nil && rec.Good.Target.Ask == ro.Target.Ask {
		rec.Good.Revision, rec.Good.Fingerprint, rec.Good.Secrets = ro.Revision, ro.Fingerprint, ro.Secrets // it may have been registered anew
	}
	entry := rec.entry(in.Now, result, message)
	if b := rec.Blocked; b != nil {
		b.Until = in.Now.Add(blockedFor(b.Attempts)) // the pause begins when all is as it was before
	}
	if ro.Kind == KindRestore && wanted(in, rec) == ro.Target.Ask {
		rec = rec.ahead(in, ro.Target.Ask) // git said so
	}
	rec.Drift = nil
	rec.Rollout = nil
	d := wait(in, rec, sayServesAgain(ro.Target.Name()), in.Now)
	d.History = []Entry{entry}
	return d
}

// own are the readings about the deployment.
func own(readings []observed.Reading, deployment string) []observed.Reading {
	var out []observed.Reading
	for _, r := range readings {
		if r.Deployment == deployment {
			out = append(out, r)
		}
	}
	return out
}

// greened is the baseline with the alarms as OK that were seen so since: what excused a red one is over, and red once more it has
// turned red. One with too little data says nothing of that. The baseline passed in is not changed.
func greened(baseline, seen []observed.Alarm) []observed.Alarm {
	out := slices.Clone(baseline)
	for i := range out {
		if slices.ContainsFunc(seen, func(a observed.Alarm) bool { return a.Name == out[i].Name && a.State == observed.AlarmOK }) {
			out[i].State = observed.AlarmOK
		}
	}
	return out
}

func reading(readings []observed.Reading, check string) observed.Reading {
	for _, r := range readings {
		if r.Check == check {
			return r
		}
	}
	return observed.Reading{Check: check, Verdict: observed.NoData}
}

// failed returns the evidence of a conclusive failure. Trouble that is to be waited out is no failure but NoData.
func failed(readings []observed.Reading) (Evidence, bool) {
	for _, r := range readings {
		if r.Verdict == observed.Fail {
			e := Evidence{At: r.At, Class: r.Class, Check: r.Check, Reason: r.Reason, Message: r.Detail}
			for _, line := range r.Lines[:min(len(r.Lines), evidenceShownMax)] {
				e.Log = append(e.Log, clip(line))
			}
			return e, true
		}
	}
	return Evidence{}, false
}
