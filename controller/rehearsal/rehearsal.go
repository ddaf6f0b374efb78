// Package rehearsal lets the controller's own passes run ahead on an account that is only looked at: each write is pretended
// to have succeeded, and the pass after it sees what the account would show. What the controller would do is so found out
// by what does it, and by nothing else. Where a service waits, the rehearsal takes down for what, and looks beyond: as if it
// did not hold.
package rehearsal

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/plan"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
)

// Account is an account that is only looked at.
type Account interface {
	Observe(context.Context, *rollout.Intent, observed.Look) (observed.Service, error)
	// Preview answers the content of what would be registered, as canonical JSON, empty where that cannot be known. It is an
	// error where the registration would be one.
	Preview(context.Context, observed.Service, rollout.Register) (string, error)
	// Content answers the content of a revision, empty where that cannot be known.
	Content(ctx context.Context, revision string) (string, error)
	// Assumed says what the looks at the service had to assume.
	Assumed(service string) []string
}

// The bounds of one rehearsal.
const (
	passesMax = 24 // of one part: every stage, and a write before each
	holdsMax  = 16
)

// Rehearsal rehearses the services of one snapshot. A service that was rehearsed counts as under way for those after it,
// as it would: it takes its place among those that roll at once, and its migration takes its lock.
type Rehearsal struct {
	account  Account
	snapshot *desired.Snapshot
	fleet    *reconcile.Fleet
	ledger   *memory
	asked    *reconcile.Asked
	done     map[string]plan.Rehearsed
}

// pace decides nothing here: no pass waits for its time.
var pace = rollout.Pace{Watch: 4 * time.Second, Idle: time.Minute}

// New prepares the rehearsal of a snapshot with a valid environment. records are what a controller remembers; without any
// the account's tags are what there is, as for a controller with an empty ledger.
func New(account Account, snapshot *desired.Snapshot, records []rollout.Record) *Rehearsal {
	r := &Rehearsal{
		account: account, snapshot: snapshot, fleet: reconcile.NewFleet(records...), ledger: remember(records...), asked: reconcile.NewAsked(),
		done: map[string]plan.Rehearsed{},
	}
	r.asked.Take(snapshot)
	r.asked.Begin(records)
	return r
}

// Service rehearses one service, after those that it depends on. Its errors are in the answer; asked again, it answers the
// same.
func (r *Rehearsal) Service(ctx context.Context, name string) plan.Rehearsed {
	if out, ok := r.done[name]; ok {
		return out
	}
	if s := r.snapshot.Services[name]; s != nil {
		for _, other := range s.Spec.DependsOn {
			r.Service(ctx, other) // a snapshot has no circles
		}
	}
	var out plan.Rehearsed
	if errs := r.snapshot.Invalid[name]; len(errs) > 0 {
		out = plan.Rehearsed{Service: name, Invalid: errs}
	} else {
		out = r.rehearse(ctx, name)
	}
	r.done[name] = out
	return out
}

func (r *Rehearsal) rehearse(ctx context.Context, name string) plan.Rehearsed {
	out := plan.Rehearsed{Service: name, Policy: r.snapshot.Environment.Spec, Before: r.ledger.records[name]}
	r.ledger.ended = nil
	w := &world{name: name, stage: &stage{Account: r.account}, ledger: r.ledger, fleet: r.fleet, asked: r.asked, snapshot: r.snapshot}
	part := w.play(ctx, out.Before)
	out.Now, out.Seen, out.Told, out.Err = part.deeds, part.seen, part.record, part.err
	r.holdLock(name, part)
	for part.waits() {
		out.Holds = append(out.Holds, plan.Hold{
			Said: part.record.Said, State: part.record.State, Why: part.record.Why, Advice: part.record.Next,
			Until: rollout.HeldUntil(time.Now(), w.snapshot.Environment.Spec, part.seen, part.record),
		})
		if len(out.Holds) == holdsMax || !w.lift(part) {
			break
		}
		part = w.play(ctx, out.Before)
		out.Then = append(out.Then, part.deeds...)
	}
	out.New = fault.CodeOf(out.Err) == CodeUnmet
	out.After = part.record
	out.Ended = w.ledger.ended
	out.Assumed = r.account.Assumed(name)
	r.contents(ctx, w, &out)
	return out
}

// holdLock keeps the lock of a migration that would run now from the services that come after it.
func (r *Rehearsal) holdLock(name string, p part) {
	for _, a := range p.deeds {
		if _, ok := a.(rollout.RunMigration); ok {
			r.ledger.locks[p.record.Rollout.Target.Migration.Lock] = name
		}
	}
}

// contents reads what runs and what would. What cannot be read is left out: the plan says so.
func (r *Rehearsal) contents(ctx context.Context, w *world, out *plan.Rehearsed) {
	ro := out.After.Rollout
	if ro == nil || ro.Revision == "" || out.Before.Rollout != nil && out.Before.Rollout.Number == ro.Number {
		return
	}
	out.From, _ = r.account.Content(ctx, out.Seen.TaskDefinition)
	if out.To = w.stage.content; !w.stage.registered {
		out.To, _ = r.account.Content(ctx, ro.Revision)
	}
}

// part is what the passes came to until one of them stopped.
type part struct {
	deeds  []rollout.Action
	seen   observed.Service // the first look
	record rollout.Record
	failed rollout.Action // what could not be done
	over   bool           // the deployment was asked for, or a rollout of before goes on
	err    error
}

// waits reports whether the part ended in something that passes, or that somebody else must provide.
func (p part) waits() bool {
	if p.err != nil || p.over {
		return false
	}
	switch p.record.State {
	case rollout.StateSettled, rollout.StateReverted, rollout.StateReleased, rollout.StateStalled, rollout.StateWaitingTemplate, rollout.StateUnknown, rollout.StateInvalid:
		return false
	}
	return p.record.Said != rollout.SaidDriftReported
}

// world is what one service is rehearsed in.
type world struct {
	name     string
	stage    *stage
	ledger   *memory
	fleet    *reconcile.Fleet
	asked    *reconcile.Asked
	snapshot *desired.Snapshot
	lifted   bool
}

// play runs passes until one of them stops: it waits, it has nothing to do, or it has asked for the deployment.
func (w *world) play(ctx context.Context, before rollout.Record) part {
	ear := &ear{}
	passes := &reconcile.Reconciler{
		Account: w.stage, Ledger: w.ledger, Asked: w.asked, Fleet: w.fleet, Teller: ear, Pace: pace, Log: zap.NewNop(),
	}
	out := part{}
	for range passesMax {
		next, err := passes.Reconcile(ctx, w.name)
		p := ear.last
		out.record = p.Record
		if out.seen.At.IsZero() {
			out.seen = p.Seen
		}
		if err != nil {
			if goesOn(p.Record) {
				continue // what was refused for good ends its rollout
			}
			if !fault.Is(err, fault.Blocked) && !fault.Is(err, fault.Terminal) {
				out.err = err
			}
			out.failed = p.Action
			return out
		}
		if p.Action != nil {
			out.deeds = append(out.deeds, p.Action)
		}
		if asked(p.Action) || same(before.Rollout, p.Record.Rollout) || takesOver(p.Record.Rollout) {
			out.over = true
			return out
		}
		if p.Action == nil && next.After(time.Now()) {
			return out
		}
	}
	out.err = errors.New("the rehearsal does not come to an end")
	return out
}

// goesOn reports whether a pass that failed has written down the end of its rollout.
func goesOn(rec rollout.Record) bool {
	return rec.Rollout != nil && rec.Rollout.Failure != nil && rec.Trouble == nil
}

// asked reports whether the action is one whose end takes its time in the account.
func asked(a rollout.Action) bool {
	switch a.(type) {
	case rollout.Roll, rollout.Scale:
		return true
	}
	return false
}

// takesOver reports whether what runs is only watched until it counts as good: that takes its time too.
func takesOver(ro *rollout.Rollout) bool { return ro != nil && ro.TakesOver }

func same(before, now *rollout.Rollout) bool {
	return before != nil && now != nil && before.Number == now.Number
}

// Services are those that the snapshot or the records name, in order of name.
func (r *Rehearsal) Services() []string {
	var out []string
	for name := range r.snapshot.Services {
		out = append(out, name)
	}
	for name := range r.snapshot.Invalid {
		out = append(out, name)
	}
	for name, rec := range r.ledger.records {
		if rec.State != rollout.StateReleased {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
