package rollout

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/observed"
)

// stepped is one decision with what it was made from.
type stepped struct {
	in     Input
	before Record
	d      Decision
}

// law is one thing that every decision must keep to, whatever it is made from. The invariants are those of docs/ARCHITECTURE.md.
type law struct {
	invariant int
	sentence  string
	// kept reports whether the law has anything to say about the decision, and how it is broken, empty where it is not.
	kept func(stepped) (applies bool, broken string)
}

func laws() []law {
	return slices.Concat(lawsOfMoving, lawsOfMigrating, lawsOfJudging, lawsOfBeginning, lawsOfRepeating, lawsOfTelling)
}

// tally counts how often each law had something to say: one that never has holds nothing.
type tally map[string]int

func (n tally) check(t rapid.TB, s stepped) {
	t.Helper()
	all := laws()
	if s.moved() {
		all = lawsOfPlaces // the others are about what goes on in one
	}
	for _, l := range all {
		applies, broken := l.kept(s)
		if applies {
			n[l.sentence]++
		}
		if broken != "" {
			t.Fatalf("invariant %d: %s\nbroken: %s\naction %#v\nsaid %s: %s\nbefore %s\nafter %s\nhistory %s\nseen %s\nwant %s", l.invariant, l.sentence, broken, s.d.Action, s.d.Record.Said, s.d.Record.Why,
				brief(s.before), brief(s.d.Record), brief(s.d.History), brief(s.in.Seen), brief(s.in.Want))
		}
	}
}

// each fails the test where a law was never spoken of.
func (n tally) each(t *testing.T, except ...string) {
	t.Helper()
	for _, l := range slices.Concat(laws(), lawsOfPlaces) {
		t.Logf("%5d times %s", n[l.sentence], l.sentence)
		if n[l.sentence] == 0 && !slices.Contains(except, l.sentence) {
			t.Errorf("nothing that was drawn comes under %q: the law holds nothing", l.sentence)
		}
	}
}

func shown(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var long = regexp.MustCompile(`(v1:|sha256:)?([0-9a-f]{6})[0-9a-f]{33,58}|arn:aws:ecs:[a-z0-9-]*:0*:task-definition/`)

// brief is the value for people to read.
func brief(v any) string { return long.ReplaceAllString(shown(v), "$2") }

// decided is the decision of one pass: where more must be seen, it is looked at. Each decision is made twice, and must leave what
// it was given as it was.
func decided(t rapid.TB, in Input, rec Record) stepped {
	t.Helper()
	in.Want = in.Want.Heeding(rec)
	const looksMax = 4 // as reconcile has it
	for range looksMax {
		input, record := shown([]any{in.Now, in.Want, in.Look, in.Seen, in.Readings}), shown(rec)
		d := Decide(in, rec)
		if again := Decide(in, rec); !reflect.DeepEqual(again, d) {
			t.Fatalf("the same arguments gave another decision: %s and %s", shown(d), shown(again))
		}
		if shown([]any{in.Now, in.Want, in.Look, in.Seen, in.Readings}) != input || shown(rec) != record {
			t.Fatalf("what was passed in was changed")
		}
		if d.Look == nil {
			return stepped{in, rec, d}
		}
		if d.Action != nil {
			t.Fatalf("acts before it has seen what it wants to see: %#v", d.Action)
		}
		wider := in.Look.Merge(*d.Look)
		if reflect.DeepEqual(wider, in.Look) {
			t.Fatalf("wants to see %s, which was looked at", shown(d.Look))
		}
		in.Look = wider
	}
	t.Fatalf("asks to see more than four times")
	return stepped{}
}

func action[A Action](s stepped) (a A, is bool) {
	a, is = s.d.Action.(A)
	return a, is
}

// writes reports whether the action changes what serves or the database: anything but notes and the stop of a task.
func (s stepped) writes() bool {
	switch s.d.Action.(type) {
	case Register, RunMigration, Roll, Scale:
		return true
	}
	return false
}

// adopted is the record with git's newest word in it, before anything was decided.
func (s stepped) adopted() Record { return adopt(s.in, s.before.clone()) }

// begun is the rollout that this decision has begun, nil where there is none.
func (s stepped) begun() *Rollout {
	ro := s.d.Record.Rollout
	if ro == nil || s.d.Record.Generation == s.before.Generation || ro.Number != s.d.Record.Generation {
		return nil
	}
	return ro
}

// sound reports whether what is in flight is what the rules could have written.
func (s stepped) sound() bool { return s.adopted().unsound() == "" }

// ended is the entry of the rollout that was in flight, nil where it goes on.
func (s stepped) ended() *Entry {
	if s.before.Rollout == nil {
		return nil
	}
	for i := range s.d.History {
		if s.d.History[i].Number == s.before.Rollout.Number && s.d.History[i].Kind == s.before.Rollout.Kind {
			return &s.d.History[i]
		}
	}
	return nil
}

// undisturbed reports whether the pass could decide at all: no pause after a failure, no older ledger, the service there.
func (s stepped) undisturbed() bool {
	a := s.adopted()
	return s.before.Trouble == nil && !older(s.in, a) && s.in.Seen.Status == observed.StatusActive
}

// onlyRed reports whether checks fail before anything is begun, and all of them by an alarm that is red.
func (s stepped) onlyRed() bool {
	red := 0
	for _, r := range s.in.Readings {
		if r.Deployment == "" && r.Verdict == observed.Fail {
			if r.Reason != "AlarmRed" {
				return false
			}
			red++
		}
	}
	return red > 0
}

// servesUnjudged reports whether a version that the controller made or asked for serves, and is not the last good one; or still serves
// beside that one.
func (s stepped) servesUnjudged() bool {
	a, primary := s.adopted(), s.in.Seen.Primary()
	if a.Good == nil {
		a.Good, a.Known = s.d.Record.Good, s.d.Record.Known // what the tags told
	}
	made := func(d observed.Deployment) bool {
		return slices.ContainsFunc(a.Known, func(k Known) bool { return k.Revision == d.TaskDefinition })
	}
	switch {
	case primary.ID == "" && (a.Good == nil || primary.TaskDefinition != a.Good.Revision):
		return false
	case a.Good == nil || primary.TaskDefinition != a.Good.Revision:
		return primary.ID == a.Deployed || a.Deployed == "" && made(primary)
	}
	return slices.ContainsFunc(s.in.Seen.Deployments, func(d observed.Deployment) bool {
		return d.TaskDefinition != a.Good.Revision && d.Running > 0 && made(d)
	})
}

func (s stepped) isHeld() bool {
	_, until, holds := holdTag(s.in.Seen.Tags[TagHold])
	return holds && s.in.Now.Before(until)
}

func waits(said string) bool {
	return slices.Contains([]string{SaidWindow, SaidDependency, SaidCrowded, SaidSuspended, SaidUnhealthyBefore, SaidNoWayBack}, said)
}

// moved reports whether git names another stack than the record is about, and nothing is left in flight there that could go on.
func (s stepped) moved() bool {
	before, now := s.before.Intent, s.in.Want.Intent
	return before != nil && now != nil && before.Service.Spec.Stack != now.Service.Spec.Stack
}

// lawsOfPlaces hold where a service comes into another stack.
var lawsOfPlaces = []law{
	{3, "in another stack it is decided as for a service that was never seen, but for lost migrations", func(s stepped) (bool, string) {
		b := s.before
		if b.Rollout != nil {
			return true, "" // who holds its lock afterwards depends on how far it had come
		}
		if b.Lost != nil {
			b.Lost = copied(b.Lost)
			b.Lost.Retry, b.Lost.Assume = s.in.Want.Intent.Service.Spec.Retry, ""
			if m := s.in.Want.Intent.Service.Spec.Migration; m != nil {
				b.Lost.Assume = m.Assume
			}
		}
		never := Record{Service: b.Service, Version: b.Version, Generation: b.Generation, Came: int32(b.Generation), Lost: b.Lost, Unsettled: b.Unsettled, Queued: b.Queued, State: b.State, Since: b.Since}
		if other := Decide(s.in, never); !reflect.DeepEqual(other, s.d) {
			return true, "it decides " + shown(other)
		}
		return true, ""
	}},
	{3, "what was known of one stack is not known of another", func(s stepped) (bool, string) {
		b, n := s.before, s.d.Record
		tagged := func(tag, v string) bool { return v == s.in.Seen.Tags[tag] }
		switch {
		case n.Good != nil && !tagged(TagGood, n.Good.Revision):
			return true, "good is " + n.Good.Revision
		case slices.ContainsFunc(n.Migrated, func(k string) bool {
			return !tagged(TagMigrated, k) && (b.Lost == nil || b.Lost.Key != k) && !contains(b.unknown(), k)
		}):
			return true, "it has " + shown(n.Migrated)
		case slices.ContainsFunc(n.Rejected, func(r Rejection) bool { return r.At.Before(s.in.Now) }):
			return true, "it has old verdicts"
		case n.Rollout != nil && n.Rollout.Number <= b.Generation:
			return true, "its rollout has an old number"
		}
		return true, ""
	}},
	{3, "a migration that may be running keeps its lock in another stack", func(s stepped) (bool, string) {
		ro := s.before.Rollout
		if ro == nil || ro.Stage != StageMigrate || ro.Migration == nil || ro.Migration.Task == "" || s.before.Lost != nil {
			return false, ""
		}
		if l := s.d.Record.Lost; l == nil && s.d.Record.HoldsLock() == "" && !contains(s.d.Record.Migrated, ro.Migration.Key) {
			return true, "it is forgotten"
		}
		return true, ""
	}},
}

// lawsOfTelling hold for every decision, whatever is decided.
var lawsOfTelling = []law{
	{12, "every decision says why, in a sentence of a closed name, and what a person can do", func(s stepped) (bool, string) {
		r := s.d.Record
		if r.Said == "" || strings.TrimSpace(r.Why) == "" || r.State == StateUnknown && s.before.State != StateUnknown {
			return true, fmt.Sprintf("said %q, why %q, state %q", r.Said, r.Why, r.State)
		}
		return true, ""
	}},
	{12, "every decision acts, or goes on at once with another record, or waits for a time that is to come", func(s stepped) (bool, string) {
		switch at := s.d.WakeAt; {
		case at.IsZero():
			return true, "nothing looks again"
		case s.d.Action == nil && !at.After(s.in.Now) && shown(s.d.Record) == shown(s.before):
			return true, "decides the same again at once, and again"
		case at.Sub(s.in.Now) > 15*time.Minute:
			return true, "sleeps for " + at.Sub(s.in.Now).String()
		}
		return true, ""
	}},
	{14, "no secret of an application's line or a task's end is in the record, the history or an action", func(s stepped) (bool, string) {
		if text := shown([]any{s.d.Record, s.d.History, s.d.Action}); strings.Contains(text, hush) {
			return true, text
		}
		return strings.Contains(shown(s.in.Seen), hush), ""
	}},
	{10, "what other services do holds nothing back but a beginning and a migration", func(s stepped) (bool, string) {
		if slices.Contains([]string{SaidDependency, SaidCrowded, SaidLockTaken}, s.d.Record.Said) {
			return false, ""
		}
		alone := s.in
		alone.Want.Others, alone.Want.Ahead, alone.Want.Waiting, alone.Want.LockHolder = 0, 0, nil, ""
		other := Decide(alone, s.before)
		if slices.ContainsFunc(other.History, func(e Entry) bool { return e.Result == ResultSuperseded }) {
			return false, "" // what is in flight is left to its verdict, since a beginning is held back
		}
		astray := func(r Record) bool { return r.Good != nil && !serves(s.in, r) }
		if astray(s.adopted()) || astray(s.d.Record) { // where tags told of it, it is only in what was decided
			return false, "" // the last good version is put back, since a beginning is held back
		}
		if !reflect.DeepEqual(other, s.d) {
			return true, "alone it decides " + shown(other)
		}
		return s.in.Want.Others > 0 || len(s.in.Want.Waiting) > 0 || s.in.Want.LockHolder != "", ""
	}},
}
