package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// breaking is git's word about the digest with a migration that the version before cannot live with. Rollouts are those of recreate,
// so that
// nothing but the migration forbids the way back.
func breaking(digest string) *Intent {
	in := intentFor(digest)
	in.Service.Spec.Migration.Compatibility = desired.CompatibilityBreaking
	in.Service.Spec.Rollout.Strategy = desired.StrategyRecreate
	return in
}

// proves takes what was rolled through its bake, and has the tags say that it is good.
func (w *walker) proves() {
	w.t.Helper()
	w.after(20 * time.Second).complete()
	w.pass(passing())
	w.baked(passing())
	w.rest(2)
}

func askNo(n int) string { return fmt.Sprintf("v1:%064x", n) }

// What a breaking migration left behind is in the account before the new version is asked for, in the same write as the migration.
// A controller that lost its ledger by then puts nothing back when the version fails.
func TestLeftBehindSurvivesTheLedger(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	a := w.rec.Good.Target.Ask
	w.want.Intent = breaking(digestB)
	answer[Register](w, Outcome{Revision: td(2)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
	w.seen.Migration = ended(0)
	if set := answer[Tag](w, Outcome{}).Set; set[TagBehind] != a || set[TagMigrated] == "" {
		t.Errorf("writes down %v, want what was left behind beside the migration", set)
	}
	w.seen.Migration = nil
	answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})

	w.rec = Record{Service: "orders"} // the ledger is lost
	w.pass(under())
	w.state(StateDrifted) // it does not know whose deployment it is
	w.after(6 * time.Minute)
	answer[Roll](w, Outcome{Deployment: "ecs-svc/21"}) // of the revision that is there already
	if !slices.Contains(w.rec.Behind, a) || contains(w.rec.GoodAsks, a) {
		t.Errorf("behind %v, good %v, want %s behind", w.rec.Behind, w.rec.GoodAsks, a)
	}
	w.pass(under())
	rolls := count[Roll](w.done)
	w.after(5 * time.Second).pass(crashed())
	w.rest(10)
	w.state(StateStalled)
	if n := count[Roll](w.done); n != rolls || w.rec.Stalled.Reason != ReasonFrozen {
		t.Errorf("%d rolls after the failure; stalled %+v", n-rolls, w.rec.Stalled)
	}

	w.rec = Record{Service: "orders"} // and once more, with the verdict
	w.rest(10)
	if n := count[Roll](w.done); n != rolls || w.rec.Said != "GoodLeftBehind" {
		t.Errorf("%d rolls after the verdict; said %s: %s", n-rolls, w.rec.Said, w.rec.Why)
	}
}

// Git has had a version put back that was left behind: it is good, and the next breaking migration leaves it behind again.
func TestWhatWasPutBackIsLeftBehindAgain(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = breaking(digestB)
	w.rolls(2)
	w.after(5 * time.Second).pass(crashed())
	w.rest(2)
	a := intentFor(digestA)
	a.Service.Spec.Retry = 1
	w.want.Intent = a
	answer[Roll](w, Outcome{Deployment: "ecs-svc/30"})
	w.after(20 * time.Second).complete()
	w.pass(passing())
	if set := answer[Tag](w, Outcome{}).Set; set[TagBehind] != "" {
		t.Errorf("writes down %v, want nothing behind", set)
	}
	w.rest(2)
	w.state(StateSettled)

	c := breaking(digestC)
	c.Service.Spec.Retry = 1
	w.want.Intent = c
	w.rolls(4)
	rolls := count[Roll](w.done)
	w.after(5 * time.Second).pass(crashed())
	w.rest(10)
	w.state(StateStalled)
	if n := count[Roll](w.done); n != rolls || w.rec.Stalled.Reason != ReasonFrozen {
		t.Errorf("%d rolls after the failure; stalled %+v", n-rolls, w.rec.Stalled)
	}
}

// A new template rolls the last good version while what git asks is rejected, but not one that was left behind.
func TestLeftBehindIsNotRenderedAnew(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.fallsOver(digestC, 2)
	answer[Roll](w, Outcome{Deployment: "ecs-svc/21"})
	w.complete()
	w.pass(passing())
	w.rest(3)
	w.state(StateReverted)
	w.want.Intent = breaking(digestB)
	w.rolls(3)
	w.after(5 * time.Second).pass(crashed())
	w.rest(2)
	w.state(StateStalled)
	done := len(w.done)
	w.want.Intent = intentFor(digestC) // rejected before
	w.seen.Template = &observed.Template{ARN: "template:2", Content: `{"cpu":"1"}`}
	w.rest(5)
	if len(w.done) != done || w.rec.Said != "GoodLeftBehind" {
		t.Errorf("did %v; said %s: %s", w.done[done:], w.rec.Said, w.rec.Why)
	}
}

// A retry that is raised while the breaking version migrates, rolls or bakes is said of that one. It does not let git return, later, to
// what its migration has left behind; one that is raised for that does.
func TestRetryOfTheBreakingVersionIsNoWordAboutWhatItLeft(t *testing.T) {
	for _, during := range []string{"migration", "roll", "bake"} {
		w := newWalker(t)
		w.good(digestA, 1)
		w.want.Intent = breaking(digestB)
		raise := func(now string) {
			if now == during {
				w.want.Intent = breaking(digestB)
				w.want.Intent.Service.Spec.Retry = 1
			}
		}
		answer[Register](w, Outcome{Revision: td(2)})
		answer[RunMigration](w, Outcome{Task: "task/m"})
		raise("migration")
		w.seen.Migration = ended(0)
		answer[Tag](w, Outcome{})
		answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
		w.seen.Migration = nil
		raise("roll")
		w.after(20 * time.Second).complete()
		w.pass(passing())
		raise("bake")
		w.baked(passing())
		w.rest(2)
		w.state(StateSettled)
		back := intentFor(digestA) // the image's commit is reverted; retry stays
		back.Service.Spec.Retry = 1
		w.want.Intent = back
		done := len(w.done)
		w.rest(3)
		if len(w.done) != done || w.rec.Said != "WentBack" {
			t.Errorf("raised in the %s: did %v; said %s: %s", during, w.done[done:], w.rec.Said, w.rec.Why)
		}
		again := intentFor(digestA)
		again.Service.Spec.Retry = 2
		w.want.Intent = again
		answer[Roll](w, Outcome{Deployment: "ecs-svc/30"})
	}
}

// The retry that brings a version back that was left behind is said of that one, and not of the others that were.
func TestRetryOfOneThatWasLeftBehindIsNoWordAboutTheOthers(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestC)
	w.rolls(2)
	w.proves()
	w.seen.Migration = nil
	w.want.Intent = breaking(digestB)
	w.rolls(3)
	w.proves()
	if len(w.rec.Behind) != 2 {
		t.Fatalf("behind are %v", w.rec.Behind)
	}
	c := intentFor(digestC)
	c.Service.Spec.Retry = 1
	w.want.Intent = c
	answer[Roll](w, Outcome{Deployment: "ecs-svc/30"})
	w.proves()
	w.state(StateSettled)
	a := intentFor(digestA)
	a.Service.Spec.Retry = 1
	w.want.Intent = a
	w.rest(3)
	if w.rec.Said != "WentBack" {
		t.Errorf("said %s: %s", w.rec.Said, w.rec.Why)
	}
}

func TestBehindMark(t *testing.T) {
	r := Record{}
	for n := range 9 {
		r.Behind = remember(r.Behind, askNo(n), goodAsksMax)
	}
	if mark := r.behindMark(); mark != askNo(8)+" "+askNo(7)+" "+askNo(6) || len(mark) > tagMax {
		t.Errorf("%d characters: %s", len(mark), mark)
	}
	r = Record{GoodAsks: []string{askNo(2), askNo(1)}, Good: &Good{Target: Target{Ask: askNo(2)}}, Behind: r.Behind}
	r = r.leave(r.leaves(askNo(5)), 4)
	if !strings.HasPrefix(r.behindMark(), askNo(2)+" "+askNo(1)) || len(r.GoodAsks) != 0 || r.BehindRetry != 4 {
		t.Errorf("the last good version is not the first: %s", r.behindMark())
	}
	if mark := (Record{Behind: []string{strings.Repeat("x", 300), askNo(1)}}).behindMark(); len(mark) > tagMax {
		t.Errorf("a mark of %d characters", len(mark))
	}
}

func TestBehindBefore(t *testing.T) {
	full := strings.Join([]string{askNo(9), askNo(8), askNo(7)}, " ")
	for name, c := range map[string]struct {
		rec    Record
		tags   map[string]string
		behind []string
		good   []string
		retry  int
	}{
		"nothing remembered":             {Record{}, map[string]string{TagBehind: askNo(1), TagCount: "3"}, []string{askNo(1)}, nil, 2},
		"tags that are no newer":         {Record{Count: 3, Behind: []string{askNo(1)}}, map[string]string{TagBehind: "", TagCount: "3"}, []string{askNo(1)}, nil, 0},
		"tags of an older controller":    {Record{Behind: []string{askNo(1)}}, map[string]string{TagCount: "3"}, []string{askNo(1)}, nil, 0},
		"it is behind no more":           {Record{Behind: []string{askNo(1)}, BehindRetry: 1}, map[string]string{TagBehind: "", TagCount: "3"}, nil, nil, 1},
		"known already":                  {Record{Behind: []string{askNo(1)}, BehindRetry: 1}, map[string]string{TagBehind: askNo(1), TagCount: "3"}, []string{askNo(1)}, nil, 1},
		"what was good is behind":        {Record{GoodAsks: []string{askNo(9), askNo(5)}}, map[string]string{TagBehind: full, TagCount: "3"}, []string{askNo(9), askNo(8), askNo(7), askNo(5)}, nil, 2},
		"what it has room for":           {Record{GoodAsks: []string{askNo(9), askNo(5)}}, map[string]string{TagBehind: askNo(9), TagCount: "3"}, []string{askNo(9)}, []string{askNo(5)}, 2},
		"what the tags call good is not": {Record{Behind: []string{askNo(4), askNo(3)}}, map[string]string{TagBehind: full, TagCount: "3"}, []string{askNo(9), askNo(8), askNo(7), askNo(3)}, nil, 2},
	} {
		intent := intentFor(digestA)
		intent.Service.Spec.Retry = 2
		c.rec.Intent = intent
		got := c.rec.behindBefore(Input{Seen: observed.Service{Tags: c.tags}}, observed.Revision{Ask: askNo(4)})
		if !slices.Equal(got.Behind, c.behind) || !slices.Equal(got.GoodAsks, c.good) || got.BehindRetry != c.retry {
			t.Errorf("%s: behind %v, good %v, retry %d", name, got.Behind, got.GoodAsks, got.BehindRetry)
		}
	}
}

// The first read after the loss of the ledger shows the service as it was before its newest version was good. What that read says is not
// held on to.
func TestAStaleReadAfterALostLedgerIsNotBelievedForLong(t *testing.T) {
	for name, silent := range map[string]bool{"the template is read": false, "nothing may begin, and then the stack names no template for minutes": true} {
		w := newWalker(t)
		w.good(digestA, 1)
		before := maps.Clone(w.seen.Tags)
		w.want.Intent = breaking(digestB)
		w.rolls(2)
		w.proves()
		w.rec = Record{Service: "orders"}
		now, template, n, past := w.seen.Tags, w.seen.Template, len(w.done), len(w.past)
		w.seen.Tags = before
		if silent {
			suspended := *w.want.Intent
			suspended.Service.Spec.Suspend = &desired.Override{Until: w.now.Add(90 * time.Second)}
			w.want.Intent = &suspended
		}
		w.rest(1)
		w.seen.Tags = now
		if silent {
			w.seen.Template = nil
		}
		for range 40 {
			w.rest(1)
		}
		w.seen.Template = template
		w.rest(3)
		if w.state(StateSettled); silent && len(w.past) != past || len(w.done) != n || w.rec.Good.Revision != td(2) {
			t.Errorf("%s: did %v, began and left %d, good is %s", name, w.done[n:], len(w.past)-past, w.rec.Good.Revision)
		}
	}
}
