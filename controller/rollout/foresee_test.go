package rollout

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// Whoever looks beyond a wait goes by these names: one that is not the catalogue's would never be met.
func TestSaidNamesAreTheCatalogues(t *testing.T) {
	for want, said := range map[string]told{
		SaidStackBusy: sayStackBusy("s", "BUSY"), SaidHeld: sayHeld("o", epoch), SaidSuspended: saySuspended("o", epoch, "r"), SaidWindow: sayWindow("v", epoch),
		SaidDependency: sayDependency("v", "d"), SaidCrowded: sayCrowded("v", 1), SaidLockTaken: sayLockTaken("v", "l", "h"),
		SaidMassChange: sayPaused(Pause{Reason: StateMassChange}), SaidManyMissing: sayPaused(Pause{Reason: StateManyMissing}),
		SaidUnhealthyBefore: sayUnhealthyBefore("v", "d"), SaidNoWayBack: sayNoWayBack("v", "r"), SaidWayBackUnknown: sayWayBackUnknown("m"),
		SaidScaledToZero: sayScaledToZero("v"), SaidBlocked: sayBlocked("m"), SaidImageMissing: sayImageMissing("r", "i"), SaidRegistrySilent: sayRegistrySilent("m"),
		SaidDriftSeen: sayDriftSeen("r", "g", time.Minute), SaidDriftLeft: sayDriftLeft("r", "g", "d"), SaidDriftReported: sayDriftReported("r", "g"),
		SaidSecretUnreadable: saySecretUnreadable("v", "m"), SaidMayNot: sayMayNot("d", "m"), SaidCouldNot: sayCouldNot("d", "m"), SaidWentBack: sayWentBack("v", 1),
	} {
		if said.id != want {
			t.Errorf("the catalogue says %q, here it is %q", said.id, want)
		}
	}
}

func TestHeldUntil(t *testing.T) {
	until := epoch.Add(time.Hour)
	policy := desired.EnvironmentSpec{
		Windows: []desired.Window{{Days: []string{"thu"}, From: "10:00", To: "11:00", Timezone: "UTC"}},
		Drift:   desired.DriftPolicy{After: desired.Duration(time.Hour)},
	}
	intent := intentFor(digestA)
	intent.Service.Spec.Suspend = &desired.Override{Until: until}
	rec := Record{Intent: intent, Blocked: &Hold{Until: until}, Drift: &Drift{Since: epoch}}
	seen := observed.Service{Tags: map[string]string{TagHold: "ops/" + until.Format(time.RFC3339)}}
	for _, said := range []string{SaidWindow, SaidHeld, SaidSuspended, SaidBlocked, SaidDriftSeen} {
		rec.Said = said
		if got := HeldUntil(epoch, policy, seen, rec); !got.Equal(until) {
			t.Errorf("%s: until %s, want %s", said, got, until)
		}
	}
	rec.Said = SaidDependency
	if got := HeldUntil(epoch, policy, seen, rec); !got.IsZero() {
		t.Errorf("a dependency ends at %s", got)
	}
}

func TestSkips(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	target := w.rec.Good.Target
	other := target
	other.Ask = "v1:other"
	unknown := other
	unknown.Key = "v1:unknown"
	plain := unknown
	plain.Migration = nil
	for want, ro := range map[Skip]*Rollout{
		SkipNothing: {Kind: KindDeploy, Target: unknown}, SkipNone: {Kind: KindDeploy, Target: plain},
		SkipKind: {Kind: KindRestore, Target: unknown}, SkipDone: {Kind: KindDeploy, Target: other},
	} {
		rec := w.rec
		rec.Rollout = ro
		if got := rec.SkipsMigration(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	rec := w.rec
	rec.Migrated, rec.Rollout = nil, &Rollout{Kind: KindDeploy, Target: target}
	if got := rec.SkipsMigration(); got != SkipGood {
		t.Errorf("an ask that was good here: %q", got)
	}
}

// What is said to clear a verdict must clear it, and without that it must stand.
func TestClearedByIsTrue(t *testing.T) {
	spec := desired.ServiceSpec{Verify: desired.Verify{Checks: map[string]json.RawMessage{"logs": json.RawMessage(`{"forbid":["panic"]}`)}}}
	r := Rejection{Ask: "v1:a", Retry: 2, Check: "logs", Checks: checksHash(spec, "logs")}
	intent := Intent{Service: desired.Service{Spec: spec}}
	if cleared(r, intent) {
		t.Fatal("it is cleared by nothing")
	}
	ways := r.ClearedBy(spec)
	if len(ways) != 3 || !strings.Contains(ways[1], "above 2") || !strings.Contains(ways[2], "spec.verify.logs") {
		t.Errorf("ways %v", ways)
	}
	raised, mended := intent, intent
	raised.Service.Spec.Retry = 3
	mended.Service.Spec.Verify.Checks = map[string]json.RawMessage{"logs": json.RawMessage(`{"forbid":["PANIC"]}`)}
	if !cleared(r, raised) || !cleared(r, mended) {
		t.Error("the ways that are named do not clear it")
	}
	r.Inferred = true
	if ways := r.ClearedBy(spec); len(ways) != 2 || cleared(r, mended) {
		t.Errorf("of a verdict that was read from a tag nobody knows the check: %v", ways)
	}
	r.Inferred, r.Check = false, CheckSteady
	if ways := r.ClearedBy(spec); len(ways) != 2 {
		t.Errorf("the steady check has no parameters: %v", ways)
	}
}

// Whoever decides on what the API shows must come to what the controller comes to, whatever there is.
func TestDecideOnWhatIsShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPool(t)
		rec := p.record(t)
		in := p.input(t, rec)
		alike(t, in, rec)
	})
}

// The same where what was remembered was made by the rules, and fingerprints decide: settled, asked anew, a new template.
func TestDecideOnWhatIsSharedWhileSettled(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.good(digestB, 2)
	in := Input{Now: w.now, Want: w.want, Seen: w.seen, Strategy: plainStrategy{}, Look: observed.Look{Fresh: true, Before: true, Template: true, Revisions: []string{td(2)}, Startable: []string{td(1), td(2)}}}
	if d := Decide(in, w.rec); d.Record.State != StateSettled {
		t.Fatalf("the walk does not settle: %s", d.Record.Why)
	}
	alike(t, in, w.rec)
	in.Seen.Template = &observed.Template{ARN: "template:2", Content: `{"cpu":"512"}`}
	if d := Decide(in, w.rec); d.Action == nil {
		t.Fatalf("a new template changes nothing: %s", d.Record.Why)
	}
	alike(t, in, w.rec)
	in.Seen.Template = w.seen.Template
	in.Want.Intent, in.Look.Containers = intentFor(digestA), map[string]string{"app": digestA}
	in.Seen.Images = map[string]observed.Image{"app": {Tag: digestA, Digest: digestA}}
	if d := Decide(in, w.rec); d.Action == nil || d.Action.Name() == (Register{}).Name() {
		t.Fatalf("the version before is not known by its fingerprint: %v %s", d.Action, d.Record.Why)
	}
	alike(t, in, w.rec)
}

// The same where the versions of secrets are part of the fingerprint.
func TestDecideOnWhatIsSharedOfSecrets(t *testing.T) {
	w := secretive(t, desired.SecretRestart)
	in := Input{Now: w.now, Want: w.want, Seen: w.seen, Strategy: plainStrategy{}, Look: observed.Look{Fresh: true, Before: true, Template: true, Revisions: []string{td(1)}, Startable: []string{td(1)}}}
	if d := Decide(in, w.rec); d.Record.State != StateSettled || !w.rec.Good.OnTemplate(w.seen.Template) {
		t.Fatalf("the walk does not settle: %s", d.Record.Why)
	}
	alike(t, in, w.rec)
	in.Seen.Secrets = map[string]string{"secretsmanager:db": "2"}
	if d := Decide(in, w.rec); d.Action == nil {
		t.Fatalf("a new value changes nothing: %s", d.Record.Why)
	}
	alike(t, in, w.rec)
	// The new value was tried, and failed: it must be known again.
	w.seen.Secrets = in.Seen.Secrets
	w.rec.Failed = []Failure{{Fingerprint: fingerprint(w.rec.Good.Target.Ask, *w.seen.Template, in.Seen.Secrets)}}
	if d := Decide(in, w.rec); d.Action != nil {
		t.Fatalf("a value that failed is tried again: %s", d.Record.Why)
	}
	alike(t, in, w.rec)
}

func alike(t rapid.TB, in Input, rec Record) {
	before, _ := json.Marshal([]any{rec, in.Seen})
	shownRec, shownSeen := shared(rec, in.Seen, rec, adopt(in, rec.clone())) // what git asks now may be known by its fingerprint alone
	if after, _ := json.Marshal([]any{rec, in.Seen}); string(after) != string(before) {
		t.Fatalf("what is shared was changed where it is kept")
	}
	shown := in
	shown.Seen = shownSeen
	real, other := Decide(in, rec), Decide(shown, shownRec)
	if real.Record.Said != other.Record.Said || real.Record.State != other.Record.State || !real.WakeAt.Equal(other.WakeAt) ||
		!reflect.DeepEqual(real.Look, other.Look) || nameOfAction(real.Action) != nameOfAction(other.Action) {
		t.Fatalf("decided %s (%v), and on what is shared %s (%v)", real.Record.Why, real.Action, other.Record.Why, other.Action)
	}
}

func nameOfAction(a Action) string {
	if a == nil {
		return ""
	}
	return a.Name()
}

func TestSharedHidesWhatIsNobodysBusiness(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.seen.Template.Content = `{"Environment":[{"Name":"PASSWORD","Value":"hush"}]}`
	w.seen.Tags["team-secret"] = "hush"
	w.seen.Stack.Outputs["Password"] = "hush"
	w.seen.Events = []observed.Event{{Message: "hush"}}
	w.seen.MigrationLog = []string{"hush"}
	w.seen.Logs = &observed.Logs{Tail: []observed.LogLine{{Message: "hush"}}}
	w.rec.Rollout = &Rollout{Kind: KindDeploy, Failure: &Evidence{Log: []string{"hush"}}, Migration: &Migration{Log: []string{"hush"}}}
	rec, seen := Shared(w.rec, w.seen)
	text, err := json.Marshal([]any{rec, seen})
	if err != nil || strings.Contains(string(text), "hush") {
		t.Errorf("%v: %s", err, text)
	}
	if seen.Tags[TagGood] != td(1) || seen.Stack.Outputs["RepoUri"] != "repo" {
		t.Errorf("what is needed is gone: %v %v", seen.Tags, seen.Stack.Outputs)
	}
}
