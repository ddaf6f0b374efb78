package ecs

import (
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// tick is one look of the scheduler at one service. Each step leaves the service
// in order, so that a tick may come at any time and as often as wanted.
func (e *Engine) tick(s *service) {
	switch s.status {
	case serviceInactive:
		return
	case serviceDraining:
		e.drainService(s)
		return
	}
	if s.foreign != "" || e.throttledBy(s) {
		return
	}
	e.announceTargets(s)
	e.advanceRecords(s)
	e.noteHealth(s)
	p := s.primary()
	if e.tripped(p) {
		e.fail(p, breakerTripped, s.config.DeploymentCircuitBreaker.Rollback)
		e.touch(s)
		return
	}
	e.watchAlarms(s, s.openRecord(p))
	if r := s.staged(); r != nil {
		e.tickStaged(s, r)
		e.tellProtected(s)
		e.tellSteady(s)
		return
	}
	e.replaceAiling(s)
	e.shrinkSources(s)
	e.grow(s)
	e.scaleIn(s)
	e.retire(s)
	e.complete(s)
	e.tellStuck(s)
	e.tellProtected(s)
	e.rebalance(s)
	e.tellSteady(s)
}

// noteHealth: a task that became healthy sets the breaker's count back.
func (e *Engine) noteHealth(s *service) {
	for _, t := range s.tasks {
		if t.wasHealthy || !e.healthy(t) {
			continue
		}
		t.wasHealthy = true
		t.dep.failedSeen = 0
		if b := s.config.DeploymentCircuitBreaker; b.ResetOnHealthyTask == nil || *b.ResetOnHealthyTask {
			t.dep.failures = 0
		}
	}
}

// shrinkSources stops tasks of older deployments: those that do not count as
// healthy at once, healthy ones as far as minimumHealthyPercent allows.
func (e *Engine) shrinkSources(s *service) {
	p := s.primary()
	if p.failed {
		return // without rollback the mixture stays as it is
	}
	if e.sourcesStay(s) {
		e.touch(s)
		return
	}
	low, _ := s.minMax()
	budget := e.healthyOf(s.tasks) - low
	var ended []*task
	for _, d := range s.deployments[1:] {
		spared := 0 // starting replacements that hold up minimumHealthyPercent
		if d == s.candidate && budget < 0 {
			spared = -budget
		}
		for _, t := range s.live(d) {
			switch {
			case e.healthy(t), e.protected(t):
				continue
			case spared > 0:
				spared--
			default:
				ended = append(ended, t)
			}
		}
	}
	for _, d := range slices.Backward(s.deployments[1:]) {
		for _, t := range s.live(d) {
			if budget > 0 && e.healthy(t) && !e.protected(t) {
				budget--
				ended = append(ended, t)
			}
		}
	}
	for _, t := range ended {
		t.dep.keep = max(0, t.dep.keep-1)
	}
	e.scaledIn(s, ended)
}

// scaledIn stops tasks and tells it.
func (e *Engine) scaledIn(s *service, ended []*task) {
	var ran []*task
	waiting := 0
	for _, t := range ended {
		if t.status >= activating {
			ran = append(ran, t)
		} else {
			waiting++
		}
		e.schedulerStop(t, "Scaling activity initiated by (deployment "+s.primary().id()+")")
	}
	if len(ran) > 0 {
		e.event(s, "has stopped %d running tasks:%s.", len(ran), taskIDs(ran))
	}
	if waiting > 0 {
		e.event(s, "stopped %d pending tasks.", waiting)
	}
}

func (e *Engine) schedulerStop(t *task, reason string) {
	t.svc.steadyAt = time.Time{}
	e.stop(t, types.TaskStopCodeServiceSchedulerInitiated, reason)
}

// surplus is how many tasks the primary has beyond desiredCount; negative: how
// many it lacks. An unhealthy task whose replacement runs does not count.
func (s *service) surplus() int {
	n := -s.desired
	for _, t := range s.live(s.primary()) {
		if t.replacement == nil {
			n++
		}
	}
	return n
}

// grow starts what the primary lacks and, where a source lost healthy tasks
// meanwhile, what minimumHealthyPercent needs of it.
func (e *Engine) grow(s *service) {
	low, high := s.minMax()
	p := s.primary()
	if n := min(-s.surplus()-s.failing(p), high-e.occupied(s)); n > 0 && e.mayLaunch(p) {
		e.launchTasks(p, n)
	}
	d := s.candidate
	if d == nil || d == p || !slices.Contains(s.deployments, d) || !e.mayLaunch(d) {
		return
	}
	live := s.live(d)
	lacking := low - e.healthyOf(s.tasks) - (len(live) - e.healthyOf(live))
	if n := min(lacking, d.keep-len(live)-s.failing(d), high-e.occupied(s)); n > 0 {
		e.launchTasks(d, n)
	}
}

// scaleIn stops what the primary has too much: unhealthy ones first, then those
// that do not run yet, then the newest.
func (e *Engine) scaleIn(s *service) {
	if n := s.surplus(); n > 0 && !s.primary().failed {
		e.stopSurplus(s.primary(), n, false)
	}
}

// stopSurplus stops n tasks of a deployment, or all.
func (e *Engine) stopSurplus(d *deployment, n int, all bool) {
	s := d.svc
	ts := e.spare(s.live(d))
	if all {
		e.scaledIn(s, ts)
		return
	}
	ts = slices.DeleteFunc(ts, func(t *task) bool { return t.replacement != nil })
	slices.Reverse(ts)
	rank := func(t *task) int {
		switch {
		case e.ailing(t) != nil:
			return 0
		case !e.healthy(t):
			return 1
		}
		return 2
	}
	zones := e.zonesOf(d)
	slices.SortStableFunc(ts, func(a, b *task) int {
		if r := rank(a) - rank(b); r != 0 {
			return r
		}
		return zones[b.net.zone] - zones[a.net.zone]
	})
	e.scaledIn(s, ts[:min(n, len(ts))])
}

// retire takes sources without tasks off the list.
func (e *Engine) retire(s *service) {
	p := s.primary()
	s.deployments = slices.DeleteFunc(s.deployments, func(d *deployment) bool {
		return d != p && len(s.of(d)) == 0
	})
}

// settled: the primary has exactly its healthy tasks and no source has a live one.
func (e *Engine) settled(s *service) bool {
	p := s.primary()
	for _, t := range s.tasks {
		if t.live() && (t.dep != p || !e.healthy(t)) {
			return false
		}
	}
	return len(s.live(p)) == s.desired
}

// complete ends a rollout: the record becomes SUCCESSFUL, and after
// Doubts.SDSuccessBeforeClassic the deployment COMPLETED.
func (e *Engine) complete(s *service) {
	p := s.primary()
	if p.state != types.DeploymentRolloutStateInProgress {
		return
	}
	if p.doneAt.IsZero() {
		// With a lead the record is done while sources still drain, as was seen.
		lead := e.cfg.Doubts.SDSuccessBeforeClassic
		if !e.reached(s, p) || lead == 0 && len(s.deployments) > 1 && !deferred(s.early(p)) || !e.baked(s, p) {
			return
		}
		p.doneAt = e.now
		e.succeedRecord(s, p)
		e.after(lead, func() { e.touch(s) })
	}
	if e.now.Sub(p.doneAt) < e.cfg.Doubts.SDSuccessBeforeClassic || len(s.deployments) > 1 && !deferred(s.early(p)) {
		return
	}
	e.completed(s, p)
}

// completed makes a deployment COMPLETED, and the one to roll back to.
func (e *Engine) completed(s *service, p *deployment) {
	if p.doneAt.IsZero() {
		p.doneAt = e.now
	}
	p.state, p.reason = types.DeploymentRolloutStateCompleted, "ECS deployment "+p.id()+" completed."
	p.updatedAt = e.now
	s.candidate = p
	e.event(s, "(deployment %s) deployment completed.", p.id())
	e.tell(s, "SERVICE_DEPLOYMENT_COMPLETED", p, p.reason)
	s.steadyAt = time.Time{}
}

func decimal[T int | int32](n T) string { return strconv.Itoa(int(n)) }
