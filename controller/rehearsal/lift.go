package rehearsal

import (
	"maps"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
)

// far is longer than anything that is rehearsed.
const far = 100 * 365 * 24 * time.Hour

// lift makes the world one in which what the part waits for does not hold, and answers false where there is no such world:
// where only the infrastructure can say what would follow. What is done in it is kept from the other services.
func (w *world) lift(p part) bool {
	w.apart()
	pretence := &w.stage.pretence
	environment, spec := &w.snapshot.Environment.Spec, &desired.ServiceSpec{}
	if s := w.snapshot.Services[w.name]; s != nil {
		spec = &s.Spec
	}
	rec := w.ledger.records[w.name]
	switch p.record.Said {
	case rollout.SaidStackBusy:
		pretence.NoStack = true
	case rollout.SaidHeld:
		pretence.NoHold = true
	case rollout.SaidNoWayBack, rollout.SaidWayBackUnknown:
		pretence.Startable = true
	case rollout.SaidScaledToZero:
		pretence.Scaled = true
	case rollout.SaidImageMissing, rollout.SaidRegistrySilent:
		pretence.Pushed = true
	case rollout.SaidUnhealthyBefore, rollout.SaidDriftLeft:
		pretence.Quiet = true
	case rollout.SaidSecretUnreadable:
		pretence.Readable = true
	case rollout.SaidSuspended:
		spec.Suspend = nil
	case rollout.SaidDependency:
		spec.DependsOn = nil
	case rollout.SaidWindow:
		environment.Windows = nil
	case rollout.SaidMassChange:
		// the world of this service alone has nothing that was taken over before
	case rollout.SaidManyMissing:
		environment.MassChange.Share = 100
	case rollout.SaidCrowded:
		environment.MaxConcurrentRollouts = 0
	case rollout.SaidDriftSeen:
		environment.Drift.After = desired.Duration(-far)
	case rollout.SaidLockTaken:
		w.ledger.locks = map[string]string{}
	case rollout.SaidBlocked:
		rec.Blocked = nil
	case rollout.SaidMayNot:
		if _, ok := p.failed.(rollout.Register); !ok {
			return false
		}
		rec.Trouble, w.stage.unseen = nil, true
	default:
		return false
	}
	w.ledger.records[w.name] = rec
	w.asked = reconcile.NewAsked()
	w.asked.Take(w.snapshot)
	return true
}

// apart gives the service a world of its own: its record, those that it waits for, and copies of what git says.
func (w *world) apart() {
	if w.lifted {
		return
	}
	w.lifted = true
	ended := w.ledger.ended
	w.ledger = &memory{records: map[string]rollout.Record{w.name: w.ledger.records[w.name]}, locks: maps.Clone(w.ledger.locks), ended: ended}
	w.fleet = w.fleet.Clone()
	environment := *w.snapshot.Environment
	snapshot := &desired.Snapshot{Commit: w.snapshot.Commit, Environment: &environment, Services: map[string]*desired.Service{}}
	if s := w.snapshot.Services[w.name]; s != nil {
		service := *s
		snapshot.Services[w.name] = &service
		for _, other := range s.Spec.DependsOn {
			if o := w.snapshot.Services[other]; o != nil {
				snapshot.Services[other] = o
			}
		}
	}
	w.snapshot = snapshot
}
