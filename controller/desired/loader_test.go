package desired_test

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/canteen/deploy/controller/desired"
)

// hashed is a tree whose entries know their content, as a commit's do: what is read is counted.
type hashed struct {
	fstest.MapFS
	reads map[string]int
}

type hashedEntry struct {
	fs.DirEntry
	id string
}

func (e hashedEntry) ContentID() string { return e.id }

func (h hashed) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := h.MapFS.ReadDir(name)
	for i, e := range entries {
		if f := h.MapFS[e.Name()]; f != nil {
			entries[i] = hashedEntry{e, fmt.Sprintf("%d:%s", len(f.Data), f.Data)}
		}
	}
	return entries, err
}

func (h hashed) Open(name string) (fs.File, error) {
	h.reads[name]++
	return h.MapFS.Open(name)
}

// edit is one change of a tree: any file becomes anything, or goes.
func edit(t *rapid.T, tree fstest.MapFS, bad []string) {
	names := []string{"a", "b", "c", "d", "e"}
	name := rapid.SampledFrom(names).Draw(t, "name")
	file := name + ".yaml"
	switch rapid.SampledFrom([]string{"good", "good", "circle", "twin", "bad", "gone", "odd", "yml", "environment", "defaults"}).Draw(t, "edit") {
	case "good", "circle":
		s := drawService(t, name)
		s.Spec.DependsOn = slices.DeleteFunc(rapid.SliceOfNDistinct(rapid.SampledFrom(append(names, "nobody")), 0, 2, rapid.ID).Draw(t, "on"), func(n string) bool { return n == name })
		text, err := yaml.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		tree[file] = &fstest.MapFile{Data: text}
	case "twin":
		if other := tree[rapid.SampledFrom(names).Draw(t, "other")+".yaml"]; other != nil {
			tree[file] = &fstest.MapFile{Data: other.Data}
		}
	case "bad":
		tree[file] = &fstest.MapFile{Data: []byte(rapid.SampledFrom(bad).Draw(t, "bad"))}
	case "gone":
		delete(tree, file)
	case "odd":
		if f := tree[file]; f != nil {
			tree[file] = &fstest.MapFile{Data: f.Data, Mode: f.Mode ^ fs.ModeSymlink}
		}
	case "yml":
		tree[name+".yml"] = &fstest.MapFile{Data: []byte("x")}
	case "environment":
		tree[desired.EnvironmentFile] = &fstest.MapFile{Data: []byte(rapid.SampledFrom([]string{goodEnvironment, "kind: Nothing", ""}).Draw(t, "environment"))}
	case "defaults":
		bake := rapid.SampledFrom([]string{"1m", "3m"}).Draw(t, "bake")
		tree[desired.EnvironmentFile] = &fstest.MapFile{Data: []byte(goodEnvironment + "  defaults: {bake: " + bake + "}\n")}
	}
}

// TestLoaderIsLoad: whatever was loaded before, what is loaded now is what a first load of it says, positions of old errors
// included. Both for trees that know their contents' hashes and for those that do not.
func TestLoaderIsLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing in it is concurrent")
	}
	bad := slices.Sorted(maps.Values(badServices(t)))
	rapid.Check(t, func(t *rapid.T) {
		plain, known := desired.NewLoader(testKinds()), desired.NewLoader(testKinds())
		tree := fstest.MapFS{desired.EnvironmentFile: {Data: []byte(goodEnvironment)}}
		for range rapid.IntRange(1, 12).Draw(t, "commits") {
			for range rapid.IntRange(0, 3).Draw(t, "edits") {
				edit(t, tree, bad)
			}
			want := desired.Load(tree, testKinds())
			if diff := cmp.Diff(want, plain.Load(tree)); diff != "" {
				t.Fatalf("at once (-), one after another (+):\n%s", diff)
			}
			if diff := cmp.Diff(want, known.Load(hashed{tree, map[string]int{}})); diff != "" {
				t.Fatalf("at once (-), one after another by hash (+):\n%s", diff)
			}
		}
	})
}

// healthyFolder is a healthy environment of so many services, some of which wait for others.
func healthyFolder(t testing.TB, n int) hashed {
	t.Helper()
	tree := fstest.MapFS{desired.EnvironmentFile: {Data: []byte(goodEnvironment)}}
	for i := range n {
		tree[fmt.Sprintf("service-%05d.yaml", i)] = &fstest.MapFile{Data: serviceText(i, "1a2b3c4")}
	}
	return hashed{tree, map[string]int{}}
}

func serviceText(i int, tag string) []byte {
	text := fmt.Sprintf("apiVersion: deploy/v1\nkind: Service\nmetadata: {name: service-%05d}\nspec:\n  stack: service-%05d\n  containers:\n    app:\n      image: {tag: %q}\n      env: {LOG_LEVEL: info}\n", i, i, tag)
	if i%10 != 0 {
		text += fmt.Sprintf("  dependsOn: [service-%05d]\n", i-1)
	}
	return []byte(text)
}

// One changed file of ten thousand is the only one that is read and parsed; one broken file goes on being told without that.
func TestOnlyWhatChangedIsParsed(t *testing.T) {
	for _, n := range []int{1_000, 10_000} {
		if testing.Short() && n > 1_000 {
			break
		}
		tree := healthyFolder(t, n)
		tree.MapFS["service-00007.yaml"].Data = append(serviceText(7, "1a2b3c4"), "  surprise: 1\n"...)
		l := desired.NewLoader(testKinds())
		first := l.Load(tree)
		if l.Parsed() != n+1 || len(first.Errors) != 1 {
			t.Fatalf("%d files parsed, %v", l.Parsed(), first.Errors)
		}
		clear(tree.reads)
		tree.MapFS["service-00123.yaml"] = &fstest.MapFile{Data: serviceText(123, "5d6e7f8")}
		second := l.Load(tree)
		if l.Parsed() != 1 || len(tree.reads) != 1 || tree.reads["service-00123.yaml"] != 1 {
			t.Errorf("of %d, %d files parsed, read %v", n, l.Parsed(), tree.reads)
		}
		same := 0
		for name, s := range second.Services {
			if first.Services[name] == s {
				same++
			}
		}
		if same != n-2 || second.Services["service-00123"].Spec.Containers["app"].Image.Tag != "5d6e7f8" {
			t.Errorf("%d of %d services are the same as before", same, n)
		}
		if diff := cmp.Diff(first.Errors, second.Errors); diff != "" {
			t.Error(diff)
		}
		tree.MapFS[desired.EnvironmentFile] = &fstest.MapFile{Data: []byte(goodEnvironment + "  maxConcurrentRollouts: 3\n")}
		if l.Load(tree); l.Parsed() != 1 {
			t.Errorf("a policy that enters no service: %d files parsed", l.Parsed())
		}
		tree.MapFS[desired.EnvironmentFile] = &fstest.MapFile{Data: []byte(goodEnvironment + "  defaults: {bake: 7m}\n")}
		if l.Load(tree); l.Parsed() != n+1 {
			t.Errorf("other defaults: %d files parsed, want all", l.Parsed())
		}
	}
}

// A service that thousands depend on is removed: each of them is told, and none of it is long.
func TestManyErrorsAtOnceStaySmall(t *testing.T) {
	n := 5_000
	if testing.Short() {
		n = 500
	}
	tree := healthyFolder(t, n)
	for i := range n {
		text := strings.ReplaceAll(string(serviceText(i, "1a2b3c4")), "\n  dependsOn:", "\n  #")
		tree.MapFS[fmt.Sprintf("service-%05d.yaml", i)].Data = []byte(text + "  dependsOn: [authentication]\n")
	}
	snap := desired.Load(tree, testKinds())
	if len(snap.Errors) != n {
		t.Fatalf("%d errors for %d services", len(snap.Errors), n)
	}
	for _, e := range snap.Errors {
		if len(e.Message) > 600 || !strings.Contains(e.Message, "authentication") {
			t.Fatalf("%d bytes: %s", len(e.Message), e.Message[:100])
		}
	}
}

func BenchmarkLoadOneChanged(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("one_of/%d", n), func(b *testing.B) {
			tree := healthyFolder(b, n)
			l := desired.NewLoader(testKinds())
			l.Load(tree)
			b.ReportAllocs()
			parsed := 0
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				tree.MapFS["service-00123.yaml"] = &fstest.MapFile{Data: serviceText(123, fmt.Sprintf("%07x", i))}
				b.StartTimer()
				l.Load(tree)
				parsed += l.Parsed()
			}
			if parsed != b.N {
				b.Fatalf("%d files parsed for %d commits of one file", parsed, b.N)
			}
		})
	}
}
