package status

import (
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// What is kept of a look is the whole look, whatever is set in it.
func TestKeptIsWhatWasSeen(t *testing.T) {
	yes, text := true, "x"
	all := observed.Service{
		At: time.Unix(1, 0), Stack: observed.Stack{Name: "s", Outputs: map[string]string{"a": "b"}}, Status: observed.StatusActive, ARN: "arn", Name: "n", DeployedBy: "EXTERNAL",
		TaskDefinition: "n:1", Desired: 1, Running: 2, Pending: 3, Deployments: []observed.Deployment{{ID: "d"}}, Tags: map[string]string{"k": "v", "l": "w"},
		TargetGroups: []observed.TargetGroup{{ARN: "g"}}, Events: []observed.Event{{ID: "e"}}, Template: &observed.Template{ARN: "t"},
		Images: map[string]observed.Image{"app": {Tag: "1"}}, Revisions: map[string]observed.Revision{"n:1": {ARN: "n:1"}, "n:2": {ARN: "n:2", Active: true}},
		Startable: map[string]observed.Startable{"n:1": {OK: true}}, Secrets: map[string]string{"s": "1"}, Alike: &yes, Parameter: &text,
		ServiceDeployment: &observed.ServiceDeployment{ARN: "sd"}, Tasks: []observed.Task{{ARN: "t"}}, Targets: []observed.Target{{ID: "i"}},
		Alarms: []observed.Alarm{{Name: "a"}}, Logs: &observed.Logs{Seen: true}, Migration: &observed.Task{ARN: "m"}, MigrationLog: []string{"l"},
		Missing: []observed.Missing{{Fact: observed.FactTasks}},
	}
	v := reflect.ValueOf(all)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("this test sets no %s", v.Type().Field(i).Name)
		}
		one := observed.Service{}
		reflect.ValueOf(&one).Elem().Field(i).Set(v.Field(i))
		if got := keep(one).Service(); !reflect.DeepEqual(got, one) {
			t.Errorf("with %s alone: kept %+v, want %+v", v.Type().Field(i).Name, got, one)
		}
	}
	if got := keep(all).Service(); !reflect.DeepEqual(got, all) {
		t.Errorf("kept %+v, want %+v", got, all)
	}
	if got := keep(observed.Service{Tags: map[string]string{}}).Service(); got.Tags == nil || got.Revisions != nil {
		t.Error("an empty map is not none")
	}
}

// What is told of a look is kept besides it only where the look as it was kept does not show it.
func TestLookIsKeptOnce(t *testing.T) {
	seen := observed.Service{
		At: time.Unix(1, 0), Status: observed.StatusActive, ARN: "arn:aws:ecs:eu-central-1:123456789012:service/shop/orders", TaskDefinition: "orders:1", Desired: 2, Running: 1,
		Pending: 1, Deployments: []observed.Deployment{{ID: "ecs-svc/1", Primary: true}}, Tags: map[string]string{"k": "v"}, Missing: []observed.Missing{{Fact: observed.FactAlarms}},
	}
	rolls := seen
	rolls.Tasks = []observed.Task{{ARN: "arn:aws:ecs:eu-central-1:123456789012:task/shop/1"}}
	for name, tt := range map[string]struct {
		seen     observed.Service
		inFlight bool
		once     bool
	}{
		"settled":                           {seen, false, true},
		"rolls":                             {rolls, true, true},
		"tasks are told, and were not kept": {rolls, false, false},
	} {
		b := New(prometheus.NewRegistry(), "dev", Build{}, zap.NewNop())
		told := Observe(tt.seen)
		b.Publish(View{Record: rollout.Record{Service: "orders"}, Observed: &told, Seen: Keep(tt.seen, Kept{}, tt.inFlight)})
		v := b.Service("orders")
		if (v.Observed == nil) != tt.once || !reflect.DeepEqual(v.Look(), told) {
			t.Errorf("%s: kept once is %v, and it tells %+v, want %+v", name, v.Observed == nil, v.Look(), told)
		}
		region, account, cluster := v.identity()
		if wanted, running, pending := v.tasks(); wanted != 2 || running != 1 || pending != 1 || !v.at().Equal(told.At) || region != "eu-central-1" || account != "123456789012" || cluster != "shop" {
			t.Errorf("%s: %d %d %d %s %s %s %s", name, wanted, running, pending, v.at(), region, account, cluster)
		}
	}
}
