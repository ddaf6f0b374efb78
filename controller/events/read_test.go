package events_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/observed"
)

func sample(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The samples have the shape of those in AWS's documentation (ecs_task_events, ecs_service_events, ecs_service_deployment_events,
// cloudwatch-and-eventbridge); migration.json is a migration of ours with containers beside it.
func TestRead(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, want := range map[string]struct {
		event events.Event
		wakes bool
	}{
		"deployment":      {events.Event{Kind: events.KindDeployment, Account: "111122223333", Region: "us-west-2", Service: events.Place{Cluster: "default", Service: "servicetest"}}, true},
		"service":         {events.Event{Kind: events.KindService, Account: "111122223333", Region: "us-west-2", Service: events.Place{Cluster: "default", Service: "servicetest"}}, true},
		"service_old_arn": {events.Event{Kind: events.KindService, Account: "111122223333", Region: "us-west-2", Service: events.Place{Service: "servicetest"}}, true},
		"alarm":           {events.Event{Kind: events.KindAlarm, Account: "123456789012", Region: "us-east-1", Alarm: "ServerCpuTooHigh"}, true},
		"other":           {events.Event{Kind: events.KindOther, Account: "111122223333", Region: "us-west-2"}, true},
		"task_running": {events.Event{Kind: events.KindTask, Account: "111122223333", Region: "us-west-2", Task: &observed.Task{
			ARN:            "arn:aws:ecs:us-west-2:111122223333:task/FargateCluster/c13b4cb40f1f4fe4a2971f76ae5a47ad",
			TaskDefinition: "arn:aws:ecs:us-west-2:111122223333:task-definition/sample-fargate:1",
			LastStatus:     "RUNNING", DesiredStatus: "RUNNING", CreatedAt: at("2020-01-23T17:57:34.402Z"), StartedAt: at("2020-01-23T17:57:58.103Z"),
			Containers: []observed.Container{{Name: "FargateApp"}},
		}}, false},
		"migration": {events.Event{Kind: events.KindTask, Account: "000000000000", Region: "eu-central-1", Commands: []string{"app"}, Task: &observed.Task{
			ARN:        "arn:aws:ecs:eu-central-1:000000000000:task/main/0cdc9ad5b6a04a3f9a3f0c2d1e4b5a69",
			Deployment: "deploy-5f0f3b1c2d4e5f60718293a4", TaskDefinition: "arn:aws:ecs:eu-central-1:000000000000:task-definition/orders:2",
			LastStatus: "STOPPED", DesiredStatus: "STOPPED", StopCode: "EssentialContainerExited", StoppedReason: "Essential container in task exited",
			CreatedAt: at("2000-01-01T00:01:00.007Z"), StartedAt: at("2000-01-01T00:01:10Z"), StoppingAt: at("2000-01-01T00:03:10Z"), StoppedAt: at("2000-01-01T00:03:20Z"),
			Containers: []observed.Container{
				{Name: "aws-guardduty-agent-x1y2", Exited: true, ExitCode: 137},
				{Name: "app", Exited: true, ExitCode: 0, Digest: "sha256:aaaa"},
				{Name: "proxy"},
			},
		}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := events.Read(sample(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.event, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Wakes() != want.wakes {
				t.Errorf("wakes: %v", got.Wakes())
			}
		})
	}
}

func TestReadServiceTask(t *testing.T) {
	body := strings.Replace(sample(t, "task_running"), `"family:sample-fargate"`, `"service:orders"`, 1)
	got, err := events.Read(body)
	if want := (events.Place{Cluster: "FargateCluster", Service: "orders"}); err != nil || got.Service != want {
		t.Errorf("got %+v, %v", got.Service, err)
	}
	// Its first sign of an end: it is to stop, and still runs.
	body = strings.Replace(body, `"desiredStatus": "RUNNING"`, `"desiredStatus": "STOPPED"`, 1)
	if got, err = events.Read(body); err != nil || !got.Wakes() {
		t.Errorf("a task that is to stop wakes nobody: %+v, %v", got, err)
	}
}

func TestUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ body, says string }{
		"nothing":             {``, "read the envelope"},
		"text":                {`hello`, "read the envelope"},
		"a list":              {`[]`, "read the envelope"},
		"null":                {`null`, "an event of EventBridge's has both"},
		"no source":           {`{"detail-type":"ECS Task State Change"}`, "an event of EventBridge's has both"},
		"no detail":           {`{"source":"aws.ecs","detail-type":"ECS Task State Change"}`, `"ECS Task State Change"`},
		"no task":             {`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{}}`, "a task has both"},
		"no status":           {`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{"taskArn":"a"}}`, "a task has both"},
		"a number for a code": {`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{"taskArn":"a","lastStatus":"STOPPED","containers":[{"name":"x","exitCode":"0"}]}}`, "exitCode"},
		"no time":             {`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{"taskArn":"a","lastStatus":"STOPPED","stoppedAt":"yesterday"}}`, "yesterday"},
		"no service":          {`{"source":"aws.ecs","detail-type":"ECS Service Action","resources":["arn:aws:ecs:r:a:cluster/x"]}`, "ARN of a service"},
		"no resources":        {`{"source":"aws.ecs","detail-type":"ECS Deployment State Change"}`, "ARN of a service"},
		"no alarm":            {`{"source":"aws.cloudwatch","detail-type":"CloudWatch Alarm State Change","detail":{}}`, "alarmName"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := events.Read(c.body)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
			if diff := cmp.Diff(events.Event{Kind: events.KindUnreadable}, got); diff != "" {
				t.Errorf("something is left of it:\n%s", diff)
			}
		})
	}
}

// Anybody may send events of any type, but only AWS those of a source that begins with "aws.".
func TestOnlyAWSIsBelieved(t *testing.T) {
	for _, name := range []string{"deployment", "service", "alarm", "migration"} {
		var e map[string]any
		if err := json.Unmarshal([]byte(sample(t, name)), &e); err != nil {
			t.Fatal(err)
		}
		for _, source := range []string{"my.app", "aws", "AWS.ECS", "aws.ecs.evil", " aws.ecs"} {
			e["source"] = source
			body, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			got, err := events.Read(string(body))
			if err != nil || got.Kind != events.KindOther || got.Task != nil || got.Alarm != "" || got.Service != (events.Place{}) {
				t.Errorf("%s from %q: %+v, %v", name, source, got, err)
			}
		}
	}
}

// What is meant for people changes nothing that is decided: only its own member.
func TestTextsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var e map[string]any
		b, err := os.ReadFile("testdata/migration.json")
		if err == nil {
			err = json.Unmarshal(b, &e)
		}
		if err != nil {
			t.Fatal(err)
		}
		plain, err := events.Read(string(b))
		if err != nil {
			t.Fatal(err)
		}
		e["detail"].(map[string]any)["stoppedReason"] = text
		e["detail"].(map[string]any)[rapid.StringMatching(`x[a-z]{1,8}`).Draw(t, "member")] = text
		e["id"] = text
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := events.Read(string(body))
		if err != nil {
			t.Fatal(err)
		}
		got.Task.StoppedReason = plain.Task.StoppedReason
		if diff := cmp.Diff(plain, got); diff != "" {
			t.Errorf("(-plain +with other texts):\n%s", diff)
		}
	})
}

// An exit code is never made up: a container without one has not exited, whatever else is said of it.
func TestExitCodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.Ptr(rapid.IntRange(-1, 255), true).Draw(t, "code")
		container := map[string]any{"name": "app", "lastStatus": "STOPPED"}
		if code != nil {
			container["exitCode"] = *code
		}
		body, err := json.Marshal(map[string]any{"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": map[string]any{
			"taskArn": "a", "lastStatus": "STOPPED", "containers": []any{container},
		}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := events.Read(string(body))
		if err != nil {
			t.Fatal(err)
		}
		c, _ := got.Task.Container("app")
		if c.Exited != (code != nil) || code != nil && c.ExitCode != *code || code == nil && c.ExitCode != 0 {
			t.Errorf("%v became %+v", code, c)
		}
	})
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("there are no samples", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, body string) {
		e, err := events.Read(body)
		if (err != nil) != (e.Kind == events.KindUnreadable) {
			t.Errorf("kind %q with error %v", e.Kind, err)
		}
		if e.Kind == events.KindTask && (e.Task == nil || e.Task.ARN == "") || e.Kind == events.KindAlarm && e.Alarm == "" ||
			(e.Kind == events.KindDeployment || e.Kind == events.KindService) && e.Service.Service == "" {
			t.Errorf("%s that says nothing: %+v", e.Kind, e)
		}
		if e.Kind != events.KindTask && e.Task != nil {
			t.Errorf("%s with a task", e.Kind)
		}
	})
}
