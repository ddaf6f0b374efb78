package rollout

import (
	"slices"

	"github.com/canteen/deploy/controller/observed"
)

// due returns the write that keeps what must not be lost in the account, nil when it is all there: first the tags of the
// service, then the parameter that the stack reads the service's task definition from.
func due(in Input, rec Record) Action {
	if set := tagsDue(in, rec); len(set) > 0 {
		return Tag{Set: set}
	}
	if rec.Good != nil && in.Seen.Parameter != nil && *in.Seen.Parameter != rec.Good.Revision {
		return Keep{Revision: rec.Good.Revision}
	}
	return nil
}

func tagsDue(in Input, rec Record) map[string]string {
	want := map[string]string{}
	written := rec.Tagged != nil && in.Now.Sub(rec.Tagged.At) < staleFor // a read may not show it yet
	if rec.Good != nil {
		want[TagGood] = rec.Good.Revision
	}
	if len(rec.Rejected) > 0 {
		want[TagRejected] = rec.Rejected[0].Ask
	}
	if len(rec.Migrated) > 0 {
		want[TagMigrated] = rec.Migrated[0]
	}
	for k, v := range want {
		if in.Seen.Tags[k] == v || written && rec.Tagged.Set[k] == v {
			delete(want, k)
		}
	}
	return want
}

// judged writes the verdict down as soon as its revert was asked for, even while reads are stale: it must survive the loss of
// the ledger from then on, and the revert may take minutes.
func judged(in Input, rec Record) (Decision, bool) {
	set := tagsDue(in, rec)
	if rec.Rollout.Kind != KindRevert || len(set) == 0 || rec.Trouble != nil {
		return Decision{}, false
	}
	return act(in, rec, sayRolling(rec), Tag{Set: set}), true
}

func written(a Action) string {
	if _, ok := a.(Keep); ok {
		return "the last good revision"
	}
	return "what was good, rejected and migrated"
}

// rebuild takes what the account remembers into a record that remembers nothing: a controller whose ledger was lost
// starts from the service's tags. What is untagged is unknown, and never a revert target. Nothing is decided before what
// the tags name was seen: a last good revision that is overlooked cannot be put back. Until a first rollout is begun the tags
// are read again in each pass, as one read may be stale.
func rebuild(in Input, rec Record, target Target) (Record, *Decision) {
	if rec.Generation > 0 {
		return rec, nil
	}
	if key := in.Seen.Tags[TagMigrated]; key != "" && !slices.Contains(rec.Migrated, key) {
		rec.Migrated = []string{key}
	}
	if rec.Good != nil {
		return rec.rejectedBefore(in, rec.Good.Target.Ask), nil
	}
	tagged := in.Seen.Tags[TagGood]
	good, seen := in.Seen.Revisions[tagged]
	if tagged != "" && !seen {
		if !contains(in.Look.Revisions, tagged) {
			return rec, &Decision{Record: rec, Look: &observed.Look{Revisions: []string{tagged}}}
		}
		why := "it is not known"
		if m, lacks := in.Seen.Lacks(observed.FactRevisions); lacks {
			why = m.Message
		}
		d := wait(in, rec, sayGoodUnreadable(why), in.watchAt())
		return rec, &d
	}
	rec = rec.rejectedBefore(in, good.Ask)
	if good.Ask == "" || good.Fingerprint == "" || !good.Active {
		return rec, nil
	}
	rec.Good = &Good{Fingerprint: good.Fingerprint, Revision: good.ARN, At: in.Now, Target: Target{Ask: good.Ask}}
	rec.Good.Target.Commit.SHA = good.Commit
	if target.Ask == good.Ask {
		rec.Good.Target = target
	}
	rec.GoodAsks = []string{good.Ask}
	return rec.know(good.Fingerprint, good.ARN), nil
}

// rejectedBefore takes over the tag's verdict, which is the newest rejection only. One of the ask that is good now was
// overruled since.
func (r Record) rejectedBefore(in Input, good string) Record {
	if ask := in.Seen.Tags[TagRejected]; ask != "" && ask != good && r.RejectionOf(ask) == nil {
		r.Rejected = []Rejection{{Ask: ask, At: in.Now, Retry: r.Intent.Service.Spec.Retry, Reason: "Remembered",
			Message: "it was rejected before; the details were lost with the ledger", Inferred: true}}
	}
	return r
}

// know remembers a registered revision.
func (r Record) know(fingerprint, revision string) Record {
	r.Known = append([]Known{{fingerprint, revision}}, slices.DeleteFunc(slices.Clone(r.Known), func(k Known) bool {
		return k.Revision == revision
	})...)
	r.Known = r.Known[:min(len(r.Known), knownMax)]
	return r
}

func remember(list []string, s string, most int) []string {
	out := append([]string{s}, slices.DeleteFunc(slices.Clone(list), func(v string) bool { return v == s })...)
	return out[:min(len(out), most)]
}
