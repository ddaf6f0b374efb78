package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
)

// alarm is one metric alarm. Missing says what no data means, and every alarm below says why.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
type alarm struct {
	id, name, description string
	namespace             string
	measure
	and             *measure // what is added to it; no data of one of them is 0
	statistic       string
	compare         string
	threshold       int
	period, periods int // seconds; how many in a row
	of              int // or of how many; 0: in a row
	missing         string
	when            awscdk.CfnCondition // it is made while this holds; nil: always
}

// measure is what is counted, and of what.
type measure struct {
	metric     string
	dimensions map[string]*string
}

const (
	missingIsFine    = "notBreaching" // no data is good news
	missingIsTrouble = "breaching"    // no data is the trouble itself
	missingIsUnknown = "missing"      // no data says nothing: INSUFFICIENT_DATA
)

const (
	above = "GreaterThanThreshold"
	below = "LessThanThreshold"
)

func newAlarms(stack awscdk.Stack, s Settings, q queues, f front, nothingWasGood awscdk.CfnCondition) {
	topic := awssns.NewCfnTopic(stack, text("AlarmTopic"), &awssns.CfnTopicProps{TopicName: text(s.named("alarms")), DisplayName: text(s.stackName())})
	something := awscdk.NewCfnCondition(stack, text("SomethingWasGood"), &awscdk.CfnConditionProps{Expression: awscdk.Fn_ConditionNot(nothingWasGood)})
	for _, a := range slices.Concat(s.frontAlarms(f, something), s.databaseAlarms(), s.otherAlarms(q)) {
		a.make(stack, s, topic)
	}
	output(stack, "AlarmTopicArn", *topic.Ref(), "Subscribe whoever is to be told")
}

// frontAlarms are of what the world is answered.
func (s Settings) frontAlarms(f front, somethingWasGood awscdk.CfnCondition) []alarm {
	balancer := map[string]*string{"LoadBalancer": f.balancer.AttrLoadBalancerFullName()}
	targets := map[string]*string{"LoadBalancer": f.balancer.AttrLoadBalancerFullName(), "TargetGroup": f.targets.AttrTargetGroupFullName()}
	return []alarm{
		// The load balancer counts errors only while there are any: no data is no error. Where no task answers it does it itself, with 502,
		// 503 or 504, and the tasks have no errors. A count that comes late finds its minute filled with 0, so that older ones count too.
		{id: "Errors5xx", name: "5xx", description: "The service answers with errors, or the load balancer in place of it", namespace: "AWS/ApplicationELB",
			measure: measure{"HTTPCode_Target_5XX_Count", targets}, and: &measure{"HTTPCode_ELB_5XX_Count", balancer},
			statistic: "Sum", compare: above, threshold: s.Alarms.Errors5xx, period: 60, periods: 1, of: 3, missing: missingIsFine},
		// Without calls there are no errors. Without any target nobody measures: that is the trouble itself, but for an environment that
		// never had a good version, where the service has no task.
		{id: "NoHealthyHost", name: "no-healthy-host", description: "No task of the service is healthy", namespace: "AWS/ApplicationELB",
			measure: measure{"HealthyHostCount", targets}, when: somethingWasGood,
			statistic: "Maximum", compare: below, threshold: 1, period: 60, periods: 2, missing: missingIsTrouble},
	}
}

// databaseAlarms are of what rollouts wait for.
func (s Settings) databaseAlarms() []alarm {
	instance := map[string]*string{"DBInstanceIdentifier": text(s.stackName())}
	const gib = 1 << 30
	return []alarm{
		// RDS measures each minute: five without a word are a database that is down. That pages, and holds rollouts back, which no
		// version would survive.
		{id: "DatabaseCpu", name: "rds-cpu", description: "The database is busy", namespace: "AWS/RDS",
			measure: measure{"CPUUtilization", instance}, statistic: "Average", compare: above, threshold: s.Alarms.CpuPercent, period: 60, periods: 5, missing: missingIsTrouble},
		// That nobody measures says nothing of the disk, and the alarm above pages already: INSUFFICIENT_DATA, which holds nothing back.
		{id: "DatabaseStorage", name: "rds-storage", description: "The database's disk is nearly full", namespace: "AWS/RDS",
			measure: measure{"FreeStorageSpace", instance}, statistic: "Minimum", compare: below, threshold: s.Alarms.StorageGiB * gib, period: 60, periods: 5, missing: missingIsUnknown},
		// The same.
		{id: "DatabaseConnections", name: "rds-connections", description: "The database has few connections left", namespace: "AWS/RDS",
			measure: measure{"DatabaseConnections", instance}, statistic: "Maximum", compare: above, threshold: s.Alarms.Connections, period: 60, periods: 3, missing: missingIsUnknown},
	}
}

// otherAlarms are of orders that wait, and of the controller.
func (s Settings) otherAlarms(q queues) []alarm {
	return []alarm{
		// SQS stops measuring a queue that has been idle for six hours: no data is an empty queue.
		{id: "QueueAge", name: "queue-age", description: "Orders wait", namespace: "AWS/SQS",
			measure: measure{"ApproximateAgeOfOldestMessage", map[string]*string{"QueueName": q.orders.QueueName()}}, statistic: "Maximum", compare: above, threshold: s.Alarms.QueueAgeSeconds, period: 60, periods: 3, missing: missingIsFine},
		// The same: a queue of dead letters is idle for as long as all is well.
		{id: "DeadLettersAlarm", name: "dead-letters", description: "Orders could not be processed; they are in the queue of dead letters", namespace: "AWS/SQS",
			measure: measure{"ApproximateNumberOfMessagesVisible", map[string]*string{"QueueName": q.dead.QueueName()}}, statistic: "Maximum", compare: above, threshold: 0, period: 60, periods: 1, missing: missingIsFine},
		// The controller that acts renews its lease in the ledger every 4 s, 15 times a minute, whether there is anything to do or not.
		// A dead controller asks nothing, and then there is no data: that is the very thing to be told of.
		{id: "ControllerHeartbeat", name: "controller-heartbeat", description: "No controller acts: nothing is rolled out, nothing put right", namespace: "AWS/DynamoDB",
			measure:   measure{"SuccessfulRequestLatency", map[string]*string{"TableName": text(s.named("ledger")), "Operation": text("UpdateItem")}},
			statistic: "SampleCount", compare: below, threshold: 5, period: 60, periods: 3, missing: missingIsTrouble},
	}
}

func (a alarm) make(stack awscdk.Stack, s Settings, topic awssns.CfnTopic) {
	props := &awscloudwatch.CfnAlarmProps{
		AlarmName: text(s.named(a.name)), AlarmDescription: &a.description, ComparisonOperator: &a.compare, Threshold: number(a.threshold),
		EvaluationPeriods: number(max(a.of, a.periods)), DatapointsToAlarm: number(a.periods), TreatMissingData: &a.missing,
		AlarmActions: &[]any{topic.Ref()}, OkActions: &[]any{topic.Ref()},
	}
	if a.and == nil {
		props.Namespace, props.MetricName, props.Dimensions = &a.namespace, &a.metric, a.list()
		props.Statistic, props.Period = &a.statistic, number(a.period)
	} else {
		props.Metrics = a.sum(a.measure, *a.and)
	}
	made := awscloudwatch.NewCfnAlarm(stack, &a.id, props)
	if a.when != nil {
		made.CfnOptions().SetCondition(a.when)
	}
}

// sum is what the alarm counts of several metrics.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
func (a alarm) sum(of ...measure) []any {
	var terms []string
	var metrics []any
	for i, m := range of {
		id := fmt.Sprint("m", i)
		terms = append(terms, "FILL("+id+", 0)")
		metrics = append(metrics, &awscloudwatch.CfnAlarm_MetricDataQueryProperty{Id: &id, ReturnData: false, MetricStat: &awscloudwatch.CfnAlarm_MetricStatProperty{
			Metric: &awscloudwatch.CfnAlarm_MetricProperty{Namespace: &a.namespace, MetricName: &m.metric, Dimensions: m.list()}, Stat: &a.statistic, Period: number(a.period),
		}})
	}
	return append(metrics, &awscloudwatch.CfnAlarm_MetricDataQueryProperty{Id: text("sum"), Expression: text(strings.Join(terms, " + ")), ReturnData: true})
}

// list is what is measured, as CloudFormation takes it.
func (m measure) list() []any {
	var dimensions []any
	for _, key := range slices.Sorted(maps.Keys(m.dimensions)) {
		dimensions = append(dimensions, &awscloudwatch.CfnAlarm_DimensionProperty{Name: &key, Value: m.dimensions[key]})
	}
	return dimensions
}
