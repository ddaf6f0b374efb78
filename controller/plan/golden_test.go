package plan

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	arns    = "arn:aws:ecs:eu-central-1:000000000000:task-definition/"
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func target(tag, digest string) rollout.Target {
	return rollout.Target{
		Ask: "v1:" + tag, Commit: desired.Commit{SHA: tag + "00000000"}, Key: "v1:key-" + tag,
		Containers: rollout.NamedOf(map[string]rollout.Container{"app": {
			Image: "000000000000.dkr.ecr.eu-central-1.amazonaws.com/orders@" + digest, Tag: tag, Digest: digest,
			Env: map[string]string{"LOG_LEVEL": "info"}, Secrets: map[string]string{"DB_PASSWORD": "secretsmanager:orders/db:password"},
		}}),
		Migration: &desired.Migration{Container: "app", Command: []string{"/worker", "migrate"}, Lock: "order-db", Timeout: desired.Duration(10 * time.Minute), Compatibility: desired.CompatibilityBackward, Idempotent: true},
		Spec: &desired.ServiceSpec{
			Verify:  desired.Verify{Bake: desired.Duration(3 * time.Minute), Checks: map[string]json.RawMessage{"logs": nil, "alarms": nil}},
			Rollout: desired.Rollout{Deadline: desired.Duration(15 * time.Minute)}, OnFailure: desired.OnFailureRevert,
		},
	}
}

func content(image, cpu, env string) string {
	return `{"Cpu":"` + cpu + `","ContainerDefinitions":[{"Name":"app","Image":"` + image + `","Environment":[{"Name":"LOG_LEVEL","Value":"` + env + `"}],"PortMappings":[{"ContainerPort":8080}]}]}`
}

// changing is a service that rolls at once.
func changing() Rehearsed {
	a, b := target("3f9c2d1", digestA), target("8b04e7a", digestB)
	good := &rollout.Good{Target: a, Revision: arns + "orders:41", Fingerprint: "v1:print"}
	told := rollout.Record{Service: "orders", Good: good, State: rollout.StateRolling, Why: "Rolls 8b04e7a out.", Next: "Nothing: the verdict comes by itself.",
		Rollout: &rollout.Rollout{Number: 7, Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Target: b, Revision: arns + "orders:(new)"}}
	return Rehearsed{
		Service: "orders", Before: rollout.Record{Service: "orders", Good: good}, Told: told, After: told,
		Seen: observed.Service{TaskDefinition: arns + "orders:41"},
		Now: []rollout.Action{
			rollout.Register{Template: arns + "orders-template:4", Containers: b.Containers.Map()},
			rollout.RunMigration{Container: "app", Command: []string{"/worker", "migrate"}, Timeout: 10 * time.Minute},
			rollout.Tag{Set: map[string]string{rollout.TagMigrated: "v1:key"}},
			rollout.Roll{Revision: arns + "orders:(new)", MinimumHealthyPercent: 100, MaximumPercent: 200},
		},
		From: content("registry/orders@"+digestA, "256", "info"), To: content("registry/orders@"+digestB, "512", "debug"),
		History: history(12*time.Second, 15*time.Second, 40*time.Second),
	}
}

func history(took ...time.Duration) []rollout.Entry {
	out := []rollout.Entry{{Kind: rollout.KindRevert, Result: rollout.ResultReverted, StartedAt: noon, EndedAt: noon.Add(time.Hour)}}
	for _, d := range took {
		out = append(out, rollout.Entry{Kind: rollout.KindDeploy, Result: rollout.ResultSucceeded, StartedAt: noon, EndedAt: noon.Add(d)})
	}
	return out
}

// waiting is a service that waits for two things.
func waiting() Rehearsed {
	r := changing()
	r.Service = "menus"
	r.Told.Rollout, r.Told.State = nil, rollout.StateSuspended
	r.Told.Why, r.Told.Next = "Suspended by kitchen until 2026-03-02 08:00 UTC: the menu is being printed.", "Remove spec.suspend to go on now."
	r.Now, r.Then = nil, r.Now
	r.Holds = []Hold{
		{Said: rollout.SaidSuspended, State: rollout.StateSuspended, Why: r.Told.Why, Until: noon.Add(20 * time.Hour)},
		{Said: rollout.SaidCrowded, State: rollout.StateWaitingConcurrent, Why: "8b04e7a waits: the environment lets 1 roll at once."},
	}
	r.From, r.To, r.History = "", "", nil
	r.Assumed = []string{"the registry has 8b04e7a", "the registry has 8b04e7a"}
	return r
}

// refused is a service whose ask was rejected.
func refused() Rehearsed {
	rec := rollout.Record{
		Service: "kitchen", State: rollout.StateReverted, Why: "Runs 3f9c2d1, the last good version; c51d9e6 was rejected: 3 tasks stopped.", Next: "Push a fix, or raise spec.retry to try it again.",
		Good: &rollout.Good{Target: target("3f9c2d1", digestA), Revision: arns + "kitchen:9"},
	}
	return Rehearsed{Service: "kitchen", Told: rec, After: rec, Seen: observed.Service{TaskDefinition: arns + "kitchen:9"}}
}

func sample() Plan {
	settled := rollout.Record{State: rollout.StateSettled, Why: "Runs 3f9c2d1 as git asks.", Next: "Nothing to do."}
	p := Plan{Environment: "dev", Account: "000000000000", Region: "eu-central-1", At: noon, Source: SourceAccount, Notes: []string{"Nobody asked a controller."}}
	for _, r := range []Rehearsed{
		{Service: "bar", Told: settled, After: settled},
		changing(), waiting(), refused(),
		{Service: "broken", Invalid: []desired.Error{{File: "desired/dev/broken.yaml", Line: 7, Col: 3, Message: "unknown field imgae; did you mean image?"}}},
		{Service: "gone", Told: rollout.Record{State: rollout.StateReleased, Why: "Git no longer names this service: it is left as it is.", Next: "Delete it in the infrastructure, or bring its file back."}},
	} {
		p.Services = append(p.Services, Of(r))
	}
	return p
}

// hostile is what somebody might write into a file, a commit or a log that ends up in a plan.
const hostile = "```\n</details><script>alert(1)</script> @canteen/all #1 [x](javascript:alert) ![i](https://evil.example/p.png) www.evil.example https://evil.example | a\x1b[2J\u202egnp <!-- --> **b** `c` $x$ ~~s~~ &lt; mailto:a@b.example"

func hostilePlan() Plan {
	r := changing()
	r.Service = "orders"
	ro := *r.Told.Rollout
	ro.Target.Containers = rollout.NamedOf(map[string]rollout.Container{"app": {Image: "registry/orders@" + digestB, Tag: hostile, Digest: digestB}})
	r.Told.Rollout, r.After.Rollout = &ro, &ro
	r.Now = append(r.Now, rollout.RunMigration{Container: hostile, Command: []string{hostile}})
	r.From, r.To = content("registry/orders@"+digestA, "256", "info"), strings.Replace(content("registry/orders@"+digestB, "512", "HOSTILE"), "HOSTILE", jsonText(hostile), 1)
	r.Assumed = []string{hostile, "1. one", "- two", "+ three", "# four", "=== five"}
	r.Holds = []Hold{{Said: "Window", State: rollout.StateWaitingWindow, Why: hostile}}
	p := Plan{Environment: "dev --> " + hostile, Account: "000000000000", Region: hostile, At: noon, Source: SourceController, Notes: []string{hostile}}
	p.Services = []Service{
		Of(r), Invalid(hostile, []desired.Error{{File: hostile, Line: 1, Col: 1, Message: hostile}}),
		{Name: hostile, Effect: EffectNone},
	}
	p.Invalid = []desired.Error{{File: hostile, Line: 1, Col: 1, Message: hostile}}
	return p
}

func jsonText(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

func TestGolden(t *testing.T) {
	asJSON := func(p Plan) string {
		b, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	for name, got := range map[string]string{
		"plan.txt": sample().Text(), "plan.md": sample().Markdown(), "plan.json": asJSON(sample()),
		"hostile.txt": hostilePlan().Text(), "hostile.md": hostilePlan().Markdown(),
		"empty.txt": Plan{Environment: "dev", Account: "000000000000", Region: "eu-central-1", At: noon, Source: SourceController}.Text(),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs; if that is meant, run\ngo test ./controller/plan -run TestGolden -update\n%s", path, diff)
		}
	}
}
