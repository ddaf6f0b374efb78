package sim

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/canteen/deploy/controller/sim/alarms"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/events"
	"github.com/canteen/deploy/controller/sim/wire"
)

// eventTime is how events write times.
const eventTime = "2006-01-02T15:04:05.000Z"

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

// observer tells of ECS's changes: Config.Observe first, then EventBridge where a rule could want them.
func (a *Account) observer() (func(ecs.Event), error) {
	w, err := wire.NewEventWriter(wire.ECS(nil))
	if err != nil {
		return nil, err
	}
	return func(e ecs.Event) {
		if a.config.Observe != nil {
			a.config.Observe(e)
		}
		if a.Events.Listening() {
			a.Events.Publish(ecsEvent(w, e))
		}
	}, nil
}

// ecsEvent is one of ECS's events as EventBridge carries it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html
func ecsEvent(w *wire.EventWriter, e ecs.Event) events.Event {
	out := events.Event{At: e.At, Source: "aws.ecs", Resources: []string{e.Service}}
	at := e.At.UTC().Format(eventTime)
	switch {
	case e.Task != nil:
		task := *e.Task
		task.HealthStatus = "" // not in events
		task.Containers = nil
		for _, c := range e.Task.Containers {
			c.HealthStatus = ""
			task.Containers = append(task.Containers, c)
		}
		out.DetailType, out.Resources = "ECS Task State Change", []string{*task.TaskArn}
		out.Detail = with(w.JSON(&task), "updatedAt", at)
	case strings.HasPrefix(e.Name, "SERVICE_DEPLOYMENT_"):
		out.DetailType = "ECS Deployment State Change"
		out.Detail = object(map[string]any{"eventType": severity(e.Name), "eventName": e.Name, "deploymentId": e.Deployment, "updatedAt": at, "reason": e.Reason})
	case strings.HasPrefix(e.Name, "HOOK_"):
		out.DetailType = "ECS Hook State Change"
		out.Detail = object(map[string]any{"eventType": severity(e.Name), "eventName": e.Name, "deploymentId": e.Deployment, "updatedAt": at, "reason": e.Reason})
	default:
		out.DetailType = "ECS Service Action"
		detail := map[string]any{"eventType": severity(e.Name), "eventName": e.Name, "clusterArn": e.Cluster, "createdAt": at}
		if e.Reason != "" {
			detail["reason"] = e.Reason
		}
		out.Detail = object(detail)
	}
	return out
}

// severity is an event's eventType.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html
func severity(name string) string {
	switch name {
	case "SERVICE_TASK_START_IMPAIRED", "SERVICE_DISCOVERY_INSTANCE_UNHEALTHY", "VPC_LATTICE_TARGET_UNHEALTHY":
		return "WARN"
	case "SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED", "ECS_OPERATION_THROTTLED", "SERVICE_DISCOVERY_OPERATION_THROTTLED",
		"SERVICE_TASK_PLACEMENT_FAILURE", "SERVICE_TASK_CONFIGURATION_FAILURE", "SERVICE_HEALTH_UNKNOWN", "SERVICE_DEPLOYMENT_FAILED",
		"HOOK_FAILED", "HOOK_TIMED_OUT":
		return "ERROR"
	}
	return "INFO"
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

// with adds one member to an object.
func with(object json.RawMessage, name, value string) json.RawMessage {
	return append(object[:len(object)-1:len(object)-1], []byte(`,"`+name+`":"`+value+`"}`)...)
}
