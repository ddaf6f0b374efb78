package rollout

import (
	"slices"

	"github.com/canteen/deploy/controller/desired"
)

// A lost migration is one of which nobody knows whether it succeeded. It is refused, and the newest keeps its lock, until git says what
// became of it. A word that stood in git before a migration was lost was not said about it.

// Unsettled is what is remembered of other migrations that came to no end. A record has a pointer to it where nearly none has any: ten
// thousand are kept.
type Unsettled struct {
	Unknown []string `json:"unknown,omitempty"` // keys of lost ones, newest first: refused until git says what became of them
	Tries   []Try    `json:"tries,omitempty"`   // of those whose tasks have ended and said nothing about them, newest first
}

// unsettled is the record with nothing else in doubt.
func (r Record) unsettled(unknown []string, tries []Try) Record {
	if r.Unsettled = nil; len(unknown)+len(tries) > 0 {
		r.Unsettled = &Unsettled{unknown, tries}
	}
	return r
}

// Lost is a migration whose outcome nobody knows. Its lock stays held until git says what became of it.
type Lost struct {
	Key   string `json:"key"`
	Lock  string `json:"lock"`
	Task  string `json:"task"`
	Ended bool   `json:"ended,omitempty"` // its task surely runs no more, however it ended
	// Assume and Retry are what git said when it was lost: the same word is none about it, unless retry is raised.
	Assume desired.Assumption `json:"assume,omitempty"`
	Retry  int                `json:"retry,omitempty"`
	// Behind is what it leaves behind where it was done, the last good version first: nothing, unless it is breaking.
	Behind []string `json:"behind,omitempty"`
}

// said is what git says of the lost migration, empty where it has said nothing since the loss.
func (r Record) said() desired.Assumption {
	if r.Lost == nil || r.Intent == nil {
		return ""
	}
	spec := r.Intent.Service.Spec
	if m := spec.Migration; m != nil && (m.Assume != r.Lost.Assume || spec.Retry > r.Lost.Retry) {
		return m.Assume
	}
	return ""
}

// assumption is what git says of lost migrations, said since or not.
func (r Record) assumption() desired.Assumption {
	if r.Intent == nil || r.Intent.Service.Spec.Migration == nil {
		return ""
	}
	return r.Intent.Service.Spec.Migration.Assume
}

// unknown are the keys of lost migrations before the newest one.
func (r Record) unknown() []string {
	if r.Unsettled == nil {
		return nil
	}
	return r.Unsettled.Unknown
}

// refuse remembers a lost migration that is not the newest any more.
func (r Record) refuse(key string) Record {
	return r.unsettled(remember(r.unknown(), key, migratedMax), r.tries())
}

// lose writes a migration down as lost. The one before stays refused, where it is another one.
func lose(rec Record, l Lost) Record {
	old := rec.Lost
	if old != nil && old.Key == l.Key {
		l.Assume, l.Retry, l.Behind = old.Assume, old.Retry, old.Behind
		rec.Lost = &l
		return rec
	}
	if old != nil {
		rec = rec.refuse(old.Key)
	}
	l.Retry, l.Assume = rec.retry(), rec.assumption()
	if ro := rec.Rollout; ro != nil && ro.Target.Key == l.Key && breaks(ro.Target) {
		l.Behind = rec.leaves(ro.Target.Ask)
	}
	rec.Lost = &l
	return rec
}

// found ends the doubt about a migration: its outcome is known now, or git has said it.
func found(rec Record, key string) Record {
	if rec.Lost != nil && rec.Lost.Key == key {
		rec.Lost = nil
	}
	return rec.unsettled(without(rec.unknown(), func(k string) bool { return k == key }), rec.tries())
}

// assumed takes git's word about a migration other than the one that the target has, so that its lock is free also where nothing is to
// be rolled. A word that git has taken back may be said again.
func assumed(rec Record, target Target) Record {
	l := rec.Lost
	if l == nil {
		return rec
	}
	if m := rec.Intent.Service.Spec.Migration; l.Assume != "" && (m == nil || m.Assume == "") {
		rec.Lost = copied(l)
		rec.Lost.Assume = ""
		return rec
	}
	if l.Key == target.Key && !contains(rec.GoodAsks, target.Ask) {
		return rec // what follows of it the rollout decides
	}
	return settledBy(rec, rec.said())
}

// settledBy is the record after git's word about the lost migration; without one it stays as it is.
func settledBy(rec Record, word desired.Assumption) Record {
	if word == "" {
		return rec
	}
	key := rec.Lost.Key
	if word == desired.AssumeDone {
		rec.Migrated = remember(rec.Migrated, key, migratedMax)
		rec = untried(rec, key)
		if behind := rec.Lost.Behind; len(behind) > 0 {
			rec = rec.leave(behind, rec.Intent.Service.Spec.Retry)
		}
	}
	return found(rec, key)
}

// without is what is left of a list, nil where nothing is.
func without[T any](list []T, gone func(T) bool) []T {
	if rest := slices.DeleteFunc(slices.Clone(list), gone); len(rest) > 0 {
		return rest
	}
	return nil
}
