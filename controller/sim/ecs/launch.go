package ecs

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const capacityUnavailable = "Capacity is unavailable at this time. Please try again later or in a different availability zone."

// failing is how many tasks ended by themselves and are not STOPPED yet. They
// are replaced only then: real crash loops have a period of a whole task life.
func (s *service) failing(d *deployment) int {
	n := 0
	for _, t := range s.of(d) {
		if t.stopCode == types.TaskStopCodeEssentialContainerExited || t.stopCode == types.TaskStopCodeTaskFailedToStart {
			n++
		}
	}
	return n
}

// mayLaunch: the deployment has not failed and is not held back.
func (e *Engine) mayLaunch(d *deployment) bool {
	return !d.failed && !d.stalled && !e.now.Before(d.notBefore)
}

// launchTasks starts n tasks of a deployment's revision.
func (e *Engine) launchTasks(d *deployment, n int) []*task {
	s := d.svc
	started := e.startTasks(d, n)
	if len(started) == 0 {
		return nil
	}
	tail := ""
	if s.replaced > 0 {
		tail = " Amazon ECS replaced " + decimal(s.replaced) + " tasks due to an unhealthy status."
		s.replaced = 0
	}
	e.event(s, "has started %d tasks:%s.%s", len(started), taskIDs(started), tail)
	return started
}

// startTasks is launchTasks without a word.
func (e *Engine) startTasks(d *deployment, n int) []*task {
	s := d.svc
	s.steadyAt = time.Time{}
	if o := e.noInstance(s); o != nil {
		e.event(s, "was unable to place a task because no container instance met all of its requirements. Reason: %s", o.NoInstance)
		e.tell(s, "SERVICE_TASK_PLACEMENT_FAILURE", d, o.Missing)
		d.notBefore = e.now.Add(e.cfg.Timing.StartThrottle)
		e.after(e.cfg.Timing.StartThrottle, func() { e.touch(s) })
		return nil
	}
	refused := e.placement
	at := e.placer(d)
	if at.next() < 0 && refused == "" {
		refused = capacityUnavailable
	}
	if refused != "" {
		e.unplaced(d, refused)
		return nil
	}
	plan := taskPlan{
		group: "service:" + s.name, startedBy: d.id(), network: new(d.spec.network), loadBalancers: d.balancers,
		platformVersion: d.spec.platform, executeCommand: s.executeCommand,
	}
	var started []*task
	for range n {
		plan.subnet, plan.capacityProvider = at.next(), pickProvider(s.strategy, at.byProvider)
		if !e.mayStart(s, plan.capacityProvider) {
			e.touch(s) // the rest at another look
			break
		}
		if len(started) == 0 {
			d.wave++
		}
		t := e.newTask(s.cluster, d.spec.td, s.arn, plan, s.taskTags(d.spec.td))
		t.svc, t.dep, t.wave = s, d, d.wave
		at.placed(t)
		e.told(t)
		s.tasks = append(s.tasks, t)
		started = append(started, t)
	}
	return started
}
