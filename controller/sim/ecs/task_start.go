package ecs

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The way up: PROVISIONING → PENDING → ACTIVATING → RUNNING. Each step looks
// whether the task is still wanted, since a stop may have overtaken it.

// prepare enters PENDING: secrets and images are fetched.
func (e *Engine) prepare(t *task) {
	if !t.wanted || e.failsIn(t, provisioning) {
		return
	}
	t.pullStartedAt = e.now
	e.addSidecars(t)
	e.move(t, pending)
	e.fetch(t)
}

// fetch finds what the task needs, unless it is held or fails before.
func (e *Engine) fetch(t *task) {
	if !t.wanted || e.heldPending(t, func() { e.fetch(t) }) || e.failsIn(t, pending) {
		return
	}
	l := t.launch()
	pins := t.plan.pins
	if t.dep != nil {
		pins = maps.Clone(t.dep.digests)
	}
	e.effect(func() {
		problem := e.resolve(&l, t.td, pins)
		e.section(func() { e.prepared(t, l, problem) })
	})
}

// startProblem is why a task cannot start.
type startProblem struct {
	reason    string // the task's stoppedReason
	container string // whose image it is; "" if it is nobody's
}

// resolve fills in what the neighbours know: log groups first, then secrets,
// then images, as the Fargate agent does. It runs without the engine's lock.
func (e *Engine) resolve(l *Launch, td *taskDefinition, pins map[string]string) *startProblem {
	const initialization = "ResourceInitializationError: "
	for i := range l.Containers {
		if group := logGroup(&td.ContainerDefinitions[i]); group != "" {
			creates := td.ContainerDefinitions[i].LogConfiguration.Options["awslogs-create-group"] == "true"
			if e.cfg.Logs == nil || !creates && !e.cfg.Logs.GroupExists(group) {
				return &startProblem{reason: initialization + "failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.: exit status 1"}
			}
			l.Containers[i].Log = e.logger(&td.ContainerDefinitions[i], group, l.TaskID)
		}
	}
	for i := range l.Containers {
		for _, s := range td.ContainerDefinitions[i].Secrets {
			value, err := e.secret(aws.ToString(s.ValueFrom))
			if err != nil {
				return &startProblem{reason: initialization + "unable to pull secrets or registry auth: " + err.Error()}
			}
			l.Containers[i].Env[aws.ToString(s.Name)] = value
		}
	}
	for i := range l.Containers {
		c := &l.Containers[i]
		ref := c.Image
		if td.ContainerDefinitions[i].VersionConsistency != types.VersionConsistencyDisabled {
			ref = pinned(c.Image, pins[c.Name])
		}
		var err error
		if c.Digest, c.Spec, err = e.image(ref); err != nil {
			return &startProblem{reason: "CannotPullContainerError: " + err.Error(), container: c.Name}
		}
	}
	return nil
}

func (e *Engine) secret(valueFrom string) (string, error) {
	if e.cfg.Secrets == nil {
		return "", fmt.Errorf("execution resource retrieval failed: unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't find the specified secret %s", valueFrom)
	}
	return e.cfg.Secrets.Value(valueFrom)
}

func (e *Engine) image(ref string) (string, ImageSpec, error) {
	if e.cfg.Images == nil {
		return "", nil, fmt.Errorf("pull image manifest has been retried 5 time(s): failed to resolve ref %s: %s: not found", ref, ref)
	}
	return e.cfg.Images.Resolve(ref)
}

// pinned replaces an image's tag by the digest that its deployment resolved.
func pinned(image, digest string) string {
	if digest == "" || strings.Contains(image, "@") {
		return image
	}
	name := image
	if colon := strings.LastIndex(image, ":"); colon > strings.LastIndex(image, "/") {
		name = image[:colon]
	}
	return name + "@" + digest
}

func (e *Engine) prepared(t *task, l Launch, problem *startProblem) {
	if !t.wanted || t.status != pending {
		return
	}
	if problem != nil {
		wait := t.latency.pull
		if problem.container != "" {
			wait = t.latency.pullFailure
		}
		e.after(wait, func() {
			if t.wanted {
				if c := t.container(problem.container); c != nil {
					c.reason = problem.reason
				}
				e.failStart(t, problem.reason)
			}
		})
		return
	}
	for _, c := range l.Containers {
		if t.dep != nil && t.dep.digests[c.Name] == "" {
			t.dep.digests[c.Name] = c.Digest
		}
	}
	e.after(t.latency.pull, func() { e.activate(t, l) })
}

// activate enters ACTIVATING: containers are started and targets registered.
func (e *Engine) activate(t *task, l Launch) {
	if !t.wanted {
		return
	}
	t.pullStoppedAt, t.launching = e.now, true
	for i, c := range l.Containers {
		t.containers[i].digest = c.Digest
	}
	e.move(t, activating)
	if e.failsIn(t, activating) {
		t.launching = false
		return
	}
	e.effect(func() {
		p, err := e.start(l, func(r Report) { e.section(func() { e.reported(t, r) }) })
		e.section(func() { e.started(t, p, err) })
	})
}

func (e *Engine) start(l Launch, report func(Report)) (Process, error) {
	if e.cfg.Runner == nil {
		return nil, fmt.Errorf("CannotStartContainerError: this local account has no runner")
	}
	return e.cfg.Runner.Start(l, report)
}

func (e *Engine) started(t *task, p Process, err error) {
	t.launching = false
	if err != nil {
		switch {
		case t.wanted:
			e.failStart(t, err.Error())
		case t.status == stopping:
			e.deprovision(t)
		}
		return
	}
	t.proc, t.startedAt = p, e.now
	for _, c := range t.containers {
		c.ran = true
	}
	if !t.wanted {
		if t.status == stopping {
			e.endContainers(t)
		}
		return
	}
	e.register(t)
	e.after(t.latency.activate, func() { e.run(t) })
}

// register puts the task behind the service's target groups.
func (e *Engine) register(t *task) {
	for _, lb := range t.plan.loadBalancers {
		port := aws.ToInt32(lb.ContainerPort)
		k := &target{group: aws.ToString(lb.TargetGroupArn), health: TargetHealth{State: "initial", Reason: "Elb.RegistrationInProgress"}}
		k.target = Target{ID: t.net.ip, Port: port, AvailabilityZone: t.net.zone}
		t.targets = append(t.targets, k)
		proc := t.proc
		e.effect(func() {
			if k.target.Address = proc.Address(port); k.target.Address == "" {
				k.target.Probe = func() Answer { return proc.Probe(port) }
			}
			if e.cfg.LoadBalancers == nil {
				return
			}
			if err := e.cfg.LoadBalancers.Register(k.group, k.target); err != nil {
				e.section(func() {
					e.event(t.svc, "failed to register targets in (target-group %s) with (error %s)", k.group, err)
				})
			}
		})
	}
	t.registered = len(t.targets) > 0
}

// run enters RUNNING.
func (e *Engine) run(t *task) {
	if !t.wanted || t.status != activating {
		return
	}
	t.startedAt, t.ranSince = e.now, e.now
	e.move(t, running)
	if t.svc == nil {
		return
	}
	window := e.cfg.Doubts.EarlyExit
	if e.cfg.Doubts.EarlyExitsIgnored {
		window = 0
	}
	e.after(window, func() {
		if t.live() {
			t.dep.startedOne()
		}
	})
	e.after(e.cfg.Timing.HealthyAfterRunning, func() { e.touch(t.svc) })
	if t.svc.grace > 0 {
		e.after(t.svc.grace, func() { e.touch(t.svc) })
	}
}

// launch is what the Runner will be told, as far as the engine knows it.
func (t *task) launch() Launch {
	l := Launch{
		TaskARN: t.arn, TaskID: t.id, Cluster: t.cluster.name, Family: t.td.family, Revision: t.td.revision,
		StartedBy: t.plan.startedBy, Group: t.plan.group, IP: t.net.ip,
	}
	if t.svc != nil {
		l.Service = t.svc.name
	}
	for i := range t.td.ContainerDefinitions {
		c := &t.td.ContainerDefinitions[i]
		s := ContainerSpec{
			Name: aws.ToString(c.Name), Image: aws.ToString(c.Image), Essential: c.Essential == nil || *c.Essential,
			EntryPoint: clone(c.EntryPoint), Command: clone(c.Command), Env: map[string]string{},
			WorkingDirectory: aws.ToString(c.WorkingDirectory), StopTimeout: 30 * time.Second,
			HealthCheck: healthCheck(c.HealthCheck), Log: func(time.Time, string) {},
		}
		if c.StopTimeout != nil {
			s.StopTimeout = time.Duration(*c.StopTimeout) * time.Second
		}
		for _, p := range c.PortMappings {
			s.Ports = append(s.Ports, aws.ToInt32(p.ContainerPort))
		}
		set(s.Env, c.Environment)
		for _, o := range t.plan.overrides.ContainerOverrides {
			if aws.ToString(o.Name) == s.Name {
				set(s.Env, o.Environment)
				if o.Command != nil {
					s.Command = clone(o.Command)
				}
			}
		}
		l.Containers = append(l.Containers, s)
	}
	return l
}

func set(env map[string]string, pairs []types.KeyValuePair) {
	for _, kv := range pairs {
		env[aws.ToString(kv.Name)] = aws.ToString(kv.Value)
	}
}

func healthCheck(h *types.HealthCheck) *HealthCheck {
	if h == nil || len(h.Command) == 0 || h.Command[0] == "NONE" {
		return nil
	}
	seconds := func(p *int32) time.Duration { return time.Duration(aws.ToInt32(p)) * time.Second }
	return &HealthCheck{
		Command: clone(h.Command), Interval: seconds(h.Interval), Timeout: seconds(h.Timeout),
		StartPeriod: seconds(h.StartPeriod), Retries: aws.ToInt32(h.Retries),
	}
}

func logGroup(c *types.ContainerDefinition) string {
	if c.LogConfiguration == nil || c.LogConfiguration.LogDriver != types.LogDriverAwslogs {
		return ""
	}
	return c.LogConfiguration.Options["awslogs-group"]
}

func (e *Engine) logger(c *types.ContainerDefinition, group, taskID string) func(time.Time, string) {
	stream := aws.ToString(c.Name) + "/" + taskID
	if prefix := c.LogConfiguration.Options["awslogs-stream-prefix"]; prefix != "" {
		stream = prefix + "/" + stream
	}
	return func(at time.Time, line string) { e.cfg.Logs.Put(group, stream, at, line) }
}
