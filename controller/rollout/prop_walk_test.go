package rollout

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// deeds are what may happen to the world between two passes, and how often.
var deeds = []struct {
	weight int
	name   string
	do     func(*world)
}{
	{12, "nothing", func(*world) {}},
	{6, "git asks for another version", func(w *world) {
		w.says(w.p.intent(w.t, "newer word"))
	}},
	{1, "git names another stack", func(w *world) {
		w.serial++
		w.stack = fmt.Sprintf("orders-%d", w.serial)
		w.says(w.want.Intent)
	}},
	{2, "git raises retry", func(w *world) { w.reword(func(s *desired.ServiceSpec) { s.Retry++ }) }},
	{2, "git says what became of the migration", func(w *world) {
		if w.rec.Lost == nil {
			return
		}
		word := desired.AssumeFailed // a person has looked, and seen to it that nothing runs
		for _, token := range tokensOf(w.runs) {
			r := w.runs[token]
			if r.key == w.rec.Lost.Key && !r.task.Stopped() {
				r.ends(w.now, one(w.t, "it ended with", 0, 1))
			}
			if r.key == w.rec.Lost.Key && r.succeeded() {
				word = desired.AssumeDone
			}
		}
		w.assume(word)
	}},
	{1, "git suspends, or goes on", func(w *world) {
		w.reword(func(s *desired.ServiceSpec) {
			s.Suspend = &desired.Override{Reason: "because", Owner: "me", Until: w.now.Add(one(w.t, "suspended for", -time.Minute, 10*time.Minute))}
		})
	}},
	{1, "the file is removed, or comes back", func(w *world) { w.want.Removed = !w.want.Removed }},
	{8, "a migration ends", func(w *world) { w.migrationEnds() }},
	{12, "the deployment completes", func(w *world) { w.completes() }},
	{1, "ECS rolls back", func(w *world) {
		if n := len(w.seen.Deployments); n > 1 {
			w.seen.Deployments = []observed.Deployment{w.seen.Deployments[n-1]}
			w.seen.Deployments[0].Primary = true
			w.seen.TaskDefinition = w.seen.Deployments[0].TaskDefinition
		}
	}},
	{1, "somebody else deploys", func(w *world) {
		w.serial++
		w.deploys(fmt.Sprintf("ecs-svc/9%d", w.serial), one(w.t, "what else", tdInfra, w.seen.TaskDefinition, td(7)))
	}},
	{1, "the template changes", func(w *world) {
		w.seen.Template = &observed.Template{ARN: w.seen.Template.ARN, Content: one(w.t, "content", contents...)}
	}},
	{1, "a secret changes", func(w *world) { w.seen.Secrets = one(w.t, "versions", versions...) }},
	{1, "a person holds, or lets go", func(w *world) {
		if w.seen.Tags[TagHold] != "" {
			delete(w.seen.Tags, TagHold)
		} else {
			w.seen.Tags[TagHold] = "sre/" + w.now.Add(time.Hour).Format(time.RFC3339)
		}
	}},
	{1, "the stack changes", func(w *world) {
		w.seen.Stack.InProgress, w.seen.Stack.UpdatedAt = !w.seen.Stack.InProgress, w.now
	}},
	{1, "the service goes, or comes back", func(w *world) {
		w.seen.Status = one(w.t, "status", observed.StatusActive, observed.StatusActive, observed.StatusDraining, observed.StatusMissing)
	}},
	{1, "an image goes, or comes", func(w *world) { w.unpushed = !w.unpushed }},
	{1, "a revision goes", func(w *world) {
		for _, arn := range revisionsOf(w.seen) {
			if maybe(w.t, "deregistered") {
				r := w.seen.Revisions[arn]
				r.Active = false
				w.seen.Revisions[arn], w.seen.Startable[arn] = r, observed.Startable{Reason: "it is gone", Lacks: one(w.t, "lacks", observed.LackRevision, observed.LackRevision, observed.LackImage, observed.LackSecret)}
			}
		}
	}},
	{1, "somebody scales", func(w *world) { w.seen.Desired = one(w.t, "scaled to", 0, 1, 2) }},
	{2, "the others do something", func(w *world) {
		w.want.Others, w.want.LockHolder, w.want.Waiting = one(w.t, "others", 0, 1, 5), one(w.t, "holder", "", "billing"), one(w.t, "waiting", nil, []string{"billing"})
	}},
	{1, "the account cannot be looked at", func(w *world) {
		w.rec = Failed(w.now, w.rec, nil, fault.New(one(w.t, "trouble", fault.Throttled, fault.Blocked, fault.Unknown), "Code", fmt.Errorf("password=%s", hush))).Record
	}},
}

// lossOfLedger is told apart, since what is held of one ledger cannot be held of two.
func (w *world) lossOfLedger() {
	w.amnesia = true
	if n := len(w.earlier); n > 0 && maybe(w.t, "a backup") {
		w.rec = w.earlier[rapid.IntRange(0, n-1).Draw(w.t, "how old")]
		return
	}
	w.rec = Record{Service: "orders"}
}

func revisionsOf(s observed.Service) []string {
	var out []string
	for arn := range s.Revisions {
		out = append(out, arn)
	}
	slices.Sort(out)
	return out
}

func (w *world) reword(f func(*desired.ServiceSpec)) {
	in := *w.want.Intent
	f(&in.Service.Spec)
	w.want.Intent = &in
}

// says is git's newest word. What became of a migration only those say who have looked, and times are such as a walk can wait for.
func (w *world) says(in *Intent) {
	w.want.Intent, w.want.Removed = in, false
	w.assume("")
	w.reword(func(s *desired.ServiceSpec) {
		for _, d := range []*desired.Duration{&s.Verify.Bake, &s.Rollout.Deadline} {
			if d.Std() > time.Hour {
				*d = desired.Duration(5 * time.Minute)
			}
		}
	})
}

func (w *world) assume(word desired.Assumption) {
	w.reword(func(s *desired.ServiceSpec) {
		if s.Migration != nil {
			s.Migration = copied(s.Migration)
			s.Migration.Assume = word
		}
	})
}

// migrationEnds ends one that runs, in one of the ways in which tasks end.
func (w *world) migrationEnds() {
	for _, token := range tokensOf(w.runs) {
		r := w.runs[token]
		if r.task.Stopped() {
			continue
		}
		r.ends(w.now, 0)
		switch rapid.IntRange(0, 9).Draw(w.t, "how it ends") {
		case 9:
			r.ends(w.now, 1)
		case 8:
			r.task.StopCode, r.task.StartedAt, r.task.Containers = stopFailedToStart, time.Time{}, nil
			r.task.StoppedReason = one(w.t, "why not started", "CannotPullContainerError: no such image", "Capacity is unavailable at this time", "exec format error")
		case 7:
			r.task.StopCode, r.task.Containers = stopSpot, nil
		case 6:
			r.gone, r.task.StopCode = true, "" // nobody ever sees how it ended
			r.task.Containers = nil
		}
		return
	}
}

// ends lets the program exit with the code, beside a sidecar that exits with another.
func (r *run) ends(now time.Time, code int) {
	r.task.LastStatus, r.task.DesiredStatus, r.task.StopCode, r.task.StartedAt = "STOPPED", "STOPPED", stopContainerExited, now
	r.task.Containers = []observed.Container{{Name: "sidecar", Exited: true, ExitCode: 1 - code}, {Name: r.container, Exited: true, ExitCode: code}}
}

func tokensOf(runs map[string]*run) []string {
	var out []string
	for token := range runs {
		out = append(out, token)
	}
	slices.Sort(out)
	return out
}

func anyDeed(t *rapid.T) (string, func(*world)) {
	sum := 0
	for _, d := range deeds {
		sum += d.weight
	}
	n := rapid.IntRange(0, sum-1).Draw(t, "deed")
	for _, d := range deeds {
		if n -= d.weight; n < 0 {
			return d.name, d.do
		}
	}
	return "", nil
}

// TestProp holds the laws over single decisions about records, observations and intents of every kind, impossible ones included;
// then over walks, whose records the rules themselves have written, together with what the world knows besides: and in the end,
// when the faults stop, all must come to rest.
func TestProp(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing in it is concurrent")
	}
	n, both := tally{}, 0
	t.Run("decisions", func(t *testing.T) {
		both++
		for range 30 { // each is short
			rapid.Check(t, func(t *rapid.T) {
				p := anyPool(t)
				rec := p.record(t)
				n.check(t, decided(t, p.input(t, rec), rec))
				in, rec := p.likely(t)
				n.check(t, decided(t, in, rec))
			})
		}
	})
	t.Run("walks", func(t *testing.T) {
		both++
		rapid.Check(t, func(t *rapid.T) {
			w := newWorld(t, n)
			for range rapid.IntRange(1, 60).Draw(t, "passes") {
				if rapid.IntRange(0, 59).Draw(t, "ledger") == 59 {
					w.lossOfLedger()
				} else {
					name, do := anyDeed(t)
					t.Logf("%s %s", w.now.Format(time.TimeOnly), name)
					do(w)
				}
				w.now = w.now.Add(one(t, "later", time.Second, 4*time.Second, 4*time.Second, 20*time.Second, 45*time.Second, 3*time.Minute, 20*time.Minute, 2*time.Hour))
				w.pass(true)
			}
			w.comesToRest()
		})
	})
	if both == 2 {
		n.each(t)
	}
}

// resting are the states in which nothing more happens by itself.
var resting = []State{StateSettled, StateReverted, StateReleased, StateBlocked, StateStalled, StateDrifted, StateSuspended, StateWaitingTemplate, StateWaitingWindow, StateWaitingLock}

// comesToRest lets all faults stop: then the service is settled, or says what it waits for, and nothing is written any more.
func (w *world) comesToRest() {
	w.want.Others, w.want.LockHolder, w.want.Waiting, w.unpushed = 0, "", nil, false
	delete(w.seen.Tags, TagHold)
	w.seen.Stack.InProgress, w.seen.Status = false, observed.StatusActive
	w.reword(func(s *desired.ServiceSpec) { // times that a test can wait for
		s.Verify.Bake, s.Rollout.Deadline, s.Suspend = desired.Duration(2*time.Minute), desired.Duration(15*time.Minute), nil
	})
	w.now = w.now.Add(time.Minute)
	quiet := 0
	for range 400 {
		for _, r := range w.runs {
			if !r.task.Stopped() {
				r.ends(w.now, 0)
			}
		}
		w.completes()
		w.was = nil
		s := w.pass(false)
		quiet++
		if s.d.Action != nil || !slices.Contains(resting, w.rec.State) {
			quiet = 0
		}
		if quiet == 30 {
			return
		}
		w.now = later(w.now.Add(time.Second), s.d.WakeAt)
	}
	w.t.Fatalf("invariant 12: no rest: state %s, said %s: %s\n%s", w.rec.State, w.rec.Said, w.rec.Why, brief(w.rec))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
