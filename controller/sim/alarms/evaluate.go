package alarms

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// extraPeriods is how many periods more than EvaluationPeriods an evaluation looks at, to fill up for missing
// data. AWS's own example has two.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
const extraPeriods = 2

func alarmKey(a types.MetricAlarm) string {
	return seriesKey(aws.ToString(a.Namespace), aws.ToString(a.MetricName), a.Dimensions)
}

// schedule plans the next evaluation at the end of the current period, unless there is one, or nothing to
// evaluate. The caller holds the lock.
func (e *Engine) schedule(a types.MetricAlarm) {
	name := *a.AlarmName
	_, known := bucket{count: 1}.statistic(string(a.Statistic))
	if e.closed || e.timers[name] != nil || e.series[alarmKey(a)] == nil || !known || checkPeriod(aws.ToInt32(a.Period)) != nil || compare(a, 0) == nil {
		return
	}
	now := time.Now()
	period := time.Duration(*a.Period) * time.Second
	next := now.Truncate(period).Add(period)
	e.timers[name] = time.AfterFunc(next.Sub(now), func() {
		e.evaluate(name)
		e.tell()
	})
}

func (e *Engine) evaluate(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.timers, name)
	a, ok := e.metric[name]
	s := e.series[alarmKey(a)]
	if !ok || s == nil || e.closed {
		return
	}
	period := time.Duration(*a.Period) * time.Second
	needed := int(aws.ToInt32(a.EvaluationPeriods))
	end := time.Now().Truncate(period)
	var real, breaching int
	var shown []string
	for i := 1; i <= needed+extraPeriods && real < needed; i++ {
		at := end.Add(-time.Duration(i) * period)
		b, present := s.point(at, period)
		if !present {
			continue
		}
		v, _ := b.statistic(string(a.Statistic))
		real++
		if *compare(a, v) {
			breaching++
		}
		shown = append(shown, fmt.Sprintf("%g (%s)", v, at.UTC().Format("02/01/06 15:04:05")))
	}
	toAlarm := needed
	if a.DatapointsToAlarm != nil {
		toAlarm = int(*a.DatapointsToAlarm)
	}
	if state := judge(aws.ToString(a.TreatMissingData), needed, toAlarm, real, breaching, a.StateValue); state != a.StateValue {
		e.become(name, state, because(a, state, shown), nil)
		e.compose()
	}
	if real > 0 {
		e.schedule(e.metric[name])
	}
}

// judge is AWS's table of what missing data means: of needed data points real were there and breaching breached.
func judge(missing string, needed, toAlarm, real, breaching int, now types.StateValue) types.StateValue {
	if breaching >= toAlarm || (missing == "breaching" && breaching+needed-real >= toAlarm) {
		return types.StateValueAlarm
	}
	onlyBreaching := real > 0 && breaching == real && real < needed
	switch {
	case missing == "breaching" || missing == "notBreaching":
		return types.StateValueOk
	case missing == "ignore" && (real == 0 || onlyBreaching):
		return now
	case real == 0:
		return types.StateValueInsufficientData
	case onlyBreaching:
		return types.StateValueAlarm
	default:
		return types.StateValueOk
	}
}

// compare says whether a value breaches; nil where the operator is one for anomaly detection.
func compare(a types.MetricAlarm, v float64) *bool {
	limit := aws.ToFloat64(a.Threshold)
	switch a.ComparisonOperator {
	case types.ComparisonOperatorGreaterThanThreshold:
		return aws.Bool(v > limit)
	case types.ComparisonOperatorGreaterThanOrEqualToThreshold:
		return aws.Bool(v >= limit)
	case types.ComparisonOperatorLessThanThreshold:
		return aws.Bool(v < limit)
	case types.ComparisonOperatorLessThanOrEqualToThreshold:
		return aws.Bool(v <= limit)
	}
	return nil
}

// because words the state's reason as CloudWatch does.
func because(a types.MetricAlarm, state types.StateValue, points []string) string {
	if state == types.StateValueInsufficientData {
		return fmt.Sprintf("Insufficient Data: %d datapoints were unknown.", *a.EvaluationPeriods)
	}
	if len(points) == 0 {
		return fmt.Sprintf("Threshold Crossed: no datapoints were received for %d periods and %d missing datapoints were treated as [%s].",
			*a.EvaluationPeriods, *a.EvaluationPeriods, map[bool]string{true: "Breaching", false: "NonBreaching"}[state == types.StateValueAlarm])
	}
	verb := "were"
	if len(points) == 1 {
		verb = "was"
	}
	not := ""
	if state == types.StateValueOk {
		not = "not "
	}
	words := map[types.ComparisonOperator]string{
		types.ComparisonOperatorGreaterThanThreshold: "greater than", types.ComparisonOperatorGreaterThanOrEqualToThreshold: "greater than or equal to",
		types.ComparisonOperatorLessThanThreshold: "less than", types.ComparisonOperatorLessThanOrEqualToThreshold: "less than or equal to",
	}[a.ComparisonOperator]
	return fmt.Sprintf("Threshold Crossed: %d datapoints [%s] %s %s%s the threshold (%g).",
		len(points), strings.Join(points, ", "), verb, not, words, aws.ToFloat64(a.Threshold))
}
