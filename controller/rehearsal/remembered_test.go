package rehearsal_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/rehearsal"
	"github.com/canteen/deploy/controller/rollout"
)

// controller is what a controller would know of the account, as its API tells it.
func (h *house) controller(records ...rollout.Record) []rehearsal.Known {
	var out []rehearsal.Known
	for _, rec := range records {
		seen := *h.account.services[rec.Service]
		seen.At, seen.Startable = time.Now().Add(-30*time.Second), nil
		var k rehearsal.Known
		k.Record, k.Seen = rollout.Shared(rec, seen)
		text, err := json.Marshal(k)
		if err != nil {
			h.t.Fatal(err)
		}
		k = rehearsal.Known{}
		if err := json.Unmarshal(text, &k); err != nil {
			h.t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

func (h *house) ask(known []rehearsal.Known) *rehearsal.Rehearsal {
	var records []rollout.Record
	for _, k := range known {
		records = append(records, k.Record)
	}
	return rehearsal.New(rehearsal.Remember(known, func(string) []rollout.Entry { return h.history }), h.snapshot(), records)
}

// settled is the record of a service that has settled, as the rules leave it.
func (h *house) settled(name string) rollout.Record {
	h.settle()
	out := h.rehearse().Service(h.t.(*testing.T).Context(), name)
	if out.Told.State != rollout.StateSettled {
		h.t.Fatalf("%s has not settled: %s", name, out.Told.Why)
	}
	return out.Told
}

func TestAControllerIsAskedWithoutTheAccount(t *testing.T) {
	h := newHouse(t, "orders")
	known := h.controller(h.settled("orders"))
	looks := h.account.looks
	if s := plan.Of(h.ask(known).Service(t.Context(), "orders")); s.Effect != plan.EffectNone || len(s.Assumed) > 0 {
		t.Errorf("settled: %s, %s, assumed %v", s.Effect, s.Summary, s.Assumed)
	}
	h.service("orders", "2b22222")
	out := h.ask(known).Service(t.Context(), "orders")
	s := plan.Of(out)
	if s.Effect != plan.EffectChange || deeds(out.Now) != all || !strings.Contains(s.Summary, "2b22222") {
		t.Errorf("changed: %s, %s: %s", s.Effect, s.Summary, deeds(out.Now))
	}
	for _, want := range []string{"the registry has 2b22222", "orders:1 could be started", "no alarm is red: orders-5xx"} {
		if !slices.ContainsFunc(s.Assumed, func(a string) bool { return strings.Contains(a, want) }) {
			t.Errorf("it does not say that it assumes %q: %v", want, s.Assumed)
		}
	}
	if s.Changes == nil || !s.Changes.Whole || len(s.Changes.List) != 1 || s.Changes.List[0].About != plan.AboutImage {
		t.Errorf("changes %+v", s.Changes)
	}
	if h.account.looks != looks {
		t.Error("the account was looked at")
	}
}

func TestWhatAControllerSeesOtherwise(t *testing.T) {
	h := newHouse(t, "orders")
	rec := h.settled("orders")
	h.account.services["orders"].Template = &observed.Template{ARN: arns + "orders-template:2", Content: `{"Cpu":"512"}`}
	s := plan.Of(h.ask(h.controller(rec)).Service(t.Context(), "orders"))
	if s.Effect != plan.EffectChange || s.Trigger != rollout.TriggerTemplate || s.Changes.Whole || s.Changes.Note == "" || s.Migration.Runs {
		t.Errorf("a new template: %s, %s, %+v, %+v", s.Effect, s.Summary, s.Changes, s.Migration)
	}
	if s := plan.Of(h.ask(nil).Service(t.Context(), "orders")); s.Effect != plan.EffectChange || s.Error != "" {
		t.Errorf("a service that it has not met: %s, %s %s", s.Effect, s.Summary, s.Error)
	}
	moved := h.controller(rec)
	moved[0].Seen.Stack.Name = "elsewhere"
	if s := plan.Of(h.ask(moved).Service(t.Context(), "orders")); s.Effect != plan.EffectChange || s.Error != "" {
		t.Errorf("a stack that it has not met: %s, %s", s.Effect, s.Summary)
	}
	blind := h.controller(rec)
	blind[0].Seen = observed.Service{}
	if s := plan.Of(h.ask(blind).Service(t.Context(), "orders")); s.Effect != plan.EffectUnknown || s.Error == "" {
		t.Errorf("a service that it has not looked at: %s, %s", s.Effect, s.Summary)
	}
}

// A rollout in flight goes on where the files ask for it, and is left where they ask for another.
func TestARolloutInFlight(t *testing.T) {
	h := newHouse(t, "orders", "menus")
	rec, other := h.settled("orders"), h.settled("menus")
	h.service("orders", "2b22222")
	h.records = []rollout.Record{rec}
	rolling := h.rehearse().Service(t.Context(), "orders").After
	if rolling.Rollout == nil || rolling.Rollout.Stage != rollout.StageRoll {
		t.Fatalf("it does not roll: %+v", rolling.Rollout)
	}
	// As ECS would have answered.
	rolling.Rollout.Deployment.ID, rolling.Rollout.Revision, rolling.Deployed = "ecs-svc/7", arns+"orders:2", "ecs-svc/7"
	seen := h.account.services["orders"]
	seen.TaskDefinition = arns + "orders:2"
	seen.Deployments = append([]observed.Deployment{{ID: "ecs-svc/7", Primary: true, TaskDefinition: arns + "orders:2", Rollout: observed.RolloutInProgress, Desired: 2}}, observed.Deployment{ID: "ecs-svc/2", TaskDefinition: arns + "orders:1", Desired: 2, Running: 2})
	known := h.controller(rolling, other)

	out := h.ask(known).Service(t.Context(), "orders")
	if s := plan.Of(out); s.Effect != plan.EffectUnderWay || len(out.Now) > 0 || s.Target.Name != "2b22222" {
		t.Errorf("the same ask: %s, %s; now %s", s.Effect, s.Summary, deeds(out.Now))
	}
	h.environment("  maxConcurrentRollouts: 1\n")
	h.service("menus", "2b22222")
	if out := h.ask(known).Service(t.Context(), "menus"); !strings.HasPrefix(holds(out), "Crowded") {
		t.Errorf("menus does not wait for orders: %q, %s", holds(out), deeds(out.Now))
	}
	h.service("orders", "1a11111")
	out = h.ask(known).Service(t.Context(), "orders")
	s := plan.Of(out)
	if s.Effect != plan.EffectChange || deeds(out.Now) != "roll" || len(s.Leaves) != 1 || !strings.Contains(s.Leaves[0], "2b22222") {
		t.Errorf("back to the one before: %s, %s; now %s; leaves %v", s.Effect, s.Summary, deeds(out.Now), s.Leaves)
	}
}

func TestARejectedAsk(t *testing.T) {
	h := newHouse(t, "orders")
	rec := h.settled("orders")
	h.service("orders", "2b22222")
	h.records = []rollout.Record{rec}
	asked := h.rehearse().Service(t.Context(), "orders").After
	rec = h.settledAgain(rec, rollout.Rejection{Ask: asked.Rollout.Target.Ask, At: time.Now(), Message: "it panics", Inferred: true})
	s := plan.Of(h.ask(h.controller(rec)).Service(t.Context(), "orders"))
	if s.Effect != plan.EffectRefused || s.Rejected == nil || s.Rejected.Message != "it panics" || len(s.Rejected.ClearedBy) < 2 || !strings.Contains(s.Advice, "retry") {
		t.Errorf("%s, %s; %+v; %s", s.Effect, s.Summary, s.Rejected, s.Advice)
	}
	h.service("orders", "2b22222", "  retry: 1")
	if s := plan.Of(h.ask(h.controller(rec)).Service(t.Context(), "orders")); s.Effect != plan.EffectChange || s.Trigger != rollout.TriggerRetry || s.Rejected != nil {
		t.Errorf("asked once more: %s, %s; %+v", s.Effect, s.Summary, s.Rejected)
	}
}

// settledAgain is the record with a verdict, and the pin that the controller has of what git asks.
func (h *house) settledAgain(rec rollout.Record, r rollout.Rejection) rollout.Record {
	rec.Rejected = []rollout.Rejection{r}
	rec.Pins = rollout.Words{{Name: "2b22222", Value: h.account.images["2b22222"]}}
	intent := *rec.Intent
	intent.Service = *h.snapshot().Services["orders"]
	rec.Intent = &intent
	h.account.services["orders"].Tags[rollout.TagRejected] = r.Ask
	return rec
}

// A version of long ago is known again by the digest that its tag had then: it was good here, so no migration runs.
func TestHistoryKnowsAnImageAgain(t *testing.T) {
	h := newHouse(t, "orders")
	rec := h.settled("orders")
	h.service("orders", "2b22222")
	h.records = []rollout.Record{rec}
	before := h.rehearse().Service(t.Context(), "orders").After.Rollout.Target
	rec.GoodAsks = append(rec.GoodAsks, before.Ask)
	unknown := plan.Of(h.ask(h.controller(rec)).Service(t.Context(), "orders"))
	if !unknown.Migration.Runs || !strings.Contains(unknown.Migration.Why, "not known") || unknown.Target.Ask != "" {
		t.Errorf("an image that nobody knows: %+v, ask %q", unknown.Migration, unknown.Target.Ask)
	}
	h.history = []rollout.Entry{{Images: []string{"app:1a11111"}, Digests: []string{"sha256:1"}}, {Images: before.Images(), Digests: before.Digests()}}
	known := plan.Of(h.ask(h.controller(rec)).Service(t.Context(), "orders"))
	if known.Migration.Runs || known.Migration.Skip != rollout.SkipGood || known.Target.Ask != before.Ask {
		t.Errorf("an image of the history: %+v, ask %q", known.Migration, known.Target.Ask)
	}
}
