package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// A registration that is refused by a code which does not say why may be a race within the family: it is tried again, which is told, and
// the deadline ends it with what ECS says.
func TestARefusedRegistrationIsTriedUpToTheDeadline(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	from := w.now
	w.fails(fault.Unknown)
	if !strings.Contains(w.rec.Why, "Could not register: no.") {
		t.Errorf("says %q", w.rec.Why)
	}
	for w.rec.Rollout.Failure == nil {
		w.now = w.rec.Trouble.NextAt
		w.fails(fault.Unknown)
	}
	if took, m := w.now.Sub(from), w.rec.Rollout.Failure.Message; took != 15*time.Minute || m != "the account refused to register: no" {
		t.Errorf("after %s: %s", took, m)
	}
	w.rest(3)
	w.state(StateStalled)
	again := *intentFor(digestB)
	again.Service.Spec.Retry = 1
	w.want.Intent = &again
	w.fails(fault.Unknown)
	w.now = w.rec.Trouble.NextAt
	answer[Register](w, Outcome{Revision: td(2)})
}

// Only ECS's own deployments can be rolled: where another makes the service's, its migration is not run for a roll that ECS will refuse.
func TestNothingIsRunForAServiceOfAnotherDeploymentController(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent = intentFor(digestB)
	w.seen.DeployedBy = "CODE_DEPLOY"
	done := len(w.done)
	w.pass()
	w.rest(1) // the evidence
	w.state(StateBlocked)
	if len(w.done) > done || !strings.Contains(w.rec.Why, "CODE_DEPLOY") {
		t.Errorf("did %v, says %q", w.done[done:], w.rec.Why)
	}
	w.seen.DeployedBy = ""
	w.now = w.rec.Blocked.Until
	answer[Register](w, Outcome{Revision: td(2)})
	answer[RunMigration](w, Outcome{Task: "task/m"})
}

// What of a template was refused may be mended in the next one: that is registered as soon as it is there.
func TestAMendedTemplateIsRegistered(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Unknown, fault.Blocked} {
		w := newWalker(t)
		w.good(digestA, 1)
		w.want.Intent = intentFor(digestB)
		w.fails(kind)
		w.seen.Template = &observed.Template{ARN: "template:2", Content: `{"cpu":"512"}`}
		w.now = w.rec.Trouble.NextAt
		if a := answer[Register](w, Outcome{Revision: td(2)}); a.Template != "template:2" || w.rec.Rollout.Fingerprint != a.Fingerprint {
			t.Errorf("%q: registered %s", kind, a.Template)
		}
	}
}
