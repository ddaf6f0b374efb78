package ecs

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var alarmDetected = cause{
	event:      "alarm detected.",
	deployment: "ECS deployment failed: alarm detected.",
	rolledBack: "Service deployment rolled back because one or more CloudWatch alarms were detected.",
	stopped:    "Service deployment stopped because one or more CloudWatch alarms were detected.",
}

// alarmWatch is what a service deployment knows of its alarms.
type alarmWatch struct {
	seen      bool // they were looked at once
	off       bool // one was in ALARM at the start: none is monitored
	triggered []string
}

// watched: this service deployment has alarms to look at.
func (e *Engine) watched(r *record) bool {
	a := r.config.Alarms
	return e.cfg.Alarms != nil && a != nil && a.Enable && len(a.AlarmNames) > 0 && !r.watch.off && r.open() && r.rollbackTo == nil
}

// watchAlarms looks at the alarms of the deployment in progress, at its start
// and with every look of the scheduler (developer guide,
// deployment-alarm-failure).
func (e *Engine) watchAlarms(s *service, r *record) {
	if !e.watched(r) {
		return
	}
	names := slices.Clone(r.config.Alarms.AlarmNames)
	e.effect(func() {
		var red []string
		for _, name := range names {
			if state, ok := e.cfg.Alarms.State(name); ok && state == "ALARM" {
				red = append(red, name)
			}
		}
		e.section(func() { e.sawAlarms(s, r, red) })
	})
	e.touch(s)
}

func (e *Engine) sawAlarms(s *service, r *record, red []string) {
	p := s.primary()
	first := !r.watch.seen
	r.watch.seen = true
	switch {
	case len(red) == 0 || s.status != serviceActive:
	case first:
		r.watch.off = true
	case e.watched(r) && r.dep == p && p.state == types.DeploymentRolloutStateInProgress && p.doneAt.IsZero():
		r.watch.triggered = red
		e.fail(p, alarmDetected, r.config.Alarms.Rollback)
		e.touch(s)
	}
}

// knownAlarms refuses names of alarms that do not exist. It is called without
// the engine's lock.
func (e *Engine) knownAlarms(in *types.DeploymentConfiguration) error {
	if e.cfg.Alarms == nil || in == nil || in.Alarms == nil || !in.Alarms.Enable {
		return nil
	}
	for _, name := range in.Alarms.AlarmNames {
		if _, ok := e.cfg.Alarms.State(name); !ok {
			return invalid("Unable to find CloudWatch alarm with name %s", name)
		}
	}
	return nil
}

func (e *Engine) viewAlarms(r *record) *types.ServiceDeploymentAlarms {
	a := r.config.Alarms
	if a == nil || len(a.AlarmNames) == 0 {
		return nil
	}
	v := &types.ServiceDeploymentAlarms{
		AlarmNames: clone(a.AlarmNames), TriggeredAlarmNames: slices.Clone(r.watch.triggered),
		Status: types.ServiceDeploymentRollbackMonitorsStatusMonitoring,
	}
	switch {
	case e.cfg.Alarms == nil || !a.Enable || r.watch.off:
		v.Status = types.ServiceDeploymentRollbackMonitorsStatusDisabled
	case len(r.watch.triggered) > 0:
		v.Status = types.ServiceDeploymentRollbackMonitorsStatusTriggered
	case !r.open() || r.rollbackTo != nil:
		v.Status = types.ServiceDeploymentRollbackMonitorsStatusMonitoringComplete
	}
	return v
}

// alarmConfiguration checks alarms.
func alarmConfiguration(a *types.DeploymentAlarms) error {
	if a != nil && a.Enable && len(a.AlarmNames) == 0 {
		return invalid("alarms.alarmNames can not be empty when alarms are enabled.")
	}
	if a != nil && slices.Contains(a.AlarmNames, "") {
		return invalid("alarms.alarmNames must not have empty names.")
	}
	return nil
}

// baked: the time has passed for which a rolling deployment is watched after
// its tasks are in place (DeploymentConfiguration.bakeTimeInMinutes; where only
// alarms are given ECS takes less than five minutes).
func (e *Engine) baked(s *service, d *deployment) bool {
	r := s.openRecord(d)
	if r.rollbackTo != nil || !r.open() {
		return true
	}
	bake := minutes(r.config.BakeTimeInMinutes)
	if bake == 0 && e.watched(r) {
		bake = e.cfg.Timing.AlarmBake
	}
	if bake == 0 {
		return true
	}
	if d.bakeFrom.IsZero() {
		d.bakeFrom = e.now
		e.after(bake, func() { e.touch(s) })
	}
	return e.now.Sub(d.bakeFrom) >= bake
}
