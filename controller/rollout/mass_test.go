package rollout

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
)

// words are so many services of one version.
func words(n int, digest string) map[string]*desired.Service {
	out := map[string]*desired.Service{}
	for i := range n {
		s := intentFor(digest).Service
		s.Metadata.Name = fmt.Sprintf("s%03d", i)
		out[s.Metadata.Name] = &s
	}
	return out
}

// changed are words of which the first n are changed.
func changed(words map[string]*desired.Service, n int, change func(*desired.Service)) map[string]*desired.Service {
	out := maps.Clone(words)
	for _, name := range slices.Sorted(maps.Keys(words))[:n] {
		s := *words[name]
		s.Spec.Containers = maps.Clone(s.Spec.Containers)
		change(&s)
		out[name] = &s
	}
	return out
}

func version(digest string) func(*desired.Service) {
	return func(s *desired.Service) {
		s.Spec.Containers["app"] = desired.Container{Image: desired.Image{Tag: digest[7:14], Digest: digest}}
	}
}

func TestMassChange(t *testing.T) {
	policy := desired.MassChangePolicy{Share: 50, AtLeast: 10}
	const head, waiting = "c0ffee1234567890", "a9d7713000000000"
	without := func(w map[string]*desired.Service, n int) map[string]*desired.Service {
		out := maps.Clone(w)
		for _, name := range slices.Sorted(maps.Keys(w))[:n] {
			delete(out, name)
		}
		return out
	}
	with := func(w map[string]*desired.Service, more map[string]*desired.Service) map[string]*desired.Service {
		out := maps.Clone(more)
		maps.Copy(out, w)
		return out
	}
	twenty, nine := words(20, digestA), words(9, digestA)
	for name, c := range map[string]struct {
		before, after map[string]*desired.Service
		invalid       int
		confirms      []string
		policy        desired.MassChangePolicy
		count, gone   int // 0 for no pause
		withheld      int
		few           bool
	}{
		"nothing":                 {before: twenty, after: twenty},
		"the same, read anew":     {before: twenty, after: words(20, digestA)},
		"half is not more":        {before: twenty, after: changed(twenty, 10, version(digestB))},
		"one more than half":      {before: twenty, after: changed(twenty, 11, version(digestB)), count: 11, withheld: 11},
		"all of a small one":      {before: nine, after: changed(nine, 9, version(digestB))},
		"all files gone":          {before: twenty, after: map[string]*desired.Service{}, count: 20, gone: 20, withheld: 20},
		"some gone, some changed": {before: twenty, after: without(changed(twenty, 12, version(digestB)), 4), count: 12, gone: 4, withheld: 12},
		"all invalid":             {before: twenty, after: map[string]*desired.Service{}, invalid: 20},
		"first start":             {before: nil, after: twenty},
		"many added":              {before: nine, after: with(nine, words(20, digestB))},
		"all changed, some added": {before: twenty, after: with(changed(twenty, 20, version(digestB)), words(25, digestB)), count: 20, withheld: 25},
		"labels only":             {before: twenty, after: changed(twenty, 20, func(s *desired.Service) { s.Metadata.Labels = map[string]string{"team": "x"} })},
		"deadlines only":          {before: twenty, after: changed(twenty, 20, func(s *desired.Service) { s.Spec.Rollout.Deadline++ })},
		"an env each": {before: twenty, after: changed(twenty, 20, func(s *desired.Service) {
			c := s.Spec.Containers["app"]
			c.Env = map[string]string{"A": "1"}
			s.Spec.Containers["app"] = c
		}), count: 20, withheld: 20},
		"a retry each":             {before: twenty, after: changed(twenty, 20, func(s *desired.Service) { s.Spec.Retry++ }), count: 20, withheld: 20},
		"other stacks":             {before: twenty, after: changed(twenty, 20, func(s *desired.Service) { s.Spec.Stack += "x" }), count: 20, withheld: 20},
		"no migration any more":    {before: twenty, after: changed(twenty, 20, func(s *desired.Service) { s.Spec.Migration = nil }), count: 20, withheld: 20},
		"emergencies":              {before: twenty, after: changed(changed(twenty, 20, version(digestB)), 5, func(s *desired.Service) { s.Spec.Emergency = &desired.Override{Until: epoch.Add(1)} }), count: 15, withheld: 15},
		"emergencies of before":    {before: twenty, after: changed(changed(twenty, 20, version(digestB)), 20, func(s *desired.Service) { s.Spec.Emergency = &desired.Override{Until: epoch} }), count: 20, withheld: 20},
		"turned off":               {before: twenty, after: map[string]*desired.Service{}, policy: desired.MassChangePolicy{Share: 100, AtLeast: 1}},
		"another share":            {before: twenty, after: changed(twenty, 3, version(digestB)), policy: desired.MassChangePolicy{Share: 10, AtLeast: 3}, count: 3, withheld: 3},
		"below the floor":          {before: twenty, after: changed(twenty, 3, version(digestB)), policy: desired.MassChangePolicy{Share: 10, AtLeast: 4}},
		"confirmed by number":      {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"12"}},
		"confirmed by more":        {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"20"}},
		"confirmed by fewer":       {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"11"}, count: 12, withheld: 12, few: true},
		"confirmed by commit":      {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"A9D7713"}},
		"confirmed another commit": {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"a9d7714"}, count: 12, withheld: 12},
		"confirmed too short":      {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"a9d77"}, count: 12, withheld: 12},
		"confirmed in words":       {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"yes"}, count: 12, withheld: 12},
		"confirmed by one of two":  {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"3", "12"}},
		"a long number is no count": {before: twenty, after: changed(twenty, 12, version(digestB)), confirms: []string{"9999999"},
			count: 12, withheld: 12},
	} {
		t.Run(name, func(t *testing.T) {
			after := &desired.Snapshot{Commit: desired.Commit{SHA: head}, Services: c.after, Invalid: map[string][]desired.Error{}, Confirms: c.confirms}
			for i := range c.invalid {
				after.Invalid[fmt.Sprintf("s%03d", i)] = []desired.Error{{Message: "broken"}}
			}
			p := c.policy
			if p.Share == 0 {
				p = policy
			}
			got := MassChange(epoch, c.before, after, p, []string{waiting})
			var want *Pause
			if c.count > 0 {
				want = &Pause{Reason: StateMassChange, Commit: head, Count: c.count, Gone: c.gone, Of: len(c.before), Share: p.Share, Counts: c.few}
			}
			if diff := cmp.Diff(want, got.Pause); diff != "" {
				t.Error(diff)
			}
			if len(got.Withheld) != c.withheld {
				t.Errorf("%d services withheld, want %d", len(got.Withheld), c.withheld)
			}
		})
	}
}

// A policy that an older ledger kept says nothing of mass changes: the defaults hold.
func TestMassChangeWithoutAWord(t *testing.T) {
	for n, want := range map[int]bool{9: false, 10: true} {
		all := words(n, digestA)
		mass := MassChange(epoch, all, &desired.Snapshot{Services: changed(all, n, version(digestB))}, desired.MassChangePolicy{}, nil)
		if (mass.Pause != nil) != want {
			t.Errorf("%d of %d: %+v", n, n, mass.Pause)
		}
		if p := ManyMissing(n, n, desired.MassChangePolicy{}); (p != nil) != want {
			t.Errorf("%d of %d missing: %+v", n, n, p)
		}
	}
}

// What is left over of a snapshot that was partly taken over never pauses where the whole did not, and where nothing was taken
// over it pauses again: so a restart comes to the same.
func TestMassChangeIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "services")
		before := words(n, digestA)
		after := changed(before, rapid.IntRange(0, n).Draw(t, "changed"), version(digestB))
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(before))), 0, n, rapid.ID).Draw(t, "gone") {
			delete(after, name)
		}
		policy := desired.MassChangePolicy{Share: desired.Percent(rapid.IntRange(1, 100).Draw(t, "share")), AtLeast: rapid.IntRange(1, 20).Draw(t, "at least")}
		snap := &desired.Snapshot{Services: after}
		whole := MassChange(epoch, before, snap, policy, nil)
		if whole.Pause != nil {
			if again := MassChange(epoch, before, snap, policy, nil); !cmp.Equal(again, whole) {
				t.Fatalf("another answer: %+v, %+v", whole, again)
			}
			if len(whole.Withheld) != whole.Pause.Count {
				t.Fatalf("%d withheld of %d", len(whole.Withheld), whole.Pause.Count)
			}
			return
		}
		part := maps.Clone(before)
		for name, s := range after {
			if rapid.Bool().Draw(t, "taken over") {
				part[name] = s
			}
		}
		if rest := MassChange(epoch, part, snap, policy, nil); rest.Pause != nil {
			t.Fatalf("what is left pauses: %+v", rest.Pause)
		}
	})
}

// In a pause nothing new is begun, and what is in flight comes to its end.
func TestAPauseBeginsNothing(t *testing.T) {
	pause := &Pause{Reason: StateMassChange, Commit: "a9d77130", Count: 11, Of: 20, Share: 50}
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Intent, w.want.Pause = intentFor(digestB), pause
	for range 5 {
		if d := w.pass(); d.Action != nil || d.Record.State != StateMassChange || d.Record.Rollout != nil {
			t.Fatalf("%s %s: %v", d.Record.State, d.Record.Why, d.Action)
		}
		w.now = w.now.Add(time.Minute)
	}
	w.want.Intent.Service.Spec.Emergency = &desired.Override{Until: w.now.Add(time.Hour)}
	if d := w.pass(); d.Record.Rollout == nil {
		t.Fatalf("an emergency waits: %s", d.Record.Why)
	}
	w.want.Intent.Service.Spec.Emergency = nil
	if d := w.pass(); d.Record.Rollout == nil || d.Record.State == StateMassChange {
		t.Errorf("what was begun stopped: %s", d.Record.Why)
	}
}

// A service whose newest word is withheld goes on being compared with the word before, and says why it is not the newest.
func TestAWithheldWordIsToldAndNotTaken(t *testing.T) {
	w := newWalker(t)
	w.good(digestA, 1)
	w.want.Pause, w.want.Withheld = &Pause{Reason: StateMassChange, Commit: "a9d77130", Count: 11, Of: 20, Share: 50}, true
	d := w.pass()
	if d.Action != nil || d.Record.State != StateMassChange || d.Record.Intent.Service.Spec.Containers["app"].Image.Digest != digestA {
		t.Fatalf("%s: %s", d.Record.State, d.Record.Why)
	}
	w.want.Pause, w.want.Withheld = nil, false
	if d := w.pass(); d.Record.State != StateSettled {
		t.Errorf("after the pause: %s: %s", d.Record.State, d.Record.Why)
	}
	// Somebody deploys by hand meanwhile: with a mass change the last good comes back; where the account seems to lack most
	// services, what is seen may be another place, and nothing is put back.
	for _, c := range []struct {
		reason State
		want   bool
	}{{StateManyMissing, false}, {StateMassChange, true}} {
		w.want.Pause = &Pause{Reason: c.reason, Count: 11, Of: 20, Share: 50}
		w.seen.TaskDefinition = td(9)
		w.seen.Deployments = []observed.Deployment{{ID: "ecs-svc/9", Primary: true, TaskDefinition: td(9), Rollout: observed.RolloutCompleted, Desired: 2, Running: 2}}
		w.seen.Startable[td(1)] = observed.Startable{OK: true}
		w.pass()
		w.now = w.now.Add(time.Hour)
		if d := w.pass(); (d.Record.Rollout != nil) != c.want {
			t.Errorf("%s: %s: %s", c.reason, d.Record.State, d.Record.Why)
		}
	}
}

// Who has waited longest is before the others, a wait keeps its place over a newer word, and it ends with the wait.
func TestAPlaceIsWaitedForInOrder(t *testing.T) {
	w := newWalker(t)
	w.want.Policy.MaxConcurrentRollouts = 2
	w.want.Others = 2
	since := w.now
	if d := w.pass(); d.Record.State != StateWaitingConcurrent || !d.Record.Queued.Equal(since) {
		t.Fatalf("%s, queued %s", d.Record.State, d.Record.Queued)
	}
	w.now = w.now.Add(time.Minute)
	w.want.Others, w.want.Ahead, w.want.Intent = 1, 1, intentFor(digestB)
	if d := w.pass(); d.Record.State != StateWaitingConcurrent || !d.Record.Queued.Equal(since) {
		t.Errorf("one has waited for longer: %s, queued %s", d.Record.State, d.Record.Queued)
	}
	w.want.Ahead = 0
	if d := w.pass(); d.Record.Rollout == nil || !d.Record.Queued.Equal(since) {
		t.Errorf("its turn has come: %s, queued %s", d.Record.Why, d.Record.Queued)
	}
	w.rec.Rollout = nil
	w.want.Removed = true
	if d := w.pass(); !d.Record.Queued.IsZero() {
		t.Errorf("released, and still in the order: %s", d.Record.Queued)
	}
}
