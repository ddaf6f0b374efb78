package observed

import (
	"reflect"
	"testing"
	"time"
)

// A member that Merge forgets is a fact that nobody looks at: every member of the second look must arrive in the first.
func TestMergeForgetsNothing(t *testing.T) {
	full := Look{
		Stack: "s", Containers: map[string]string{"app": "tag"}, Template: true, Revisions: []string{"r"}, Startable: []string{"r"}, Parameter: true, Alike: &Rendering{Template: "t"},
		Deployment: "d", ServiceDeployment: true, ServiceRecord: "sd", Tasks: true, Targets: true, Alarms: []string{"a"},
		Secrets: []string{"secretsmanager:s"}, Logs: &LogLook{Revision: "r", Since: time.Unix(1, 0), Patterns: []string{"p"}, Tail: 5}, Migration: "m", MigrationSince: time.Unix(2, 0), MigrationLog: true, Fresh: true, Rolling: true, Before: true, Thorough: true, Since: time.Unix(3, 0),
	}
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("the test leaves out %s", v.Type().Field(i).Name)
		}
	}
	if got := (Look{}).Merge(full); !reflect.DeepEqual(got, full) {
		t.Errorf("merged into nothing: %+v", got)
	}
	if got := full.Merge(Look{}); !reflect.DeepEqual(got, full) {
		t.Errorf("nothing merged into it: %+v", got)
	}
	other := Look{Deployment: "other", Alarms: []string{"a", "b"}, Containers: map[string]string{"app": "other", "proxy": "p"}, Logs: &LogLook{Since: time.Unix(0, 0), Patterns: []string{"q"}, Tail: 9}}
	got := full.Merge(other)
	if got.Deployment != "d" || !reflect.DeepEqual(got.Alarms, []string{"a", "b"}) || got.Containers["app"] != "tag" || got.Containers["proxy"] != "p" {
		t.Errorf("merged %+v", got)
	}
	if got.Logs.Tail != 9 || !got.Logs.Since.Equal(time.Unix(0, 0)) || len(got.Logs.Patterns) != 2 {
		t.Errorf("merged logs %+v", got.Logs)
	}
}
