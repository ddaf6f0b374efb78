package ecs

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The way down: DEACTIVATING → STOPPING → DEPROVISIONING → STOPPED, from any
// state; what has not begun is left out.

// reported takes a Runner's news of one container.
func (e *Engine) reported(t *task, r Report) {
	c := t.container(r.Container)
	if c == nil || c.exit != nil || t.status >= deprovisioning {
		return
	}
	if r.Exit == nil {
		if c.health != r.Health {
			c.health = r.Health
			e.changed(t)
		}
		return
	}
	c.ran, c.exit = true, clone(r.Exit)
	if r.Exit.Reason != "" {
		c.reason = r.Exit.Reason
	}
	e.changed(t)
	switch {
	case t.wanted && c.essential():
		e.stop(t, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited")
	case t.status == stopping && t.ended() && !t.launching:
		e.deprovision(t)
	}
}

// stop ends a task; a second stop changes nothing.
func (e *Engine) stop(t *task, code types.TaskStopCode, reason string) {
	if !t.wanted {
		return
	}
	t.wanted, t.stopCode, t.stoppedReason = false, code, reason
	switch {
	case t.status < activating:
		e.deprovision(t)
	case len(t.targets) > 0:
		e.deactivate(t)
	default:
		e.stopContainers(t)
	}
}

// deactivate takes the task out of its target groups and waits for the longest
// deregistration delay, unless there is nobody left to answer or no time.
func (e *Engine) deactivate(t *task) {
	e.move(t, deactivating)
	t.leaving = true
	dead := t.stopCode == types.TaskStopCodeEssentialContainerExited || t.stopCode == types.TaskStopCodeSpotInterruption
	targets := slices.Clone(t.targets)
	e.effect(func() {
		var delay time.Duration
		if e.cfg.LoadBalancers != nil {
			for _, k := range targets {
				e.cfg.LoadBalancers.Deregister(k.group, k.target)
				delay = max(delay, e.cfg.LoadBalancers.DeregistrationDelay(k.group))
			}
		}
		if dead {
			delay = 0
		}
		e.section(func() { e.after(delay, func() { e.stopContainers(t) }) })
	})
}

// stopContainers enters STOPPING.
func (e *Engine) stopContainers(t *task) {
	t.stoppingAt = e.now
	e.move(t, stopping)
	if !t.launching {
		e.endContainers(t)
	}
}

func (e *Engine) endContainers(t *task) {
	if t.proc != nil {
		e.effect(t.proc.Stop) // also when all ended: the Runner may hold something
	}
	if t.ended() {
		e.deprovision(t)
	}
}

// failStart ends a task that could not be started.
func (e *Engine) failStart(t *task, reason string) {
	t.wanted, t.stopCode, t.stoppedReason = false, types.TaskStopCodeTaskFailedToStart, reason
	e.deprovision(t)
}

// deprovision enters DEPROVISIONING: all containers ended, exit codes are known.
func (e *Engine) deprovision(t *task) {
	if t.stoppingAt.IsZero() {
		t.stoppingAt = e.now
	}
	t.executionStoppedAt = e.now
	e.move(t, deprovisioning)
	e.after(t.latency.deprovision, func() { e.stopped(t) })
}

func (e *Engine) stopped(t *task) {
	t.stoppedAt = e.now
	delete(e.addresses, t.net.ip)
	e.move(t, stopped)
	if t.svc != nil {
		t.svc.retireTask(t)
		e.classify(t)
	}
	e.after(e.cfg.Timing.StoppedRetention, func() {
		delete(t.cluster.tasks, t.id)
		if t.svc != nil {
			t.svc.forgetTask(t)
		}
	})
}

// targetChanged is the load balancers' news of one target.
func (e *Engine) targetChanged(group string, k Target, h TargetHealth) {
	e.section(func() {
		t := e.addresses[k.ID]
		if t == nil {
			return
		}
		for _, own := range t.targets {
			if own.group == group && own.target.Port == k.Port && own.health != h {
				own.health = h
				e.touch(t.svc)
			}
		}
	})
}

// healthStatus is the task's, of its essential containers that have a check.
func (t *task) healthStatus() types.HealthStatus {
	status := types.HealthStatusUnknown
	for _, c := range t.containers {
		if !c.essential() || healthCheck(c.def.HealthCheck) == nil {
			continue
		}
		if c.health != types.HealthStatusHealthy {
			if c.health == types.HealthStatusUnhealthy {
				return c.health
			}
			return types.HealthStatusUnknown
		}
		status = c.health
	}
	return status
}

func (t *task) checked() bool {
	return slices.ContainsFunc(t.containers, func(c *container) bool { return c.essential() && healthCheck(c.def.HealthCheck) != nil })
}

// healthy: it counts towards minimumHealthyPercent (ECS API reference,
// DeploymentConfiguration.minimumHealthyPercent).
func (e *Engine) healthy(t *task) bool {
	if !t.live() || t.status != running {
		return false
	}
	if len(t.plan.loadBalancers) == 0 && !t.checked() {
		return e.now.Sub(t.ranSince) >= e.cfg.Timing.HealthyAfterRunning
	}
	for _, k := range t.targets {
		if e.targetHealth(t, k).State != "healthy" {
			return false
		}
	}
	return !t.checked() || t.healthStatus() == types.HealthStatusHealthy
}

// ailment is why a RUNNING task past its grace period must be replaced.
type ailment struct{ event, stoppedReason string }

func (e *Engine) ailing(t *task) *ailment {
	if !t.live() || t.status != running || e.now.Sub(t.ranSince) < t.svc.grace {
		return nil
	}
	for _, k := range t.targets {
		if h := e.targetHealth(t, k); h.State == "unhealthy" {
			return &ailment{
				event: "(task " + t.id + ") (port " + decimal(k.target.Port) + ") is unhealthy in (target-group " + k.group +
					") due to (reason " + h.Description + ").",
				stoppedReason: "Task failed ELB health checks in (target-group " + k.group + ")",
			}
		}
	}
	if t.healthStatus() == types.HealthStatusUnhealthy {
		return &ailment{event: "(task " + t.id + ") failed container health checks.", stoppedReason: "Task failed container health checks"}
	}
	return nil
}

func taskIDs(ts []*task) string {
	out := ""
	for _, t := range ts {
		out += " (task " + t.id + ")"
	}
	return out
}

func exitCode(c *container) *int32 {
	if c.exit == nil {
		return nil
	}
	return aws.Int32(c.exit.Code)
}
