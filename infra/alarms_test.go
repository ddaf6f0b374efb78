package main

import (
	"fmt"
	"slices"
	"testing"
)

// Every alarm says what no data means, and tells somebody.
func TestAlarms(t *testing.T) {
	main := templates(t, "dev").main
	want := map[string]string{"5xx": "notBreaching", "no-healthy-host": "breaching", "rds-cpu": "breaching", "rds-storage": "missing", "rds-connections": "missing",
		"queue-age": "notBreaching", "dead-letters": "notBreaching", "controller-heartbeat": "breaching"}
	for name, missing := range want {
		p := properties(t, main, "AWS::CloudWatch::Alarm", "AlarmName", "order-processing-dev-"+name)
		if p["TreatMissingData"] != missing || p["AlarmActions"] == nil || p["OKActions"] == nil {
			t.Errorf("alarm %s: missing data are %v, actions %v and %v", name, p["TreatMissingData"], p["AlarmActions"], p["OKActions"])
		}
	}
	if n := len(resources(main, "AWS::CloudWatch::Alarm")); n != len(want) {
		t.Errorf("there are %d alarms, want %d", n, len(want))
	}
}

// Where no task answers, the load balancer does it itself, and only its own count has the errors; without calls nothing has. An environment
// where nothing was ever good has no task, and nobody is called for that.
func TestOutageOfEveryTaskTurnsAlarms(t *testing.T) {
	for _, env := range all(t) {
		s, main := settingsOf(t, env), templates(t, env).main
		errors := properties(t, main, "AWS::CloudWatch::Alarm", "AlarmName", s.named("5xx"))
		var counted []string
		for _, m := range list(errors["Metrics"]) {
			if stat, ok := m.(object)["MetricStat"].(object); ok {
				metric := stat["Metric"].(object)
				counted = append(counted, fmt.Sprint(metric["MetricName"], " ", len(list(metric["Dimensions"])), " ", stat["Stat"], " ", stat["Period"]))
			} else if m.(object)["Expression"] != "FILL(m0, 0) + FILL(m1, 0)" || m.(object)["ReturnData"] != true {
				t.Errorf("%s: errors are %v", env, m)
			}
		}
		if want := []string{"HTTPCode_Target_5XX_Count 2 Sum 60", "HTTPCode_ELB_5XX_Count 1 Sum 60"}; !slices.Equal(counted, want) {
			t.Errorf("%s: counted are %v, want %v", env, counted, want)
		}
		// A count that comes late was filled with 0 before: the minutes before the last one are looked at again.
		if errors["EvaluationPeriods"] != 3.0 || errors["DatapointsToAlarm"] != 1.0 {
			t.Errorf("%s: %v of %v minutes turn the alarm", env, errors["DatapointsToAlarm"], errors["EvaluationPeriods"])
		}
		for _, r := range resources(main, "AWS::CloudWatch::Alarm") {
			p := r["Properties"].(object)
			if hosts := p["MetricName"] == "HealthyHostCount"; hosts != (r["Condition"] == "SomethingWasGood") || hosts && (p["ComparisonOperator"] != below || p["Threshold"] != 1.0) {
				t.Errorf("%s: alarm %v is there under condition %v, with %v %v", env, p["AlarmName"], r["Condition"], p["ComparisonOperator"], p["Threshold"])
			}
		}
	}
}
