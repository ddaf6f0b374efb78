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
