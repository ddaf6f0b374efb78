package ecs

// Look is what a test may see of one service inside a section.
type Look struct {
	Service         string
	Desired         int
	Min, Max        int
	Occupied        int
	Primaries       int
	Tasks           map[string]TaskLook
	Events          int
	Deployments     []string
	Revisions       int
	EventsDisorder  bool
	PrimaryRollback bool
}

// TaskLook is one task that is not STOPPED.
type TaskLook struct {
	Deployment string
	Failed     bool // its deployment
	Live       bool
	Healthy    bool
	Reason     string
}

// OnChange calls f with every service at the end of every section, with the
// engine's lock held.
func (e *Engine) OnChange(f func([]Look)) {
	e.lock()
	defer e.unlock()
	e.check = func() {
		var looks []Look
		for _, c := range e.clusters {
			for _, s := range c.services {
				if s.status == serviceActive {
					looks = append(looks, e.look(s))
				}
			}
		}
		f(looks)
	}
}

func (e *Engine) look(s *service) Look {
	l := Look{Service: s.name, Desired: s.desired, Occupied: e.occupied(s), Tasks: map[string]TaskLook{}, Events: len(s.events), Revisions: len(s.revisions)}
	l.Min, l.Max = s.minMax()
	for _, d := range s.deployments {
		v := e.viewDeployment(d)
		if *v.Status == "PRIMARY" {
			l.Primaries++
		}
		l.Deployments = append(l.Deployments, *v.Id)
	}
	l.PrimaryRollback = s.primary().record != nil && s.openRecord(s.primary()).rollbackTo == s.primary()
	for _, t := range s.tasks {
		l.Tasks[t.id] = TaskLook{Deployment: t.dep.id(), Failed: t.dep.failed, Live: t.live(), Healthy: e.healthy(t), Reason: t.stoppedReason}
	}
	for i := 1; i < len(s.events); i++ {
		if s.events[i].CreatedAt.After(*s.events[i-1].CreatedAt) {
			l.EventsDisorder = true
		}
	}
	return l
}

// Scheduled is how many things are due some time.
func (e *Engine) Scheduled() int {
	e.lock()
	defer e.unlock()
	return len(e.schedule.items)
}
