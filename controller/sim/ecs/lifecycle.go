package ecs

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// lifecycle is how far a BLUE_GREEN, LINEAR or CANARY service deployment has
// come. Every stage takes at least one look of the scheduler.
type lifecycle struct {
	stage types.ServiceDeploymentLifecycleStage // "": none yet
	since time.Time
	blue  *deployment // the source that keeps serving; nil for a first deployment
	many  bool        // more than one source was active at the start
	steps []float64   // production traffic of the target after each shift
	pause time.Duration
	step  int
	until time.Time // a bake ends
	hooks []*hookRun
	back  bool // rolling back
	ended bool
}

// The order of stages (developer guide, blue-green-deployment-how-it-works).
const (
	reconcile     = types.ServiceDeploymentLifecycleStageReconcileService
	preScaleUp    = types.ServiceDeploymentLifecycleStagePreScaleUp
	scaleUp       = types.ServiceDeploymentLifecycleStageScaleUp
	postScaleUp   = types.ServiceDeploymentLifecycleStagePostScaleUp
	testShift     = types.ServiceDeploymentLifecycleStageTestTrafficShift
	postTestShift = types.ServiceDeploymentLifecycleStagePostTestTrafficShift
	prodShift     = types.ServiceDeploymentLifecycleStageProductionTrafficShift
	postProdShift = types.ServiceDeploymentLifecycleStagePostProductionTrafficShift
	bakeTime      = types.ServiceDeploymentLifecycleStageBakeTime
	cleanUp       = types.ServiceDeploymentLifecycleStageCleanUp
)

var networkingInvalid = cause{
	event:      "Service deployment rolled back because of invalid networking configuration.",
	deployment: "ECS deployment failed: invalid networking configuration.",
	rolledBack: "Service deployment rolled back because of invalid networking configuration.",
}

var stageTimedOut = cause{
	event:      "Service deployment rolled back because a lifecycle stage timed out.",
	deployment: "ECS deployment failed: a lifecycle stage timed out.",
	rolledBack: "Service deployment rolled back because a lifecycle stage timed out.",
}

// newLifecycle is nil for ROLLING. sources are what was deployed before, newest
// first.
func (s *service) newLifecycle(r *record, sources []*deployment) *lifecycle {
	if r.config.Strategy == strategyWithoutStages {
		return nil
	}
	l := &lifecycle{many: len(sources) > 1}
	l.steps, l.pause = steps(r.config)
	switch {
	case slices.Contains(sources, s.candidate):
		l.blue = s.candidate
	case len(sources) > 0:
		l.blue = sources[0]
	}
	if l.blue == nil || len(r.dep.spec.lbs) == 0 {
		l.steps = []float64{100} // nobody to share with
	}
	if l.blue != nil {
		carried := 0.0
		for _, d := range sources {
			carried += d.production
		}
		if carried == 0 { // until now by rolling updates, which shift nothing
			l.blue.production, l.blue.test = 100, 100
		}
	}
	return l
}

// staged is the record whose stages the service goes through, nil if it goes
// through none.
func (s *service) staged() *record {
	p := s.primary()
	if p.state != types.DeploymentRolloutStateInProgress {
		return nil
	}
	if r := s.openRecord(p); r.life != nil && !r.life.ended {
		return r
	}
	return nil
}

// tickStaged is one look at a service whose deployment goes in stages: both
// revisions have all their tasks until the last stage.
func (e *Engine) tickStaged(s *service, r *record) {
	l, p := r.life, s.primary()
	e.replaceAiling(s)
	for _, d := range slices.Clone(s.deployments) {
		switch {
		case d == p && (l.back || l.stage != "" && l.stage != reconcile && l.stage != preScaleUp):
			e.level(d, s.desired)
		case d == p:
		case l.stage == cleanUp || d != l.blue && !l.back && l.stage == reconcile:
			e.level(d, 0)
		case d == l.blue && !l.back:
			d.keep = s.desired
			e.level(d, s.desired)
		}
	}
	s.deployments = slices.DeleteFunc(s.deployments, func(d *deployment) bool {
		return d != p && len(s.of(d)) == 0 && (d != l.blue || l.stage == cleanUp)
	})
	e.advanceStage(s, r)
}

// level starts or stops tasks of one deployment until it has n.
func (e *Engine) level(d *deployment, n int) {
	s := d.svc
	if d.failed && n > 0 {
		return
	}
	surplus := -n
	for _, t := range s.live(d) {
		if t.replacement == nil {
			surplus++
		}
	}
	if surplus > 0 || n == 0 {
		e.stopSurplus(d, surplus, n == 0)
		return
	}
	if lacking := min(-surplus-s.failing(d), e.room(d)); lacking > 0 && e.mayLaunch(d) {
		e.launchTasks(d, lacking)
	}
}

// advanceStage enters the next stage once the present one is over.
func (e *Engine) advanceStage(s *service, r *record) {
	l := r.life
	if l.stage != "" && !e.stageOver(s, l) {
		if l.stage == scaleUp && !l.back && e.now.Sub(l.since) >= stageMax {
			e.fail(r.dep, stageTimedOut, true)
		}
		return
	}
	if l.stage == cleanUp {
		l.ended = true
		e.succeedRecord(s, s.primary())
		e.completed(s, s.primary())
		return
	}
	if !l.back && e.now.Sub(r.createdAt) >= deploymentMax {
		e.fail(r.dep, stageTimedOut, true)
		return
	}
	next := e.nextStage(s, r)
	if next == prodShift && l.stage != "" && !l.back {
		if l.stage == prodShift || l.stage == preProductionShift && l.shifted() {
			l.step++
		}
	}
	e.enterStage(s, r, next)
}

// shifted: production traffic was moved already.
func (l *lifecycle) shifted() bool { return !l.until.IsZero() }

func (e *Engine) stageOver(s *service, l *lifecycle) bool {
	if !l.hooksDone() || e.now.Before(l.until) {
		return false
	}
	p := s.primary()
	full := len(s.live(p)) == s.desired && e.healthyOf(s.live(p)) == s.desired
	switch l.stage {
	case reconcile:
		return len(s.deployments) <= 2
	case scaleUp, bakeTime:
		return full
	case cleanUp:
		return full && len(s.deployments) == 1
	}
	return true
}

// nextStage is what follows the present stage.
func (e *Engine) nextStage(s *service, r *record) types.ServiceDeploymentLifecycleStage {
	l := r.life
	if l.back {
		return e.nextBack(s, r)
	}
	switch l.stage {
	case "":
		if l.many {
			return reconcile
		}
		return preScaleUp
	case reconcile:
		return preScaleUp
	case preScaleUp:
		return scaleUp
	case scaleUp:
		return postScaleUp
	case postScaleUp:
		return testShift
	case testShift:
		return postTestShift
	case prodShift:
		if l.step+1 == len(l.steps) {
			return postProdShift
		}
	case postProdShift:
		if l.blue != nil || e.cfg.Doubts.FirstDeploymentBakes {
			return bakeTime
		}
		return cleanUp
	case bakeTime:
		return cleanUp
	case preProductionShift:
		return prodShift
	}
	if hooked(r.config.LifecycleHooks, preProductionShift) {
		return preProductionShift
	}
	return prodShift
}

// nextBack is the way back: the old revision is made whole, traffic returns to
// it, and then the failed one goes.
func (e *Engine) nextBack(s *service, r *record) types.ServiceDeploymentLifecycleStage {
	l := r.life
	switch {
	case l.stage == "" && e.healthyOf(s.live(s.primary())) < s.desired:
		return scaleUp
	case r.dep.production > 0:
		return prodShift
	case r.dep.test > 0:
		return testShift
	}
	return cleanUp
}

// enterStage does what a stage begins with and calls its hooks.
func (e *Engine) enterStage(s *service, r *record, stage types.ServiceDeploymentLifecycleStage) {
	l, p := r.life, s.primary()
	was := l.stage
	l.stage, l.since, l.hooks = stage, e.now, nil
	r.updatedAt = e.now
	switch stage {
	case reconcile:
		e.routeAll(s, l.blue)
	case testShift:
		for _, d := range e.carriers(s, r) {
			d.test = 0
		}
		p.test = 100
		e.shift(s, false)
	case prodShift:
		e.shiftProduction(s, r)
	case bakeTime:
		e.bakeFor(s, l, minutes(r.config.BakeTimeInMinutes))
	case scaleUp:
		e.after(stageMax, func() {
			if l.stage == scaleUp && !l.ended {
				e.touch(s)
			}
		})
	}
	if stage != was || stage == prodShift {
		e.callHooks(s, r)
	}
	e.touch(s)
}

// shiftProduction moves production traffic to the primary: a step of it, or all
// of it on the way back.
func (e *Engine) shiftProduction(s *service, r *record) {
	l, p := r.life, s.primary()
	for _, d := range e.carriers(s, r) {
		d.production = 0
	}
	if l.back {
		p.production = 100
		e.shift(s, true)
		return
	}
	p.production = l.steps[l.step]
	if l.blue != nil {
		l.blue.production = 100 - p.production
	}
	e.shift(s, true)
	pause := l.pause
	if l.step+1 == len(l.steps) {
		pause = 0
	}
	e.bakeFor(s, l, pause)
}

func (e *Engine) bakeFor(s *service, l *lifecycle, d time.Duration) {
	l.until = e.now.Add(d)
	if d > 0 {
		e.after(d, func() { e.touch(s) })
	}
}

// goBack turns a failed deployment's stages around.
func (e *Engine) goBack(r *record) {
	if l := r.life; l != nil {
		l.back, l.stage, l.hooks, l.until = true, "", nil, time.Time{}
	}
}

// end leaves the stages where they are.
func (l *lifecycle) end() {
	if l != nil {
		l.ended, l.hooks = true, nil
	}
}
