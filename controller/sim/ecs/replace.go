package ecs

import "slices"

// room is how many more tasks a deployment may have now: of all tasks of the
// service in a rolling update, of its own where two revisions run side by side.
func (e *Engine) room(d *deployment) int {
	s := d.svc
	_, high := s.minMax()
	if s.staged() == nil {
		return high - e.occupied(s)
	}
	for _, t := range s.of(d) {
		if e.occupies(t) {
			high--
		}
	}
	return high
}

// replaceAiling replaces unhealthy tasks by tasks of their own revision: where
// maximumPercent leaves room the new one starts first, else one unhealthy task
// in each tick is stopped to make room (developer guide, ecs_services and
// deployment-type-ecs).
func (e *Engine) replaceAiling(s *service) {
	stoppedOne := false
	for _, t := range slices.Clone(s.tasks) {
		why := e.ailing(t)
		if t.moving {
			e.moved(t)
			continue
		}
		if r := t.replacement; r != nil {
			switch {
			case why == nil || !r.live():
				t.replacement = nil
			case e.healthy(r) || e.ailing(r) != nil:
				e.stopAiling(t, why)
				continue
			default:
				continue
			}
		}
		d := t.dep
		source := d != s.primary()
		if why == nil || d.failed || source && d != s.candidate {
			continue
		}
		if e.room(d) > 0 && e.mayLaunch(d) {
			e.event(s, "%s", why.event)
			s.replaced++
			if started := e.launchTasks(d, 1); len(started) > 0 {
				t.replacement = started[0]
			}
			continue
		}
		if !stoppedOne {
			e.event(s, "%s", why.event)
			s.replaced++
			e.stopAiling(t, why)
			stoppedOne = true
		} else {
			e.touch(s)
		}
	}
}

// stopAiling stops a task for its health, which the breaker counts.
func (e *Engine) stopAiling(t *task, why *ailment) {
	t.replacement = nil
	t.dep.failures++
	t.dep.failedSeen++
	e.schedulerStop(t, why.stoppedReason)
}
