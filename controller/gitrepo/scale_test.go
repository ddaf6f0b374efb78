package gitrepo_test

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/canteen/deploy/controller/gitrepo"
)

// many commits a folder of so many files, each with a content of its own, as one pack: ten thousand loose objects would make the test
// one of the disk.
func (b *builder) many(t *testing.T, n int) plumbing.Hash {
	t.Helper()
	var in strings.Builder
	in.WriteString("commit refs/heads/main\ncommitter Ada <ada@example.com> 1772366400 +0000\ndata 4\nbase\n")
	for i := range n {
		text := fmt.Sprintf("name: service-%d\n%s", i, strings.Repeat("key: value\n", 40))
		fmt.Fprintf(&in, "M 644 inline desired/dev/service-%05d.yaml\ndata %d\n%s\n", i, len(text), text)
	}
	cmd := exec.CommandContext(t.Context(), needGit(t), "-C", b.path, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.repo = reopened(t, b.path)
	ref, err := b.repo.Reference("refs/heads/main", true)
	if err != nil {
		t.Fatal(err)
	}
	return ref.Hash()
}

// touch commits one changed file of desired/dev on a commit, at the cost of that file and its folders.
func (b *builder) touch(on plumbing.Hash, name, content, message string) plumbing.Hash {
	b.t.Helper()
	commit, err := b.repo.CommitObject(on)
	if err != nil {
		b.t.Fatal(err)
	}
	root, err := commit.Tree()
	if err != nil {
		b.t.Fatal(err)
	}
	hash := b.put(root, []string{"desired", "dev", name}, content)
	b.at = b.at.Add(1)
	who := object.Signature{Name: "Ada", Email: "ada@example.com", When: b.at}
	tip := b.store(&object.Commit{Author: who, Committer: who, Message: message, TreeHash: hash, ParentHashes: []plumbing.Hash{on}})
	b.point("main", tip)
	return tip
}

func (b *builder) put(tree *object.Tree, path []string, content string) plumbing.Hash {
	b.t.Helper()
	next := &object.Tree{Entries: slices.Clone(tree.Entries)}
	at := slices.IndexFunc(next.Entries, func(e object.TreeEntry) bool { return e.Name == path[0] })
	if len(path) == 1 {
		if at < 0 {
			next.Entries, at = append(next.Entries, object.TreeEntry{Name: path[0], Mode: filemode.Regular}), len(next.Entries)
		}
		next.Entries[at].Hash = b.blob(content)
	} else {
		sub, err := object.GetTree(b.repo.Storer, next.Entries[at].Hash)
		if err != nil {
			b.t.Fatal(err)
		}
		next.Entries[at].Hash = b.put(sub, path[1:], content)
	}
	slices.SortFunc(next.Entries, func(x, y object.TreeEntry) int { return strings.Compare(sortName(x), sortName(y)) })
	return b.store(next)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what the first one finalized
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// However often a large folder is fetched, and however many generations it has by then, what is kept is the newest head alone:
// neither go-git's objects nor heads of before.
func TestTheHeapStaysBounded(t *testing.T) {
	atLength(t)
	const nFiles, grows = 10_000, 4 << 20
	b := newRepo(t, true)
	tip := b.many(t, nFiles)
	for _, way := range []struct {
		name           string
		fetches, after int
		source         func(*builder) gitrepo.Config
	}{
		{"local", 200, 10, func(b *builder) gitrepo.Config { return gitrepo.Config{Source: b.path} }},
		{"http", 10, 3, func(b *builder) gitrepo.Config {
			return gitrepo.Config{Source: serve(t, b, new(atomic.Int32)), Auth: tokenFile(t, token)}
		}},
		{"http through a directory", 5, 2, func(b *builder) gitrepo.Config {
			return gitrepo.Config{Source: serve(t, b, new(atomic.Int32)), Auth: tokenFile(t, token), CacheDir: t.TempDir()}
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			if testing.Short() {
				way.fetches = way.after + (way.fetches-way.after)/5
			}
			b := &builder{t: t, repo: b.repo, path: b.path, at: b.at}
			b.repo = reopened(t, b.path)
			cfg := way.source(b)
			cfg.Folder = "desired/dev"
			r := open(t, cfg)
			head := fetch(t, r)
			var early uint64
			for i := range way.fetches {
				tip = b.touch(tip, "service-00123.yaml", fmt.Sprint(i), "change")
				b.repo = reopened(t, b.path) // the builder's own cache is not what is measured
				head = fetch(t, r)
				if i == way.after {
					early = heap()
				}
			}
			late := heap()
			t.Logf("%d KiB after %d fetches, %d KiB after %d", early>>10, way.after, late>>10, way.fetches)
			if late > early+grows {
				t.Errorf("the heap grew from %d to %d bytes in %d fetches", early, late, way.fetches-way.after)
			}
			if len(head.Files) != nFiles {
				t.Errorf("%d files", len(head.Files))
			}
			runtime.KeepAlive(r)
		})
	}
}

// A commit on top of the head before costs one fetch of one generation, whatever the repository's size and history.
func TestOneCommitIsOneFetch(t *testing.T) {
	b := newRepo(t, true)
	tip := b.commit("base", services(3, "a"))
	for i := range 5 {
		tip = b.touch(tip, "service-00000.yaml", fmt.Sprint(i), "before")
	}
	var fetches atomic.Int32
	r := open(t, gitrepo.Config{Source: serve(t, b, &fetches), Folder: "desired/dev", Auth: tokenFile(t, token)})
	fetch(t, r)
	for i := range 5 {
		fetches.Store(0)
		tip = b.touch(tip, "service-00001.yaml", fmt.Sprint(i), "one\n\nConfirm-Mass-Change: 3")
		if head := fetch(t, r); fetches.Load() != 1 || head.Rewritten || !slices.Equal(head.Confirms, []string{"3"}) {
			t.Errorf("%d fetches, rewritten %t, confirms %v", fetches.Load(), head.Rewritten, head.Confirms)
		}
	}
	tip = b.touch(tip, "service-00001.yaml", "x", "first of two\n\nConfirm-Mass-Change: 7")
	b.touch(tip, "service-00001.yaml", "y", "second of two")
	if head := fetch(t, r); head.Rewritten || !slices.Equal(head.Confirms, []string{"7"}) {
		t.Errorf("rewritten %t, confirms %v; the first of two commits at once was not read", head.Rewritten, head.Confirms)
	}
}

// A confirmation is read once: a branch that was begun before the head and is merged into it does not bring old ones back.
func TestAnOldConfirmationStaysOld(t *testing.T) {
	b := newRepo(t, true)
	root := b.commit("root", services(2, "a"))
	confirmed := b.touch(root, "service-00000.yaml", "b", "all\n\nConfirm-Mass-Change: 900")
	r := open(t, gitrepo.Config{Source: b.path, Folder: "desired/dev"})
	last := confirmed
	for i := range 3 {
		last = b.touch(last, "service-00000.yaml", fmt.Sprint(i), "more")
	}
	if got := fetch(t, r).Confirms; got != nil {
		t.Errorf("the first head brings %v", got)
	}
	side := b.touch(confirmed, "service-00001.yaml", "side", "side")
	next := b.touch(last, "service-00000.yaml", "next", "next")
	for i := range 2 {
		next = b.touch(next, "service-00000.yaml", fmt.Sprint("next", i), "next")
	}
	b.commit("merge", services(2, "merged"), next, side)
	if head := fetch(t, r); head.Rewritten || head.Confirms != nil {
		t.Errorf("the merge brings %v, rewritten %t", head.Confirms, head.Rewritten)
	}
}

// A commit about another folder costs no look at this one's files.
func TestAnotherFoldersCommitSharesTheFiles(t *testing.T) {
	b := newRepo(t, true)
	tree := services(3, "a")
	first := b.commit("one", tree)
	r := open(t, gitrepo.Config{Source: b.path, Folder: "desired/dev"})
	before := fetch(t, r)
	tree["desired/prod/x.yaml"] = "x"
	second := b.commit("two", tree, first)
	after := fetch(t, r)
	if after.Commit.SHA != second.String() {
		t.Errorf("the head is %s", after.Commit.SHA)
	}
	after.Files["proof"] = gitrepo.File{}
	if len(before.Files) != 4 {
		t.Error("the folder was read again")
	}
}
