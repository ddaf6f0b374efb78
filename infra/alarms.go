package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
)

// alarm is one metric alarm. Missing says what no data means, and every alarm below says why.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
type alarm struct {
	id, name, description string
	namespace, metric     string
	dimensions            map[string]*string
	statistic             string
	compare               string
	threshold             int
	period, periods       int // seconds; how many in a row
	missing               string
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

func newAlarms(stack awscdk.Stack, s Settings, q queues, f front) {
	topic := awssns.NewCfnTopic(stack, text("AlarmTopic"), &awssns.CfnTopicProps{TopicName: text(s.named("alarms")), DisplayName: text(s.stackName())})
	instance := map[string]*string{"DBInstanceIdentifier": text(s.stackName())}
	const gib = 1 << 30
	for _, a := range []alarm{
		// The load balancer counts errors only while there are any: no data is no error.
		{id: "Errors5xx", name: "5xx", description: "The service answers with errors", namespace: "AWS/ApplicationELB", metric: "HTTPCode_Target_5XX_Count",
			dimensions: map[string]*string{"LoadBalancer": f.balancer.AttrLoadBalancerFullName(), "TargetGroup": f.targets.AttrTargetGroupFullName()},
			statistic:  "Sum", compare: above, threshold: s.Alarms.Errors5xx, period: 60, periods: 1, missing: missingIsFine},
		// RDS measures each minute: five without a word are a database that is down. That pages, and holds rollouts back, which no
		// version would survive.
		{id: "DatabaseCpu", name: "rds-cpu", description: "The database is busy", namespace: "AWS/RDS", metric: "CPUUtilization",
			dimensions: instance, statistic: "Average", compare: above, threshold: s.Alarms.CpuPercent, period: 60, periods: 5, missing: missingIsTrouble},
		// That nobody measures says nothing of the disk, and the alarm above pages already: INSUFFICIENT_DATA, which holds nothing back.
		{id: "DatabaseStorage", name: "rds-storage", description: "The database's disk is nearly full", namespace: "AWS/RDS", metric: "FreeStorageSpace",
			dimensions: instance, statistic: "Minimum", compare: below, threshold: s.Alarms.StorageGiB * gib, period: 60, periods: 5, missing: missingIsUnknown},
		// The same.
		{id: "DatabaseConnections", name: "rds-connections", description: "The database has few connections left", namespace: "AWS/RDS", metric: "DatabaseConnections",
			dimensions: instance, statistic: "Maximum", compare: above, threshold: s.Alarms.Connections, period: 60, periods: 3, missing: missingIsUnknown},
		// SQS stops measuring a queue that has been idle for six hours: no data is an empty queue.
		{id: "QueueAge", name: "queue-age", description: "Orders wait", namespace: "AWS/SQS", metric: "ApproximateAgeOfOldestMessage",
			dimensions: map[string]*string{"QueueName": q.orders.QueueName()}, statistic: "Maximum", compare: above, threshold: s.Alarms.QueueAgeSeconds, period: 60, periods: 3, missing: missingIsFine},
		// The same: a queue of dead letters is idle for as long as all is well.
		{id: "DeadLettersAlarm", name: "dead-letters", description: "Orders could not be processed; they are in the queue of dead letters", namespace: "AWS/SQS", metric: "ApproximateNumberOfMessagesVisible",
			dimensions: map[string]*string{"QueueName": q.dead.QueueName()}, statistic: "Maximum", compare: above, threshold: 0, period: 60, periods: 1, missing: missingIsFine},
		// The controller that acts renews its lease in the ledger every 4 s, 15 times a minute, whether there is anything to do or not.
		// A dead controller asks nothing, and then there is no data: that is the very thing to be told of.
		{id: "ControllerHeartbeat", name: "controller-heartbeat", description: "No controller acts: nothing is rolled out, nothing put right", namespace: "AWS/DynamoDB", metric: "SuccessfulRequestLatency",
			dimensions: map[string]*string{"TableName": text(s.named("ledger")), "Operation": text("UpdateItem")},
			statistic:  "SampleCount", compare: below, threshold: 5, period: 60, periods: 3, missing: missingIsTrouble},
	} {
		a.make(stack, s, topic)
	}
	output(stack, "AlarmTopicArn", *topic.Ref(), "Subscribe whoever is to be told")
}

func (a alarm) make(stack awscdk.Stack, s Settings, topic awssns.CfnTopic) {
	var dimensions []any
	for _, key := range []string{"DBInstanceIdentifier", "LoadBalancer", "Operation", "QueueName", "TableName", "TargetGroup"} {
		if v := a.dimensions[key]; v != nil {
			dimensions = append(dimensions, &awscloudwatch.CfnAlarm_DimensionProperty{Name: text(key), Value: v})
		}
	}
	awscloudwatch.NewCfnAlarm(stack, &a.id, &awscloudwatch.CfnAlarmProps{
		AlarmName: text(s.named(a.name)), AlarmDescription: &a.description, Namespace: &a.namespace, MetricName: &a.metric, Dimensions: dimensions,
		Statistic: &a.statistic, ComparisonOperator: &a.compare, Threshold: number(a.threshold), Period: number(a.period),
		EvaluationPeriods: number(a.periods), DatapointsToAlarm: number(a.periods), TreatMissingData: &a.missing,
		AlarmActions: &[]any{topic.Ref()}, OkActions: &[]any{topic.Ref()},
	})
}
