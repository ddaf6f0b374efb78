package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

func TestDiff(t *testing.T) {
	const before = `{"Cpu":"256","Memory":"512","TaskRoleArn":"worker","ContainerDefinitions":[
		{"Name":"app","Image":"r/orders@sha256:aaaaaaaaaaaaaaaa","Command":["/app","--port=1"],
		 "Environment":[{"Name":"SAME","Value":"1"},{"Name":"GONE","Value":"2"},{"Name":"OTHER","Value":"3"},{"Name":"API_TOKEN","Value":"hush"},{"Name":"NOTE","Value":"postgres://u:hush@db/x"}],
		 "Secrets":[{"Name":"DB_PASSWORD","ValueFrom":"arn:a"}],"PortMappings":[{"ContainerPort":8080}],
		 "LogConfiguration":{"Options":{"splunk-token":"hush"}}},
		{"Name":"old","Image":"r/old:1"}]}`
	const after = `{"Cpu":"512","Memory":"512","ContainerDefinitions":[
		{"Name":"app","Image":"r/orders@sha256:bbbbbbbbbbbbbbbb","Command":["/app","--port=2"],
		 "Environment":[{"Name":"SAME","Value":"1"},{"Name":"OTHER","Value":"4"},{"Name":"NEW","Value":"5"},{"Name":"API_TOKEN","Value":"hush2"},{"Name":"NOTE","Value":"none"}],
		 "Secrets":[{"Name":"DB_PASSWORD","ValueFrom":"arn:b"},{"Name":"KEY","ValueFrom":"arn:c"}],"PortMappings":[{"ContainerPort":8080},{"ContainerPort":9090}],
		 "LogConfiguration":{"Options":{"splunk-token":"hush2"}}},
		{"Name":"side","Image":"r/side:1"}]}`
	from, err := parse(before)
	if err != nil {
		t.Fatal(err)
	}
	to, err := parse(after)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range diff(from, to) {
		got = append(got, c.line())
	}
	want := []string{
		"! cpu: 256 → 512",
		"- taskRoleArn: worker",
		"! app image: orders@sha256:aaaaaaaaaaaa → orders@sha256:bbbbbbbbbbbb",
		"! app env API_TOKEN: changed, not shown",
		"- app env GONE: 2",
		"+ app env NEW: 5",
		"! app env NOTE: changed, not shown",
		"! app env OTHER: 3 → 4",
		"! app secret DB_PASSWORD: arn:a → arn:b",
		"+ app secret KEY: arn:c",
		`! app command: ["/app","--port=1"] → ["/app","--port=2"]`,
		"! app logConfiguration.options.splunk-token: changed, not shown",
		"+ app portMappings[1].containerPort: 9090",
		"- container old", "- old image: old:1",
		"+ container side", "+ side image: side:1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if again := diff(to, to); len(again) != 0 {
		t.Errorf("what is the same differs: %v", again)
	}
	if strings.Contains(fmt.Sprint(diff(from, to)), "hush") {
		t.Error("a secret is in the differences")
	}
}

// A value is shown in full length or cut, and many differences are counted.
func TestChangesAreBounded(t *testing.T) {
	r := changing()
	var env []string
	for i := range changesMax + 50 {
		env = append(env, fmt.Sprintf(`{"Name":"V%03d","Value":"%s"}`, i, strings.Repeat("x", 10*valueMax)))
	}
	r.To = strings.Replace(content("r", "256", "info"), `"Environment":[`, `"Environment":[`+strings.Join(env, ",")+",", 1)
	c := changesOf(r)
	if len(c.List) != changesMax || c.More == 0 {
		t.Fatalf("%d differences, %d more", len(c.List), c.More)
	}
	for _, d := range c.List {
		if d.To != nil && len([]rune(*d.To)) > valueMax+1 {
			t.Fatalf("a value of %d characters", len(*d.To))
		}
	}
}

func TestEffects(t *testing.T) {
	rec := func(state rollout.State) rollout.Record { return rollout.Record{State: state, Why: "It is so."} }
	rolling := rec(rollout.StateRolling)
	rolling.Rollout = &rollout.Rollout{Number: 3, Kind: rollout.KindDeploy}
	hold := []Hold{{Said: "Window", Why: "It waits."}}
	tests := map[string]struct {
		r       Rehearsed
		want    Effect
		changes bool
		failed  bool
	}{
		"settled":                {Rehearsed{Told: rec(rollout.StateSettled)}, EffectNone, false, false},
		"settled, not written":   {Rehearsed{Told: rec(rollout.StateSettled), Now: []rollout.Action{rollout.Keep{}}}, EffectChange, true, false},
		"reverted":               {Rehearsed{Told: rec(rollout.StateReverted)}, EffectRefused, false, false},
		"reverted, not written":  {Rehearsed{Told: rec(rollout.StateReverted), Now: []rollout.Action{rollout.Tag{}}}, EffectRefused, true, false},
		"stalled":                {Rehearsed{Told: rec(rollout.StateStalled)}, EffectRefused, false, false},
		"template only reported": {Rehearsed{Told: rec(rollout.StateWaitingTemplate)}, EffectReported, false, false},
		"drift only reported":    {Rehearsed{Told: rec(rollout.StateDrifted)}, EffectReported, false, false},
		"rolls":                  {Rehearsed{Told: rolling, After: rolling}, EffectChange, true, false},
		"in flight":              {Rehearsed{Before: rolling, Told: rolling, After: rolling}, EffectUnderWay, true, false},
		"waits":                  {Rehearsed{Told: rec(rollout.StateWaitingWindow), Holds: hold}, EffectWait, true, false},
		"released":               {Rehearsed{Told: rec(rollout.StateReleased)}, EffectReleased, true, false},
		"invalid":                {Rehearsed{Invalid: []desired.Error{{}}}, EffectInvalid, false, true},
		"not found out":          {Rehearsed{Err: errors.New("throttled")}, EffectUnknown, false, true},
		"not met":                {Rehearsed{New: true, Err: errors.New("unmet")}, EffectChange, true, false},
	}
	for name, tt := range tests {
		s := Of(tt.r)
		p := Plan{Services: []Service{s}}
		if s.Effect != tt.want || p.Changes() != tt.changes || p.Failed() != tt.failed || s.Summary == "" {
			t.Errorf("%s: %s (%q), changes %t, failed %t; want %s, %t, %t", name, s.Effect, s.Summary, p.Changes(), p.Failed(), tt.want, tt.changes, tt.failed)
		}
	}
	if p := (Plan{Invalid: []desired.Error{{}}}); !p.Failed() {
		t.Error("an invalid environment is no failure")
	}
	for _, e := range Effects() {
		if effectWords[e].words == "" {
			t.Errorf("%s has no words", e)
		}
	}
}

func TestMigrationWords(t *testing.T) {
	r := changing()
	if m := migration(r); !m.Runs || m.Lock != "order-db" {
		t.Errorf("%+v", m)
	}
	r.Now = r.Now[:1]
	for want, change := range map[rollout.Skip]func(*rollout.Record){
		rollout.SkipNothing: func(*rollout.Record) {},
		rollout.SkipDone:    func(rec *rollout.Record) { rec.Migrated = []string{rec.Rollout.Target.Key} },
		rollout.SkipGood:    func(rec *rollout.Record) { rec.GoodAsks = []string{rec.Rollout.Target.Ask} },
		rollout.SkipKind:    func(rec *rollout.Record) { rec.Rollout.Kind = rollout.KindRestore },
		rollout.SkipNone:    func(rec *rollout.Record) { rec.Rollout.Target.Migration = nil },
	} {
		other := r
		ro := *r.After.Rollout
		other.After.Rollout = &ro
		change(&other.After)
		if m := migration(other); m.Runs || m.Skip != want || m.Why == "" {
			t.Errorf("%+v, want %q", m, want)
		}
	}
	breaking := changing()
	breaking.After.Rollout.Target.Migration.Compatibility = desired.CompatibilityBreaking
	if m := migration(breaking); !strings.Contains(m.Why, "breaking") {
		t.Errorf("%+v", m)
	}
}

func TestTook(t *testing.T) {
	second := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for _, tt := range []struct {
		took                []time.Duration
		median, least, most int
	}{
		{[]time.Duration{second(9)}, 9, 9, 9},
		{[]time.Duration{second(30), second(10)}, 20, 10, 30},
		{[]time.Duration{second(30), second(10), second(12)}, 12, 10, 30},
	} {
		got := took(history(tt.took...))
		want := &Took{len(tt.took), desired.Duration(second(tt.median)), desired.Duration(second(tt.least)), desired.Duration(second(tt.most))}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if got := took(history()); got != nil {
		t.Errorf("of reverts alone: %+v", got)
	}
}

// What is pretended shows in what is seen, and the account's own observation stays as it was.
func TestPretenceIsLaidOver(t *testing.T) {
	parameter := "before"
	seen := observed.Service{
		Name: "orders", TaskDefinition: arns + "orders:1", Desired: 0, Tags: map[string]string{rollout.TagHold: "ops/never", "a": "1"}, Parameter: &parameter,
		Revisions: map[string]observed.Revision{}, Startable: map[string]observed.Startable{arns + "orders:1": {}}, Stack: observed.Stack{InProgress: true},
		Missing: []observed.Missing{{Fact: observed.FactAlarms}, {Fact: observed.FactLogs}},
	}
	p := &Pretence{NoHold: true, NoStack: true, Startable: true, Scaled: true, Pushed: true, Quiet: true}
	revision := p.Do(rollout.Register{Ask: "v1:a", Fingerprint: "v1:f"}, seen).Revision
	task := p.Do(rollout.RunMigration{Container: "app"}, seen).Task
	p.Do(rollout.Tag{Set: map[string]string{"a": "2"}}, seen)
	p.Do(rollout.Keep{Revision: "after"}, seen)
	look := observed.Look{Revisions: []string{revision, arns + "orders:1"}, Startable: []string{revision, arns + "orders:1"}, Migration: task, Alarms: []string{"red"}, Containers: map[string]string{"app": "2b22222"}}
	if asked := p.Ask(look); len(asked.Revisions) != 1 || len(asked.Startable) != 1 || asked.Migration != "" {
		t.Errorf("the account is asked for what it cannot have: %+v", asked)
	}
	got := p.Over(seen, look)
	if got.Tags["a"] != "2" || got.Tags[rollout.TagHold] != "" || *got.Parameter != "after" || got.Stack.InProgress || got.Desired != 1 ||
		got.Revisions[revision].Fingerprint != "v1:f" || !got.Startable[revision].OK || !got.Startable[arns+"orders:1"].OK ||
		!got.Migration.Stopped() || got.Alarms[0].State != observed.AlarmOK || len(got.Missing) != 1 || digestOf(got.Images["app"].Digest) != "" || len(got.Images["app"].Digest) != len(digestA) {
		t.Errorf("seen %+v", got)
	}
	if seen.Tags["a"] != "1" || seen.Tags[rollout.TagHold] == "" || len(seen.Revisions) != 0 || seen.Startable[arns+"orders:1"].OK || len(seen.Missing) != 2 {
		t.Errorf("the observation was changed: %+v", seen)
	}
	if plain := (&Pretence{}).Over(seen, observed.Look{}); plain.Tags[rollout.TagHold] == "" || plain.Desired != 0 || !plain.Stack.InProgress {
		t.Errorf("nothing is pretended, and it shows: %+v", plain)
	}
}

// The comment stays below what GitHub takes, tells what it leaves out, and is found again by its first line.
func TestMarkdownIsBounded(t *testing.T) {
	p := sample()
	first := strings.SplitN(p.Markdown(), "\n", 2)[0]
	for i := range 3000 {
		r := changing()
		r.Service = fmt.Sprintf("service-%d", i)
		p.Services = append(p.Services, Of(r), Service{Name: fmt.Sprintf("quiet-%d", i), Effect: EffectNone})
	}
	text := p.Markdown()
	if len(text) > markdownMax+500 || !strings.Contains(text, "no room here") || strings.SplitN(text, "\n", 2)[0] != first || first != p.Marker() {
		t.Errorf("%d bytes; first line %q, before %q", len(text), strings.SplitN(text, "\n", 2)[0], first)
	}
	if strings.Count(text, "<details>") != strings.Count(text, "</details>") {
		t.Error("something is open at the end")
	}
}

// Whatever a text is, the Markdown around it is not closed by it, and it stays on its line.
func TestNoTextEscapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching("[`~|\\\\<>@#\n a-]{0,20}")).Draw(t, "text")
		span := code(s)
		ticks := span[:len(span)-len(strings.TrimLeft(span, "`"))]
		inner := strings.TrimSuffix(strings.TrimPrefix(span, ticks), ticks)
		if strings.TrimSpace(line(s)) != "" && (ticks == "" || strings.Contains(inner, ticks)) || strings.ContainsAny(span, "\n\r") {
			t.Fatalf("span %q", span)
		}
		if c := cell(s); strings.Contains(c, "|") {
			t.Fatalf("cell %q", c)
		}
		for i, r := range prose(s) {
			before := prose(s)[:i]
			escapes := len(before) - len(strings.TrimRight(before, `\`))
			if strings.ContainsRune("<>`*_[]|~&@#$", r) && escapes%2 == 0 || r == '\n' {
				t.Fatalf("%q of %q means something", r, prose(s))
			}
		}
		var b strings.Builder
		fence(&b, "text", []string{s, s})
		lines := strings.Split(strings.Trim(b.String(), "\n"), "\n")
		if len(lines) != 4 || strings.Contains(lines[1], lines[3]) {
			t.Fatalf("fence %q", b.String())
		}
	})
}

// What a controller did not look at is assumed, and said so; what it did is answered as it was.
func TestRecall(t *testing.T) {
	rec := rollout.Record{Good: &rollout.Good{Target: target("3f9c2d1", digestA), Revision: arns + "orders:41", Fingerprint: "v1:f", Secrets: map[string]string{"secretsmanager:known": "7"}}}
	history := func() []rollout.Entry {
		return []rollout.Entry{{Images: []string{"app:8b04e7a"}, Digests: []string{digestB}}}
	}
	seen := observed.Service{
		Alarms: []observed.Alarm{{Name: "seen", State: observed.AlarmRed}}, Secrets: map[string]string{"secretsmanager:seen": "1"},
		Missing: []observed.Missing{{Fact: observed.FactSecrets}, {Fact: observed.FactLogs}},
	}
	for reference, want := range map[string]string{"3f9c2d1": digestA, "8b04e7a": digestB, digestB: digestB, "0000000": ""} {
		got, assumed := Recall(rec, seen, observed.Look{Containers: map[string]string{"app": reference}}, history)
		if digestOf(got.Images["app"].Digest) != want || got.Images["app"].Digest == "" || len(assumed) != 1 || !strings.Contains(assumed[0], reference) {
			t.Errorf("%s is %+v, assumed %v", reference, got.Images["app"], assumed)
		}
	}
	got, assumed := Recall(rec, seen, observed.Look{
		Revisions: []string{arns + "orders:41"}, Startable: []string{arns + "orders:41"}, Alarms: []string{"seen", "unseen"}, Template: true,
		Secrets: []string{"secretsmanager:seen", "secretsmanager:known", "secretsmanager:new"},
	}, history)
	want := map[string]string{"secretsmanager:seen": "1", "secretsmanager:known": "7", "secretsmanager:new": "(not looked at)"}
	if d := cmp.Diff(want, got.Secrets); d != "" {
		t.Error(d)
	}
	if got.Revisions[arns+"orders:41"].Fingerprint != "v1:f" || !got.Startable[arns+"orders:41"].OK || len(got.Alarms) != 2 || got.Alarms[0].State != observed.AlarmRed || len(assumed) != 4 {
		t.Errorf("%+v, assumed %q", got, assumed)
	}
	if _, lacks := got.Lacks(observed.FactTemplate); !lacks || len(got.Missing) != 2 {
		t.Errorf("there is no assuming a template: %+v", got.Missing)
	}
}
