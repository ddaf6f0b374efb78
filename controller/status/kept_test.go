package status

import (
	"reflect"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// What is kept of a look is the whole look, whatever is set in it.
func TestKeptIsWhatWasSeen(t *testing.T) {
	yes, text := true, "x"
	all := observed.Service{
		At: time.Unix(1, 0), Stack: observed.Stack{Name: "s", Outputs: map[string]string{"a": "b"}}, Status: observed.StatusActive, ARN: "arn", Name: "n",
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
