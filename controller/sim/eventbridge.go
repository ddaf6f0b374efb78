package sim

import (
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/canteen/deploy/controller/sim/alarms"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/events"
)

// sendEvent is how EventBridge reaches a queue: as the principal that the queue's policy must allow.
func (a *Account) sendEvent(queueARN, ruleARN, body, group string) error {
	return a.SQS.Send(queueARN, "events.amazonaws.com", ruleARN, body, group)
}

// measureRequest puts what a load balancer measured into CloudWatch, for the load balancer and for its group.
func (a *Account) measureRequest(metric, loadBalancer, targetGroup string, value float64) {
	now := time.Now()
	dimensions := []cwtypes.Dimension{{Name: aws.String("LoadBalancer"), Value: &loadBalancer}}
	a.Alarms.Add("AWS/ApplicationELB", metric, dimensions, now, value)
	if targetGroup != "" {
		dimensions = append(dimensions, cwtypes.Dimension{Name: aws.String("TargetGroup"), Value: &targetGroup})
		a.Alarms.Add("AWS/ApplicationELB", metric, dimensions, now, value)
	}
}

// observe tells of one of ECS's changes: Config.Observe first, then EventBridge where a rule could want it.
func (a *Account) observe(e ecs.Event) {
	if a.config.Observe != nil {
		a.config.Observe(e)
	}
	if a.Events.Listening() {
		a.Events.Publish(ecsEvent(e))
	}
}

// ecsEvent is one of ECS's events as EventBridge carries it.
func ecsEvent(e ecs.Event) events.Event {
	kind, detail, resources := e.Detail()
	return events.Event{At: e.At, Source: "aws.ecs", DetailType: kind, Resources: resources, Detail: detail}
}

// tellAlarm is a changed alarm as EventBridge carries it.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
func (a *Account) tellAlarm(c alarms.Change) {
	if !a.Events.Listening() {
		return
	}
	var name, arn, reason, data *string
	var value cwtypes.StateValue
	configuration := map[string]any{}
	if m := c.Metric; m != nil {
		name, arn, value, reason, data = m.AlarmName, m.AlarmArn, m.StateValue, m.StateReason, m.StateReasonData
		dimensions := map[string]string{}
		for _, d := range m.Dimensions {
			dimensions[aws.ToString(d.Name)] = aws.ToString(d.Value)
		}
		configuration["metrics"] = []any{map[string]any{"id": "m1", "returnData": true, "metricStat": map[string]any{
			"period": aws.ToInt32(m.Period), "stat": m.Statistic,
			"metric": map[string]any{"namespace": aws.ToString(m.Namespace), "name": aws.ToString(m.MetricName), "dimensions": dimensions},
		}}}
	} else {
		name, arn, value, reason, data = c.Composite.AlarmName, c.Composite.AlarmArn, c.Composite.StateValue, c.Composite.StateReason, c.Composite.StateReasonData
		configuration["alarmRule"] = aws.ToString(c.Composite.AlarmRule)
	}
	a.Events.Publish(events.Event{
		At: c.At, Source: "aws.cloudwatch", DetailType: "CloudWatch Alarm State Change", Resources: []string{*arn},
		Detail: object(map[string]any{
			"alarmName": *name, "configuration": configuration,
			"state":         alarmState(value, aws.ToString(reason), aws.ToString(data), c.At),
			"previousState": alarmState(c.Old.Value, c.Old.Reason, c.Old.ReasonData, c.Old.At),
		}),
	})
}

func alarmState(v cwtypes.StateValue, reason, data string, at time.Time) map[string]any {
	out := map[string]any{"value": v, "reason": reason, "timestamp": at.UTC().Format("2006-01-02T15:04:05.000+0000")}
	if data != "" {
		out["reasonData"] = data
	}
	return out
}

// object writes what holds nothing but text, numbers, lists and maps.
func object(members map[string]any) json.RawMessage {
	b, err := json.Marshal(members)
	if err != nil { // cannot be: all of it can be written
		panic(err)
	}
	return b
}
