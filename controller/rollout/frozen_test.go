package rollout

import (
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// frozenAndLost has b rejected and left serving by freeze, and then the ledger lost.
func frozenAndLost(t *testing.T) *walker {
	t.Helper()
	w := newWalker(t)
	w.good(digestA, 1)
	b := intentFor(digestB)
	b.Service.Spec.OnFailure = desired.OnFailureFreeze
	w.want.Intent = b
	w.rolls(2)
	w.after(5 * time.Second).pass(crashed())
	for range 3 {
		w.rest(1)
	}
	w.complete()
	w.rest(2)
	if w.rec.Stalled == nil || w.rec.Stalled.Reason != ReasonFrozen || w.seen.Tags[TagRejected] == "" || w.seen.TaskDefinition != td(2) {
		t.Fatalf("not frozen: %s %v", w.rec.Why, w.seen.Tags)
	}
	w.rec = Record{Service: "orders"}
	return w
}

// What serves cannot be read for a while after the ledger is lost: nothing is put back for that.
func TestFreezeOutlivesALostLedgerWhereTheRevisionIsUnread(t *testing.T) {
	w := frozenAndLost(t)
	serving := w.seen.Revisions[td(2)]
	delete(w.seen.Revisions, td(2))
	w.seen.Missing = []observed.Missing{{Fact: observed.FactRevisions, Kind: "throttled", Message: "describe task definition orders:2: ThrottlingException"}}
	n := count[Roll](w.done)
	w.rest(10)
	if count[Roll](w.done) != n {
		t.Fatalf("%#v was rolled over what freeze has left: %s", w.done[len(w.done)-1], w.rec.Why)
	}
	w.seen.Revisions[td(2)], w.seen.Missing = serving, nil
	w.rest(2)
	if s := w.rec.Stalled; s == nil || s.Reason != ReasonFrozen {
		t.Fatalf("not frozen: %s", w.rec.Why)
	}
}

// A retry after the loss is rolled.
func TestARetryOfWhatWasFrozenBeforeTheLoss(t *testing.T) {
	w := frozenAndLost(t)
	w.rest(2)
	w.state(StateStalled)
	again := *w.want.Intent
	again.Commit.SHA = "1111111111111111111111111111111111111111"
	again.Service.Spec.Retry = 1
	w.want.Intent = &again
	if d := w.after(time.Minute).pass(); d.Action == nil {
		t.Fatalf("nothing is done: %s", w.rec.Why)
	}
}

// A new version is rolled at once after the loss, whatever the drift policy: what freeze has left is no foreign deployment.
func TestANewVersionAfterWhatWasFrozenBeforeTheLoss(t *testing.T) {
	for _, action := range []desired.DriftAction{desired.DriftCorrect, desired.DriftReport} {
		w := frozenAndLost(t)
		w.want.Policy.Drift.Action = action
		w.rest(2)
		w.state(StateStalled)
		w.want.Intent = intentFor(digestC)
		n := len(w.done)
		for minute := range 24 * 60 {
			if d := w.after(time.Minute).pass(); d.Action != nil && w.rec.Rollout != nil && w.rec.Rollout.Kind == KindDeploy {
				if minute > 1 {
					t.Errorf("%s: begun only after %d minutes", action, minute)
				}
				break
			}
		}
		if w.rec.Rollout == nil {
			t.Errorf("%s: not begun in a day (%d actions): %s", action, len(w.done)-n, w.rec.Why)
		}
	}
}
