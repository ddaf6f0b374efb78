package desired_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/google/go-cmp/cmp"
	yamlv3 "go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"
)

// badServices are the services' files of testdata/bad, by archive and name.
func badServices(t testing.TB) map[string]string {
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	files := map[string]string{}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if strings.HasSuffix(f.Name, ".yaml") && f.Name != desired.EnvironmentFile {
				files[filepath.Base(name)+"/"+f.Name] = string(f.Data)
			}
		}
	}
	return files
}

func TestDefaults(t *testing.T) {
	minute := func(n int) desired.Duration { return desired.Duration(time.Duration(n) * time.Minute) }
	text := minimal("shop") + "  migration: {container: App, command: [/worker, migrate]}\n"
	env, errs := desired.ParseEnvironment(desired.EnvironmentFile, []byte(goodEnvironment))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantEnv := desired.EnvironmentSpec{
		Account: "000000000000", Region: "eu-central-1", TemplateChange: desired.TemplateRoll,
		MassChange: desired.MassChangePolicy{Share: 50, AtLeast: 10},
		Drift:      desired.DriftPolicy{After: minute(5), Action: desired.DriftCorrect},
		Defaults:   desired.Defaults{Bake: minute(2), Deadline: minute(15), OnFailure: desired.OnFailureRevert},
	}
	if diff := cmp.Diff(wantEnv, env.Spec); diff != "" {
		t.Errorf("environment: want (-), got (+):\n%s", diff)
	}
	freezing := *env
	freezing.Spec.Defaults = desired.Defaults{Bake: minute(7), Deadline: minute(8), OnFailure: desired.OnFailureFreeze}
	for _, c := range []struct {
		name           string
		env            *desired.Environment
		more           string
		bake, deadline desired.Duration
		onFailure      desired.OnFailure
	}{
		{"built in", nil, "", minute(2), minute(15), desired.OnFailureRevert},
		{"environment's", &freezing, "", minute(7), minute(8), desired.OnFailureFreeze},
		{"file's own", &freezing, "  verify: {bake: 3m}\n  rollout: {deadline: 4m}\n  onFailure: revert\n", minute(3), minute(4), desired.OnFailureRevert},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, errs := desired.Parse("shop.yaml", []byte(text+c.more), c.env, testKinds())
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			want := desired.ServiceSpec{
				Stack:      "shop-dev",
				Containers: map[string]desired.Container{"App": {Image: desired.Image{Tag: "1a2b3c4"}}},
				Migration: &desired.Migration{Container: "App", Command: []string{"/worker", "migrate"}, Timeout: minute(10), Lock: "shop",
					Compatibility: desired.CompatibilityBackward},
				Rollout:   desired.Rollout{Strategy: "rolling", Deadline: c.deadline},
				Verify:    desired.Verify{Bake: c.bake},
				OnFailure: c.onFailure,
			}
			if diff := cmp.Diff(want, got.Spec); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

// A breaking migration is fine where the environment freezes by default.
func TestBreakingUnderDefault(t *testing.T) {
	env := &desired.Environment{Spec: desired.EnvironmentSpec{Defaults: desired.Defaults{OnFailure: desired.OnFailureFreeze}}}
	text := []byte(minimal("shop") + "  migration: {container: App, command: [/worker], compatibility: breaking}\n")
	if _, errs := desired.Parse("shop.yaml", text, env, testKinds()); len(errs) > 0 {
		t.Error(errs)
	}
	if _, errs := desired.Parse("shop.yaml", text, nil, testKinds()); len(errs) != 1 {
		t.Errorf("without the default: %v", errs)
	}
}

// Join does not change what it is given, so that files may be kept between commits.
func TestJoinAgain(t *testing.T) {
	one := desired.ParseFile("shop.yaml", []byte(minimal("shop")+"  dependsOn: [store]\n"), nil, testKinds())
	two := desired.ParseFile("store.yaml", []byte(minimal("store")), nil, testKinds())
	for range 2 {
		if snap := desired.Join(nil, nil, []*desired.File{one}); len(snap.Invalid["shop"]) != 1 {
			t.Errorf("alone: %v", snap.Errors)
		}
		if snap := desired.Join(nil, nil, []*desired.File{one, two}); len(snap.Services) != 2 || len(snap.Errors) > 0 {
			t.Errorf("together: %v", snap.Errors)
		}
	}
}

// FuzzParse: no input panics; a service or errors come out, never both; each error stands inside the file; and what is read is what
// an independent reader of YAML 1.2 reads, and can be written and read again.
func FuzzParse(f *testing.F) {
	for _, text := range badServices(f) {
		f.Add([]byte(text))
	}
	f.Add([]byte(minimal("shop")))
	f.Fuzz(func(t *testing.T, data []byte) {
		svc, errs := desired.Parse("shop.yaml", data, nil, testKinds())
		if (svc == nil) != (len(errs) > 0) {
			t.Fatalf("service %v, errors %v", svc, errs)
		}
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u2028") +
			strings.Count(string(data), "\u2029") + strings.Count(string(data), "\u0085") + 1
		for _, e := range errs {
			if e.File != "shop.yaml" || e.Line < 1 || e.Line > lines || e.Col < 1 || e.Message == "" {
				t.Errorf("error outside of the file: %+v", e)
			}
		}
		if svc == nil {
			return
		}
		var other struct {
			Spec struct {
				Containers map[string]struct{ Env map[string]string }
			}
		}
		if err := yamlv3.Unmarshal(data, &other); err != nil {
			t.Fatalf("another reader refuses it: %v", err)
		}
		for name, c := range other.Spec.Containers {
			for k, v := range c.Env {
				if got := svc.Spec.Containers[name].Env[k]; got != v {
					t.Errorf("%s.%s is %q, another reader has %q", name, k, got, v)
				}
			}
		}
		text, err := yaml.Marshal(svc)
		if err != nil {
			t.Fatal(err)
		}
		again, errs := desired.Parse("shop.yaml", text, nil, testKinds())
		if len(errs) > 0 || !cmp.Equal(svc, again) {
			t.Errorf("written and read again: %v %s", errs, cmp.Diff(svc, again))
		}
	})
}

// TestHostile: input made to cost much costs little.
func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing in it is concurrent")
	}
	repeat := func(s string) string { return strings.Repeat(s, desired.FileSizeMax/len(s)) }
	var unknown strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&unknown, "unknown-%d: 1\n", i)
	}
	for name, text := range map[string]string{
		"unknown":    unknown.String(),
		"brackets":   repeat("["),
		"braces":     repeat("{a: "),
		"dashes":     repeat("- "),
		"questions":  repeat("? "),
		"anchors":    repeat("&a "),
		"stars":      repeat("*a "),
		"quotes":     repeat("'"),
		"keys":       "apiVersion: deploy/v1\nkind: Service\n" + repeat("a:\n")[:desired.FileSizeMax-64],
		"items":      "a: [" + repeat("x,")[:desired.FileSizeMax-8] + "]",
		"duplicates": repeat("a: 1\n"),
		"colons":     repeat(":"),
		"nul":        repeat("\x00"),
		"comments":   repeat("#\n"),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			svc, errs := desired.Parse("shop.yaml", []byte(text), nil, testKinds())
			if svc != nil || len(errs) == 0 || len(errs) > 100 {
				t.Errorf("service %v, %d errors", svc, len(errs))
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			} else {
				t.Logf("%d errors in %s", len(errs), took.Round(time.Millisecond))
			}
		})
	}
}

func BenchmarkLoad1000(b *testing.B) {
	tree := fstest.MapFS{desired.EnvironmentFile: {Data: []byte(goodEnvironment)}}
	const more = `      env: {LOG_LEVEL: info}
      secrets: {DB_PASSWORD: "secretsmanager:shop/db:password"}
  migration: {container: App, command: [/worker, migrate], lock: db}
  rollout: {strategy: rolling, deadline: 15m, minimumHealthyPercent: 100, maximumPercent: 200}
  verify: {bake: 2m, targets: {}, logs: {forbid: ["(?i)panic"], require: [listening]}, alarms: {revertOn: [a], holdOn: [b, c]}}
`
	for i := range 1000 {
		name := fmt.Sprintf("service-%d", i)
		tree[name+".yaml"] = &fstest.MapFile{Data: []byte(minimal(name) + more)}
	}
	kinds := testKinds()
	b.ReportAllocs()
	for b.Loop() {
		if snap := desired.Load(tree, kinds); len(snap.Services) != 1000 {
			b.Fatal(snap.Errors)
		}
	}
}

// What is written is the same each time, the checks and bake in the order of their names: it is compared and hashed.
func TestVerifyIsWrittenInOrder(t *testing.T) {
	v := desired.Verify{Bake: desired.Duration(time.Minute), Checks: map[string]json.RawMessage{"steady": json.RawMessage(`{"for": "10s"}`), "logs": nil, "alarms": json.RawMessage(`["a<b"]`)}}
	for range 20 {
		if got, err := json.Marshal(v); err != nil || string(got) != `{"alarms":["a\u003cb"],"bake":"1m","logs":null,"steady":{"for":"10s"}}` {
			t.Fatalf("%s, %v", got, err)
		}
	}
	if got, err := json.Marshal(desired.Verify{}); err != nil || string(got) != "{}" {
		t.Errorf("nothing is %s, %v", got, err)
	}
}
