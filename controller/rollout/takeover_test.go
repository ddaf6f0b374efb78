package rollout

import (
	"testing"

	"github.com/canteen/deploy/controller/observed"
)

// What somebody else rolled out is taken over where it is what git asks, to the last byte, and only then; else git's version is rolled out.
func TestOnlyWhatGitAsksIsTakenOver(t *testing.T) {
	for _, alike := range []bool{true, false} {
		w := newWalker(t)
		w.want.Intent.Service.Spec.Migration = nil
		w.seen.TaskDefinition, w.seen.Deployments[0].TaskDefinition, w.seen.Alike = td(9), td(9), &alike
		w.seen.Revisions[td(9)] = observed.Revision{ARN: td(9), Active: true}
		d := w.pass()
		if ro := w.rec.Rollout; ro == nil || ro.TakesOver != alike {
			t.Fatalf("alike %v: %+v; why: %s", alike, ro, w.rec.Why)
		}
		if _, registers := d.Action.(Register); registers == alike {
			t.Errorf("alike %v: does %T", alike, d.Action)
		}
	}
}

// What was taken over was rolled out by somebody else, who knows what it is to go back to: where it fails nothing is put back, and its count
// stays, even where a record says that there were no tasks before.
func TestWhatWasTakenOverIsNotScaledBack(t *testing.T) {
	w := newWalker(t)
	w.want.Intent.Service.Spec.Migration = nil
	w.seen.TaskDefinition, w.seen.Deployments[0].TaskDefinition, w.seen.Alike = td(9), td(9), new(bool)
	*w.seen.Alike = true
	w.seen.Revisions[td(9)] = observed.Revision{ARN: td(9), Active: true}
	w.pass()
	w.rec.Rollout.CountWas = 0
	w.rests(5, observed.Reading{Check: CheckSteady, Deployment: w.rec.Rollout.Deployment.ID, Verdict: observed.Fail, Class: observed.ClassProduct, Reason: "Crashed", Detail: "it crashed"})
	if w.rec.RejectionOf(w.past[len(w.past)-1].Ask) == nil || count[Scale](w.done)+count[Roll](w.done) > 0 {
		t.Errorf("did %v; why: %s", w.done, w.rec.Why)
	}
}
