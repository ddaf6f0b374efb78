package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

var update = flag.Bool("update", false, "write the golden files anew")

// kinds are a message of every kind, by the name of its golden file.
func kinds() map[string]Message {
	out := ofServices()
	maps.Copy(out, ofEnvironment())
	out["test"] = testMessage("dev", "https://deploy.example.com", start)
	return out
}

// fails is a deploy that ends so.
func fails(result rollout.Result, class observed.Class, reason, message string) func(*life) {
	return func(l *life) {
		l.begin(rollout.KindDeploy, "1.4.0")
		l.end(result, reason)
		e := &l.entries[len(l.entries)-1]
		e.Message, e.Evidence.Message, e.Evidence.Class = message, message, class
	}
}

func ofServices() map[string]Message {
	out := map[string]Message{}
	one := func(name string, event Event, happens func(*life)) {
		l := newLife("orders")
		happens(l)
		_, all := tell(l.input(), Mark{})
		i := slices.IndexFunc(all, func(m Message) bool { return m.Event == event })
		if i < 0 {
			panic(fmt.Sprintf("%s tells %v", name, all))
		}
		out[name] = all[i]
	}
	rejected := fails(rollout.ResultRejected, observed.ClassProduct, "OutOfMemory", "2 tasks stopped: the container app exited with 137, out of memory")
	one("begun", Begun, func(l *life) { l.begin(rollout.KindDeploy, "1.4.0") })
	one("begun_template", Begun, func(l *life) {
		l.begin(rollout.KindDeploy, "1.4.0")
		l.rec.Rollout.Trigger = rollout.TriggerTemplate
	})
	one("good", Good, func(l *life) { l.begin(rollout.KindDeploy, "1.4.0"); l.end(rollout.ResultSucceeded, "") })
	one("superseded", Superseded, func(l *life) {
		l.begin(rollout.KindDeploy, "1.4.0")
		l.end(rollout.ResultSuperseded, "")
		l.entries[0].Message = "git asks for app:1.4.1 meanwhile"
	})
	one("rejected", Rejected, rejected)
	one("reverting", Reverting, rejected)
	one("reverted", Reverted, func(l *life) {
		rejected(l)
		l.end(rollout.ResultReverted, "")
		l.entries[1].Message = "app:1.3.9 is complete again in ECS"
	})
	one("revert_failed", RevertFailed, func(l *life) {
		rejected(l)
		l.end(rollout.ResultRevertFailed, rollout.ReasonRevertFailed)
		l.entries[1].Message = "the last good version did not become steady within 20m"
	})
	restores := func(l *life) { l.begin(rollout.KindRestore, "1.3.9") }
	one("restoring", Restoring, restores)
	one("restored", Restored, func(l *life) {
		restores(l)
		l.end(rollout.ResultRestored, "")
		l.entries[0].Message = "app:1.3.9 serves again as git asks"
	})
	one("stalled", Stalled, fails(rollout.ResultStalled, observed.ClassInfrastructure, rollout.ReasonDeadline, "the deployment was not complete within 20m: no task could be placed"))
	one("blocked", Blocked, fails(rollout.ResultBlocked, observed.ClassBlocked, "ImageNotPullable", "the image app:1.4.0 cannot be pulled: it is not in the registry"))
	one("blocked_trouble", Blocked, func(l *life) {
		l.tick()
		l.rec.Trouble = &rollout.Trouble{Since: l.now, Kind: "blocked", Code: "AccessDeniedException", Message: "DescribeServices is not allowed to the controller"}
	})
	broken := func(l *life) {
		l.tick()
		l.since = l.now
		l.invalid = "desired/dev/orders.yaml:3:1: spec.stack is missing; it is required"
	}
	one("invalid", Invalid, broken)
	l := newLife("orders")
	broken(l)
	mark, _ := tell(l.input(), Mark{})
	l.tick()
	l.invalid, l.since = "", l.now
	_, all := tell(l.input(), mark)
	out["resolved"] = all[0]
	hostile := newLife("orders")
	hostile.begin(rollout.KindDeploy, "1.4.0")
	hostile.rec.Rollout.Target.Commit.Subject = "<!channel> *look* <https://evil.example|here>\n\x1b[31m\u202e password=hunter2-and-more"
	hostile.rec.Rollout.Target.Commit.Author = "</script>&amp;"
	_, all = tell(hostile.input(), Mark{})
	out["begun_hostile"] = all[0]
	return out
}

func ofEnvironment() map[string]Message {
	out := map[string]Message{}
	file := "desired/dev/environment.yaml:5:12: spec.region is not a region; write eu-central-1"
	w := Whole{Environment: "dev", Page: "https://deploy.example.com", Now: start.Add(time.Hour), GitKnown: true, GitError: "dial tcp 10.0.0.7:443: connection refused",
		GitSince: start, File: &file, FileAt: start, Settings: testSettings}
	plan := planWhole(w, Mark{})
	out["outage_git"], out["invalid_environment"] = *plan[0].Message, *plan[1].Message
	m := Mark{}.After(plan[0], "").After(plan[1], "")
	well := ""
	w.GitError, w.File = "", &well
	plan = planWhole(w, m)
	out["outage_over_git"], out["resolved_environment"] = *plan[0].Message, *plan[1].Message
	many := troubled{since: start, why: "DescribeServices is throttled", next: "Look at the account's quotas."}
	for i := range ServicesMax + 5 {
		many.waiting = append(many.waiting, fmt.Sprintf("service-%02d", i))
	}
	opened := w.openOutage("CallFails", many, Mark{})
	out["outage"] = *opened.Message
	out["outage_over"] = *w.closeOutage("CallFails", many.waiting[:1], Opened{Key: opened.Message.Key}).Message
	return out
}

// bodies posts a message to a webhook and to Slack over the wire, and answers what came there.
func bodies(t *testing.T, m Message) (webhook, slack []byte) {
	t.Helper()
	var got []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
	defer server.Close()
	t.Setenv("HOOK", server.URL)
	to := Reference{Env: "HOOK"}
	c := &Config{Receivers: map[string]Receiver{"hook": {Webhook: &WebhookSpec{URL: to, Secret: to}}, "slack": {SlackWebhook: &SlackWebhookSpec{URL: to}}}}
	take := func(name string) []byte {
		if _, err := newReceiver(name, Options{Config: c, Transport: http.DefaultTransport, Log: zap.NewNop()}).take(t.Context(), post{Message: m}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	return take("hook"), take("slack")
}

// TestGoldenMessages holds every kind of message to its golden file: as a person reads it, in Slack's form and in the generic one. Slack's
// form is without what only says how it is to be read.
func TestGoldenMessages(t *testing.T) {
	all := kinds()
	events := map[Event]bool{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		events[m.Event] = true
		webhook, slack := bodies(t, m)
		got := fmt.Sprintf("%s\n\n-- in Slack's form --\n%s\n-- generic --\n%s", read(t, slack), indented(t, slack), indented(t, webhook))
		file := filepath.Join("testdata", "messages", name+".golden")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got); with -update it is written anew:\n%s", file, diff)
		}
	}
	for _, e := range Events() {
		if !events[e] {
			t.Errorf("no golden message tells %s", e)
		}
	}
	files, err := filepath.Glob("testdata/messages/*.golden")
	if err != nil || len(files) != len(all) {
		t.Errorf("there are %d golden files of %d kinds: %v", len(files), len(all), err)
	}
}

// read is what a person sees of a message in Slack.
func read(t *testing.T, slack []byte) string {
	t.Helper()
	var b slackBody
	if err := json.Unmarshal(slack, &b); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, block := range b.Blocks {
		if block.Text != nil {
			out = append(out, block.Text.Text)
		}
		for _, e := range block.Elements {
			out = append(out, e.Text)
		}
	}
	return strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(strings.Join(out, "\n"))
}

func indented(t *testing.T, body []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}

// schemaFile says what a generic webhook is sent, for whoever receives it.
const schemaFile = "../../docs/notification.schema.json"

// TestSchema holds what is really sent to the schema: every message fits, every member of the schema is sent by some message, and its closed
// words are those of this package.
func TestSchema(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	for name, m := range kinds() {
		body, _ := bodies(t, m)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		members(value, "", func(path string) { sent[path] = true })
	}
	if schema.Validate(map[string]any{"schema": Schema}) == nil {
		t.Error("an empty message fits the schema")
	}
	var described struct {
		Properties map[string]struct {
			Enum       []string
			Properties map[string]struct{ Properties map[string]any }
		}
	}
	data, err := os.ReadFile(schemaFile)
	if err == nil {
		err = json.Unmarshal(data, &described)
	}
	if err != nil {
		t.Fatal(err)
	}
	var lacking []string
	for name, p := range described.Properties {
		if !sent[name] {
			lacking = append(lacking, name)
		}
		for inner, q := range p.Properties {
			if !sent[name+"."+inner] {
				lacking = append(lacking, name+"."+inner)
			}
			for last := range q.Properties {
				if !sent[name+"."+inner+"."+last] {
					lacking = append(lacking, name+"."+inner+"."+last)
				}
			}
		}
	}
	if len(lacking) > 0 {
		t.Errorf("no message has %v", lacking)
	}
	if diff := cmp.Diff(Event("").Values(), described.Properties["event"].Enum); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Severity("").Values(), described.Properties["severity"].Enum); diff != "" {
		t.Error(diff)
	}
}

func members(value any, path string, visit func(string)) {
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	for name, inner := range object {
		at := strings.TrimPrefix(path+"."+name, ".")
		visit(at)
		members(inner, at, visit)
	}
}
