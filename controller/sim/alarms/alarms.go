// Package alarms is CloudWatch of the local account: metrics, alarms on them, and composite alarms.
//
// An alarm on one metric and statistic is evaluated from the metric's first datum on. Until then, and for ever
// where it is on metric math or a percentile, it has the state that SetAlarmState gave it.
package alarms

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// maxNames is the limit of AlarmNames and of a page, and the size of a page where none is asked for is half.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
const (
	maxNames = 100
	pageSize = 50
)

// Engine holds the alarms of one account and region.
type Engine struct {
	account, region string

	mu        sync.Mutex
	metric    map[string]types.MetricAlarm
	composite map[string]types.CompositeAlarm
	rules     map[string]rule        // of the composite alarms
	series    map[string]*series     // by seriesKey
	timers    map[string]*time.Timer // the next evaluation of a metric alarm, by name
	closed    bool

	observe func(Change)
	news    []Change
	telling bool
}

// New makes an engine without alarms.
func New(account, region string) *Engine {
	return &Engine{
		account: account, region: region,
		metric: map[string]types.MetricAlarm{}, composite: map[string]types.CompositeAlarm{}, rules: map[string]rule{},
		series: map[string]*series{}, timers: map[string]*time.Timer{},
	}
}

// Close ends all evaluation.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, t := range e.timers {
		t.Stop()
	}
}

func (e *Engine) arn(name string) *string {
	return aws.String("arn:aws:cloudwatch:" + e.region + ":" + e.account + ":alarm:" + name)
}

// PutMetricAlarm makes an alarm in INSUFFICIENT_DATA, or changes one and leaves its state alone.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
func (e *Engine) PutMetricAlarm(_ context.Context, in *cloudwatch.PutMetricAlarmInput) (*cloudwatch.PutMetricAlarmOutput, error) {
	if err := wire.Refuse(in, "AlarmName", "ActionsEnabled", "AlarmActions", "AlarmDescription", "ComparisonOperator",
		"DatapointsToAlarm", "Dimensions", "EvaluationPeriods", "ExtendedStatistic", "InsufficientDataActions", "MetricName",
		"Metrics", "Namespace", "OKActions", "Period", "Statistic", "Threshold", "TreatMissingData", "Unit"); err != nil {
		return nil, err
	}
	if err := checkName(in.AlarmName); err != nil {
		return nil, err
	}
	if len(in.Metrics) > 0 && in.MetricName != nil {
		return nil, validation("MetricName and Metrics cannot both be given")
	}
	if len(in.Metrics) == 0 && (in.MetricName == nil || in.Namespace == nil) {
		return nil, validation("An alarm needs MetricName and Namespace, or Metrics")
	}
	if t := aws.ToString(in.TreatMissingData); t != "" && !slices.Contains([]string{"missing", "ignore", "breaching", "notBreaching"}, t) {
		return nil, validation("TreatMissingData must be missing, ignore, breaching or notBreaching, found %q", t)
	}
	if in.DatapointsToAlarm != nil && *in.DatapointsToAlarm > aws.ToInt32(in.EvaluationPeriods) {
		return nil, validation("DatapointsToAlarm must not be above EvaluationPeriods: %d and %d", *in.DatapointsToAlarm, aws.ToInt32(in.EvaluationPeriods))
	}
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	a := types.MetricAlarm{
		AlarmName: in.AlarmName, AlarmArn: e.arn(*in.AlarmName), AlarmDescription: in.AlarmDescription,
		ActionsEnabled: in.ActionsEnabled, AlarmActions: in.AlarmActions, OKActions: in.OKActions,
		InsufficientDataActions: in.InsufficientDataActions, ComparisonOperator: in.ComparisonOperator,
		DatapointsToAlarm: in.DatapointsToAlarm, Dimensions: in.Dimensions, EvaluationPeriods: in.EvaluationPeriods,
		ExtendedStatistic: in.ExtendedStatistic, MetricName: in.MetricName, Metrics: in.Metrics, Namespace: in.Namespace,
		Period: in.Period, Statistic: in.Statistic, Threshold: in.Threshold, TreatMissingData: in.TreatMissingData,
		Unit: in.Unit, AlarmConfigurationUpdatedTimestamp: &now,
		StateValue: types.StateValueInsufficientData, StateReason: aws.String("Unchecked: Initial alarm creation"),
		StateUpdatedTimestamp: &now, StateTransitionedTimestamp: &now,
	}
	if a.ActionsEnabled == nil {
		a.ActionsEnabled = aws.Bool(true)
	}
	if old, ok := e.metric[*in.AlarmName]; ok {
		a.StateValue, a.StateReason, a.StateReasonData = old.StateValue, old.StateReason, old.StateReasonData
		a.StateUpdatedTimestamp, a.StateTransitionedTimestamp = old.StateUpdatedTimestamp, old.StateTransitionedTimestamp
	}
	e.metric[*in.AlarmName] = a
	e.schedule(a)
	e.compose()
	return &cloudwatch.PutMetricAlarmOutput{}, nil
}

// PutCompositeAlarm makes a composite alarm, whose rule is evaluated now and whenever an alarm in it changes.
// The rule may name only alarms that are there, and not lead back to itself.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
func (e *Engine) PutCompositeAlarm(_ context.Context, in *cloudwatch.PutCompositeAlarmInput) (*cloudwatch.PutCompositeAlarmOutput, error) {
	if err := wire.Refuse(in, "AlarmName", "AlarmRule", "AlarmDescription", "ActionsEnabled", "AlarmActions", "OKActions",
		"InsufficientDataActions"); err != nil {
		return nil, err
	}
	if err := checkName(in.AlarmName); err != nil {
		return nil, err
	}
	parsed, err := parseRule(aws.ToString(in.AlarmRule))
	if err != nil {
		return nil, validation("AlarmRule is not valid: %v", err)
	}
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.checkRule(*in.AlarmName, parsed); err != nil {
		return nil, err
	}
	now := time.Now()
	a := types.CompositeAlarm{
		AlarmName: in.AlarmName, AlarmArn: e.arn(*in.AlarmName), AlarmRule: in.AlarmRule, AlarmDescription: in.AlarmDescription,
		ActionsEnabled: in.ActionsEnabled, AlarmActions: in.AlarmActions, OKActions: in.OKActions,
		InsufficientDataActions: in.InsufficientDataActions, AlarmConfigurationUpdatedTimestamp: &now,
		StateValue: types.StateValueInsufficientData, StateReason: aws.String("Unchecked: Initial alarm creation"),
		StateUpdatedTimestamp: &now, StateTransitionedTimestamp: &now,
	}
	if old, ok := e.composite[*in.AlarmName]; ok {
		a.StateValue, a.StateReason = old.StateValue, old.StateReason
		a.StateUpdatedTimestamp, a.StateTransitionedTimestamp = old.StateUpdatedTimestamp, old.StateTransitionedTimestamp
	}
	e.composite[*in.AlarmName], e.rules[*in.AlarmName] = a, parsed
	e.compose()
	return &cloudwatch.PutCompositeAlarmOutput{}, nil
}

// SetAlarmState gives an alarm its state until the next evaluation.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html
func (e *Engine) SetAlarmState(_ context.Context, in *cloudwatch.SetAlarmStateInput) (*cloudwatch.SetAlarmStateOutput, error) {
	if !slices.Contains(in.StateValue.Values(), in.StateValue) {
		return nil, validation("StateValue must be one of %v, found %q", in.StateValue.Values(), in.StateValue)
	}
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	name := aws.ToString(in.AlarmName)
	a, isMetric := e.metric[name]
	if _, isComposite := e.composite[name]; !isMetric && !isComposite {
		return nil, &types.ResourceNotFound{Message: aws.String("Alarm " + name + " does not exist")}
	}
	e.become(name, in.StateValue, aws.ToString(in.StateReason), in.StateReasonData)
	if isMetric {
		e.schedule(a)
	}
	e.compose(name)
	return &cloudwatch.SetAlarmStateOutput{}, nil
}

// State is the state of a metric or composite alarm; ok is false where there is none of that name. It waits for
// nobody who is told of changes, so that those may ask too.
func (e *Engine) State(name string) (state string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a, isMetric := e.metric[name]; isMetric {
		return string(a.StateValue), true
	}
	a, isComposite := e.composite[name]
	return string(a.StateValue), isComposite
}

// DeleteAlarms removes alarms; where one of them does not exist nothing is removed.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html
func (e *Engine) DeleteAlarms(_ context.Context, in *cloudwatch.DeleteAlarmsInput) (*cloudwatch.DeleteAlarmsOutput, error) {
	if n := len(in.AlarmNames); n < 1 || n > maxNames {
		return nil, validation("AlarmNames must have 1 to %d names, found %d", maxNames, n)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	composites := 0
	for _, n := range in.AlarmNames {
		_, isMetric := e.metric[n]
		_, isComposite := e.composite[n]
		if !isMetric && !isComposite {
			return nil, &types.ResourceNotFound{Message: aws.String("Alarm " + n + " does not exist")}
		}
		if isComposite {
			composites++
		}
	}
	if composites > 1 {
		return nil, validation("AlarmNames may name one composite alarm, found %d", composites)
	}
	for _, n := range in.AlarmNames {
		delete(e.metric, n)
		delete(e.composite, n)
		delete(e.rules, n)
		if t := e.timers[n]; t != nil {
			t.Stop()
			delete(e.timers, n)
		}
	}
	return &cloudwatch.DeleteAlarmsOutput{}, nil
}

// found is one alarm of either kind, so that a page can hold both.
type found struct {
	name      string
	metric    *types.MetricAlarm
	composite *types.CompositeAlarm
}

// DescribeAlarms answers metric alarms, and composite ones only where AlarmTypes asks for them. Names that do
// not exist are simply absent.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
func (e *Engine) DescribeAlarms(_ context.Context, in *cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
	if err := wire.Refuse(in, "AlarmNames", "AlarmNamePrefix", "AlarmTypes", "StateValue", "MaxRecords", "NextToken"); err != nil {
		return nil, err
	}
	if len(in.AlarmNames) > maxNames {
		return nil, validation("1 validation error detected: Value at 'alarmNames' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", maxNames)
	}
	if len(in.AlarmNames) > 0 && in.AlarmNamePrefix != nil {
		return nil, validation("AlarmNames and AlarmNamePrefix cannot be given together")
	}
	size := pageSize
	if in.MaxRecords != nil {
		size = int(*in.MaxRecords)
		if size < 1 || size > maxNames {
			return nil, validation("MaxRecords must be 1 to %d, found %d", maxNames, size)
		}
	} else if len(in.AlarmNames) > 0 {
		size = maxNames
	}
	page, next, ok := wire.Page(e.matching(in), func(f found) string { return f.name }, in.NextToken, size)
	if !ok {
		return nil, &types.InvalidNextToken{Message: aws.String("NextToken is not one that DescribeAlarms gave")}
	}
	out := &cloudwatch.DescribeAlarmsOutput{
		MetricAlarms: []types.MetricAlarm{}, CompositeAlarms: []types.CompositeAlarm{}, NextToken: next,
	}
	for _, f := range page {
		if f.metric != nil {
			out.MetricAlarms = append(out.MetricAlarms, *f.metric)
		} else {
			out.CompositeAlarms = append(out.CompositeAlarms, *f.composite)
		}
	}
	return out, nil
}

func (e *Engine) matching(in *cloudwatch.DescribeAlarmsInput) []found {
	kinds := in.AlarmTypes
	if len(kinds) == 0 {
		kinds = []types.AlarmType{types.AlarmTypeMetricAlarm}
	}
	match := func(name string, state types.StateValue) bool {
		return (len(in.AlarmNames) == 0 || slices.Contains(in.AlarmNames, name)) &&
			strings.HasPrefix(name, aws.ToString(in.AlarmNamePrefix)) && (in.StateValue == "" || in.StateValue == state)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []found
	if slices.Contains(kinds, types.AlarmTypeMetricAlarm) {
		for n := range e.metric {
			if a := e.metric[n]; match(n, a.StateValue) {
				out = append(out, found{name: n, metric: new(a)})
			}
		}
	}
	if slices.Contains(kinds, types.AlarmTypeCompositeAlarm) {
		for n := range e.composite {
			if a := e.composite[n]; match(n, a.StateValue) {
				out = append(out, found{name: n, composite: new(a)})
			}
		}
	}
	return out
}
