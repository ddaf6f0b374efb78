package ecs

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// cause is why a deployment failed, in the words of each place that tells it.
type cause struct{ event, deployment, rolledBack, stopped string }

var breakerTripped = cause{
	event:      "tasks failed to start.",
	deployment: "ECS deployment circuit breaker: tasks failed to start.",
	rolledBack: "Service deployment rolled back because the circuit breaker threshold was exceeded.",
	stopped:    "Service deployment stopped because the circuit breaker threshold was exceeded.",
}

const noCandidate = "No rollback candidate was found to run the rollback."

// threshold is how many failures the breaker bears, nought if it bears any
// number (developer guide, deployment-circuit-breaker; ThresholdConfiguration in
// the API reference).
func (e *Engine) threshold(b *types.DeploymentCircuitBreaker, desired int) int {
	value := int(b.ThresholdConfiguration.Value)
	percent := (desired*value + 99) / 100
	switch b.ThresholdConfiguration.Type {
	case types.ThresholdTypeCount:
		return value
	case types.ThresholdTypeUnboundedPercent:
		if e.cfg.Doubts.UnboundedPercentFloored {
			return desired * value / 100
		}
		return max(1, percent)
	default:
		return min(max(percent, 3), 200)
	}
}

// tripped: the breaker watches the deployment and has seen enough.
func (e *Engine) tripped(d *deployment) bool {
	b := d.svc.config.DeploymentCircuitBreaker
	if d.state != types.DeploymentRolloutStateInProgress || !d.doneAt.IsZero() || !b.Enable {
		return false
	}
	bears := e.threshold(b, d.svc.desired)
	return bears > 0 && d.failures >= bears
}

// classify decides whether a task that stopped was a failed start.
func (e *Engine) classify(t *task) {
	d, doubts := t.dep, e.cfg.Doubts
	exited := t.stopCode == types.TaskStopCodeEssentialContainerExited
	never := t.ranSince.IsZero() && (exited || t.stopCode == types.TaskStopCodeTaskFailedToStart)
	early := exited && !doubts.EarlyExitsIgnored && t.stoppingAt.Sub(t.ranSince) < doubts.EarlyExit
	if !never && !early {
		return
	}
	if t.stopCode == types.TaskStopCodeTaskFailedToStart {
		e.event(t.svc, "was unable to place a task. Reason: %s", t.stoppedReason)
	}
	if !d.ranOne {
		d.failures++
		d.failedSeen++
	}
	if d.failedSeen == 2 && strings.HasPrefix(t.stoppedReason, "CannotPullContainerError") &&
		e.random("stall "+t.svc.arn).Float64() < doubts.BreakerStallOnBadImage {
		d.stalled = true
	}
	if never && t.wave > d.badWave {
		d.badWave = t.wave
		d.badWaves++
		e.throttleStarts(d)
	}
}

// throttleStarts is the service throttle logic: tasks that go from PENDING to
// STOPPED again and again are started less and less often (developer guide,
// service-throttle-logic).
func (e *Engine) throttleStarts(d *deployment) {
	if d.badWaves < 2 {
		return
	}
	wait := e.cfg.Timing.StartThrottle
	for range min(d.badWaves-2, 20) {
		wait = min(2*wait, e.cfg.Timing.StartThrottleMax)
	}
	d.notBefore = e.now.Add(wait)
	e.event(d.svc, "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
	e.tell(d.svc, "SERVICE_TASK_START_IMPAIRED", d, "")
	e.after(wait, func() { e.touch(d.svc) })
}

// fail ends the primary's rollout, and rolls back if asked to and possible.
func (e *Engine) fail(d *deployment, why cause, rollback bool) {
	s := d.svc
	d.failed, d.state = true, types.DeploymentRolloutStateFailed
	d.updatedAt, d.shownFailedAt = e.now, e.now
	e.event(s, "(deployment %s) deployment failed: %s", d.id(), why.event)
	told := why.deployment
	if e.cfg.Doubts.OneTaskWording {
		told = strings.ReplaceAll(told, "tasks failed", "task failed")
	}
	e.tell(s, "SERVICE_DEPLOYMENT_FAILED", d, told)
	d.reason = why.deployment
	r := s.openRecord(d)
	if why == breakerTripped {
		r.triggered = true
	}
	switch {
	case r.rollbackTo != nil, rollback && s.candidate == nil:
		r.life.end()
		e.setRecord(r, types.ServiceDeploymentStatusRollbackFailed, noCandidate)
	case !rollback:
		r.life.end()
		e.setRecord(r, types.ServiceDeploymentStatusStopRequested, why.stopped)
	default:
		e.rollBack(d, s.candidate, r, why)
	}
}

// rollBack makes an older deployment the primary again: same id, same revision.
func (e *Engine) rollBack(from, to *deployment, r *record, why cause) {
	s := from.svc
	e.event(s, "rolling back to deployment %s.", to.id())
	from.keep, from.shownFailedAt = 0, e.now.Add(e.cfg.Doubts.FailedShownAfter)
	to.progress("ECS deployment circuit breaker: rolling back to deploymentId " + to.id() + ".")
	to.updatedAt = e.now
	if e.cfg.Doubts.NewCreatedAtOnRollback {
		to.createdAt = e.now
	}
	to.failures, to.failedSeen, to.ranOne = 0, 0, false
	to.bakeFrom = time.Time{}
	to.badWaves, to.notBefore, to.stalled, to.doneAt = 0, time.Time{}, false, time.Time{}
	others := slices.DeleteFunc(s.deployments, func(d *deployment) bool { return d == to })
	s.deployments = append([]*deployment{to}, others...)
	s.candidate = nil // it is not COMPLETED any more
	s.steadyAt = time.Time{}
	e.goBack(r)
	r.rollbackTo, r.rollbackAt, r.rollbackReason = to, e.now, why.rolledBack
	e.setRecord(r, types.ServiceDeploymentStatusRollbackInProgress, why.rolledBack)
	e.tell(s, "SERVICE_DEPLOYMENT_IN_PROGRESS", to, to.reason)
	e.touch(s)
}

// unplaced: nothing could be started at all.
func (e *Engine) unplaced(d *deployment, reason string) {
	e.event(d.svc, "was unable to place a task. Reason: %s", reason)
	if !d.ranOne && !e.cfg.Doubts.PlacementUncounted {
		d.failures++
		d.failedSeen++
	}
	d.notBefore = e.now.Add(e.cfg.Timing.StartThrottle)
	e.tell(d.svc, "SERVICE_TASK_PLACEMENT_FAILURE", d, "RESOURCE:FARGATE")
	e.after(e.cfg.Timing.StartThrottle, func() { e.touch(d.svc) })
}

// RefusePlacement makes Fargate refuse every new task with this reason, for
// example "Capacity is unavailable at this time. Please try again later or in a
// different availability zone."; "" ends it.
func (e *Engine) RefusePlacement(reason string) {
	e.section(func() {
		e.placement = reason
	})
}

// Interrupt ends a running task from outside, as Fargate does for Spot
// interruptions and maintenance.
func (e *Engine) Interrupt(taskARN string, code types.TaskStopCode, reason string) error {
	e.lock()
	defer e.unlock()
	_, path, _ := e.resource(taskARN)
	if len(path) == 2 {
		if c := e.clusters[path[0]]; c != nil && c.tasks[path[1]] != nil {
			e.stop(c.tasks[path[1]], code, reason)
			return nil
		}
	}
	return invalid("The referenced task was not found.")
}

// Retire ends a running task for maintenance.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-maintenance.html
func (e *Engine) Retire(taskARN string) error {
	code := types.TaskStopCodeServiceSchedulerInitiated
	e.section(func() {
		if e.cfg.Doubts.MaintenanceIsTermination {
			code = types.TaskStopCodeTerminationNotice
		}
	})
	return e.Interrupt(taskARN, code, "ECS is performing maintenance on the underlying infrastructure hosting the task.")
}

func breakerDefaults(b *types.DeploymentCircuitBreaker) *types.DeploymentCircuitBreaker {
	if b == nil {
		b = &types.DeploymentCircuitBreaker{}
	}
	if b.ResetOnHealthyTask == nil {
		b.ResetOnHealthyTask = aws.Bool(true)
	}
	if b.ThresholdConfiguration == nil {
		b.ThresholdConfiguration = &types.ThresholdConfiguration{Type: types.ThresholdTypeBoundedPercent, Value: 50}
	}
	return b
}
