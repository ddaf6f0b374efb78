package ecs

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// launchMax is how many tasks one look may start: Fargate gives one service 500
// a minute (ECS quotas).
const launchMax = 80

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
	s.steadyAt = time.Time{}
	if e.placement != "" {
		e.unplaced(d)
		return nil
	}
	d.wave++
	plan := taskPlan{
		group: "service:" + s.name, startedBy: d.id(), network: new(d.spec.network), loadBalancers: d.balancers,
		platformVersion: d.spec.platform, executeCommand: s.executeCommand,
	}
	if len(s.strategy) > 0 {
		plan.capacityProvider = "FARGATE"
	}
	var started []*task
	for range n {
		t := e.newTask(s.cluster, d.spec.td, s.arn, plan, s.taskTags(d.spec.td))
		t.svc, t.dep, t.wave = s, d, d.wave
		e.told(t)
		s.tasks = append(s.tasks, t)
		started = append(started, t)
	}
	tail := ""
	if s.replaced > 0 {
		tail = " Amazon ECS replaced " + decimal(s.replaced) + " tasks due to an unhealthy status."
		s.replaced = 0
	}
	e.event(s, "has started %d tasks:%s.%s", n, taskIDs(started), tail)
	return started
}
