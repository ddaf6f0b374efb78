package app

import (
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/rollout"
)

// paused is why nothing new is begun, nil where that is not so, or where another controller acts and says it.
func (a *App) paused() *rollout.Pause {
	fleet, env := a.fleet.Load(), a.asked.Environment()
	if a.writes.now() == nil || fleet == nil || env == nil {
		return nil
	}
	if p := a.asked.Pause(); p != nil {
		return p
	}
	return fleet.Pause(env.Spec.MassChange)
}

// tellMassChange writes one line for a snapshot that is not taken over.
func (a *App) tellMassChange() {
	if p := a.asked.Pause(); p != nil {
		a.cfg.Log.Warn("mass change", zap.String("commit", p.Commit), zap.Int("changed", p.Count), zap.Int("gone", p.Gone), zap.Int("of", p.Of),
			zap.Stringer("allowed", p.Share), zap.Bool("confirmedTooFew", p.Counts))
	}
}
