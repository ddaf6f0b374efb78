package ecs

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// taskStatus is a task's lastStatus; it only grows.
type taskStatus int

const (
	provisioning taskStatus = iota
	pending
	activating
	running
	deactivating
	stopping
	deprovisioning
	stopped
)

var taskStatuses = [...]string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"}

func (s taskStatus) String() string { return taskStatuses[s] }

// shown is the status as an answer has it; it may not be changed.
func (s taskStatus) shown() *string { return &taskStatuses[s] }

// task is one task of a service or of RunTask.
type task struct {
	id, arn string
	cluster *cluster
	svc     *service    // nil for RunTask
	dep     *deployment // nil for RunTask
	td      *taskDefinition
	plan    taskPlan
	tags    tags

	status     taskStatus
	wanted     bool // desiredStatus RUNNING
	version    int64
	containers []*container
	targets    []*target
	proc       Process
	launching  bool // Runner.Start was asked for and has not answered
	latency    latencies
	visibleAt  time.Time // Doubts.TaskRecordLagMax
	net        taskNetwork

	createdAt, pullStartedAt, pullStoppedAt, startedAt  time.Time
	stoppingAt, executionStoppedAt, stoppedAt, ranSince time.Time // ranSince: RUNNING since
	stopCode                                            types.TaskStopCode
	stoppedReason                                       string

	wave        int   // which launch of its deployment it belongs to
	wasHealthy  bool  // it counted as healthy once
	replacement *task // started because this one is unhealthy
	registered  bool  // targets registered, not yet told in an event
	leaving     bool  // targets deregistered, not yet told in an event
	moving      bool  // its replacement is for another availability zone

	protectedUntil time.Time

	shownOverrides   *types.TaskOverride // what view has shown already
	shownAttachments []types.Attachment
}

// taskPlan is what a task was asked to be, beside its task definition.
type taskPlan struct {
	group, startedBy string
	overrides        types.TaskOverride
	network          *types.NetworkConfiguration
	loadBalancers    []types.LoadBalancer
	platformVersion  string
	capacityProvider string // "" where a launch type was given
	strategy         []types.CapacityProviderStrategyItem
	executeCommand   bool
	pins             map[string]string // container → digest of its deployment
	subnet           int               // which of the network's, -1: any
}

type container struct {
	def       *types.ContainerDefinition
	runtimeID string
	digest    string
	ran       bool
	injected  bool // not of the task definition: nobody runs it
	exit      *Exit
	reason    string
	health    types.HealthStatus
	shown     *types.Container // what does not change of it, once it was shown
}

type target struct {
	group  string
	target Target
	health TargetHealth
}

type latencies struct{ provision, pull, pullFailure, activate, deprovision time.Duration }

type taskNetwork struct{ subnet, zone, eni, mac, ip, attachment string }

// newTask makes a task in PROVISIONING and sets it going; the caller tells it.
// kind names whose task it is, for the random source.
func (e *Engine) newTask(c *cluster, td *taskDefinition, kind string, plan taskPlan, t tags) *task {
	rnd := e.random("task " + kind)
	id := hexID(rnd, 16)
	tm := e.cfg.Timing
	k := &task{
		id: id, arn: e.arn("task", c.name, id), cluster: c, td: td, plan: plan, tags: t,
		wanted: true, version: 1, createdAt: e.now, visibleAt: e.now,
		latency: latencies{
			provision: tm.Provision.draw(rnd), pull: tm.Pull.draw(rnd), pullFailure: tm.PullFailure.draw(rnd),
			activate: tm.Activate.draw(rnd), deprovision: tm.Deprovision.draw(rnd),
		},
	}
	for i := range td.ContainerDefinitions {
		k.containers = append(k.containers, &container{
			def: &td.ContainerDefinitions[i], health: types.HealthStatusUnknown,
			runtimeID: fmt.Sprintf("%s-%010d", id, rnd.Uint64N(1e10)),
		})
	}
	subnets := plan.network.AwsvpcConfiguration.Subnets
	at := rnd.IntN(len(subnets))
	if plan.subnet >= 0 {
		at = plan.subnet
	}
	k.net = taskNetwork{
		subnet: subnets[at], zone: e.zone(subnets, at),
		eni: "eni-0" + hexID(rnd, 8), attachment: uuid(rnd),
		mac: fmt.Sprintf("0a:%x:%x:%x:%x:%x", bytesOf(rnd, 1), bytesOf(rnd, 1), bytesOf(rnd, 1), bytesOf(rnd, 1), bytesOf(rnd, 1)),
	}
	for k.net.ip == "" || e.addresses[k.net.ip] != nil {
		k.net.ip = fmt.Sprintf("10.0.%d.%d", rnd.IntN(256), 4+rnd.IntN(250))
	}
	e.addresses[k.net.ip] = k
	c.tasks[id] = k
	c.provisioning++
	e.after(k.latency.provision, func() { e.prepare(k) })
	return k
}

// move sets lastStatus, and whoever watches is told.
func (e *Engine) move(t *task, to taskStatus) {
	if t.status == provisioning {
		t.cluster.provisioning--
	}
	t.status = to
	e.changed(t)
}

// changed counts the task's version up and tells its service and observers.
func (e *Engine) changed(t *task) {
	t.version++
	e.told(t)
	if t.svc != nil {
		e.touch(t.svc)
	}
}

func (e *Engine) told(t *task) {
	if e.cfg.Observe == nil {
		return
	}
	ev := Event{At: e.now, Cluster: t.cluster.arn, Task: new(t.view(false))}
	if t.svc != nil {
		ev.Service = t.svc.arn
	}
	e.effect(func() { e.cfg.Observe(ev) })
}

// live: it is meant to run and has not ended.
func (t *task) live() bool { return t.wanted && t.status <= running }

func (t *task) container(name string) *container {
	i := slices.IndexFunc(t.containers, func(c *container) bool { return aws.ToString(c.def.Name) == name })
	if i < 0 {
		return nil
	}
	return t.containers[i]
}

func (c *container) essential() bool { return c.def.Essential == nil || *c.def.Essential }

func (t *task) ended() bool {
	return !slices.ContainsFunc(t.containers, func(c *container) bool { return c.ran && c.exit == nil && !c.injected })
}
