package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/strategy"
)

// folder is an environment in files, loaded commit by commit as the running controller does.
type folder struct {
	t      testing.TB
	tree   fstest.MapFS
	loader *desired.Loader
	n      int
}

func newFolder(t testing.TB, services int) *folder {
	f := &folder{t: t, tree: fstest.MapFS{}, loader: desired.NewLoader(desired.Kinds{Checks: health.Kinds(), Strategies: strategy.Kinds()})}
	f.environment("")
	for i := range services {
		f.write(i, "1aaaaaa")
	}
	return f
}

func (f *folder) environment(more string) {
	f.tree[desired.EnvironmentFile] = &fstest.MapFile{Data: []byte("apiVersion: deploy/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n  account: \"000000000000\"\n  region: eu-central-1\n" + more)}
}

func named(i int) string { return fmt.Sprintf("s%05d", i) }

func (f *folder) write(i int, tag string) {
	f.tree[named(i)+".yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, "apiVersion: deploy/v1\nkind: Service\nmetadata: {name: %[1]s}\nspec:\n  stack: %[1]s\n  containers: {app: {image: {tag: %[2]q}}}\n", named(i), tag)}
}

// commit is the snapshot of what is written, with a parent and trailers.
func (f *folder) commit(confirms ...string) *desired.Snapshot {
	f.n++
	s := f.loader.Load(f.tree)
	if len(s.Errors) > 0 {
		f.t.Fatal(s.Errors)
	}
	s.Commit.SHA, s.Confirms = fmt.Sprintf("%040x", f.n), confirms
	s.Parents = []string{fmt.Sprintf("%040x", f.n-1)}
	return s
}

// remembered are the records as passes of each service would leave them: with the intent that they were given.
func remembered(a *Asked, names []string, before map[string]rollout.Record) map[string]rollout.Record {
	out := maps.Clone(before)
	if out == nil {
		out = map[string]rollout.Record{}
	}
	for _, name := range names {
		rec := out[name]
		rec.Service = name
		want, _ := a.Want(name, rec)
		if want.Intent != nil {
			rec.Intent = want.Intent
		}
		if rec.State = rollout.StateSettled; want.Removed {
			rec.State = rollout.StateReleased
		}
		out[name] = rec
	}
	return out
}

func list(records map[string]rollout.Record) []rollout.Record {
	return slices.Collect(maps.Values(records))
}

// A commit that touches one of ten thousand services parses one file, compares one service and wakes one.
func TestOneOfManyWakesOne(t *testing.T) {
	for _, n := range []int{1_000, 10_000} {
		if testing.Short() && n > 1_000 {
			break
		}
		f, asked, q := newFolder(t, n), NewAsked(), queue.New()
		if woken := asked.Take(f.commit()); len(woken) != n {
			t.Fatalf("the first snapshot woke %d of %d", len(woken), n)
		}
		for i := range 3 {
			f.write(17, fmt.Sprintf("2bbbbb%d", i))
			woken := asked.Take(f.commit())
			for _, name := range woken {
				q.WakeAt(name, time.Now())
			}
			if f.loader.Parsed() != 1 || asked.compared != 1 || !slices.Equal(woken, []string{named(17)}) || q.Stats().Queued != 1 {
				t.Errorf("of %d: %d files parsed, %d services compared, woke %v, %d queued", n, f.loader.Parsed(), asked.compared, woken, q.Stats().Queued)
			}
		}
		if woken := asked.Take(f.commit()); f.loader.Parsed() != 0 || asked.compared != 0 || len(woken) != 0 {
			t.Errorf("a commit of nothing: %d parsed, %d compared, woke %v", f.loader.Parsed(), asked.compared, woken)
		}
	}
}

// A mass change is withheld in whole, over restarts at any moment, until it is confirmed or small again.
func TestAMassChangeWaits(t *testing.T) {
	const n = 40
	var names []string
	for i := range n {
		names = append(names, named(i))
	}
	f, asked := newFolder(t, n), NewAsked()
	asked.Take(f.commit())
	asked.Begin(nil)
	if asked.Pause() != nil {
		t.Fatal("a first start is no mass change")
	}
	records := remembered(asked, names, nil)

	for i := range 30 {
		f.write(i, "2bbbbbb")
	}
	f.write(n, "1aaaaaa") // one that is new
	mass := f.commit()
	woken := asked.Take(mass)
	if p := asked.Pause(); p == nil || p.Count != 30 || p.Of != n || p.Commit != mass.Commit.SHA || len(woken) != 31 {
		t.Fatalf("%+v, woke %d", p, len(woken))
	}
	tags := func(a *Asked) string {
		t.Helper()
		counts := map[string]int{}
		for _, name := range append(names, named(n)) {
			want, ok := a.Want(name, records[name])
			switch {
			case !ok || want.Removed || (want.Pause == nil) != (a.Pause() == nil):
				t.Fatalf("%s: %+v", name, want)
			case want.Intent == nil:
				counts["none"]++
			default:
				counts[want.Intent.Service.Spec.Containers["app"].Image.Tag]++
			}
		}
		return fmt.Sprint(counts)
	}
	if got := tags(asked); got != "map[1aaaaaa:40 none:1]" {
		t.Errorf("in the pause: %s", got)
	}
	records = remembered(asked, append(names, named(n)), records)

	// Started anew, before or after the snapshot is read, and with a commit in between that confirms too little.
	for range 2 {
		again := NewAsked()
		again.Begin(list(records))
		again.Take(mass)
		after := NewAsked()
		after.Take(mass)
		after.Begin(list(records))
		for _, a := range []*Asked{again, after} {
			if diff := cmp.Diff(asked.Pause(), a.Pause()); diff != "" || tags(a) != tags(asked) {
				t.Errorf("started anew: %s\n%s", tags(a), diff)
			}
		}
	}
	few := f.commit("29")
	asked.Take(few)
	if p := asked.Pause(); p == nil || !p.Counts || p.Commit != mass.Commit.SHA {
		t.Fatalf("29 do for 30: %+v", p)
	}

	// Small again: a revert of most.
	small := NewAsked()
	small.Take(mass)
	small.Begin(list(records))
	for i := range 25 {
		f.write(i, "1aaaaaa")
	}
	if woken := small.Take(f.commit()); small.Pause() != nil || len(woken) != n+1 {
		t.Errorf("small again: %+v, woke %d", small.Pause(), len(woken))
	}
	if got := tags(small); got != "map[1aaaaaa:36 2bbbbbb:5]" {
		t.Errorf("small again: %s", got)
	}
	for i := range 25 {
		f.write(i, "2bbbbbb")
	}

	// Confirmed, by the number or by either commit that waited; what comes after needs no confirmation more.
	for _, value := range []string{"30", mass.Commit.SHA[:40], few.Commit.SHA} {
		a := NewAsked()
		a.Begin(list(records))
		a.Take(mass)
		a.Take(few)
		a.Take(f.commit(value))
		if a.Pause() != nil || tags(a) != "map[1aaaaaa:11 2bbbbbb:30]" {
			t.Errorf("confirmed by %s: %+v, %s", value, a.Pause(), tags(a))
		}
		if a.Take(f.commit()); a.Pause() != nil {
			t.Errorf("the commit after: %+v", a.Pause())
		}
		half := remembered(a, names[:15], records) // it is stopped when half of the passes have run
		b := NewAsked()
		b.Take(f.commit())
		b.Begin(list(half))
		if b.Pause() != nil {
			t.Errorf("stopped half-way: %+v", b.Pause())
		}
	}
}

// Whoever waits for another waits for what was taken over of it.
func TestADependencyOnAWithheldWord(t *testing.T) {
	f, asked := newFolder(t, 20), NewAsked()
	first := f.commit()
	asked.Take(first)
	asked.Begin(nil)
	want := *first.Services[named(3)]
	for i := range 20 {
		f.write(i, "2bbbbbb")
	}
	asked.Take(f.commit())
	if asked.Pause() == nil || !same(asked.asks(named(3)).Service, want) {
		t.Errorf("%+v", asked.Pause())
	}
}

// A service that was released and whose file is back in a mass change stays released.
func TestAReleasedServiceStaysReleasedInAPause(t *testing.T) {
	f, asked := newFolder(t, 20), NewAsked()
	asked.Take(f.commit())
	asked.Begin(nil)
	var names []string
	for i := range 20 {
		names = append(names, named(i))
	}
	records := remembered(asked, names, nil)
	gone := f.tree[named(5)+".yaml"]
	delete(f.tree, named(5)+".yaml")
	asked.Take(f.commit())
	records = remembered(asked, names, records)
	f.tree[named(5)+".yaml"] = gone
	for i := range 20 {
		f.write(i, "2bbbbbb")
	}
	asked = NewAsked()
	asked.Take(f.commit())
	asked.Begin(list(records))
	if want, _ := asked.Want(named(5), records[named(5)]); asked.Pause() == nil || asked.Pause().Of != 19 || !want.Removed || !want.Withheld || want.Intent != nil {
		t.Errorf("%+v: %+v", asked.Pause(), want)
	}
}

// The fleet counts what the account lacks from records alone: a pass that says so, a failed one that does, and a restart.
func TestTheFleetKnowsWhatIsMissing(t *testing.T) {
	record := func(i int, change func(*rollout.Record)) rollout.Record {
		rec := rollout.Record{Service: named(i), Good: &rollout.Good{}, State: rollout.StateSettled, Said: "Runs"}
		change(&rec)
		return rec
	}
	var records []rollout.Record
	for i := range 20 {
		records = append(records, record(i, func(*rollout.Record) {}))
	}
	f := NewFleet(records...)
	policy := desired.MassChangePolicy{Share: 50, AtLeast: 3}
	f.note(record(20, func(r *rollout.Record) { r.Good, r.Said = nil, "Missing" })) // was never there: the stack is still to come
	for i := range 10 {
		f.note(record(i, func(r *rollout.Record) { r.Said = []string{"Missing", "Draining", "GoneInRollout"}[i%3] }))
	}
	if p := f.Pause(policy); p != nil {
		t.Errorf("half is not more: %+v", p)
	}
	f.note(record(10, func(r *rollout.Record) {
		r.Trouble = &rollout.Trouble{Kind: "blocked", Code: "ClusterNotFoundException", Message: "Cluster not found."}
	}))
	want := &rollout.Pause{Reason: rollout.StateManyMissing, Count: 11, Of: 20, Share: 50}
	if diff := cmp.Diff(want, f.Pause(policy)); diff != "" {
		t.Error(diff)
	}
	f.note(record(10, func(*rollout.Record) {}))
	f.note(record(11, func(r *rollout.Record) { r.State = rollout.StateReleased }))
	if p := f.Pause(policy); p == nil || p.Count != 10 || p.Of != 19 {
		t.Errorf("one is back, another released: %+v", p)
	}
}

func BenchmarkTakeOneChanged(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("one_of/%d", n), func(b *testing.B) {
			f, asked := newFolder(b, n), NewAsked()
			asked.Take(f.commit())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				f.write(17, fmt.Sprintf("%07x", i))
				s := f.commit()
				b.StartTimer()
				if woken := asked.Take(s); len(woken) != 1 || asked.compared != 1 {
					b.Fatalf("%d woken, %d compared", len(woken), asked.compared)
				}
			}
		})
	}
}
