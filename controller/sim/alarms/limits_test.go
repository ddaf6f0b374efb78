package alarms_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/canteen/deploy/controller/sim/alarms"
)

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html
func TestDeleteAlarmsTakesAHundredAndOneComposite(t *testing.T) {
	e := alarms.New("000000000000", "eu-central-1")
	defer e.Close()
	var names []string
	for i := range 101 {
		names = append(names, fmt.Sprint("a", i))
		if _, err := e.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{AlarmName: &names[i], MetricName: aws.String("m"), Namespace: aws.String("n"), Statistic: types.StatisticSum,
			Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold}); err != nil {
			t.Fatal(err)
		}
	}
	composites := []string{"c1", "c2"}
	for _, n := range composites {
		if _, err := e.PutCompositeAlarm(t.Context(), &cloudwatch.PutCompositeAlarmInput{AlarmName: &n, AlarmRule: aws.String(`ALARM("a100")`)}); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(names ...string) error {
		_, err := e.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: names})
		return err
	}
	for what, err := range map[string]error{"101": remove(names...), "none": remove(), "two composites": remove(composites...)} {
		if err == nil {
			t.Errorf("%s were taken", what)
		}
	}
	if err := remove(append(names[:99:99], "c1")...); err != nil {
		t.Error(err)
	}
	out, err := e.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}})
	if err != nil || len(out.MetricAlarms) != 2 || len(out.CompositeAlarms) != 1 {
		t.Errorf("left: %v, %v", out, err)
	}
	for what, in := range map[string]*cloudwatch.PutMetricAlarmInput{
		"no name":      {MetricName: aws.String("m"), Namespace: aws.String("n")},
		"no metric":    {AlarmName: aws.String("x"), Namespace: aws.String("n")},
		"no namespace": {AlarmName: aws.String("x"), MetricName: aws.String("m")},
	} {
		if _, err := e.PutMetricAlarm(t.Context(), in); err == nil {
			t.Errorf("an alarm with %s was taken", what)
		}
	}
}
