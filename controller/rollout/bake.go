package rollout

import (
	"fmt"

	"github.com/canteen/deploy/controller/observed"
)

// bake holds the verdict until every check has passed up to the end of the bake.
func bake(in Input, rec Record) Decision {
	ro := rec.Rollout
	if d, ok := superseded(in, rec); ok {
		return d
	}
	ro.WatchedAt = in.Now
	ro.Readings = own(in.Readings, ro.Deployment.ID)
	if d, ok := replaced(in, rec); ok {
		return d
	}
	if e, ok := failed(ro.Readings); ok {
		return fail(in, rec, e)
	}
	why := fmt.Sprintf("Watches %s until %s before it counts as good.", ro.Target.Name(), ro.BakeUntil.UTC().Format("15:04:05 MST"))
	if in.Now.Before(ro.BakeUntil) {
		return wait(in, rec, StateBaking, why, sooner(in.watchAt(), ro.BakeUntil))
	}
	for _, r := range ro.Readings {
		if r.Verdict == observed.Pass {
			continue
		}
		// No data is neither good nor bad: it holds the verdict back, and at the deadline the rollout is stalled.
		until := ro.BakeUntil.Add(rec.spec().Rollout.Deadline.Std())
		if in.Now.Before(until) {
			return wait(in, rec, StateBaking, fmt.Sprintf("The bake of %s is over and the check %s has no answer yet: %s", ro.Target.Name(), r.Check, sentence(r.Detail)), sooner(in.watchAt(), until))
		}
		return fail(in, rec, Evidence{Class: observed.ClassInfrastructure, Check: r.Check, Reason: ReasonNoData,
			Message: fmt.Sprintf("the check %s gave no answer within the deadline: %s", r.Check, r.Detail)})
	}
	if len(ro.Readings) == 0 {
		return wait(in, rec, StateBaking, why, in.watchAt())
	}
	return good(in, rec)
}

// good is the verdict.
func good(in Input, rec Record) Decision {
	ro := rec.Rollout
	entry := rec.entry(in.Now, ResultSucceeded, "every check passed for the whole bake")
	rec.Good = &Good{Target: ro.Target, Fingerprint: ro.Fingerprint, Revision: ro.Revision, At: in.Now}
	rec.GoodAsks = remember(rec.GoodAsks, ro.Target.Ask, goodAsksMax)
	rec = rec.forgive(ro.Target.Ask)
	rec.Blocked, rec.Stalled, rec.Drift, rec.Superseded = nil, nil, nil, 0
	rec.Rollout = nil
	// The verdict is saved and told at once; what follows from it is another pass.
	d := wait(in, rec, StateSettled, fmt.Sprintf("Runs %s: every check passed for the whole bake.", ro.Target.Name()), in.Now)
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
	entry := rec.entry(in.Now, result, message)
	rec.Drift = nil
	rec.Rollout = nil
	d := wait(in, rec, rec.State, sentence(message), in.Now)
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

func reading(readings []observed.Reading, check string) observed.Reading {
	for _, r := range readings {
		if r.Check == check {
			return r
		}
	}
	return observed.Reading{Check: check, Verdict: observed.NoData}
}

// failed returns the evidence of a conclusive failure. Trouble of the infrastructure is waited out.
func failed(readings []observed.Reading) (Evidence, bool) {
	for _, r := range readings {
		if r.Verdict == observed.Fail && r.Class != observed.ClassInfrastructure {
			return Evidence{At: r.At, Class: r.Class, Check: r.Check, Reason: r.Reason, Message: r.Detail}, true
		}
	}
	return Evidence{}, false
}
