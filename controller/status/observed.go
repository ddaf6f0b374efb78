package status

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/observed"
)

// The bounds of what is told of one observation: the page is for a look, not an inventory.
const (
	deploymentsMax = 10
	tasksMax       = 20
	targetsMax     = 20
)

// Observed is the part of an observation that is told. Lists are bounded; the counts are not.
type Observed struct {
	At     time.Time `json:"at,omitzero"`
	Status string    `json:"status,omitempty"` // of the ECS service

	Cluster string `json:"cluster,omitempty"`
	Region  string `json:"region,omitempty"`
	Account string `json:"account,omitempty"`

	TaskDefinition string `json:"taskDefinition,omitempty"`
	Desired        int    `json:"desired"`
	Running        int    `json:"running"`
	Pending        int    `json:"pending"`

	Deployments []Deployment `json:"deployments,omitempty"` // newest first
	Tasks       []Task       `json:"tasks,omitempty"`       // newest first
	Targets     []Target     `json:"targets,omitempty"`     // unhealthy ones first
	Alarms      []Alarm      `json:"alarms,omitempty"`
	Missing     []Missing    `json:"missing,omitempty"` // what was asked for and could not be had
}

// Deployment is one entry of the service's deployment list.
type Deployment struct {
	ID             string    `json:"id"`
	Primary        bool      `json:"primary"`
	TaskDefinition string    `json:"taskDefinition"`
	Rollout        string    `json:"rollout,omitempty"`
	Reason         string    `json:"reason,omitempty"`
	Desired        int       `json:"desired"`
	Running        int       `json:"running"`
	Pending        int       `json:"pending"`
	Failed         int       `json:"failed"`
	CreatedAt      time.Time `json:"createdAt,omitzero"`
}

// Task is one task of the service.
type Task struct {
	ID             string    `json:"id"`
	TaskDefinition string    `json:"taskDefinition"`
	LastStatus     string    `json:"lastStatus"`
	Health         string    `json:"health,omitempty"`
	StopCode       string    `json:"stopCode,omitempty"`
	StoppedReason  string    `json:"stoppedReason,omitempty"`
	CreatedAt      time.Time `json:"createdAt,omitzero"`
	StoppedAt      time.Time `json:"stoppedAt,omitzero"`
}

// Target is one target of a load balancer.
type Target struct {
	ID     string `json:"id"`
	Port   int    `json:"port"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// Alarm is one alarm that the service is judged by.
type Alarm struct {
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// Missing is a fact that could not be had.
type Missing struct {
	Fact    string `json:"fact"`
	Message string `json:"message"`
}

// Observe takes out of an observation what is told.
func Observe(s observed.Service) Observed {
	o := Observed{
		At: s.At, Status: string(s.Status), TaskDefinition: s.TaskDefinition,
		Desired: s.Desired, Running: s.Running, Pending: s.Pending, Alarms: Alarms(s.Alarms),
	}
	o.Region, o.Account, o.Cluster = identity(s.ARN)
	for _, d := range head(s.Deployments, deploymentsMax) {
		o.Deployments = append(o.Deployments, Deployment{
			ID: d.ID, Primary: d.Primary, TaskDefinition: d.TaskDefinition, Rollout: string(d.Rollout), Reason: d.Reason,
			Desired: d.Desired, Running: d.Running, Pending: d.Pending, Failed: d.Failed, CreatedAt: d.CreatedAt,
		})
	}
	for _, t := range first(tasksMax, s.Tasks, func(a, b *observed.Task) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
		o.Tasks = append(o.Tasks, Task{
			ID: t.ID(), TaskDefinition: t.TaskDefinition, LastStatus: t.LastStatus, Health: t.Health,
			StopCode: t.StopCode, StoppedReason: t.StoppedReason, CreatedAt: t.CreatedAt, StoppedAt: t.StoppedAt,
		})
	}
	for _, t := range first(targetsMax, s.Targets, func(a, b *observed.Target) int {
		return cmp.Compare(healthRank(a.State), healthRank(b.State))
	}) {
		o.Targets = append(o.Targets, Target{ID: t.ID, Port: t.Port, State: t.State, Reason: cmp.Or(t.Description, t.Reason)})
	}
	for _, m := range s.Missing {
		o.Missing = append(o.Missing, Missing{Fact: string(m.Fact), Message: m.Message})
	}
	return o
}

// Alarms are observed alarms as they are told.
func Alarms(alarms []observed.Alarm) []Alarm {
	var out []Alarm
	for _, a := range alarms {
		out = append(out, Alarm{Name: a.Name, State: string(a.State), Reason: a.Reason, Since: a.Since})
	}
	return out
}

// identity reads region, account and cluster off a service's ARN: arn:aws:ecs:<region>:<account>:service/<cluster>/<name>.
// A service of the old short form names no cluster (ECS, "Amazon Resource Names (ARNs) and IDs").
func identity(arn string) (region, account, cluster string) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return "", "", ""
	}
	if path := strings.Split(parts[5], "/"); len(path) == 3 {
		cluster = path[1]
	}
	return parts[3], parts[4], cluster
}

func healthRank(state string) int {
	if state == "healthy" {
		return 1
	}
	return 0
}

// first are the n that come first in that order, which leaves what is alike as it was.
func first[T any](n int, all []T, order func(a, b *T) int) []*T {
	sorted := make([]*T, len(all))
	for i := range all {
		sorted[i] = &all[i]
	}
	slices.SortStableFunc(sorted, order)
	return head(sorted, n)
}

func head[T any](s []T, n int) []T { return s[:min(n, len(s))] }
