package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// Kind is what an event is about. The set is closed: it is a label of metrics.
type Kind string

// The kinds.
const (
	KindTask       Kind = "task"       // ECS Task State Change
	KindDeployment Kind = "deployment" // ECS Deployment State Change
	KindService    Kind = "service"    // ECS Service Action
	KindAlarm      Kind = "alarm"      // CloudWatch Alarm State Change
	KindOther      Kind = "other"      // a rule that lets more through than is asked for
	KindUnreadable Kind = "unreadable" // no event of EventBridge's, or one without what its kind must say
)

// Kinds are all kinds.
func Kinds() []Kind {
	return []Kind{KindTask, KindDeployment, KindService, KindAlarm, KindOther, KindUnreadable}
}

// sources are the kinds by source and detail-type. Both must fit: EventBridge lets nobody but AWS's services name a source that
// begins with "aws.", and anybody any detail-type.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
var sources = map[[2]string]Kind{
	{"aws.ecs", "ECS Task State Change"}:                KindTask,
	{"aws.ecs", "ECS Deployment State Change"}:          KindDeployment,
	{"aws.ecs", "ECS Service Action"}:                   KindService,
	{"aws.cloudwatch", "CloudWatch Alarm State Change"}: KindAlarm,
}

// Event is one message as far as the controller is concerned with it.
type Event struct {
	Kind            Kind
	Account, Region string

	// Service is the ECS service that it is about, zero where it is about none.
	Service Place
	// Alarm is the name of the alarm that it is about.
	Alarm string
	// Task is what a task event says of its task, and Commands the containers whose command was overridden.
	Task     *observed.Task
	Commands []string
}

// Place is where an ECS service is.
type Place struct {
	Cluster string // name; empty where the event names the service by an ARN of the old form, which has no cluster
	Service string // name
}

// envelope is https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
type envelope struct {
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// Read reads one message's body. An error says what it lacks; the event's kind is KindUnreadable then. It never looks at texts
// that are meant for people.
func Read(body string) (Event, error) {
	var e envelope
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return Event{Kind: KindUnreadable}, fmt.Errorf("read the envelope of an event: %w", err)
	}
	if e.Source == "" || e.DetailType == "" {
		return Event{Kind: KindUnreadable}, fmt.Errorf("read the envelope of an event: source %q, detail-type %q; an event of EventBridge's has both", e.Source, e.DetailType)
	}
	kind, known := sources[[2]string{e.Source, e.DetailType}]
	if !known {
		return Event{Kind: KindOther, Account: e.Account, Region: e.Region}, nil
	}
	out := Event{Kind: kind, Account: e.Account, Region: e.Region}
	var err error
	switch kind {
	case KindTask:
		err = out.task(e.Detail)
	case KindAlarm:
		err = out.alarm(e.Detail)
	default:
		err = out.service(e.Resources)
	}
	if err != nil {
		return Event{Kind: KindUnreadable}, fmt.Errorf("read an event of type %q: %w", e.DetailType, err)
	}
	return out, nil
}

// service reads the service's ARN, which is the only resource of deployment events and service actions.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html
func (e *Event) service(resources []string) error {
	for _, arn := range resources {
		if place, ok := placeOf(arn); ok {
			e.Service = place
			return nil
		}
	}
	return fmt.Errorf("none of its resources %q is the ARN of a service", resources)
}

// placeOf reads arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME, or the old form without the cluster.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html#ecs-resource-ids
func placeOf(arn string) (Place, bool) {
	_, path, ok := strings.Cut(arn, ":service/")
	if !ok || path == "" {
		return Place{}, false
	}
	parts := strings.Split(path, "/")
	switch {
	case len(parts) == 1:
		return Place{Service: parts[0]}, true
	case len(parts) == 2 && parts[0] != "" && parts[1] != "":
		return Place{Cluster: parts[0], Service: parts[1]}, true
	}
	return Place{}, false
}

func (e *Event) alarm(detail json.RawMessage) error {
	var d struct {
		AlarmName string `json:"alarmName"`
	}
	if err := json.Unmarshal(detail, &d); err != nil {
		return err
	}
	if d.AlarmName == "" {
		return fmt.Errorf("its detail has no alarmName")
	}
	e.Alarm = d.AlarmName
	return nil
}

// taskDetail is the detail of a task's event: the task as DescribeTasks answers it, with times as text, and without health.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
type taskDetail struct {
	TaskArn           string `json:"taskArn"`
	ClusterArn        string `json:"clusterArn"`
	TaskDefinitionArn string `json:"taskDefinitionArn"`
	Group             string `json:"group"`
	StartedBy         string `json:"startedBy"`
	LastStatus        string `json:"lastStatus"`
	DesiredStatus     string `json:"desiredStatus"`
	StopCode          string `json:"stopCode"`
	StoppedReason     string `json:"stoppedReason"`

	CreatedAt  time.Time `json:"createdAt"`
	StartedAt  time.Time `json:"startedAt"`
	StoppingAt time.Time `json:"stoppingAt"`
	StoppedAt  time.Time `json:"stoppedAt"`

	Containers []struct {
		Name        string `json:"name"`
		ExitCode    *int   `json:"exitCode"`
		Reason      string `json:"reason"`
		ImageDigest string `json:"imageDigest"`
	} `json:"containers"`
	Overrides struct {
		ContainerOverrides []struct {
			Name    string   `json:"name"`
			Command []string `json:"command"`
		} `json:"containerOverrides"`
	} `json:"overrides"`
}

func (e *Event) task(detail json.RawMessage) error {
	var d taskDetail
	if err := json.Unmarshal(detail, &d); err != nil {
		return err
	}
	if d.TaskArn == "" || d.LastStatus == "" {
		return fmt.Errorf("its detail has taskArn %q and lastStatus %q; a task has both", d.TaskArn, d.LastStatus)
	}
	if service, ok := strings.CutPrefix(d.Group, "service:"); ok && service != "" {
		e.Service = Place{Cluster: lastPart(d.ClusterArn), Service: service}
	}
	t := &observed.Task{
		ARN: d.TaskArn, Deployment: d.StartedBy, TaskDefinition: d.TaskDefinitionArn, LastStatus: d.LastStatus, DesiredStatus: d.DesiredStatus,
		StopCode: d.StopCode, StoppedReason: d.StoppedReason,
		CreatedAt: d.CreatedAt, StartedAt: d.StartedAt, StoppingAt: d.StoppingAt, StoppedAt: d.StoppedAt,
	}
	for _, c := range d.Containers {
		to := observed.Container{Name: c.Name, Exited: c.ExitCode != nil, Reason: c.Reason, Digest: c.ImageDigest}
		if c.ExitCode != nil {
			to.ExitCode = *c.ExitCode
		}
		t.Containers = append(t.Containers, to)
	}
	for _, o := range d.Overrides.ContainerOverrides {
		if len(o.Command) > 0 {
			e.Commands = append(e.Commands, o.Name)
		}
	}
	e.Task = t
	return nil
}

// Wakes reports whether the event may have changed what a pass would decide: a task that only starts has not.
func (e Event) Wakes() bool {
	return e.Task == nil || e.Task.Stopped() || e.Task.DesiredStatus == "STOPPED"
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
