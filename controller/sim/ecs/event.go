package ecs

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// eventsMax is how many events DescribeServices shows (ECS API reference,
// Service.events).
const eventsMax = 100

// event adds one of a service's own events: "(service S) …".
func (e *Engine) event(s *service, format string, args ...any) {
	e.heartbeat(s)
	e.addEvent(s, e.now, fmt.Sprintf("(service %s) ", s.name)+fmt.Sprintf(format, args...))
}

// addEvent keeps the list in order of time also where an event of the same
// instant was dated a little later.
func (e *Engine) addEvent(s *service, at time.Time, message string) {
	if len(s.events) > 0 && s.events[0].CreatedAt.After(at) {
		at = *s.events[0].CreatedAt
	}
	s.events = s.eventRoom.before(s.events[:min(len(s.events), eventsMax-1)],
		types.ServiceEvent{Id: aws.String(uuid(e.random("event " + s.arn))), Message: &message, CreatedAt: &at})
}

// eventRoom is memory that lists of events share, the newest one beginning where free ends.
type eventRoom struct {
	all  []types.ServiceEvent
	free int
}

// before is list, the newest one or its beginning, with one more event before it. What is in a list stays as and where it is.
func (r *eventRoom) before(list []types.ServiceEvent, event types.ServiceEvent) []types.ServiceEvent {
	if r.free == 0 {
		r.all = make([]types.ServiceEvent, 4*len(list)+4)
		r.free = len(r.all) - len(list)
		copy(r.all[r.free:], list)
	}
	r.free--
	r.all[r.free] = event
	end := r.free + 1 + len(list)
	return r.all[r.free:end:end]
}

// heartbeat writes the steady-state events that are due since the last look: ECS
// repeats them about every six hours, and nobody needs a timer for that.
func (e *Engine) heartbeat(s *service) {
	if s.steadyAt.IsZero() {
		return
	}
	every := e.cfg.Timing.SteadyEvery
	if missed := e.now.Sub(s.steadyAt)/every - eventsMax; missed > 0 {
		s.steadyAt = s.steadyAt.Add(missed * every)
	}
	for next := s.steadyAt.Add(every); !next.After(e.now); next = s.steadyAt.Add(every) {
		s.steadyAt = next
		e.addEvent(s, next, "(service "+s.name+") has reached a steady state.")
	}
}

// tell tells observers of a deployment's or a service's change.
func (e *Engine) tell(s *service, name string, d *deployment, reason string) {
	if e.cfg.Observe == nil {
		return
	}
	ev := Event{At: e.now, Cluster: s.cluster.arn, Service: s.arn, Name: name, Reason: reason, Desired: int32(s.desired)}
	for _, item := range s.strategy {
		ev.Providers = append(ev.Providers, e.arn("capacity-provider", aws.ToString(item.CapacityProvider)))
	}
	if d != nil {
		ev.Deployment = d.id()
	}
	e.effect(func() { e.cfg.Observe(ev) })
}

// tellHook tells observers of a lifecycle hook's change.
func (e *Engine) tellHook(s *service, r *record, h *hookRun, name string) {
	if e.cfg.Observe == nil {
		return
	}
	ev := Event{
		At: e.now, Cluster: s.cluster.arn, Service: s.arn, Name: name, Deployment: r.dep.id(),
		ServiceDeployment: r.arn, Stage: h.stage, Hook: new(h.view()), Desired: int32(s.desired),
	}
	e.effect(func() { e.cfg.Observe(ev) })
}

// tellSteady tells once that the service came to rest.
func (e *Engine) tellSteady(s *service) {
	p := s.primary()
	if !s.steadyAt.IsZero() || p.failed || len(s.deployments) > 1 || p.state != types.DeploymentRolloutStateCompleted || !e.settled(s) {
		return
	}
	e.addEvent(s, e.now.Add(time.Millisecond), "(service "+s.name+") has reached a steady state.")
	s.steadyAt = e.now
	e.tell(s, "SERVICE_STEADY_STATE", nil, "")
}

// tellStuck tells once for each deployment that minimumHealthyPercent and
// maximumPercent leave no move.
func (e *Engine) tellStuck(s *service) {
	p := s.primary()
	if p.toldStuck || p.failed || p.state != types.DeploymentRolloutStateInProgress || s.surplus() >= 0 {
		return
	}
	low, high := s.minMax()
	if len(s.deployments) < 2 || e.healthyOf(s.tasks) < len(s.tasks) || len(s.tasks) < high || len(s.tasks) > low {
		return
	}
	p.toldStuck = true
	e.event(s, "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.")
}

// announceTargets tells what was registered and deregistered since the last tick.
func (e *Engine) announceTargets(s *service) {
	in, out := map[string]int{}, map[string]int{}
	draining := 0
	for _, t := range s.tasks {
		for _, k := range t.targets {
			if t.registered {
				in[k.group]++
			}
			if t.leaving {
				out[k.group]++
			}
		}
		if t.leaving {
			draining++
		}
		t.registered, t.leaving = false, false
	}
	for _, lb := range s.groups() {
		if n := in[lb]; n > 0 {
			e.event(s, "registered %d targets in (target-group %s)", n, lb)
		}
		if n := out[lb]; n > 0 {
			e.event(s, "deregistered %d targets in (target-group %s)", n, lb)
		}
	}
	if draining > 0 {
		e.event(s, "has begun draining connections on %d tasks.", draining)
	}
}

// groups is every target group that a task of the service is in, in order.
func (s *service) groups() []string {
	var out []string
	for _, t := range s.tasks {
		for _, k := range t.targets {
			out = append(out, k.group)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
