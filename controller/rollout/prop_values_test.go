package rollout

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// What the properties draw their values from. Each value comes from a few that other parts of the same draw name too, or
// nothing would ever match anything; beside them stand those that no part names, the empty ones and the absurd ones.

var epoch = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

const hush = "hunter2" // must never be seen in what is told

func one[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

func maybe(t *rapid.T, label string) bool { return rapid.Bool().Draw(t, label) }

// seldom is true once in ten times.
func seldom(t *rapid.T, label string) bool { return rapid.IntRange(0, 9).Draw(t, label) == 9 }

// anyTime is a moment near now, to the second or just beside it, or none, or one of another age.
func anyTime(t *rapid.T, label string) time.Time {
	switch rapid.IntRange(0, 11).Draw(t, label+" sort") {
	case 11:
		return time.Time{}
	case 10:
		return epoch.AddDate(one(t, label+" years", -300, -1, 1, 300), 0, 0)
	case 9:
		return epoch
	case 8:
		return epoch.Add(-staleFor)
	}
	return epoch.Add(time.Duration(rapid.IntRange(-7200, 7200).Draw(t, label)) * time.Second)
}

func anySpan(t *rapid.T, label string, ordinary time.Duration) desired.Duration {
	if seldom(t, label+" odd") {
		return desired.Duration(one(t, label, 0, -time.Minute, math.MaxInt64, math.MinInt64))
	}
	return desired.Duration(ordinary)
}

func anyCount(t *rapid.T, label string) int {
	if seldom(t, label+" odd") {
		return one(t, label+" odd count", -1, -1000, 1<<31)
	}
	return rapid.IntRange(0, 6).Draw(t, label)
}

func anyOverride(t *rapid.T, label string) *desired.Override {
	if !seldom(t, label) {
		return nil
	}
	return &desired.Override{Reason: "because", Owner: "me", Until: anyTime(t, label+" until")}
}

// anyIntent is git's word about the digest, ordinary or odd.
func anyIntent(t *rapid.T, label, digest string) *Intent {
	in := intentFor(digest)
	spec := &in.Service.Spec
	spec.Stack = one(t, label+" stack", "orders-dev", "orders-dev", "orders-dev", "orders-dev", "orders-dev", "orders-dev", "orders-next")
	app := spec.Containers["app"]
	switch rapid.IntRange(0, 4).Draw(t, label+" image") {
	case 4:
		app.Image.Digest = "" // by tag: looked up once
	case 3:
		app.Secrets = map[string]string{"DB": "secretsmanager:db", "KEY": "ssm:key"}
	}
	spec.Containers["app"] = app
	if seldom(t, label+" sidecar") {
		spec.Containers["proxy"] = desired.Container{Image: desired.Image{Tag: "1.0"}}
	}
	if seldom(t, label+" no containers") {
		spec.Containers = nil
	}
	anyPolicy(t, label, spec)
	return in
}

// anyPolicy changes what is no part of the ask, and whether there is a migration.
func anyPolicy(t *rapid.T, label string, spec *desired.ServiceSpec) {
	if m := spec.Migration; m != nil && maybe(t, label+" migration") {
		m.Idempotent = maybe(t, label+" idempotent")
		m.Assume = one(t, label+" assume", "", "", desired.AssumeDone, desired.AssumeFailed)
		m.Compatibility = one(t, label+" compatibility", "", desired.CompatibilityBackward, desired.CompatibilityBreaking)
		m.Timeout = anySpan(t, label+" timeout", 10*time.Minute)
		m.Lock = one(t, label+" lock", "db", "db", "db", "other", "")
		m.Container = one(t, label+" migrates", "app", "app", "app", "nobody")
	} else if seldom(t, label+" no migration") {
		spec.Migration = nil
	}
	spec.Retry = rapid.IntRange(0, 2).Draw(t, label+" retry")
	spec.OnFailure = one(t, label+" onFailure", desired.OnFailureRevert, desired.OnFailureRevert, desired.OnFailureFreeze, "")
	spec.OnSecretChange = one(t, label+" onSecretChange", "", desired.SecretIgnore, desired.SecretRestart)
	spec.Rollout.Deadline = anySpan(t, label+" deadline", 15*time.Minute)
	spec.Verify.Bake = anySpan(t, label+" bake", 2*time.Minute)
	spec.Verify.Checks = one(t, label+" checks", nil, map[string]json.RawMessage{"logs": json.RawMessage(`{"forbid":["x"]}`)},
		map[string]json.RawMessage{"logs": json.RawMessage(`{"forbid":["y"]}`)}, map[string]json.RawMessage{"logs": json.RawMessage(`7`)})
	spec.Suspend, spec.Emergency = anyOverride(t, label+" suspend"), anyOverride(t, label+" emergency")
}

// pool is the few versions, and what is made of them, that one draw speaks of.
type pool struct {
	intents []*Intent
	targets []Target
}

var (
	contents = []string{`{"cpu":"256"}`, `{"cpu":"512"}`, ""}
	versions = []map[string]string{nil, {"secretsmanager:db": "1", "ssm:key": "1"}, {"secretsmanager:db": "2", "ssm:key": "1"}}
)

// pinsOf is what the registry would answer to each reference that a pool can have.
func pinsOf(in *Intent) map[string]string {
	pins := map[string]string{}
	for name, c := range in.Service.Spec.Containers {
		ref := reference(c.Image)
		pins[ref] = digestC
		if name == "app" {
			pins[ref] = "sha256:" + strings.Repeat(in.Commit.SHA[:1], 64) // see intentFor
		}
	}
	return pins
}

func anyPool(t *rapid.T) *pool {
	p := &pool{}
	for _, d := range []string{digestA, digestB, digestC} {
		p.add(anyIntent(t, "version "+d[7:8], d))
	}
	return p
}

func (p *pool) add(in *Intent) {
	target, _ := resolve(*in, "repo", NamedOf(pinsOf(in)))
	p.intents, p.targets = append(p.intents, in), append(p.targets, target)
}

// intent is one of the pool's, sometimes with other policies.
func (p *pool) intent(t *rapid.T, label string) *Intent {
	in := *one(t, label, p.intents...)
	if maybe(t, label+" reworded") {
		if m := in.Service.Spec.Migration; m != nil {
			in.Service.Spec.Migration = copied(m)
		}
		anyPolicy(t, label, &in.Service.Spec)
		in.Commit.SHA = in.Commit.SHA[:39] + one(t, label+" commit", "0", "1")
	}
	return &in
}

func (p *pool) target(t *rapid.T, label string) Target {
	target := one(t, label, p.targets...)
	if !seldom(t, label+" mangled") {
		return target
	}
	switch rapid.IntRange(0, 4).Draw(t, label+" mangled how") {
	case 0:
		target.Spec = nil
	case 1:
		target.Migration = nil
	case 2:
		target.Containers = nil
	case 3:
		target.Key = ""
	case 4:
		target.Ask = ""
	}
	return target
}

func (p *pool) ask(t *rapid.T, label string) string {
	if seldom(t, label+" unknown") {
		return one(t, label+" odd", "", "v1:nobody", "v0:older")
	}
	return one(t, label, p.targets...).Ask
}

func (p *pool) key(t *rapid.T, label string) string {
	if seldom(t, label+" unknown") {
		return one(t, label+" odd", "", "v1:nobody")
	}
	return one(t, label, p.targets...).Key
}

func (p *pool) print(t *rapid.T, label string) string {
	if seldom(t, label+" unknown") {
		return one(t, label+" odd", "", "v1:f")
	}
	return fingerprint(p.ask(t, label+" ask"), observed.Template{Content: one(t, label+" template", contents...)}, one(t, label+" secrets", versions...))
}

func anyRevision(t *rapid.T, label string) string {
	if seldom(t, label+" odd") {
		return one(t, label+" odd revision", "", tdInfra, "no arn")
	}
	return td(rapid.IntRange(1, 3).Draw(t, label))
}

func anyDeployment(t *rapid.T, label string) string {
	return one(t, label, "ecs-svc/1", "ecs-svc/2", "ecs-svc/2", "ecs-svc/3", "")
}

func anyText(t *rapid.T, label string) string {
	return one(t, label, "it is so", "password="+hush+" was refused", "", strings.Repeat("long ", 300), "CannotPullContainerError: no such image", "\xff<b>&")
}

// some draws up to most values.
func some[T any](t *rapid.T, label string, most int, draw func(string) T) []T {
	var out []T
	for range rapid.IntRange(0, most).Draw(t, label+" count") {
		out = append(out, draw(label))
	}
	return out
}
