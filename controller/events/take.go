package events

import (
	"time"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// take gives one event its effect. It answers what came of it, and whether the message is needed no more.
func (l *Listener) take(o Office, e Event, receipt string, now time.Time) (outcome Outcome, done bool) {
	if e.Account != o.Account || e.Region != o.Region {
		return OutcomeIgnored, true
	}
	var services []string
	switch {
	case e.Kind == KindAlarm:
		services = o.Watching(e.Alarm)
	case e.Service != (Place{}):
		services = l.at(e.Service)
	case e.Task != nil && e.Task.Stopped():
		return l.taskEnded(o, e, receipt, now)
	}
	l.mu.Lock()
	for _, s := range services {
		l.hear(s, now)
	}
	l.mu.Unlock()
	if len(services) == 0 || !e.Wakes() {
		return OutcomeIgnored, true
	}
	for _, s := range services {
		l.wake(o, s, now)
	}
	return OutcomeWoke, true
}

// taskEnded keeps the end of a task that a record has in flight.
func (l *Listener) taskEnded(o Office, e Event, receipt string, now time.Time) (Outcome, bool) {
	l.mu.Lock()
	service := l.marks[e.Task.Deployment]
	if service == "" {
		service = l.marks[e.Task.ARN]
	}
	if service == "" {
		l.mu.Unlock()
		if rollout.IsTaskMark(e.Task.Deployment) && o.clock().Sub(e.Task.StoppedAt) < youngFor {
			return OutcomeLater, false
		}
		return OutcomeIgnored, true
	}
	l.ended[e.Task.ARN] = observed.EndedTask{Task: *e.Task, Commands: e.Commands}
	kept := append(l.kept[e.Task.ARN], receipt)
	l.kept[e.Task.ARN] = kept[max(0, len(kept)-keptMax):] // one that is forgotten comes again, and is deleted then
	l.hear(service, now)
	l.mu.Unlock()
	l.wake(o, service, now)
	return OutcomeKept, false
}

// at are the services at a place, in no order.
func (l *Listener) at(p Place) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for s := range l.places[p] {
		out = append(out, s)
	}
	return out
}

// hear is called with the lock held.
func (l *Listener) hear(service string, now time.Time) {
	l.heard[service], l.useful = now, true
	delete(l.suspected, service)
}

// wake wakes a service at once, or a moment after its last wake.
func (l *Listener) wake(o Office, service string, now time.Time) {
	l.mu.Lock()
	due := now
	if last := l.woken[service]; last.After(now) {
		due = last // that one sees it too
	} else if next := last.Add(gap); next.After(due) {
		due = next
	}
	l.woken[service] = due
	place := l.known[service].Place
	l.mu.Unlock()
	o.Notice(place)
	o.Wake(service, due)
}
