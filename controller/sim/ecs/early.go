package ecs

import (
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// early is a rolling deployment's early success criteria where they count
// (DeploymentEarlySuccessCriteria in the API reference).
func (s *service) early(d *deployment) *types.DeploymentEarlySuccessCriteria {
	r := s.openRecord(d)
	if c := r.config.EarlySuccessCriteria; c != nil && c.Enable && r.rollbackTo == nil && r.config.Strategy == strategyWithoutStages {
		return c
	}
	return nil
}

func deferred(c *types.DeploymentEarlySuccessCriteria) bool {
	return c != nil && c.SourceServiceRevisionCleanup == types.ServiceRevisionCleanupDeferred
}

// reached: the rollout has what it needs to be successful.
func (e *Engine) reached(s *service, d *deployment) bool {
	c := s.early(d)
	if c == nil {
		return e.settled(s)
	}
	if e.healthyOf(s.live(d)) < (s.desired*int(*c.HealthyPercent)+99)/100 {
		return false
	}
	return deferred(c) || len(s.deployments) == 1
}

// sourcesStay: with DEFERRED clean-up sources are kept until some time after
// success, unless the target needs their room.
func (e *Engine) sourcesStay(s *service) bool {
	p := s.primary()
	if !deferred(s.early(p)) {
		return false
	}
	if p.state == types.DeploymentRolloutStateInProgress {
		return s.surplus() >= 0 || e.room(p) > 0
	}
	return e.now.Sub(p.doneAt) < e.cfg.Timing.DeferredCleanUp
}
