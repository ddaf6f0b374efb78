package rollout

import (
	"strconv"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// Want is what git and the other services say about one service in one pass.
type Want struct {
	Intent  *Intent // the newest valid word of git; nil when there is none now
	Removed bool    // the file is gone: the service is released
	Invalid string  // the file is there and invalid: why, with its position

	Environment string
	Policy      desired.EnvironmentSpec

	LockHolder string   // the service that holds this one's migration lock, itself included
	Others     int      // other services with a deploy in flight
	Ahead      int      // services that have waited for a place for longer, as far as it matters
	Waiting    []string // services that this one depends on and that have not settled yet
	Pace       Pace

	Pause *Pause // why nothing new is begun in the environment, nil where it may be
	// Withheld says that git has a newer word about the service, which waits for the end of the pause: Intent is the one before.
	Withheld bool
	// Moves is the stack that git names while Intent, the word before, is heeded: what is in flight in that one's stack ends first.
	Moves string
}

// Pace is how often the controller looks.
type Pace struct {
	Watch time.Duration // at a service that is rolling or unwell
	Idle  time.Duration // at a service that is settled
	// Sweep, where longer than Idle, is taken in its place where nothing but somebody else's deed can change the decision, and
	// that is told.
	Sweep time.Duration
	// Behind is by how much looks at services that roll come later than they are due, on average, because there are many of them.
	Behind time.Duration
}

// Input is everything one decision is made from, besides the record.
type Input struct {
	Now      time.Time
	Want     Want
	Look     observed.Look // what was asked for
	Seen     observed.Service
	Readings []observed.Reading
	Strategy Strategy
}

// Strategy is one way to make a revision the one that serves.
type Strategy interface {
	// Next returns what to do for a rollout whose deployment was not asked for yet. It is called again with the same
	// arguments when the request has to be repeated, and must answer the same.
	Next(spec desired.ServiceSpec, ro Rollout, seen observed.Service) Action
}

// Decision is what one pass comes to. The record is saved before the action is done.
type Decision struct {
	Record  Record
	Action  Action         // nil: nothing is done
	WakeAt  time.Time      // when to look again
	Look    *observed.Look // set: this must be seen before anything can be decided; look again at once
	History []Entry        // rollouts that ended in this decision

	again bool // the record moved on without an action: decide on in the same pass
}

// stepsMax bounds how often one pass may move on without an action: every stage once, and a revert after a deploy.
const stepsMax = 16

// CheckSteady is the check that says whether the deployment is complete; it always runs.
const CheckSteady = "steady"

// staleFor is how long a read may show the service as it was before a write.
// AWS names no figure; see "Eventual consistency" of the ECS API reference.
const staleFor = 30 * time.Second

// Decide is the whole reasoning: goal = what git asks, unless that ask was rejected, else the last good; then one step
// toward it. Superseding, reverting and drift are this one path. The record passed in is not changed.
func Decide(in Input, rec Record) Decision {
	changed := in.Want.Intent != nil && (rec.Intent == nil || rec.Intent.Commit != in.Want.Intent.Commit)
	in.Want = in.Want.Heeding(rec)
	rec, history := moved(in, rec.clone())
	rec = adopt(in, rec)
	if t := rec.Trouble; t != nil && in.pauses(t.NextAt, backoffMax) && !changed {
		if rec.Said == "" || rec.Why == "" {
			rec = rec.tell(in.Now, sayCouldNot("go on", t.Message))
		}
		return Decision{Record: rec, WakeAt: t.NextAt, History: history}
	}
	for range stepsMax {
		d := gate(in, rec, step(in, rec.clone()))
		history = append(history, d.History...)
		if !d.again {
			d.History = history
			if d.Record.Rollout == nil && !d.Record.queues() {
				d.Record.Queued = time.Time{}
			}
			if d.Action == nil && d.Look == nil {
				d.Record.Trouble = nil
			}
			if t, ok := d.Action.(Tag); ok {
				d.Record.Count, _ = strconv.Atoi(t.Set[TagCount])
			}
			return d
		}
		rec = d.Record.rollsAsAsked()
	}
	// Sixteen steps without an action mean that two rules hand the record to each other.
	panic("rollout: the decision for " + rec.Service + " does not end in state " + string(rec.State))
}

func step(in Input, rec Record) Decision {
	if older(in, rec) {
		return catchUp(in, rec)
	}
	switch {
	case rec.Rollout == nil && in.Want.Moves != "":
		return left(in, rec)
	case rec.Rollout == nil:
		return settle(in, rec)
	}
	if why := rec.unsound(); why != "" {
		return abandon(in, rec, why)
	}
	if d, ok := leaves(in, rec); ok {
		return d
	}
	if d, ok := gone(in, rec); ok {
		return d
	}
	switch rec.Rollout.Stage {
	case StageRegister:
		return register(in, rec)
	case StageMigrate:
		return migrate(in, rec)
	case StageRoll:
		return roll(in, rec)
	case StageBake:
		return bake(in, rec)
	default:
		return conclude(in, rec)
	}
}

// gate is the last word before anything is written: nothing under a person's hold, and nothing but the stop of a task that
// took too long while the infrastructure is at work.
func gate(in Input, rec Record, d Decision) Decision {
	if d.Action == nil {
		return d
	}
	_, stops := d.Action.(StopTask)
	owner, until, holds := holdTag(in.Seen.Tags[TagHold])
	holds = holds && in.Now.Before(until)
	if !holds && (!in.Seen.Stack.InProgress || stops) {
		return d
	}
	switch d.Action.(type) {
	case Tag, Keep:
		if d.Record.Rollout == nil { // it only goes along with what is told
			d.Action, d.WakeAt = nil, in.watchAt()
			return d
		}
	}
	if holds {
		return wait(in, rec, sayHeld(owner, until), sooner(until, in.watchAt()))
	}
	return wait(in, rec, sayStackBusy(in.Seen.Stack.Name, in.Seen.Stack.Status), in.watchAt())
}

// gone keeps a rollout as it is while the service cannot be seen as it should be: one short answer ends nothing. A
// migration that runs is watched all the same.
func gone(in Input, rec Record) (Decision, bool) {
	ro := rec.Rollout
	if in.Seen.Status == observed.StatusActive || ro.Stage == StageMigrate && ro.Migration != nil && ro.Migration.Task != "" {
		return Decision{}, false
	}
	return wait(in, rec, sayGoneInRollout(in.Seen.Name, in.Seen.Status), in.watchAt()), true
}

// adopt takes git's newest word and the registry's answers into the record.
func adopt(in Input, rec Record) Record {
	rec.Schema = Schema
	if in.Want.Intent != nil {
		rec.Intent = in.Want.Intent
	}
	rec.Pins = pin(rec, in.Seen.Images)
	if rec.Rollout != nil && rec.Rollout.Kind == KindDeploy && rec.Intent != nil {
		// Deadlines and checks are not part of the ask: a change of theirs counts from now on.
		if t, unknown := resolve(*rec.Intent, repository(in), rec.Pins); len(unknown) == 0 {
			if t.Ask == rec.Rollout.Target.Ask {
				rec.Rollout.heed(t)
			}
			rec = rec.retrySaidOf(t.Ask)
		}
	}
	return rec.rollsAsAsked()
}

// rollsAsAsked lets what is put back, or rendered anew, be rolled as git says now: its own word on how to roll is as old as
// itself, and git may have said since that two versions must not run side by side, or how much has to go on serving. Its checks
// stay its own.
func (r Record) rollsAsAsked() Record {
	if r.Rollout == nil || r.Intent == nil || r.Good == nil || r.Rollout.Target.Spec == nil || r.Rollout.Target.Ask != r.Good.Target.Ask {
		return r
	}
	spec := *r.Rollout.Target.Spec
	spec.Rollout = r.Intent.Service.Spec.Rollout
	r.Rollout.Target.Spec = &spec
	return r
}

// heed takes over what git says now of the same ask. The lock of a migration that was begun stays the one that is held for it.
func (ro *Rollout) heed(t Target) {
	ro.Target.Spec, ro.Target.Migration = t.Spec, t.Migration
	switch {
	case t.Migration == nil || ro.Stage != StageRegister && ro.Stage != StageMigrate:
	case ro.Migration == nil:
		ro.Target.Key = t.Key
	case t.Migration.Lock != ro.Migration.Lock:
		m := *t.Migration
		m.Lock = ro.Migration.Lock
		ro.Target.Migration = &m
	}
}

func repository(in Input) string { return in.Seen.Stack.Outputs["RepoUri"] }

// wait tells what is waited for and looks again at the given time.
func wait(in Input, rec Record, say told, at time.Time) Decision {
	return Decision{Record: rec.tell(in.Now, say), WakeAt: at}
}

// act tells what is done, does that one thing and looks again at once.
func act(in Input, rec Record, say told, a Action) Decision {
	return Decision{Record: rec.tell(in.Now, say), Action: a, WakeAt: in.Now}
}

// moveOn decides further in the same pass.
func moveOn(rec Record, history ...Entry) Decision {
	return Decision{Record: rec, History: history, again: true}
}

// watchAt is the full multiple of Pace.Watch that is nearest to one Pace.Watch from now. So services that roll are looked at in the
// same moments, however their rollouts began, and one request answers for many of them. The sum keeps the clock that does not jump.
func (in Input) watchAt() time.Time {
	at := in.Now.Add(in.Want.Pace.Watch)
	return at.Add(at.Round(in.Want.Pace.Watch).Sub(at.Round(0)))
}

func (in Input) idleAt() time.Time { return in.Now.Add(in.Want.Pace.Idle) }

// watchOr is when to watch again, sooner where the given time comes first. One that has passed is no time to wait for.
func (in Input) watchOr(at time.Time) time.Time {
	if !in.Now.Before(at) {
		return in.watchAt()
	}
	return sooner(in.watchAt(), at)
}

// pauses reports whether a pause until the given time is still on. One that ends later than any pause of its kind can was written
// down by a clock that was wrong, and holds nothing up.
func (in Input) pauses(until time.Time, longest time.Duration) bool {
	return in.Now.Before(until) && until.Sub(in.Now) <= longest
}

// sweepAt is idleAt, or later while events tell of what would change the decision.
func (in Input) sweepAt() time.Time {
	if in.Want.Pace.Sweep > in.Want.Pace.Idle {
		return in.Now.Add(in.Want.Pace.Sweep)
	}
	return in.idleAt()
}

// sooner returns the earlier of two times, and the other where one is zero.
func sooner(a, b time.Time) time.Time {
	if b.IsZero() || (!a.IsZero() && a.Before(b)) {
		return a
	}
	return b
}
