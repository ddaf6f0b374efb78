package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// Rehearsed is what the rehearsal of one service came to.
type Rehearsed struct {
	Service string
	Policy  desired.EnvironmentSpec
	Invalid []desired.Error // of its file

	Before rollout.Record   // as it was remembered before; empty where nothing was
	Told   rollout.Record   // when it stopped for the first time: what is true now
	After  rollout.Record   // at the end, beyond what it waits for
	Seen   observed.Service // the first look

	Now   []rollout.Action
	Holds []Hold
	Then  []rollout.Action
	Ended []rollout.Entry // rollouts that ended on the way

	From, To string // canonical content of what runs and of what would; empty where it is not known
	Assumed  []string
	History  []rollout.Entry // of the controller, newest first
	New      bool            // who was asked has never looked at it
	Err      error           // why it could not be found out
}

// Of makes the plan of one service.
func Of(r Rehearsed) Service {
	s := Service{Name: r.Service, Effect: effect(r), Assumed: unique(r.Assumed), Invalid: r.Invalid, Took: took(r.History)}
	if r.Err != nil && !r.New {
		s.Error = r.Err.Error()
	}
	s.Now, s.Holds, s.Then = steps(r.Now), r.Holds, steps(r.Then)
	s.Advice = r.Told.Next
	s.Running = running(r)
	for _, e := range r.Ended {
		s.Leaves = append(s.Leaves, fmt.Sprintf("%s of %s: %s", e.Kind, strings.Join(e.Images, ", "), e.Message))
	}
	if d := r.Told.Drift; d != nil {
		s.Drift = &Drift{Revision: family(d.TaskDefinition), Since: d.Since}
	}
	if s.Effect != EffectInvalid {
		s.Rejected = rejected(r)
	}
	if v := r.Told.Verdict(r.Seen); v != nil && v.Inferred && v.Retry > 0 {
		s.Assumed = append(s.Assumed, fmt.Sprintf("spec.retry was %d already when it was rejected: the account's tag does not say, and a controller knows", v.Retry))
	}
	if ro := r.After.Rollout; ro != nil && (s.Effect == EffectChange || s.Effect == EffectWait || s.Effect == EffectUnderWay) {
		s.Kind, s.Trigger = ro.Kind, ro.Trigger
		s.Target = &Version{Name: ro.Target.Name(), Images: ro.Target.Images(), Ask: ro.Target.Ask, Commit: ro.Target.Commit.SHA, Revision: family(ro.Revision)}
		if slices.ContainsFunc(ro.Target.Digests(), func(d string) bool { return digestOf(d) == "" }) {
			s.Target.Ask = "" // it was made up, as the digest was
		}
		if s.Effect != EffectUnderWay {
			s.Changes, s.Migration, s.Verify = changesOf(r), migration(r), verify(r)
		}
	}
	s.Summary = summary(r, s)
	return s
}

// effect is the first that fits.
func effect(r Rehearsed) Effect {
	before, told := r.Before.Rollout, r.Told.Rollout
	switch {
	case len(r.Invalid) > 0:
		return EffectInvalid
	case r.New:
		return EffectChange
	case r.Err != nil:
		return EffectUnknown
	case told != nil && before != nil && told.Number == before.Number:
		return EffectUnderWay
	case told != nil && told.TakesOver && len(r.Now) == 0:
		return EffectNone // it is only watched
	case len(r.Holds) > 0:
		return EffectWait
	case told != nil:
		return EffectChange
	}
	switch r.Told.State {
	case rollout.StateReleased:
		return EffectReleased
	case rollout.StateReverted, rollout.StateStalled:
		return EffectRefused
	case rollout.StateDrifted, rollout.StateWaitingTemplate:
		return EffectReported
	case rollout.StateSettled:
		if len(r.Now) > 0 {
			return EffectChange
		}
		return EffectNone
	}
	return EffectUnknown
}

func summary(r Rehearsed, s Service) string {
	switch s.Effect {
	case EffectInvalid:
		return "Its file is invalid: nothing is begun, and what git said before goes on to count."
	case EffectUnknown:
		return "It could not be found out what would happen: " + cmp.Or(s.Error, r.Told.Why)
	case EffectUnderWay:
		return "A rollout is in flight and goes on: " + r.Told.Why
	case EffectChange:
		if r.New {
			return "The controller has not met it there yet: it would look for it, and roll out what git asks. Planned without --server, the account says more."
		}
		if s.Kind == "" {
			return r.Told.Why + " What must not be lost is written down in the account."
		}
		return deed(r, s) + "."
	case EffectWait:
		if s.Kind == "" {
			return "Waits: " + r.Holds[0].Why
		}
		return deed(r, s) + ", but not yet: " + r.Holds[0].Why
	}
	return r.Told.Why
}

// deed says what is done, and what begins it, without a full stop.
func deed(r Rehearsed, s Service) string {
	in := ""
	if s.Running != nil && s.Running.Name != s.Target.Name {
		in = " in place of " + s.Running.Name
	}
	switch {
	case s.Kind == rollout.KindRestore && s.Trigger == rollout.TriggerDrift:
		return fmt.Sprintf("Puts %s back%s: somebody else deployed", s.Target.Name, in)
	case s.Kind == rollout.KindRestore:
		return fmt.Sprintf("Puts %s back%s: it was good here, and git asks for it", s.Target.Name, in)
	case s.Trigger == rollout.TriggerTemplate:
		return fmt.Sprintf("Rolls %s out anew: the infrastructure changed the template", s.Target.Name)
	case s.Trigger == rollout.TriggerSecret:
		return fmt.Sprintf("Rolls %s out anew: a secret has a new value", s.Target.Name)
	case s.Trigger == rollout.TriggerRetry:
		return fmt.Sprintf("Rolls %s out%s: it failed before, and is tried again", s.Target.Name, in)
	case r.Told.Good == nil:
		return fmt.Sprintf("Rolls %s out%s: git asks for it, and no version was ever good here", s.Target.Name, in)
	case s.Running != nil && s.Running.Name == s.Target.Name:
		return fmt.Sprintf("Rolls %s out anew: git asks for other env, secrets or migration of it", s.Target.Name)
	}
	return fmt.Sprintf("Rolls %s out%s: git asks for it", s.Target.Name, in)
}

// running is what the service names now; nil where that is not known.
func running(r Rehearsed) *Version {
	arn := r.Seen.TaskDefinition
	if arn == "" {
		return nil
	}
	v := &Version{Name: family(arn), Revision: family(arn)}
	if revision, ok := r.Seen.Revisions[arn]; ok {
		v.Ask, v.Commit = revision.Ask, revision.Commit
	}
	if good := r.Told.Good; good != nil && good.Revision == arn {
		v.Ask, v.Commit = good.Target.Ask, good.Target.Commit.SHA
		if len(good.Target.Containers) > 0 {
			v.Name, v.Images = good.Target.Name(), good.Target.Images()
		}
	}
	return v
}

func rejected(r Rehearsed) *Rejected {
	verdict := r.Told.Verdict(r.Seen)
	if verdict == nil {
		return nil
	}
	return &Rejected{
		Ask: verdict.Ask, At: verdict.At, Check: verdict.Check, Message: verdict.Message, ClearedBy: verdict.ClearedBy(r.Told.Intent.Service.Spec),
	}
}

// migration says whether one runs, from whether the rehearsal came to one, and why not.
func migration(r Rehearsed) *Migration {
	ro := r.After.Rollout
	m := ro.Target.Migration
	if m == nil {
		return &Migration{Skip: rollout.SkipNone, Why: "Git names none."}
	}
	out := &Migration{
		Container: m.Container, Command: m.Command, Lock: m.Lock, Timeout: m.Timeout.String(), Compatibility: string(m.Compatibility), Idempotent: m.Idempotent,
	}
	for _, a := range slices.Concat(r.Now, r.Then) {
		if _, runs := a.(rollout.RunMigration); runs {
			out.Runs, out.Why = true, "It runs before the service is touched, under the lock "+m.Lock+"."
			if digestOf(ro.Target.Containers.Of(m.Container).Digest) == "" {
				out.Why = "It runs before the service is touched, under the lock " + m.Lock + ", unless the image was migrated here before: its digest is not known yet."
			}
			if m.Compatibility == desired.CompatibilityBreaking {
				out.Why += " It is breaking: no version from before can be put back after it."
			}
			return out
		}
	}
	switch out.Skip = r.After.SkipsMigration(); out.Skip {
	case rollout.SkipKind:
		out.Why = "It does not run: what is put back was migrated before."
	case rollout.SkipDone:
		out.Why = "It does not run: this command of this image succeeded before."
	case rollout.SkipGood:
		out.Why = "It does not run: this very version was good here before."
	default:
		out.Why = "It runs if nothing else comes between."
	}
	return out
}

func verify(r Rehearsed) *Verify {
	spec := r.After.Rollout.Target.Spec
	if spec == nil || r.After.Rollout.Kind != rollout.KindDeploy {
		return nil
	}
	checks := append([]string{rollout.CheckSteady}, slices.Sorted(maps.Keys(spec.Verify.Checks))...)
	return &Verify{Bake: spec.Verify.Bake.String(), Deadline: spec.Rollout.Deadline.String(), Checks: checks, OnFailure: string(spec.OnFailure)}
}

// tookMax is how many of the newest deploys are counted: a service changes, and so does how long it takes.
const tookMax = 20

// took is nil where no deploy of the history succeeded.
func took(history []rollout.Entry) *Took {
	var all []time.Duration
	for _, e := range history {
		if len(all) == tookMax {
			break
		}
		if e.Kind == rollout.KindDeploy && e.Result == rollout.ResultSucceeded {
			all = append(all, e.EndedAt.Sub(e.StartedAt).Round(time.Second))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	n := len(all)
	median := (all[(n-1)/2] + all[n/2]) / 2
	return &Took{Count: n, Median: desired.Duration(median.Round(time.Second)), Least: desired.Duration(all[0]), Most: desired.Duration(all[n-1])}
}

func steps(actions []rollout.Action) []Step {
	var out []Step
	for _, a := range actions {
		out = append(out, Step{Do: a.Name(), Text: words(a)})
	}
	return out
}

// words say what one request would do.
func words(a rollout.Action) string {
	switch a := a.(type) {
	case rollout.Register:
		return fmt.Sprintf("registers a task definition: images, env and secrets of %s on the template %s",
			strings.Join(slices.Sorted(maps.Keys(a.Containers)), ", "), family(a.Template))
	case rollout.RunMigration:
		return fmt.Sprintf("runs the migration in container %s, at most %s: %s", a.Container, desired.Duration(a.Timeout), strings.Join(a.Command, " "))
	case rollout.Roll:
		out := fmt.Sprintf("rolls the service to %s, with at least %d %% and at most %d %% of its tasks", family(a.Revision), a.MinimumHealthyPercent, a.MaximumPercent)
		if a.Count != nil {
			out += fmt.Sprintf(", and sets its count to %d", *a.Count)
		}
		return out
	case rollout.Tag:
		return "tags the service: " + strings.Join(slices.Sorted(maps.Keys(a.Set)), ", ")
	case rollout.Keep:
		return "keeps the stack's parameter at " + family(a.Revision)
	case rollout.Scale:
		return fmt.Sprintf("sets the count to %d", a.Count)
	case rollout.StopTask:
		return "stops the task " + family(a.Task) + ": " + a.Reason
	}
	return a.Name()
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
