// Package reconcile is one pass over one service, and the workers that run passes. A pass loads the record, looks at the
// account, lets rollout.Decide decide, saves the next record, does at most one action, and saves its outcome. Waiting
// never holds a worker: a pass ends with the time of the next one.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/strategy"
	"github.com/canteen/deploy/controller/urgency"
)

// Account looks at one service and does one thing to it. Errors carry a fault kind.
type Account interface {
	Observe(context.Context, *rollout.Intent, observed.Look) (observed.Service, error)
	Act(context.Context, *rollout.Intent, observed.Service, rollout.Action) (rollout.Outcome, error)
}

// Ledger keeps records across crashes. Save is a compare-and-swap on the record's version, takes the history along in the
// same transaction, and keeps the table of migration locks in step; a lost race is fault.Conflict.
type Ledger interface {
	Load(ctx context.Context, service string) (rollout.Record, error)
	Save(ctx context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error)
	LockHolder(ctx context.Context, lock string) (service string, err error)
}

// Teller is told of every pass and of every rollout that ended, after it was saved.
type Teller interface {
	Passed(Pass)
	Ended(rollout.Entry)
}

// Pass is what one pass came to.
type Pass struct {
	Service string
	Record  rollout.Record
	Seen    observed.Service
	Invalid string // why git's newest file is invalid
	NextAt  time.Time
	Action  rollout.Action // nil where nothing was done
	Took    time.Duration
	Err     error
	// Panicked says that the rules contradict each other about the service; Err has the words.
	Panicked bool
}

// Reconciler runs passes. Its methods are safe for concurrent use by different services.
type Reconciler struct {
	Account Account
	Ledger  Ledger
	Asked   *Asked
	Fleet   *Fleet
	Teller  Teller
	Pace    rollout.Pace
	Sweep   func(service string) time.Duration // where set, answers Pace.Sweep of a service
	// Built, where set, answers the commits that a service's images with these digests were built of, as far as that is known now: it
	// waits for nothing. Entries of the history are saved with them.
	Built func(service string, digests []string) []string
	Log   *zap.Logger
	Clock func() time.Time // the time that decisions are made by; nil: time.Now

	tempo tempo
}

// now is the time that decisions are made by. It may be set, as any clock; how long something takes is never told by it. It is what a
// record says after it was written and read: no monotonic reading counts before that, either.
func (r *Reconciler) now() time.Time {
	if r.Clock == nil {
		return time.Now().Round(0)
	}
	return r.Clock()
}

// saveFor bounds the writing of an outcome, which is not given up when the controller is asked to stop.
const saveFor = 5 * time.Second

// looksMax bounds how often one pass looks again because a decision needs to see more.
const looksMax = 4

// Reconcile is one pass. It returns when to look again; an error was already written into the record where that was
// possible, and is returned for the log.
func (r *Reconciler) Reconcile(ctx context.Context, service string) (time.Time, error) {
	start, now := time.Now(), r.now()
	p, err := r.pass(ctx, service, start, now, r.tempo.begins(service, start))
	p.Service, p.Took, p.Err = service, time.Since(start), err
	r.tempo.ends(service, p.Record.Rollout != nil, start.Add(p.NextAt.Sub(now)))
	r.Teller.Passed(p)
	return p.NextAt, err
}

func (r *Reconciler) pass(ctx context.Context, service string, start, now time.Time, behind time.Duration) (Pass, error) {
	rec, err := r.Ledger.Load(ctx, service)
	if err != nil {
		return Pass{NextAt: now.Add(rollout.Backoff(1))}, fmt.Errorf("load the record of %s: %w", service, err)
	}
	rec.Service = service
	ctx = urgency.With(ctx, urgencyOf(rec.Rollout, rec.Rollout))
	want, ok := r.Asked.Want(service, rec)
	if !ok {
		return Pass{Record: rec, NextAt: now.Add(r.Pace.Idle)}, nil
	}
	want = want.Heeding(rec)
	want.Pace = r.Pace
	want.Pace.Behind = behind
	if r.Sweep != nil {
		want.Pace.Sweep = r.Sweep(service)
	}
	if err := r.others(ctx, service, rec, &want); err != nil {
		return Pass{Record: rec, NextAt: now.Add(rollout.Backoff(1))}, err
	}
	d, seen, err := r.decide(ctx, start, now, want, rec)
	if err != nil {
		d = rollout.Failed(now, rec, nil, err)
		saved, saveErr := r.save(ctx, rec, d)
		return Pass{Record: saved, Invalid: want.Invalid, NextAt: d.WakeAt}, errors.Join(err, saveErr)
	}
	return r.carryOut(ctx, want, seen, rec, d)
}

// urgencyOf is how urgent the requests of a pass are, from the rollout in flight before it and the one now.
func urgencyOf(before, now *rollout.Rollout) urgency.Class {
	switch {
	case now == nil:
		return urgency.Sweep
	case now.Kind != rollout.KindDeploy:
		return urgency.Revert
	case before == nil:
		return urgency.Begin
	}
	return urgency.Rolling
}

// others fills in what the other services say: who holds the lock, how many roll, who is waited for.
func (r *Reconciler) others(ctx context.Context, service string, rec rollout.Record, want *rollout.Want) error {
	intent := want.Intent
	if intent == nil {
		intent = rec.Intent
	}
	if intent == nil {
		return nil
	}
	m := intent.Service.Spec.Migration
	if rec.Rollout != nil {
		m = rec.Rollout.Target.Migration // the lock of what is in flight, whatever git says now
	}
	if m != nil {
		holder, err := r.Ledger.LockHolder(ctx, m.Lock)
		if err != nil {
			return fmt.Errorf("read the holder of lock %s: %w", m.Lock, err)
		}
		want.LockHolder = holder
	}
	want.Others, want.Ahead, want.Waiting = r.Fleet.others(service, rec.Queued, want.Policy.MaxConcurrentRollouts, intent.Service.Spec.DependsOn, r.Asked.asks)
	if want.Pause == nil {
		want.Pause = r.Fleet.Pause(want.Policy.MassChange)
	}
	return nil
}

// decide looks and decides, again where the decision needs to see more.
func (r *Reconciler) decide(ctx context.Context, start, now time.Time, want rollout.Want, rec rollout.Record) (rollout.Decision, observed.Service, error) {
	var seen observed.Service
	intent := want.Intent
	if intent == nil {
		intent = rec.Intent
	}
	if intent == nil || want.Removed && rec.Rollout == nil {
		return rollout.Decide(rollout.Input{Now: now, Want: want}, rec), seen, nil
	}
	spec := rec.Spec()
	if rec.Rollout == nil {
		spec = intent.Service.Spec
	}
	checks, err := health.For(spec)
	if err != nil {
		return rollout.Decision{}, seen, fault.New(fault.Terminal, "check", err)
	}
	for _, one := range []desired.ServiceSpec{spec, intent.Service.Spec} {
		if _, err := strategy.For(one); err != nil {
			return rollout.Decision{}, seen, fault.New(fault.Terminal, "strategy", err)
		}
	}
	look := rollout.Needs(want, rec)
	look.Since = start // by the clock that does not jump
	for range looksMax {
		subject, judged := rec.Subject(now, look)
		if judged {
			look = look.Merge(health.Facts(checks, subject))
		}
		if seen, err = r.Account.Observe(ctx, intent, look); err != nil {
			return rollout.Decision{}, seen, err
		}
		in := rollout.Input{Now: now, Want: want, Look: look, Seen: seen, Strategy: strategy.Named{}}
		if judged {
			in.Readings = health.Read(checks, subject, seen)
		}
		d := rollout.Decide(in, rec)
		if d.Look == nil {
			return d, seen, nil
		}
		look = look.Merge(*d.Look)
	}
	return rollout.Decision{}, seen, fmt.Errorf("decide on %s: asked to look again %d times", rec.Service, looksMax)
}

// carryOut saves the decision, does its action and saves the outcome.
func (r *Reconciler) carryOut(ctx context.Context, want rollout.Want, seen observed.Service, rec rollout.Record, d rollout.Decision) (Pass, error) {
	p := Pass{Seen: seen, Invalid: want.Invalid, NextAt: d.WakeAt}
	if !r.Fleet.reserve(d.Record, want.Policy.MaxConcurrentRollouts) {
		// Another service took the last place in the same moment: this one decides again and waits.
		p.Record, p.NextAt = rec, r.now()
		return p, nil
	}
	saved, err := r.save(ctx, rec, d)
	p.Record = saved
	if err != nil {
		r.Fleet.note(rec)
		p.NextAt = r.now().Add(conflictPause(err))
		return p, err
	}
	r.Fleet.note(saved)
	if d.Action == nil {
		return p, nil
	}
	p.Action = d.Action
	out, actErr := r.Account.Act(urgency.With(ctx, urgencyOf(rec.Rollout, saved.Rollout)), saved.Intent, seen, d.Action)
	after := rollout.Decision{WakeAt: d.WakeAt}
	if actErr != nil {
		actErr = fmt.Errorf("%s for %s: %w", d.Action.Name(), saved.Service, actErr)
		after = rollout.Failed(r.now(), saved, d.Action, actErr)
	} else {
		after.Record = rollout.Apply(r.now(), saved, d.Action, out)
	}
	// The outcome of what was done is written down even when the controller is being stopped.
	saveCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveFor)
	defer cancel()
	p.Record, err = r.save(saveCtx, saved, after)
	p.NextAt = after.WakeAt
	r.Fleet.note(p.Record)
	return p, errors.Join(actErr, err)
}

// conflictPause is how long to wait after a save that failed: not at all after a lost race, since looking again is the
// answer to it.
func conflictPause(err error) time.Duration {
	if fault.Is(err, fault.Conflict) && fault.CodeOf(err) != "lock_held" {
		return 0
	}
	return rollout.Backoff(1)
}

// save writes the decision's record where it differs from the one before, and tells of the rollouts that ended.
func (r *Reconciler) save(ctx context.Context, before rollout.Record, d rollout.Decision) (rollout.Record, error) {
	if len(d.History) == 0 && same(before, d.Record) {
		return before, nil // the one that is kept already
	}
	history := r.withOrigins(d.History)
	saved, err := r.Ledger.Save(ctx, d.Record, history)
	if err != nil {
		return before, fmt.Errorf("save the record of %s: %w", d.Record.Service, err)
	}
	for _, e := range history {
		r.Teller.Ended(e)
	}
	return saved, nil
}

// withOrigins are the entries with the commits that their images were built of.
func (r *Reconciler) withOrigins(history []rollout.Entry) []rollout.Entry {
	if r.Built == nil {
		return history
	}
	history = slices.Clone(history)
	for i := range history {
		history[i].Built = r.Built(history[i].Service, history[i].Digests)
	}
	return history
}
