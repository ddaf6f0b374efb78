package rehearsal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/rehearsal"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/strategy"
)

const arns = "arn:aws:ecs:eu-central-1:000000000000:task-definition/"

// shown is an account that shows what a test wrote down. It has nothing that could be written to.
type shown struct {
	services map[string]*observed.Service
	images   map[string]string // reference → digest
	alarms   map[string]observed.AlarmState
	preview  error
	looks    int
}

func (s *shown) Observe(_ context.Context, intent *rollout.Intent, look observed.Look) (observed.Service, error) {
	s.looks++
	from := s.services[intent.Service.Metadata.Name]
	if from == nil {
		return observed.Service{}, fault.New(fault.Blocked, "stack_missing", errors.New("the stack does not exist"))
	}
	seen := *from
	seen.At, seen.Tags, seen.Revisions = time.Now(), maps.Clone(from.Tags), maps.Clone(from.Revisions)
	seen.Images, seen.Startable, seen.Alarms = map[string]observed.Image{}, map[string]observed.Startable{}, nil
	for container, reference := range look.Containers {
		seen.Images[container] = observed.Image{Tag: reference, Digest: s.images[reference]}
	}
	for _, arn := range slices.Concat(look.Revisions, look.Startable) {
		if strings.Contains(arn, "(") {
			return seen, fmt.Errorf("asked for %s, which no account has", arn)
		}
	}
	for _, arn := range look.Startable {
		seen.Startable[arn] = from.Startable[arn]
	}
	for _, name := range look.Alarms {
		seen.Alarms = append(seen.Alarms, observed.Alarm{Name: name, State: s.alarms[name]})
	}
	if !look.Template {
		seen.Template = nil
	}
	return seen, nil
}

func (s *shown) Preview(context.Context, observed.Service, rollout.Register) (string, error) {
	return `{"Cpu":"256"}`, s.preview
}
func (s *shown) Content(context.Context, string) (string, error) { return `{"Cpu":"128"}`, nil }
func (s *shown) Assumed(string) []string                         { return nil }

// house is an account and the files that ask something of it.
type house struct {
	t       rapid.TB
	account *shown
	files   map[string]string
	records []rollout.Record
	history []rollout.Entry
}

func newHouse(t rapid.TB, services ...string) *house {
	h := &house{t: t, files: map[string]string{}, account: &shown{services: map[string]*observed.Service{}, images: map[string]string{}, alarms: map[string]observed.AlarmState{}}}
	h.environment("")
	for _, name := range services {
		h.account.services[name] = &observed.Service{
			Status: observed.StatusActive, Name: name, TaskDefinition: arns + name + "-template:1", Desired: 2, Running: 2,
			Stack:       observed.Stack{Name: name + "-dev", Status: "CREATE_COMPLETE", Outputs: map[string]string{"RepoUri": "repo/" + name}},
			Template:    &observed.Template{ARN: arns + name + "-template:1", Content: `{"Cpu":"256"}`},
			Deployments: []observed.Deployment{{ID: "ecs-svc/1", Primary: true, TaskDefinition: arns + name + "-template:1", Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}},
			Tags:        map[string]string{}, Revisions: map[string]observed.Revision{}, Startable: map[string]observed.Startable{},
		}
		h.service(name, "1a11111")
	}
	for _, tag := range []string{"1a11111", "2b22222"} {
		digest := "sha256:" + strings.Repeat(tag[:1], 64)
		h.account.images[tag], h.account.images[digest] = digest, digest
	}
	return h
}

func (h *house) environment(more string) {
	h.files["environment.yaml"] = "apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n  account: \"000000000000\"\n  region: eu-central-1\n" + more
}

func (h *house) service(name, tag string, more ...string) {
	h.files[name+".yaml"] = fmt.Sprintf("apiVersion: deploy/v1\nkind: Service\nmetadata: {name: %[1]s}\nspec:\n  stack: %[1]s-dev\n  containers: {app: {image: {tag: \"%[2]s\"}}}\n"+
		"  migration: {container: app, command: [migrate], lock: db}\n  verify: {bake: 1m, alarms: {revertOn: [%[1]s-5xx]}}\n%[3]s\n", name, tag, strings.Join(more, "\n"))
	if h.account.alarms[name+"-5xx"] == "" {
		h.account.alarms[name+"-5xx"] = observed.AlarmOK
	}
}

func (h *house) snapshot() *desired.Snapshot {
	tree := fstest.MapFS{}
	for name, text := range h.files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return desired.Load(tree, desired.Kinds{Checks: health.Kinds(), Strategies: strategy.Kinds()})
}

func (h *house) rehearse() *rehearsal.Rehearsal {
	s := h.snapshot()
	if len(s.Errors) > 0 {
		h.t.Fatalf("%v", s.Errors)
	}
	return rehearsal.New(h.account, s, h.records)
}

// settle makes the account one in which what git asks now is what was good last.
func (h *house) settle() {
	r := h.rehearse()
	for _, name := range r.Services() {
		out := r.Service(context.Background(), name)
		if out.Told.State == rollout.StateSettled {
			continue
		}
		deeds := slices.Concat(out.Now, out.Then)
		at := slices.IndexFunc(deeds, func(a rollout.Action) bool { return a.Name() == "register" })
		if at < 0 {
			h.t.Fatalf("%s: nothing is registered: %v, %s", name, deeds, out.After.Why)
		}
		made := deeds[at].(rollout.Register)
		arn := arns + name + ":1"
		s := h.account.services[name]
		s.Revisions[arn] = observed.Revision{ARN: arn, Active: true, Ask: made.Ask, Fingerprint: made.Fingerprint, Commit: "c0ffee1"}
		s.Startable[arn] = observed.Startable{OK: true}
		s.TaskDefinition, s.Tags[rollout.TagGood] = arn, arn
		s.Deployments = []observed.Deployment{{ID: "ecs-svc/2", Primary: true, TaskDefinition: arn, Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}}
		for _, a := range deeds {
			if tag, ok := a.(rollout.Tag); ok {
				maps.Copy(s.Tags, tag.Set)
			}
		}
	}
}

func deeds(actions []rollout.Action) string {
	var out []string
	for _, a := range actions {
		out = append(out, a.Name())
	}
	return strings.Join(out, ", ")
}

func holds(p plan.Rehearsed) string {
	var out []string
	for _, h := range p.Holds {
		out = append(out, h.Said)
	}
	return strings.Join(out, ", ")
}

const all = "register, run migration, tag, roll"

func TestFirstRollout(t *testing.T) {
	h := newHouse(t, "orders")
	out := h.rehearse().Service(t.Context(), "orders")
	if deeds(out.Now) != all || len(out.Holds) > 0 || out.Err != nil {
		t.Errorf("now %s, holds %s, error %v", deeds(out.Now), holds(out), out.Err)
	}
	if out.From != `{"Cpu":"128"}` || out.To != `{"Cpu":"256"}` {
		t.Errorf("contents %q, %q", out.From, out.To)
	}
}

// Of a service that has settled on what the same files ask there is nothing to plan, whatever they ask.
func TestSettledIsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHouse(t, "orders", "menus")
		for _, name := range []string{"orders", "menus"} {
			var more []string
			if rapid.Bool().Draw(t, "env") {
				h.files[name+".yaml"] = ""
			}
			if rapid.Bool().Draw(t, "retry") {
				more = append(more, fmt.Sprintf("  retry: %d", rapid.IntRange(1, 3).Draw(t, "how often")))
			}
			if rapid.Bool().Draw(t, "freeze") {
				more = append(more, "  onFailure: freeze")
			}
			if name == "orders" && rapid.Bool().Draw(t, "depends") {
				more = append(more, "  dependsOn: [menus]")
			}
			h.service(name, rapid.SampledFrom([]string{"1a11111", "2b22222"}).Draw(t, "tag"), more...)
			env := rapid.MapOf(rapid.StringMatching(`[A-Z]{1,8}X`), rapid.StringMatching(`[a-z0-9 ]{0,8}`)).Draw(t, "values")
			lines := ""
			for _, k := range slices.Sorted(maps.Keys(env)) {
				lines += fmt.Sprintf("%s: %q, ", k, env[k])
			}
			h.files[name+".yaml"] = strings.Replace(h.files[name+".yaml"], "{app: {image", "{app: {env: {"+lines+"}, image", 1)
			if rapid.Bool().Draw(t, "no migration") {
				h.files[name+".yaml"] = strings.Replace(h.files[name+".yaml"], "  migration: {container: app, command: [migrate], lock: db}\n", "", 1)
			}
		}
		if rapid.Bool().Draw(t, "limit") {
			h.environment("  maxConcurrentRollouts: 1\n")
		}
		h.settle()
		if rapid.Bool().Draw(t, "closed window") { // a window holds back what is begun, and nothing is
			h.environment(closed())
		}
		r := h.rehearse()
		for _, name := range r.Services() {
			out := r.Service(context.Background(), name)
			s := plan.Of(out)
			if s.Effect != plan.EffectNone || len(s.Now) > 0 || len(s.Holds) > 0 {
				t.Fatalf("%s: %s: %s; now %v, holds %v", name, s.Effect, s.Summary, s.Now, s.Holds)
			}
		}
	})
}

// closed is a weekly window that opens the day after tomorrow.
func closed() string {
	day := strings.ToLower(time.Now().UTC().AddDate(0, 0, 2).Weekday().String()[:3])
	return "  windows: [{days: [" + day + "], from: \"09:00\", to: \"10:00\"}]\n"
}

// wait is something that a service waits for, and what a rehearsal must make of it.
type wait struct {
	name  string
	spoil func(h *house, s *observed.Service)
	holds string
	now   string
	then  string
	until bool // when the first ends is known
}

func spoiled() []wait {
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	return []wait{
		{"nothing", func(*house, *observed.Service) {}, "", all, "", false},
		{"window", func(h *house, _ *observed.Service) { h.environment(closed()) }, "Window", "", all, true},
		{"stack", func(_ *house, s *observed.Service) { s.Stack.InProgress = true }, "StackBusy", "", all, false},
		{"tag", func(_ *house, s *observed.Service) { s.Tags[rollout.TagHold] = "ops/" + soon }, "Held", "", all, true},
		{"suspend", func(h *house, _ *observed.Service) {
			h.service("orders", "2b22222", "  suspend: {reason: r, owner: o, until: "+soon+"}")
		}, "Suspended", "", all, true},
		{"alarm", func(h *house, _ *observed.Service) { h.account.alarms["orders-5xx"] = observed.AlarmRed }, "UnhealthyBefore", "", all, false},
		{"emergency", func(h *house, _ *observed.Service) {
			h.account.alarms["orders-5xx"] = observed.AlarmRed
			h.service("orders", "2b22222", "  emergency: {reason: r, owner: o, until: "+soon+"}")
		}, "", all, "", false},
		{"no way back", func(_ *house, s *observed.Service) {
			s.Startable[arns+"orders:1"] = observed.Startable{Reason: "its image is gone"}
		}, "NoWayBack", "", all, false},
		{"no image", func(h *house, _ *observed.Service) { h.service("orders", "3c33333") }, "ImageMissing", "", all, false},
		{"scaled to 0", func(_ *house, s *observed.Service) { s.Desired = 0 }, "ScaledToZero", "", all, false},
		{"no secret", func(h *house, _ *observed.Service) {
			h.account.preview = fault.New(fault.Blocked, "ResourceNotFoundException", errors.New("secret orders/db does not exist"))
		}, "MayNot", "", all, false},
		{"service gone", func(_ *house, s *observed.Service) { s.Status = observed.StatusMissing }, "Missing", "", "", false},
		{"no template", func(_ *house, s *observed.Service) { s.Template = nil }, "TemplateMissing", "", "", false},
		{"somebody else deployed", func(h *house, s *observed.Service) {
			h.service("orders", "1a11111")
			s.TaskDefinition = arns + "orders:7"
			s.Deployments = []observed.Deployment{{ID: "ecs-svc/9", Primary: true, TaskDefinition: s.TaskDefinition, Rollout: observed.RolloutCompleted}}
		}, "DriftSeen", "", "roll", true},
		{"somebody else deployed while an alarm is red", func(h *house, s *observed.Service) {
			h.environment("  drift: {after: 1s}\n")
			h.service("orders", "1a11111")
			h.account.alarms["orders-5xx"] = observed.AlarmRed
			s.TaskDefinition = arns + "orders:7"
			s.Deployments = []observed.Deployment{{ID: "ecs-svc/9", Primary: true, TaskDefinition: s.TaskDefinition, Rollout: observed.RolloutCompleted}}
		}, "DriftSeen, DriftLeft", "", "roll", true},
		{"all at once", func(h *house, s *observed.Service) {
			h.environment(closed())
			h.service("orders", "2b22222", "  suspend: {reason: r, owner: o, until: "+soon+"}")
			h.account.alarms["orders-5xx"] = observed.AlarmRed
			s.Tags[rollout.TagHold] = "ops/" + soon
			s.Stack.InProgress = true
			s.Startable[arns+"orders:1"] = observed.Startable{Reason: "its image is gone"}
		}, "StackBusy, Held, Suspended, Window, NoWayBack, UnhealthyBefore", "", all, false},
	}
}

// Every wait is taken down, in the order in which the rules ask, and what follows it is known all the same.
func TestHoldsAreLookedBeyond(t *testing.T) {
	for _, tt := range spoiled() {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, "orders")
			h.settle()
			h.service("orders", "2b22222")
			tt.spoil(h, h.account.services["orders"])
			out := h.rehearse().Service(t.Context(), "orders")
			if holds(out) != tt.holds || deeds(out.Now) != tt.now || deeds(out.Then) != tt.then || out.Err != nil {
				t.Fatalf("holds %q, now %q, then %q, error %v; want %q, %q, %q", holds(out), deeds(out.Now), deeds(out.Then), out.Err, tt.holds, tt.now, tt.then)
			}
			if len(out.Holds) > 0 && out.Holds[0].Until.IsZero() == tt.until {
				t.Errorf("until %s", out.Holds[0].Until)
			}
			if want := map[bool]plan.Effect{true: plan.EffectChange, false: plan.EffectWait}[tt.holds == ""]; plan.Of(out).Effect != want {
				t.Errorf("effect %s, want %s", plan.Of(out).Effect, want)
			}
		})
	}
}

func TestServicesStandInEachOthersWay(t *testing.T) {
	h := newHouse(t, "menus", "orders")
	h.settle()
	for _, name := range []string{"menus", "orders"} {
		h.service(name, "2b22222")
	}
	ask := func() (menus, orders plan.Rehearsed) {
		r := h.rehearse()
		orders = r.Service(t.Context(), "orders")
		return r.Service(t.Context(), "menus"), orders
	}
	if menus, orders := ask(); deeds(orders.Now) != all || holds(menus) != "LockTaken" || deeds(menus.Now) != "register" || deeds(menus.Then) != "run migration, tag, roll" {
		t.Errorf("one lock: orders %s; menus %s, waits for %s, then %s", deeds(orders.Now), deeds(menus.Now), holds(menus), deeds(menus.Then))
	}
	h.environment("  maxConcurrentRollouts: 1\n")
	if menus, orders := ask(); deeds(orders.Now) != all || holds(menus) != "Crowded, LockTaken" || deeds(menus.Then) != all {
		t.Errorf("one place: orders %s; menus waits for %s, then %s", deeds(orders.Now), holds(menus), deeds(menus.Then))
	}
	h.service("menus", "2b22222", "  suspend: {reason: r, owner: o, until: 2100-01-01T00:00:00Z}")
	r := h.rehearse()
	menus, orders := r.Service(t.Context(), "menus"), r.Service(t.Context(), "orders")
	if holds(menus) != "Suspended" || deeds(menus.Then) != all || deeds(orders.Now) != all {
		t.Errorf("what is only looked beyond takes a place: menus waits for %s, then %s; orders %s, waits for %s", holds(menus), deeds(menus.Then), deeds(orders.Now), holds(orders))
	}
	h.service("menus", "2b22222")
	h.environment("")
	h.service("orders", "2b22222", "  dependsOn: [menus]")
	if menus, orders := ask(); deeds(menus.Now) != all || holds(orders) != "Dependency, LockTaken" || deeds(orders.Then) != all {
		t.Errorf("a dependency: menus %s; orders waits for %s, then %s", deeds(menus.Now), holds(orders), deeds(orders.Then))
	}
	h.service("menus", "1a11111")
	if menus, orders := ask(); len(menus.Now) > 0 || deeds(orders.Now) != all || len(orders.Holds) > 0 {
		t.Errorf("a dependency that has settled: orders %s, waits for %s", deeds(orders.Now), holds(orders))
	}
}

func TestWhatCannotBeRegisteredStalls(t *testing.T) {
	h := newHouse(t, "orders")
	h.settle()
	h.service("orders", "2b22222")
	h.account.preview = fault.New(fault.Terminal, "container_unknown", errors.New("the template has no container app"))
	out := h.rehearse().Service(t.Context(), "orders")
	if s := plan.Of(out); s.Effect != plan.EffectRefused || !strings.Contains(s.Summary, "no container app") {
		t.Errorf("%s: %s; now %s", s.Effect, s.Summary, deeds(out.Now))
	}
}

func TestWhatCannotBeLookedAt(t *testing.T) {
	h := newHouse(t, "orders")
	delete(h.account.services, "orders")
	if s := plan.Of(h.rehearse().Service(t.Context(), "orders")); s.Effect != plan.EffectWait || s.Holds[0].Said != rollout.SaidMayNot {
		t.Errorf("no stack: %s, %v", s.Effect, s.Holds)
	}
}

func TestInvalidAndRemoved(t *testing.T) {
	h := newHouse(t, "orders", "menus")
	h.files["orders.yaml"] += "  typo: 1\n"
	delete(h.files, "menus.yaml")
	h.records = []rollout.Record{{Service: "menus", State: rollout.StateSettled, Intent: &rollout.Intent{}}, {Service: "old", State: rollout.StateReleased}}
	r := rehearsal.New(h.account, h.snapshot(), h.records)
	if got := r.Services(); !slices.Equal(got, []string{"menus", "orders"}) {
		t.Fatalf("services %v", got)
	}
	if s := plan.Of(r.Service(t.Context(), "orders")); s.Effect != plan.EffectInvalid || len(s.Invalid) != 1 || s.Invalid[0].Line == 0 {
		t.Errorf("orders: %s %v", s.Effect, s.Invalid)
	}
	if s := plan.Of(r.Service(t.Context(), "menus")); s.Effect != plan.EffectReleased {
		t.Errorf("menus: %s %s", s.Effect, s.Summary)
	}
}
