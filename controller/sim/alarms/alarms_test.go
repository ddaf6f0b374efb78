package alarms_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/alarms"
)

func put(t *testing.T, e *alarms.Engine, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := e.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{AlarmName: &n, MetricName: aws.String("m"), Namespace: aws.String("n"), Threshold: aws.Float64(1)}); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t *testing.T, e *alarms.Engine, in cloudwatch.DescribeAlarmsInput) []string {
	t.Helper()
	var got []string
	for {
		out, err := e.DescribeAlarms(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range out.MetricAlarms {
			got = append(got, *a.AlarmName)
		}
		for _, a := range out.CompositeAlarms {
			got = append(got, "composite "+*a.AlarmName)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return got
		}
	}
}

func TestDescribeAlarms(t *testing.T) {
	e := alarms.New("000000000000", "eu-central-1")
	put(t, e, "a", "b", "c")
	if _, err := e.PutCompositeAlarm(t.Context(), &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String("b2"), AlarmRule: aws.String("ALARM(a)")}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("b"), StateValue: types.StateValueAlarm, StateReason: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   cloudwatch.DescribeAlarmsInput
		want []string
	}{
		{"metric alarms only", cloudwatch.DescribeAlarmsInput{}, []string{"a", "b", "c"}},
		{"pages", cloudwatch.DescribeAlarmsInput{MaxRecords: aws.Int32(1)}, []string{"a", "b", "c"}},
		{"absent names are absent", cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"c", "nowhere"}}, []string{"c"}},
		{"a composite one by name is not told", cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"b2"}}, nil},
		{"unless asked for", cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"b2", "a"}, AlarmTypes: []types.AlarmType{"CompositeAlarm", "MetricAlarm"}}, []string{"a", "composite b2"}},
		{"state", cloudwatch.DescribeAlarmsInput{StateValue: types.StateValueAlarm}, []string{"b"}},
		{"prefix", cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("b"), AlarmTypes: []types.AlarmType{"CompositeAlarm"}}, []string{"composite b2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, names(t, e, c.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, in := range map[string]cloudwatch.DescribeAlarmsInput{
		"101 names":       {AlarmNames: many},
		"101 records":     {MaxRecords: aws.Int32(101)},
		"children":        {ChildrenOfAlarmName: aws.String("b2")},
		"name and prefix": {AlarmNames: []string{"a"}, AlarmNamePrefix: aws.String("a")},
	} {
		if _, err := e.DescribeAlarms(t.Context(), &in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	_, err := e.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{NextToken: aws.String("!")})
	if _, ok := errors.AsType[*types.InvalidNextToken](err); !ok {
		t.Errorf("foreign token: %v", err)
	}
}

func TestStateOutlivesChangesOfTheAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := alarms.New("000000000000", "eu-central-1")
		put(t, e, "a")
		describe := func() types.MetricAlarm {
			out, err := e.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
			if err != nil {
				t.Fatal(err)
			}
			return out.MetricAlarms[0]
		}
		if a := describe(); a.StateValue != types.StateValueInsufficientData || !*a.ActionsEnabled {
			t.Errorf("new: %+v", a)
		}
		set := func(v types.StateValue) error {
			_, err := e.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("a"), StateValue: v, StateReason: aws.String("x")})
			return err
		}
		time.Sleep(time.Minute)
		turned := time.Now()
		if err := set(types.StateValueAlarm); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := set(types.StateValueAlarm); err != nil {
			t.Fatal(err)
		}
		put(t, e, "a")
		a := describe()
		if a.StateValue != types.StateValueAlarm || !a.StateTransitionedTimestamp.Equal(turned) || !a.StateUpdatedTimestamp.Equal(time.Now()) {
			t.Errorf("after the change: %s, turned %s, updated %s", a.StateValue, a.StateTransitionedTimestamp, a.StateUpdatedTimestamp)
		}
		if set("RED") == nil {
			t.Error("RED is not a state")
		}
		if _, err := e.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"a", "nowhere"}}); err == nil || describe().AlarmName == nil {
			t.Error("an absent name must keep the others")
		}
		if _, err := e.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"a"}}); err != nil {
			t.Error(err)
		}
		if set(types.StateValueOk) == nil {
			t.Error("the alarm is gone")
		}
	})
}

func TestState(t *testing.T) {
	e := alarms.New("000000000000", "eu-central-1")
	put(t, e, "metric")
	if _, err := e.PutCompositeAlarm(t.Context(), &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String("composite"), AlarmRule: aws.String("ALARM(metric)")}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []map[string]string{
		{"metric": "INSUFFICIENT_DATA", "composite": "OK"}, {"metric": "ALARM", "composite": "ALARM"}, {"metric": "OK", "composite": "OK"},
	} {
		if _, err := e.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("metric"), StateValue: types.StateValue(want["metric"]), StateReason: aws.String("test")}); err != nil {
			t.Fatal(err)
		}
		for name, state := range want {
			if got, ok := e.State(name); !ok || got != state {
				t.Errorf("%s is %q, %t, want %s", name, got, ok, state)
			}
		}
	}
	if got, ok := e.State("none"); ok {
		t.Errorf("an alarm that is not there is %q", got)
	}
	asked := ""
	e.Observe(func(alarms.Change) { asked, _ = e.State("metric") }) // who is told may ask
	if _, err := e.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("metric"), StateValue: types.StateValueAlarm, StateReason: aws.String("test")}); err != nil {
		t.Fatal(err)
	}
	if asked != "ALARM" {
		t.Errorf("who was told saw %q", asked)
	}
}
