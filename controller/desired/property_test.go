package desired_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"

	"github.com/canteen/deploy/controller/desired"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var (
	nameGen     = rapid.StringMatching(`[a-z]([a-z0-9-]{0,20}[a-z0-9])?`)
	tagGen      = rapid.StringMatching(`[0-9a-f]{7}`)
	variableGen = rapid.StringMatching(`[A-Z][A-Z0-9_]{0,10}_X`)
	// Control characters and the line breaks of YAML 1.1 (U+0085, U+2028, U+2029) are left out: sigs.k8s.io/yaml cannot write them.
	textGen = rapid.OneOf(rapid.StringOf(rapid.Rune().Filter(unicode.IsPrint)), rapid.SampledFrom([]string{
		"", "yes", "no", "y", "null", "~", "true", "1", "0o7", "010", "1e3", "0x1f", ".inf", "2027-01-31", "09:00", "12:30:45", "<<", "*a", "&a",
		"!x", "- a", "a: b", "a #b", " a ", "\t", "\n", "a\nb\n", "{}", "[]", "%", "@", "`", "'", `"`, "\\", "é", "😀",
	}))
)

func durationGen(least, most time.Duration) *rapid.Generator[desired.Duration] {
	return rapid.Map(rapid.Int64Range(int64(least), int64(most)), func(n int64) desired.Duration { return desired.Duration(n) })
}

func few[K comparable, V any](k *rapid.Generator[K], v *rapid.Generator[V]) *rapid.Generator[map[K]V] {
	return rapid.Map(rapid.MapOfN(k, v, 0, 3), func(m map[K]V) map[K]V {
		if len(m) == 0 {
			return nil
		}
		return m
	})
}

func drawContainer(t *rapid.T) desired.Container {
	c := desired.Container{Image: desired.Image{Tag: tagGen.Draw(t, "tag")}}
	if rapid.Bool().Draw(t, "digest") {
		c.Image.Digest = "sha256:" + hex64
	}
	plain := textGen.Filter(func(s string) bool { return !strings.ContainsAny(s, "@=") })
	c.Env = few(variableGen.Filter(func(n string) bool {
		return !strings.Contains(n, "KEY") && !strings.Contains(n, "PASS") && !secretWord(n)
	}), plain).Draw(t, "env")
	c.Secrets = few(rapid.StringMatching(`[A-Z]{1,8}_REF`), rapid.SampledFrom([]string{"ssm:/a/b", "secretsmanager:a/b:key", "secretsmanager:a"})).Draw(t, "secrets")
	return c
}

func secretWord(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "_"), func(w string) bool {
		return slices.Contains([]string{"PWD", "SECRET", "SECRETS", "TOKEN", "TOKENS", "CREDENTIAL", "CREDENTIALS"}, w)
	})
}

// drawService draws a valid service with every default written out, as Parse returns it.
func drawService(t *rapid.T, name string) *desired.Service {
	svc := &desired.Service{APIVersion: desired.APIVersion, Kind: desired.KindService}
	svc.Metadata = desired.Metadata{Name: name, Labels: few(nameGen, rapid.StringMatching(`[a-z0-9 ]{0,20}`)).Draw(t, "labels")}
	spec := &svc.Spec
	spec.Stack = "stack-" + name
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z][A-Za-z0-9_-]{1,20}`), 1, 3, rapid.ID).Draw(t, "containers")
	spec.Containers = map[string]desired.Container{}
	for _, n := range names {
		spec.Containers[n] = drawContainer(t)
	}
	spec.OnFailure = rapid.SampledFrom([]desired.OnFailure{desired.OnFailureFreeze, desired.OnFailureRevert}).Draw(t, "onFailure")
	spec.Rollout = desired.Rollout{Strategy: "rolling", Deadline: durationGen(time.Minute, 6*time.Hour).Draw(t, "deadline")}
	if rapid.Bool().Draw(t, "params") {
		spec.Rollout.Params = json.RawMessage(fmt.Sprintf(`{"initialCount":%d}`, rapid.IntRange(0, 1<<40).Draw(t, "count")))
	}
	spec.Verify = desired.Verify{Bake: durationGen(time.Minute, time.Hour).Draw(t, "bake")}
	if rapid.Bool().Draw(t, "checks") {
		forbid, _ := json.Marshal(map[string][]string{"forbid": {"(?i)panic"}})
		spec.Verify.Checks = map[string]json.RawMessage{"logs": forbid, "targets": json.RawMessage("{}")}
	}
	if rapid.Bool().Draw(t, "migration") {
		spec.Migration = &desired.Migration{
			Container: names[0], Command: []string{"/worker", "migrate"}, Timeout: durationGen(time.Second, time.Hour).Draw(t, "timeout"),
			Lock: nameGen.Draw(t, "lock"), Idempotent: rapid.Bool().Draw(t, "idempotent"), Compatibility: desired.CompatibilityBackward,
			Assume: rapid.SampledFrom([]desired.Assumption{"", desired.AssumeDone, desired.AssumeFailed}).Draw(t, "assume"),
		}
		if spec.OnFailure == desired.OnFailureFreeze {
			spec.Migration.Compatibility = desired.CompatibilityBreaking
		}
	}
	spec.Retry = rapid.IntRange(0, 5).Draw(t, "retry")
	if rapid.Bool().Draw(t, "suspend") {
		spec.Suspend = &desired.Override{Reason: "stock: taking", Owner: "yes", Until: time.Unix(rapid.Int64Range(1, 4e9).Draw(t, "until"), 0).UTC()}
	}
	return svc
}

// TestRoundTrip: what is written by a machine is read as it was meant.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := nameGen.Draw(t, "name")
		want := drawService(t, name)
		text, err := yaml.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, errs := desired.Parse(name+".yaml", text, nil, testKinds())
		if len(errs) > 0 {
			t.Fatalf("%v\n%s", errs, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("want (-), got (+):\n%s\n%s", diff, text)
		}
	})
}

func TestEnvironmentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &desired.Environment{APIVersion: desired.APIVersion, Kind: desired.KindEnvironment}
		want.Metadata.Name = nameGen.Draw(t, "name")
		want.Spec = desired.EnvironmentSpec{
			Account: rapid.StringMatching(`[0-9]{12}`).Draw(t, "account"), Region: "eu-central-1",
			MaxConcurrentRollouts: rapid.IntRange(0, 9).Draw(t, "max"),
			MassChange:            desired.MassChangePolicy{Share: desired.Percent(rapid.IntRange(1, 100).Draw(t, "share")), AtLeast: rapid.IntRange(1, 1000).Draw(t, "at least")},
			Drift: desired.DriftPolicy{After: durationGen(1, time.Hour).Draw(t, "after"),
				Action: rapid.SampledFrom([]desired.DriftAction{desired.DriftCorrect, desired.DriftReport}).Draw(t, "action")},
			TemplateChange: rapid.SampledFrom([]desired.TemplatePolicy{desired.TemplateRoll, desired.TemplateReport}).Draw(t, "template"),
			Defaults: desired.Defaults{Bake: durationGen(10*time.Second, time.Hour).Draw(t, "bake"),
				Deadline: durationGen(time.Minute, time.Hour).Draw(t, "deadline"), OnFailure: desired.OnFailureRevert},
		}
		if rapid.Bool().Draw(t, "windows") {
			want.Spec.Windows = []desired.Window{{Days: []string{"mon", "fri"}, From: "09:30", To: "17:00", Timezone: "Europe/Berlin"}}
		}
		text, err := yaml.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, errs := desired.ParseEnvironment(desired.EnvironmentFile, text)
		if len(errs) > 0 {
			t.Fatalf("%v\n%s", errs, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("want (-), got (+):\n%s\n%s", diff, text)
		}
	})
}

// TestIsolation: whatever one file holds, the result of every other file is the same.
func TestIsolation(t *testing.T) {
	bad := map[string]string{}
	for name, text := range badServices(t) {
		if !strings.HasPrefix(name, "same-name") {
			bad[name] = text
		}
	}
	names := slices.Sorted(maps.Keys(bad))
	rapid.Check(t, func(t *rapid.T) {
		tree := fstest.MapFS{desired.EnvironmentFile: {Data: []byte(goodEnvironment)}}
		for i := range rapid.IntRange(1, 4).Draw(t, "services") {
			name := fmt.Sprintf("service-%d", i)
			text, err := yaml.Marshal(drawService(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "invalid too") {
				text = append(text, "surprise: 1\n"...)
			}
			tree[name+".yaml"] = &fstest.MapFile{Data: text}
		}
		before := desired.Load(tree, testKinds())
		text := []byte(bad[rapid.SampledFrom(names).Draw(t, "bad")])
		if cut := rapid.IntRange(0, len(text)).Draw(t, "cut"); rapid.Bool().Draw(t, "cut it") {
			text = text[:cut]
		}
		tree["shop.yaml"] = &fstest.MapFile{Data: text}
		after := desired.Load(tree, testKinds())
		delete(after.Services, "shop")
		delete(after.Invalid, "shop")
		after.Errors = slices.DeleteFunc(after.Errors, func(e desired.Error) bool { return e.File == "shop.yaml" })
		if diff := cmp.Diff(before, after, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("without shop.yaml (-), with it (+):\n%s\nshop.yaml:\n%s", diff, text)
		}
	})
}
