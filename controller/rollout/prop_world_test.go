package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// world is an account, a repository and a ledger, as plain as the rules need them: what is done in it happens, whatever its
// answer. Purely arbitrary values seldom come far; a walk through a world grows records that the rules have written.
type world struct {
	t    *rapid.T
	n    tally
	p    *pool
	now  time.Time
	rec  Record
	want Want
	seen observed.Service

	earlier  []Record           // the ledger as it was, of which a backup may be put back
	was      []observed.Service // what stale reads show
	runs     map[string]*run    // migrations by client token
	byTask   map[string]*run
	asks     map[string]string // by revision
	good     map[string]bool   // revisions with a verdict
	unpushed bool
	alike    bool // what ran from the beginning is what git asked first
	amnesia  bool // the ledger was lost or an older one put back
	serial   int

	stack string // that git names
	at    string // the one whose service is seen
}

// run is one migration task.
type run struct {
	key, lock string
	container string // whose exit code counts
	task      observed.Task
	gone      bool
	elsewhere bool // in a stack that was left: what it did there says nothing here
}

func newWorld(t *rapid.T, n tally) *world {
	w := &world{t: t, n: n, p: anyPool(t), now: epoch, rec: Record{Service: "orders"}, stack: "orders-dev", at: "orders-dev", runs: map[string]*run{}, byTask: map[string]*run{}, asks: map[string]string{}, good: map[string]bool{}}
	w.want = Want{Environment: "dev", Pace: Pace{Watch: 4 * time.Second, Idle: time.Minute}, Policy: anyEnvironment(t), Intent: w.p.intent(t, "first word")}
	w.says(w.want.Intent)
	w.seen = observed.Service{
		Status: observed.StatusActive, Name: "orders", TaskDefinition: tdInfra, Desired: one(t, "count", 2, 2, 0), Running: 2, Secrets: versions[1],
		Stack:       observed.Stack{Name: "orders-dev", Status: "CREATE_COMPLETE", Outputs: map[string]string{"RepoUri": "repo"}},
		Template:    &observed.Template{ARN: "arn:aws:ecs:eu-central-1:000000000000:task-definition/infra:1", Content: contents[0]},
		Deployments: []observed.Deployment{{ID: "ecs-svc/1", Primary: true, TaskDefinition: tdInfra, Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}},
		Tags:        map[string]string{}, Revisions: map[string]observed.Revision{}, Startable: map[string]observed.Startable{},
	}
	if maybe(t, "somebody has rolled it out before") {
		w.seen.TaskDefinition, w.seen.Deployments[0].TaskDefinition = td(9), td(9)
		w.seen.Revisions[td(9)] = observed.Revision{ARN: td(9), Active: true}
		w.seen.Startable[td(9)] = observed.Startable{OK: true}
		w.alike = !seldom(t, "and it is not what git asks")
		if w.alike && !seldom(t, "and has a migration") {
			w.reword(func(s *desired.ServiceSpec) { s.Migration = nil })
		}
	}
	return w
}

// copyOf is an observation that later changes of the world do not change.
func copyOf(s observed.Service) observed.Service {
	s.Deployments, s.Tags, s.Revisions, s.Startable = slices.Clone(s.Deployments), maps.Clone(s.Tags), maps.Clone(s.Revisions), maps.Clone(s.Startable)
	return s
}

// look is what a pass sees of the world for what it asks.
func (w *world) look(look observed.Look) observed.Service {
	seen := copyOf(w.seen)
	if !look.Fresh && len(w.was) > 0 && seldom(w.t, "stale read") {
		seen = copyOf(w.was[len(w.was)-1])
	}
	seen.At, seen.Images = w.now, map[string]observed.Image{}
	pins := map[string]string{digestA: digestA, digestB: digestB, digestC: digestC}
	for _, in := range w.p.intents {
		maps.Copy(pins, pinsOf(in))
	}
	for c, ref := range look.Containers {
		image := observed.Image{Tag: ref, Digest: pins[ref]}
		if w.unpushed {
			image.Digest = ""
		}
		seen.Images[c] = image
	}
	if !look.Template {
		seen.Template = nil
	}
	seen.Migration = nil
	if look.Alike != nil {
		alike := w.alike && seen.TaskDefinition == td(9)
		seen.Alike = &alike
	}
	if r := w.byTask[look.Migration]; r != nil && !r.gone {
		task := r.task
		seen.Migration = &task
	}
	return seen
}

// readings are what the checks say of the deployment that is followed: the truth, or trouble.
func (w *world) readings(look observed.Look, trouble bool) []observed.Reading {
	subject, judged := w.rec.Subject(w.now, look)
	if !judged {
		return nil
	}
	steady := observed.Reading{Check: CheckSteady, Deployment: subject.Deployment, At: w.now, Verdict: observed.NoData, Detail: "it rolls"}
	if d := w.seen.Primary(); d.ID == subject.Deployment && d.Rollout == observed.RolloutCompleted || subject.Before {
		steady.Verdict, steady.Detail = observed.Pass, "all run"
	}
	out := []observed.Reading{steady}
	if !trouble {
		return out
	}
	switch rapid.IntRange(0, 13).Draw(w.t, "checks") {
	case 13:
		if subject.Before {
			out = append(out, observed.Reading{Check: "alarms", Verdict: observed.Fail, Class: observed.ClassBlocked, Reason: ReasonAlarmRed, Detail: "alarm 5xx is red already"})
		}
	case 12:
		out = append(out, observed.Reading{Check: "logs", Deployment: subject.Deployment, Verdict: observed.NoData, Detail: "no line yet", Class: one(w.t, "silent for", "", observed.ClassBlocked, observed.ClassInfrastructure)})
	case 11:
		out = append(out, observed.Reading{Check: "logs", Deployment: "ecs-svc/old", Verdict: observed.Fail, Class: observed.ClassProduct, Detail: "another one fails"})
	case 10, 9:
		out = append(out, observed.Reading{Check: one(w.t, "failing check", CheckSteady, "logs"), Deployment: subject.Deployment, Verdict: observed.Fail, Detail: "it crashed", Reason: "Crashed", Lines: []string{"password=" + hush},
			Class: one(w.t, "whose fault", observed.ClassProduct, observed.ClassProduct, observed.ClassBlocked, observed.ClassInfrastructure)})
	case 8:
		if out[0].Verdict == observed.NoData {
			out[0].Reason, out[0].Class = ReasonDraining, observed.ClassInfrastructure
		}
	}
	return out
}

// pass is one pass, as reconcile runs them: look, decide, save, act, save.
func (w *world) pass(trouble bool) stepped {
	want := w.want
	if lock := w.rec.HoldsLock(); lock != "" {
		want.LockHolder = "orders" // the ledger's table of locks is in step with the record
	}
	if said := want.Intent; said != nil {
		word := *said
		word.Service.Spec.Stack = w.stack
		want.Intent = &word
	}
	want = want.Heeding(w.rec)
	look := Needs(want, w.rec)
	if look.Stack != "" && look.Stack != w.at {
		w.arrives(look.Stack)
	}
	in := Input{Now: w.now, Want: want, Strategy: plainStrategy{}}
	for range 4 {
		in.Look, in.Seen, in.Readings = look, w.look(look), w.readings(look, trouble)
		d := Decide(in, w.rec)
		if d.Look == nil {
			s := stepped{in, w.rec, d}
			w.t.Logf("%s %s: %s %s", w.now.Format(time.TimeOnly), d.Record.Said, d.Record.Why, brief(d.Action))
			w.n.check(w.t, s)
			w.after(s, trouble)
			return s
		}
		look = look.Merge(*d.Look)
	}
	w.t.Fatalf("asks to see more than four times: %s", brief(w.rec))
	return stepped{}
}

// arrives looks at another stack, in which the infrastructure has made a service that nobody has rolled anything out to.
func (w *world) arrives(stack string) {
	w.at, w.alike, w.was, w.earlier = stack, false, nil, nil
	clear(w.good)
	for _, r := range w.runs {
		r.elsewhere = true
	}
	w.seen.Status, w.seen.Stack.Name, w.seen.Stack.InProgress = observed.StatusActive, stack, false
	w.seen.Tags, w.seen.TaskDefinition = map[string]string{}, tdInfra
	w.serial++
	w.deploys(fmt.Sprintf("ecs-svc/8%d", w.serial), tdInfra)
	w.completes()
}

// after saves what was decided and does the action, which may have no effect, no answer, or neither.
func (w *world) after(s stepped, trouble bool) {
	w.earlier = append(w.earlier, w.rec)
	w.rec = s.d.Record
	for _, e := range s.d.History {
		if e.Result == ResultSucceeded {
			w.good[e.Revision] = true
		}
	}
	if s.d.Action == nil {
		return
	}
	fate := 0
	if trouble {
		fate = rapid.IntRange(0, 12).Draw(w.t, "fate of "+s.d.Action.Name())
	}
	var out Outcome
	if fate < 11 {
		w.was = append(w.was, copyOf(w.seen))
		out = w.happens(s.d.Action)
	}
	switch fate {
	case 12: // refused
		kind := one(w.t, "refusal", fault.Throttled, fault.Blocked, fault.Terminal, fault.Unavailable, fault.Unknown, fault.Conflict)
		w.rec = Failed(w.now, w.rec, s.d.Action, fault.New(kind, "Code", fmt.Errorf("refused with password=%s", hush))).Record
	case 11, 10: // no answer came, with or without effect
		w.rec = Failed(w.now, w.rec, s.d.Action, fault.New(fault.Lost, "timeout", fmt.Errorf("no answer"))).Record
	case 9: // the controller dies before it can write the answer down
	default:
		w.rec = Apply(w.now, w.rec, s.d.Action, out)
	}
}

// happens is what the action does to the world.
func (w *world) happens(a Action) Outcome {
	w.serial++
	switch a := a.(type) {
	case Register:
		for arn, r := range w.seen.Revisions {
			if a.Look && r.Active && r.Fingerprint == a.Fingerprint && arn != a.Except {
				return Outcome{Revision: arn}
			}
		}
		arn := td(10 + w.serial)
		w.seen.Revisions[arn] = observed.Revision{ARN: arn, Active: true, Ask: a.Ask, Fingerprint: a.Fingerprint, Commit: a.Commit}
		w.seen.Startable[arn] = observed.Startable{OK: true}
		w.asks[arn] = a.Ask
		return Outcome{Revision: arn}
	case RunMigration:
		return Outcome{Task: w.starts(a)}
	case StopTask:
		if r := w.byTask[a.Task]; r != nil && !r.task.Stopped() {
			r.task.LastStatus, r.task.DesiredStatus, r.task.StopCode = "STOPPED", "STOPPED", "UserInitiated"
		}
	case Roll:
		w.rolled(a)
		id := fmt.Sprintf("ecs-svc/%d", 100+w.serial)
		w.deploys(id, a.Revision)
		return Outcome{Deployment: id}
	case Scale:
		w.seen.Desired = a.Count
	case Tag:
		for k, v := range a.Set {
			w.seen.Tags[k] = v
		}
	case Keep:
		w.seen.Parameter = &a.Revision
	}
	return Outcome{}
}

// starts runs a migration. The same token is the same task.
func (w *world) starts(a RunMigration) string {
	lock := w.rec.Rollout.Migration.Lock
	if r := w.runs[a.Token]; r != nil {
		if m := w.rec.Rollout.Migration; r.task.Stopped() && m.Requests == 1 && !w.amnesia {
			w.t.Fatalf("invariant 3: the first request of a try has the token of one that is over: %s", a.Token)
		}
		return r.task.ARN
	}
	for _, token := range tokensOf(w.runs) {
		r := w.runs[token]
		if r.elsewhere && r.task.Stopped() {
			continue
		}
		if r.key == a.Key && w.rec.Rollout.Target.Migration.Idempotent {
			if !r.task.Stopped() {
				r.ends(w.now, 1) // git says that it does no harm beside itself
			}
			continue
		}
		if r.lock == lock && !r.task.Stopped() && !w.amnesia {
			w.t.Fatalf("invariant 3: two migrations run with the lock %s: %s beside %s", lock, a.Key, r.key)
		}
		if r.key == a.Key && r.succeeded() && !w.amnesia {
			w.t.Fatalf("invariant 3: the key %s runs again after it has succeeded", a.Key)
		}
	}
	r := &run{key: a.Key, lock: lock, container: a.Container, task: observed.Task{ARN: fmt.Sprintf("task/%d", w.serial), LastStatus: "RUNNING", DesiredStatus: "RUNNING"}}
	w.runs[a.Token], w.byTask[r.task.ARN] = r, r
	return r.task.ARN
}

func (r *run) succeeded() bool {
	c, ok := r.task.Container(r.container)
	return r.task.Stopped() && r.task.StopCode == stopContainerExited && ok && c.Exited && c.ExitCode == 0
}

// rolled holds a roll to what the world knows, whatever the record says.
func (w *world) rolled(a Roll) {
	ro := w.rec.Rollout
	if w.amnesia || w.good[a.Revision] {
		return
	}
	if ro.Kind != KindDeploy && !slices.ContainsFunc(slices.Collect(maps.Keys(w.good)), func(arn string) bool { return w.asks[arn] == w.asks[a.Revision] }) {
		w.t.Fatalf("invariant 6: %s was never good", a.Revision)
	}
	m := ro.Target.Migration
	if ro.Kind != KindDeploy || m == nil || m.Assume == desired.AssumeDone {
		return
	}
	for _, r := range w.runs {
		if r.key == ro.Target.Key && r.succeeded() && !r.elsewhere {
			return
		}
	}
	for arn := range w.good {
		if w.asks[arn] == ro.Target.Ask {
			return
		}
	}
	w.t.Fatalf("invariant 2: %s is rolled and its migration %s has not succeeded: %+v", a.Revision, ro.Target.Key, w.runs)
}

// deploys puts a deployment into PRIMARY's place. For the revision that serves already ECS begins none.
func (w *world) deploys(id, revision string) {
	for i := range w.seen.Deployments {
		w.seen.Deployments[i].Primary = false
	}
	w.seen.TaskDefinition = revision
	w.seen.Deployments = append([]observed.Deployment{{ID: id, Primary: true, TaskDefinition: revision, Rollout: observed.RolloutInProgress, Desired: w.seen.Desired, CreatedAt: w.now, UpdatedAt: w.now}}, w.seen.Deployments...)
}

// completes makes PRIMARY the only deployment, and complete.
func (w *world) completes() {
	p := w.seen.Primary()
	p.Rollout, p.Running, p.UpdatedAt = observed.RolloutCompleted, w.seen.Desired, w.now
	w.seen.Deployments = []observed.Deployment{p}
}
