package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// Git's word about a lost migration is one that was said after the loss: another one, or the same with a raised retry, or the same again
// after it was taken back.
func TestWordAboutALostMigration(t *testing.T) {
	intent := func(word desired.Assumption, retry int) *Intent {
		return &Intent{Service: desired.Service{Spec: desired.ServiceSpec{Retry: retry, Migration: &desired.Migration{Assume: word}}}}
	}
	lost := lose(Record{Intent: intent(desired.AssumeDone, 2)}, Lost{Key: "b2", Lock: "db"})
	for _, c := range []struct {
		word  desired.Assumption
		retry int
		want  desired.Assumption
	}{
		{desired.AssumeDone, 2, ""},
		{"", 2, ""},
		{desired.AssumeFailed, 2, desired.AssumeFailed},
		{desired.AssumeDone, 3, desired.AssumeDone},
	} {
		rec := lost
		rec.Intent = intent(c.word, c.retry)
		if got := rec.said(); got != c.want {
			t.Errorf("with %q and retry %d git has said %q, want %q", c.word, c.retry, got, c.want)
		}
	}
	back := lost
	back.Intent = intent("", 2)
	back = assumed(back, Target{Key: "c3"})
	back.Intent = intent(desired.AssumeDone, 2)
	if got := back.said(); got != desired.AssumeDone || lost.Lost.Assume != desired.AssumeDone {
		t.Errorf("taken back and said again it is %q; the record before says %q", got, lost.Lost.Assume)
	}
	if rec := assumed(back, Target{Key: "c3"}); rec.Lost != nil || !slices.Contains(rec.Migrated, "b2") {
		t.Errorf("it was done: lost %+v, migrated %v", rec.Lost, rec.Migrated)
	}
	if rec := assumed(back, Target{Key: "b2"}); rec.Lost == nil {
		t.Error("the word about the migration that is wanted was taken before its rollout")
	}
	again := lose(lost, Lost{Key: "c3", Lock: "db"})
	if again.Lost.Key != "c3" || !slices.Equal(again.unknown(), []string{"b2"}) {
		t.Errorf("after another loss: %+v, refused besides %v", again.Lost, again.unknown())
	}
	if rec := found(again, "b2"); rec.Unsettled != nil || rec.Lost == nil {
		t.Errorf("found: %+v, refused besides %v", rec.Lost, rec.unknown())
	}
}

// Another version's success frees the lock of a lost migration, and says nothing about that.
func TestASuccessSaysNothingOfALostMigration(t *testing.T) {
	rec := lose(Record{}, Lost{Key: "b2", Lock: "db", Ended: true})
	rec.Rollout = &Rollout{Stage: StageMigrate, Target: Target{Key: "c3", Migration: &desired.Migration{Lock: "db"}}}
	if n := migrationDone(Input{}, rec).Record; n.Lost != nil || !slices.Equal(n.unknown(), []string{"b2"}) || !slices.Equal(n.Migrated, []string{"c3"}) {
		t.Errorf("lost %+v, refused %v, migrated %v", n.Lost, n.unknown(), n.Migrated)
	}
}

// A lost migration that was breaking leaves behind what was good when it was lost and not since, once git says that it was done.
func TestALostBreakingMigrationLeavesBehind(t *testing.T) {
	with := func(c desired.Compatibility, assume desired.Assumption) Record {
		m := &desired.Migration{Lock: "db", Compatibility: c}
		rec := Record{
			GoodAsks: []string{askNo(2), askNo(1)}, Good: &Good{Target: Target{Ask: askNo(2)}},
			Intent:  &Intent{Service: desired.Service{Spec: desired.ServiceSpec{Retry: 3, Migration: &desired.Migration{Lock: "db", Compatibility: desired.CompatibilityBackward}}}},
			Rollout: &Rollout{Stage: StageMigrate, Target: Target{Ask: askNo(3), Key: "b2", Migration: m}},
		}
		rec = lose(rec, Lost{Key: "b2", Lock: "db"})
		rec = lose(rec, Lost{Key: "b2", Lock: "db", Ended: true}) // the same once more
		rec.Rollout = nil
		rec.Intent.Service.Spec.Migration.Assume = assume
		return rec
	}
	for name, c := range map[string]struct {
		rec          Record
		behind, good []string
	}{
		"done":               {with(desired.CompatibilityBreaking, desired.AssumeDone), []string{askNo(2), askNo(1)}, nil},
		"done, good since":   {with(desired.CompatibilityBreaking, desired.AssumeDone).provenSince(askNo(1)), []string{askNo(2)}, []string{askNo(1)}},
		"failed":             {with(desired.CompatibilityBreaking, desired.AssumeFailed), nil, []string{askNo(2), askNo(1)}},
		"done, not breaking": {with(desired.CompatibilityBackward, desired.AssumeDone), nil, []string{askNo(2), askNo(1)}},
	} {
		rec := assumed(c.rec, Target{Key: "c3"})
		if rec.Lost != nil || !slices.Equal(rec.Behind, c.behind) || !slices.Equal(rec.GoodAsks, c.good) {
			t.Errorf("%s: lost %+v, behind %v, good %v, want %v and %v", name, rec.Lost, rec.Behind, rec.GoodAsks, c.behind, c.good)
		}
		if retry := rec.BehindRetry; len(c.behind) > 0 && retry != 3 {
			t.Errorf("%s: retry %d counts as said of them, want git's", name, retry)
		}
	}

	rec := with(desired.CompatibilityBreaking, "")
	before := rec.Lost
	rec.Rollout = &Rollout{Stage: StageBake, Target: Target{Ask: askNo(1)}}
	if now := good(Input{}, rec).Record; !slices.Equal(now.Lost.Behind, []string{askNo(2)}) || !slices.Equal(before.Behind, []string{askNo(2), askNo(1)}) {
		t.Errorf("after another verdict it leaves %v behind, in the record before %v", now.Lost.Behind, before.Behind)
	}
}

// The next try of a migration whose task nobody saw end was decided on while git said that a repeat does no harm. Git takes that back
// before it is asked for. One whose task never started is tried again whatever git says.
func TestATryIsNotAskedForOnceARepeatMayDoHarm(t *testing.T) {
	for name, c := range map[string]struct {
		answered, started, harmless, again bool
	}{
		"seen no more, and a repeat does no harm": {answered: true, started: true, harmless: true, again: true},
		"seen no more":                     {answered: true, started: true},
		"never answered":                   {},
		"never answered, and does no harm": {harmless: true, again: true},
		"never started":                    {answered: true, again: true},
	} {
		w := newWalker(t)
		w.want.Intent.Service.Spec.Migration.Idempotent = true
		answer[Register](w, Outcome{Revision: td(1)})
		if c.answered {
			answer[RunMigration](w, Outcome{Task: "task/m"})
		} else {
			w.pass()
			w.after(tokenFor + time.Minute)
		}
		if c.answered && !c.started {
			w.seen.Migration = &observed.Task{ARN: "task/m", LastStatus: "STOPPED", StopCode: stopFailedToStart, StoppedReason: "Timeout waiting for network interface provisioning to complete"}
		} else {
			w.seen.Migration = nil
		}
		w.after(visibleWithin + time.Second).pass()
		if run := w.rec.Rollout.Migration; run == nil || run.Attempt != 2 || run.Requests != 0 {
			t.Fatalf("%s: no further try waits: %+v; %s", name, run, w.rec.Why)
		}
		w.seen.Migration = nil
		newer := *w.want.Intent
		newer.Commit.SHA = strings.Repeat("e", 40)
		m := *newer.Service.Spec.Migration
		m.Idempotent = c.harmless
		newer.Service.Spec.Migration = &m
		w.want.Intent = &newer
		n := count[RunMigration](w.done)
		w.rests(3)
		if asked := count[RunMigration](w.done) > n; asked != c.again {
			t.Errorf("%s: asked for again %t; why: %s", name, asked, w.rec.Why)
		}
		if lost := w.rec.Lost != nil; !c.again && !lost {
			t.Errorf("%s: it is not lost", name)
		}
	}
}
