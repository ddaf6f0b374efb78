package alarms_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/alarms"
)

func state(t *testing.T, e *alarms.Engine, name string) types.StateValue {
	t.Helper()
	out, err := e.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{"MetricAlarm", "CompositeAlarm"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.MetricAlarms) == 1 {
		return out.MetricAlarms[0].StateValue
	}
	return out.CompositeAlarms[0].StateValue
}

func errorsAlarm(name, missing string, periods, toAlarm int32) *cloudwatch.PutMetricAlarmInput {
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, Namespace: aws.String("Orders"), MetricName: aws.String("Errors"), Statistic: types.StatisticSum, Period: aws.Int32(60),
		EvaluationPeriods: &periods, DatapointsToAlarm: &toAlarm, Threshold: aws.Float64(10), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
		TreatMissingData: &missing,
	}
}

// The rows of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html:
// data points oldest first, X breaching, 0 not, - missing; what an alarm that is "now" says then.
func TestMissingDataAsInAWSsTable(t *testing.T) {
	const retain = "retain"
	for _, c := range []struct {
		points  string
		toAlarm int32
		want    map[string]string
	}{
		{"0-X-X", 3, map[string]string{"missing": "OK", "ignore": "OK", "breaching": "OK", "notBreaching": "OK"}},
		{"----0", 3, map[string]string{"missing": "OK", "ignore": "OK", "breaching": "OK", "notBreaching": "OK"}},
		{"0XX-X", 3, map[string]string{"missing": "ALARM", "ignore": "ALARM", "breaching": "ALARM", "notBreaching": "ALARM"}},
		{"--X--", 3, map[string]string{"missing": "ALARM", "ignore": retain, "breaching": "ALARM", "notBreaching": "OK"}},
		{"0-X-X", 2, map[string]string{"missing": "ALARM", "ignore": "ALARM", "breaching": "ALARM", "notBreaching": "ALARM"}},
		{"00X0X", 2, map[string]string{"missing": "ALARM", "ignore": "ALARM", "breaching": "ALARM", "notBreaching": "ALARM"}},
		{"0-X--", 2, map[string]string{"missing": "OK", "ignore": "OK", "breaching": "ALARM", "notBreaching": "OK"}},
		{"----0", 2, map[string]string{"missing": "OK", "ignore": "OK", "breaching": "ALARM", "notBreaching": "OK"}},
		{"---X-", 2, map[string]string{"missing": "ALARM", "ignore": retain, "breaching": "ALARM", "notBreaching": "OK"}},
	} {
		for missing, want := range c.want {
			t.Run(fmt.Sprintf("%s %d of 3 %s", c.points, c.toAlarm, missing), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := alarms.New("000000000000", "eu-central-1")
					defer e.Close()
					// The data come first and late, so that one evaluation sees all of them.
					now := time.Now().Truncate(time.Minute)
					for i, p := range c.points {
						if p != '-' {
							e.Add("Orders", "Errors", nil, now.Add(time.Duration(i-len(c.points)+1)*time.Minute), map[rune]float64{'X': 11, '0': 10}[p])
						}
					}
					before := types.StateValueInsufficientData
					if want == retain {
						want = string(before)
					}
					if _, err := e.PutMetricAlarm(t.Context(), errorsAlarm("a", missing, 3, c.toAlarm)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					if got := state(t, e, "a"); got != types.StateValue(want) {
						t.Errorf("got %s, want %s", got, want)
					}
				})
			})
		}
	}
}

func TestAlarmOverATrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := alarms.New("000000000000", "eu-central-1")
		defer e.Close()
		var told []string
		began := time.Now()
		e.Observe(func(c alarms.Change) {
			told = append(told, fmt.Sprintf("%s %s→%s", time.Since(began), c.Old.Value, c.Metric.StateValue))
		})
		if _, err := e.PutMetricAlarm(t.Context(), errorsAlarm("a", "notBreaching", 1, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("a"), StateValue: types.StateValueOk, StateReason: aws.String("x")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		put := func(v float64) {
			if _, err := e.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Orders"), MetricData: []types.MetricDatum{{MetricName: aws.String("Errors"), Value: &v}}}); err != nil {
				t.Fatal(err)
			}
		}
		put(6)
		put(5)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		out, err := e.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
		if err != nil || !strings.Contains(*out.MetricAlarms[0].StateReason, "treated as [NonBreaching]") {
			t.Errorf("reason %v, %v", out, err)
		}
		// Two more periods are looked at to fill up for missing data: so long the one breach counts.
		want := []string{"0s INSUFFICIENT_DATA→OK", "1h1m0s OK→ALARM", "1h4m0s ALARM→OK"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestCompositeAlarms(t *testing.T) {
	e := alarms.New("000000000000", "eu-central-1")
	defer e.Close()
	put(t, e, "a", "b", "my alarm")
	compose := func(name, rule string) error {
		_, err := e.PutCompositeAlarm(t.Context(), &cloudwatch.PutCompositeAlarmInput{AlarmName: &name, AlarmRule: &rule})
		return err
	}
	set := func(name string, v types.StateValue) {
		if _, err := e.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: v, StateReason: aws.String("x")}); err != nil {
			t.Fatal(err)
		}
	}
	for name, rule := range map[string]string{
		"either":   `ALARM(a) OR ALARM("my alarm")`,
		"both":     `ALARM(a) AND ALARM(arn:aws:cloudwatch:eu-central-1:000000000000:alarm:b)`,
		"neither":  `NOT (ALARM(a) OR ALARM(b))`,
		"binding":  `OK(a) OR ALARM(a) AND OK(b)`,
		"unknown":  `INSUFFICIENT_DATA("my alarm")`,
		"constant": `TRUE AND NOT FALSE`,
	} {
		if err := compose(name, rule); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := compose("above", "ALARM(both) AND ALARM(either)"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ a, b, red string }{
		{"OK", "OK", "neither binding unknown constant"},
		{"ALARM", "OK", "either binding unknown constant"},
		{"ALARM", "ALARM", "either both unknown constant above"},
		{"OK", "ALARM", "binding unknown constant"},
	} {
		set("a", types.StateValue(c.a))
		set("b", types.StateValue(c.b))
		for _, name := range []string{"either", "both", "neither", "binding", "unknown", "constant", "above"} {
			want := types.StateValueOk
			if strings.Contains(" "+c.red+" ", " "+name+" ") {
				want = types.StateValueAlarm
			}
			if got := state(t, e, name); got != want {
				t.Errorf("a %s, b %s: %s is %s", c.a, c.b, name, got)
			}
		}
	}
	for _, wrong := range []string{"", "ALARM", "ALARM()", "ALARM(a", "a", "ALARM(a) ALARM(b)", "NOT", "(ALARM(a)", "ALARM(nowhere)", "ALARM(self)"} {
		if compose("self", wrong) == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
	if compose("both", "ALARM(above)") == nil {
		t.Error("a rule that leads back to itself was taken")
	}
}

func TestGetMetricData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := alarms.New("000000000000", "eu-central-1")
		defer e.Close()
		dimension := []types.Dimension{{Name: aws.String("Service"), Value: aws.String("orders")}}
		began := time.Now().Truncate(time.Minute)
		if _, err := e.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Orders"), MetricData: []types.MetricDatum{
			{MetricName: aws.String("Latency"), Dimensions: dimension, Timestamp: aws.Time(began), Values: []float64{1, 5}, Counts: []float64{3, 1}},
			{MetricName: aws.String("Latency"), Dimensions: dimension, Timestamp: aws.Time(began.Add(time.Minute)), StatisticValues: &types.StatisticSet{Sum: aws.Float64(9), SampleCount: aws.Float64(3), Minimum: aws.Float64(2), Maximum: aws.Float64(4)}},
			{MetricName: aws.String("Latency"), Timestamp: aws.Time(began), Value: aws.Float64(100)},
		}}); err != nil {
			t.Fatal(err)
		}
		for stat, want := range map[string][]float64{"Sum": {9, 8}, "Average": {3, 2}, "Minimum": {2, 1}, "Maximum": {4, 5}, "SampleCount": {3, 4}} {
			out, err := e.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
				StartTime: aws.Time(began), EndTime: aws.Time(began.Add(time.Hour)),
				MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("q"), MetricStat: &types.MetricStat{
					Metric: &types.Metric{Namespace: aws.String("Orders"), MetricName: aws.String("Latency"), Dimensions: dimension}, Period: aws.Int32(60), Stat: &stat,
				}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, out.MetricDataResults[0].Values); diff != "" {
				t.Errorf("%s (-want +got):\n%s", stat, diff)
			}
		}
		for name, d := range map[string]types.MetricDatum{
			"no value":      {MetricName: aws.String("m")},
			"two forms":     {MetricName: aws.String("m"), Value: aws.Float64(1), Values: []float64{1}},
			"counts differ": {MetricName: aws.String("m"), Values: []float64{1}, Counts: []float64{1, 2}},
			"long ago":      {MetricName: aws.String("m"), Value: aws.Float64(1), Timestamp: aws.Time(began.AddDate(0, 0, -15))},
		} {
			if _, err := e.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("n"), MetricData: []types.MetricDatum{d}}); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if _, err := e.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("AWS/ECS"), MetricData: []types.MetricDatum{{MetricName: aws.String("m"), Value: aws.Float64(1)}}}); err == nil {
			t.Error("AWS's own namespace was taken")
		}
	})
}
