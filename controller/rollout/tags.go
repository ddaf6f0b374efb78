package rollout

import (
	"slices"
	"strconv"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// due returns the write that keeps what must not be lost in the account, nil when it is all there: first the tags of the
// service, then the parameter that the stack reads the service's task definition from.
func due(in Input, rec Record) Action {
	if set := tagsDue(in, rec); len(set) > 0 {
		return tag(in, rec, set)
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
		if r, seen := in.Seen.Revisions[rec.Good.Revision]; seen && r.Fingerprint == "" && r.Active && rec.Good.Target.Ask != "" {
			want[TagTaken] = takenMark(*rec.Good)
		} else if seen && in.Seen.Tags[TagTaken] != "" {
			want[TagTaken] = ""
		}
	}
	switch {
	case len(rec.Rejected) > 0:
		want[TagRejected] = rec.Rejected[0].Ask
	case in.Seen.Tags[TagRejected] != "":
		want[TagRejected] = "" // it was tried again and is good; a controller without a ledger must not believe the old verdict
	}
	if len(rec.Migrated) > 0 {
		want[TagMigrated] = rec.Migrated[0]
	}
	if mark := rec.behindMark(); mark != in.Seen.Tags[TagBehind] {
		want[TagBehind] = mark // empty where none is behind any more
	}
	for k, v := range want {
		if in.Seen.Tags[k] == v || written && rec.Tagged.Set.Of(k) == v {
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
	return act(in, rec, sayRolling(rec), tag(in, rec, set)), true
}

// tag numbers the writing of tags. The number is saved in the record before it is sent, so that the record's is never lower
// than the account's, unless the record is an older copy.
func tag(in Input, rec Record, set map[string]string) Tag {
	set[TagCount] = strconv.Itoa(max(min(rec.Count, countMax), counted(in)) + 1)
	return Tag{Set: set}
}

// countMax is more tags than are ever written. A higher number is somebody else's, and one could not be added to it for ever.
const countMax = 1 << 40

// counted is the number of the newest tags that the account shows.
func counted(in Input) int {
	n, err := strconv.Atoi(in.Seen.Tags[TagCount])
	if err != nil || n < 0 || n > countMax {
		return 0
	}
	return n
}

func written(a Action) string {
	if _, ok := a.(Keep); ok {
		return "the last good revision"
	}
	return "what was good, rejected, migrated and left behind"
}

// rebuild takes what the account remembers into a record that remembers nothing: a controller whose ledger was lost
// starts from the service's tags. What is untagged is unknown, and never a revert target. Nothing is decided before what
// the tags name was seen: a last good revision that is overlooked cannot be put back. Until a first rollout is begun the tags
// are read again in each pass, as one read may be stale, and newer ones win.
func rebuild(in Input, rec Record, target Target) (Record, *Decision) {
	if rec.hasBegun() {
		return rec, nil
	}
	var good observed.Revision
	another := newerTags(in, rec) && in.Seen.Tags[TagGood] != ""
	if rec.Good == nil || another && in.Seen.Tags[TagGood] != rec.Good.Revision {
		var wanting *Decision
		if good, wanting = taggedGood(in, rec); wanting != nil {
			return rec, wanting
		}
	}
	rec = rec.behindBefore(in, good)
	rec.Count = max(rec.Count, counted(in))
	if key := in.Seen.Tags[TagMigrated]; key != "" && !slices.Contains(rec.Migrated, key) {
		rec.Migrated = remember(rec.Migrated, key, migratedMax)
	}
	if good.Ask != "" && good.Fingerprint != "" && good.Active {
		rec = rec.believe(in, good, target)
	}
	if rec.Good != nil {
		good.Ask = rec.Good.Target.Ask
	}
	return rec.rejectedBefore(in, good.Ask), nil
}

// newerTags reports whether the tags are newer than what a record that has begun nothing took from them.
func newerTags(in Input, rec Record) bool { return !rec.hasBegun() && counted(in) > rec.Count }

// frozenBefore leaves what failed where it serves, for a person to look at it, as git asks with onFailure: the memory that it was left
// is lost, and what the tags and the revision say is enough to know.
func frozenBefore(in Input, rec Record, target Target) (Record, *Decision) {
	verdict, serves := rec.RejectionOf(target.Ask), in.Seen.Primary().TaskDefinition
	if rec.hasBegun() || rec.Stalled != nil || rec.Good == nil || contains(rec.Behind, rec.Good.Target.Ask) || serves == "" || serves == rec.Good.Revision ||
		verdict == nil || !verdict.Inferred || rec.Intent.Service.Spec.OnFailure != desired.OnFailureFreeze {
		return rec, nil
	}
	r, seen := in.Seen.Revisions[serves]
	if !seen && !contains(in.Look.Revisions, serves) {
		return rec, &Decision{Record: rec, Look: &observed.Look{Revisions: []string{serves}}}
	}
	if m, _ := in.Seen.Lacks(observed.FactRevisions); unread(in, serves) {
		d := wait(in, rec, sayServingUnreadable(m.Message), in.watchAt())
		return rec, &d
	}
	if r.Ask == target.Ask {
		if r.Fingerprint != "" {
			rec = rec.know(r.Fingerprint, r.ARN) // it is no foreign deployment, which would hold up what git asks next
		}
		rec.Stalled = &Stall{Wanted: target.Ask, Ask: target.Ask, Fingerprint: r.Fingerprint, Retry: rec.retry(), Reason: ReasonFrozen, At: in.Now, Rollout: rec.Generation,
			Message: target.Name() + " was rejected before, and nothing was put back because onFailure is freeze"}
	}
	return rec, nil
}

// taggedGood is the revision that the service's tag calls good, zero where there is none.
func taggedGood(in Input, rec Record) (observed.Revision, *Decision) {
	tagged := in.Seen.Tags[TagGood]
	good, seen := in.Seen.Revisions[tagged]
	if tagged == "" || seen {
		return taken(in, good), nil
	}
	if !contains(in.Look.Revisions, tagged) {
		return good, &Decision{Record: rec, Look: &observed.Look{Revisions: []string{tagged}}}
	}
	why := "it is not known"
	if m, lacks := in.Seen.Lacks(observed.FactRevisions); lacks {
		why = m.Message
	}
	d := wait(in, rec, sayGoodUnreadable(why), in.watchAt())
	return good, &d
}

// believe takes over the last good revision that the service's tag names. Its content is known where it is what git asks.
func (r Record) believe(in Input, good observed.Revision, target Target) Record {
	r.Good = &Good{Fingerprint: good.Fingerprint, Revision: good.ARN, At: in.Now, Target: Target{Ask: good.Ask}}
	r.Good.Target.Commit.SHA = good.Commit
	if target.Ask == good.Ask {
		r.Good.Target = target
	}
	if !contains(r.Behind, good.Ask) {
		r.GoodAsks = remember(r.GoodAsks, good.Ask, goodAsksMax)
	}
	return r.know(good.Fingerprint, good.ARN)
}

// older reports whether the record is an older copy of the one that wrote the service's tags: somebody has put a backup of the
// ledger back. A record that remembers nothing is rebuilt.
func older(in Input, rec Record) bool {
	return rec.hasBegun() && in.Seen.Status == observed.StatusActive && counted(in) > rec.Count
}

// catchUp takes what the tags say into a record that is older than they are: they win, and what the record does not know to
// be otherwise stands. What it has in flight is over, whatever became of it; what is in flight now is found in the account.
func catchUp(in Input, rec Record) Decision {
	good, wanting := taggedGood(in, rec)
	if wanting != nil {
		return *wanting
	}
	var history []Entry
	if rec.Rollout != nil {
		history = []Entry{rec.entry(in.Now, ResultSuperseded, "an older copy of the ledger was put back; the account shows what became of it")}
	}
	rec.Rollout, rec.Superseded, rec.Blocked, rec.Drift, rec.Deployed, rec.Tagged = nil, 0, nil, nil, "", nil
	if key := in.Seen.Tags[TagMigrated]; key != "" {
		rec.Migrated = remember(rec.Migrated, key, migratedMax)
		rec = found(rec, key)
	}
	rec = rec.behindBefore(in, good)
	if known := good.Ask != "" && good.Fingerprint != "" && good.Active; known && (rec.Good == nil || rec.Good.Revision != good.ARN) {
		var target Target
		if rec.Intent != nil {
			target, _ = resolve(*rec.Intent, repository(in), rec.Pins)
		}
		rec = rec.believe(in, good, target)
	}
	if rec.Good != nil {
		rec = rec.forgive(rec.Good.Target.Ask).rejectedBefore(in, rec.Good.Target.Ask)
	}
	rec.Count = counted(in)
	d := wait(in, rec, sayOlderLedger(), in.Now)
	d.History = history
	return d
}

// rejectedBefore takes over the tag's verdict, which is the newest rejection only. One of the ask that is good now was
// overruled since.
func (r Record) rejectedBefore(in Input, good string) Record {
	if ask := in.Seen.Tags[TagRejected]; ask != "" && ask != good && r.RejectionOf(ask) == nil {
		r.Rejected = append([]Rejection{{Ask: ask, At: in.Now, Retry: r.retry(), Reason: "Remembered",
			Message: "it was rejected before; the tag that says so does not say why", Inferred: true}}, r.Rejected...)
		r.Rejected = r.Rejected[:min(len(r.Rejected), rejectionsMax)]
	}
	return r
}

// retry is git's word as the record has it, 0 before git ever said anything.
func (r Record) retry() int {
	if r.Intent == nil {
		return 0
	}
	return r.Intent.Service.Spec.Retry
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
