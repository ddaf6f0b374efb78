package rollout

import (
	"testing"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// A read that shows older tags says nothing; tags that were written more often than the record counted make it an older copy.
func TestOlderLedger(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.rest(2)
	if w.rec.Count == 0 || w.seen.Tags[TagCount] == "" {
		t.Fatalf("the tags are not counted: %d, %v", w.rec.Count, w.seen.Tags)
	}
	backup := w.rec.clone()

	w.seen.Tags[TagCount] = "0" // a stale read
	if w.after(time.Minute).pass(); w.rec.Said == "OlderLedger" {
		t.Errorf("a stale read makes the record an older copy")
	}

	w.rec = backup
	w.seen.Tags[TagCount], w.seen.Tags[TagRejected], w.seen.Tags[TagMigrated], w.seen.Tags[TagBehind] = "99", "v1:rejected", "v1:key", "v1:left v1:before"
	w.seen.Tags[TagGood] = td(9)
	w.seen.Revisions[td(9)] = observed.Revision{ARN: td(9), Active: true, Ask: "v1:newer", Fingerprint: "v1:print"}
	d := w.after(time.Minute).pass()
	switch {
	case d.Action != nil:
		t.Errorf("writes %T before it knows what is newer", d.Action)
	case w.rec.Good.Revision != td(9) || w.rec.RejectionOf("v1:rejected") == nil || !contains(w.rec.Migrated, "v1:key") || w.rec.Count != 99:
		t.Errorf("the tags do not win: good %s, rejected %v, migrated %v, count %d", w.rec.Good.Revision, w.rec.Rejected, w.rec.Migrated, w.rec.Count)
	case !contains(w.rec.Behind, "v1:left") || !contains(w.rec.Behind, "v1:before"):
		t.Errorf("what was left behind is not known: %v", w.rec.Behind)
	case !contains(w.rec.Migrated, backup.Migrated[0]) || !contains(w.rec.GoodAsks, backup.Good.Target.Ask):
		t.Errorf("what only the copy knows is lost: migrated %v, good %v", w.rec.Migrated, w.rec.GoodAsks)
	}
}
