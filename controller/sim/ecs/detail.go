package ecs

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// Detail is the event as EventBridge carries it: its detail-type, the detail
// and the resources, source "aws.ecs" (developer guide, ecs_task_events,
// ecs_service_deployment_events, ecs_service_events and pause-lifecycle-hooks).
// Times are ISO 8601 with milliseconds.
func (e Event) Detail() (detailType string, detail json.RawMessage, resources []string) {
	at := stamp(e.At)
	d := map[string]any{"eventType": e.severity(), "eventName": e.Name}
	resources = []string{e.Service}
	switch {
	case e.Task != nil:
		detailType, resources = "ECS Task State Change", []string{*e.Task.TaskArn}
		d = plain(reflect.ValueOf(*e.Task)).(map[string]any)
		delete(d, "tags")
		withoutHealth(d)
		d["updatedAt"] = at
	case e.Hook != nil:
		detailType = "ECS Hook State Change"
		for k, v := range plain(reflect.ValueOf(*e.Hook)).(map[string]any) {
			d[k] = v
		}
		d["serviceDeploymentArn"], d["lifecycleStage"], d["clusterArn"], d["updatedAt"] = e.ServiceDeployment, e.Stage, e.Cluster, at
	case strings.HasPrefix(e.Name, "SERVICE_DEPLOYMENT_"):
		detailType = "ECS Deployment State Change"
		d["deploymentId"], d["updatedAt"], d["reason"] = e.Deployment, at, e.Reason
	default:
		detailType = "ECS Service Action"
		d["clusterArn"], d["createdAt"] = e.Cluster, at
		if e.Reason != "" {
			d["reason"] = e.Reason
		}
		if len(e.Providers) > 0 {
			d["capacityProviderArns"] = e.Providers
		}
		if e.Name == "SERVICE_DESIRED_COUNT_UPDATED" {
			d["desiredCount"] = e.Desired
		}
	}
	raw, err := json.Marshal(d)
	if err != nil {
		panic("ecs: an event's detail is not JSON: " + err.Error()) // plain values only
	}
	return detailType, raw, resources
}

// withoutHealth leaves out what task state change events do not tell, of the task and of its containers.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
func withoutHealth(task map[string]any) {
	delete(task, "healthStatus")
	containers, _ := task["containers"].([]any)
	for _, c := range containers {
		delete(c.(map[string]any), "healthStatus") // plain makes maps of structures
	}
}

func (e Event) severity() string {
	switch e.Name {
	case "SERVICE_TASK_START_IMPAIRED", "SERVICE_DISCOVERY_INSTANCE_UNHEALTHY", "VPC_LATTICE_TARGET_UNHEALTHY":
		return "WARN"
	case "SERVICE_DEPLOYMENT_FAILED", "SERVICE_TASK_PLACEMENT_FAILURE", "SERVICE_TASK_CONFIGURATION_FAILURE", "ECS_OPERATION_THROTTLED",
		"HOOK_FAILED", "HOOK_TIMED_OUT":
		return "ERROR"
	}
	return "INFO"
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// plain is an SDK value as JSON members: lower camel names, absent members left
// out.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Slice:
		out := []any{}
		for i := range v.Len() {
			out = append(out, plain(v.Index(i)))
		}
		return out
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return stamp(t)
		}
		out := map[string]any{}
		for i := range v.NumField() {
			f, member := v.Type().Field(i), v.Field(i)
			absent := member.Kind() == reflect.String && member.Len() == 0 ||
				(member.Kind() == reflect.Pointer || member.Kind() == reflect.Slice) && member.IsNil()
			if f.IsExported() && !absent {
				out[memberName(f.Name)] = plain(member)
			}
		}
		return out
	}
	return v.Interface()
}
