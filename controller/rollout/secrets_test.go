package rollout

import (
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// An upgrade of the controller rolls nothing: the fingerprint of whoever does not restart on new secrets is, to the byte, what
// it was before secrets could be part of it.
func TestFingerprintStays(t *testing.T) {
	const before = "v1:cd6726e41dba69a2d175067df78252c78d3640ac0eb3200147eb6c239f82c535" // of ["v1:a","{}"]
	for name, secrets := range map[string]map[string]string{"none": nil, "empty": {}} {
		if got := fingerprint("v1:a", observed.Template{Content: "{}"}, secrets); got != before {
			t.Errorf("%s: %s, want %s", name, got, before)
		}
	}
	one := fingerprint("v1:a", observed.Template{Content: "{}"}, map[string]string{"secretsmanager:db": "1"})
	if two := fingerprint("v1:a", observed.Template{Content: "{}"}, map[string]string{"secretsmanager:db": "2"}); one == before || one == two {
		t.Error("a new version of a secret is no other fingerprint")
	}
}

// secretive is a walker whose service has a secret, at version 1, and restarts on a new one.
func secretive(t *testing.T, policy desired.SecretPolicy) *walker {
	w := newWalker(t)
	intent := intentFor(digestA)
	app := intent.Service.Spec.Containers["app"]
	app.Secrets = map[string]string{"DB": "secretsmanager:db"}
	intent.Service.Spec.Containers["app"] = app
	intent.Service.Spec.OnSecretChange = policy
	w.want.Intent = intent
	w.seen.Secrets = map[string]string{"secretsmanager:db": "1"}
	w.rolls(1)
	w.after(20 * time.Second).complete()
	w.pass(passing())
	w.baked(passing())
	answer[Tag](w, Outcome{})
	w.pass()
	w.state(StateSettled)
	return w
}

func TestNewSecretRestarts(t *testing.T) {
	w := secretive(t, desired.SecretRestart)
	w.seen.Secrets = map[string]string{"secretsmanager:db": "2"}
	answer[Register](w, Outcome{Revision: td(2)})
	roll := answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
	if roll.Revision != td(2) || w.rec.Rollout.Trigger != TriggerSecret || w.rec.Rollout.Migration != nil {
		t.Fatalf("rolled %s because of %s, migration %v", roll.Revision, w.rec.Rollout.Trigger, w.rec.Rollout.Migration)
	}
	w.after(20 * time.Second).complete()
	w.pass(passing())
	w.baked(passing())
	answer[Tag](w, Outcome{})
	w.rest(5)
	w.state(StateSettled)
}

func TestNewSecretIgnored(t *testing.T) {
	w := secretive(t, "")
	w.seen.Secrets = map[string]string{"secretsmanager:db": "2"}
	w.rest(5)
	w.state(StateSettled)
	if n := count[Roll](w.done); n != 1 {
		t.Errorf("%d rolls, want the first only", n)
	}
}

// A policy that changes back and forth rolls once at most: nobody knew which value ran.
func TestSecretPolicyRollsOnce(t *testing.T) {
	w := secretive(t, desired.SecretRestart)
	for _, policy := range []desired.SecretPolicy{desired.SecretIgnore, desired.SecretRestart, ""} {
		next := *w.want.Intent
		next.Service.Spec.OnSecretChange = policy
		w.want.Intent = &next
		w.rest(3)
		w.state(StateSettled)
	}
	if n := count[Roll](w.done); n != 1 {
		t.Errorf("%d rolls because of a policy", n)
	}
}

// What cannot be seen rolls nothing, and is told.
func TestSecretThatCannotBeSeen(t *testing.T) {
	w := secretive(t, desired.SecretRestart)
	w.seen.Secrets = nil
	w.seen.Missing = []observed.Missing{{Fact: observed.FactSecrets, Kind: "blocked", Message: "AccessDeniedException"}}
	w.rest(3)
	if w.state(StateSettled); w.rec.Said != "SecretsUnseen" || count[Register](w.done) != 1 {
		t.Errorf("said %s (%s), %d registrations", w.rec.Said, w.rec.Why, count[Register](w.done))
	}
}

// A value that breaks the version is the secret's fault: the ask stays good, and that value is not tried again.
func TestBadSecretIsNotTheVersionsFault(t *testing.T) {
	w := secretive(t, desired.SecretRestart)
	w.seen.Secrets = map[string]string{"secretsmanager:db": "2"}
	answer[Register](w, Outcome{Revision: td(2)})
	answer[Roll](w, Outcome{Deployment: "ecs-svc/20"})
	w.after(10 * time.Second).pass(crashed())
	for range 4 {
		if d := w.pass(); d.Action != nil {
			break
		}
		w.after(time.Second)
	}
	if r, ok := w.done[len(w.done)-1].(Roll); !ok || r.Revision != td(1) {
		t.Fatalf("did %T, want the last good back: %s", w.done[len(w.done)-1], w.rec.Why)
	}
	w.rec = Apply(w.now, w.rec, w.done[len(w.done)-1], Outcome{Deployment: "ecs-svc/30"})
	w.deploy("ecs-svc/30", td(1), observed.RolloutInProgress)
	w.after(20 * time.Second).complete()
	w.pass(passing())
	w.rest(10)
	if w.state(StateStalled); w.rec.Stalled.Reason != ReasonSecretRejected || len(w.rec.Rejected) > 0 || count[Roll](w.done) != 3 {
		t.Errorf("stalled %+v, rejected %v, %d rolls", w.rec.Stalled, w.rec.Rejected, count[Roll](w.done))
	}
	w.seen.Secrets = map[string]string{"secretsmanager:db": "3"}
	answer[Register](w, Outcome{Revision: td(3)})
}
