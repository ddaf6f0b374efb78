package gitrepo_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/gitrepo"
)

func open(t testing.TB, cfg gitrepo.Config) *gitrepo.Repo {
	t.Helper()
	r, err := gitrepo.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fetch(t testing.TB, r *gitrepo.Repo) gitrepo.Head {
	t.Helper()
	head, err := r.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// contents reads every file that can be opened.
func contents(t testing.TB, tree fs.FS) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := fs.ReadFile(tree, path)
		got[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFetchReadsWhatTheBranchHasCommitted(t *testing.T) {
	for _, bare := range []bool{true, false} {
		t.Run(fmt.Sprintf("bare=%t", bare), func(t *testing.T) {
			b := newRepo(t, bare)
			hash := b.commit("order: bump to 1a2b3c4\n\nwith a body\n", files{
				"README.md":               "not in the folder",
				"desired/dev/order.yaml":  "tag: 1a2b3c4",
				"desired/dev/sub/x.yaml":  "deep",
				"desired/dev/empty.yaml":  "",
				"desired/dev/run.sh":      script("#!/bin/sh"),
				"desired/prod/order.yaml": "another environment",
			})
			// What lies in the work tree, committed on no branch, must not be seen.
			dirty := filepath.Join(b.path, "desired", "dev", "order.yaml")
			if err := os.MkdirAll(filepath.Dir(dirty), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dirty, []byte("tag: dirty"), 0o644); err != nil {
				t.Fatal(err)
			}
			head := fetch(t, open(t, gitrepo.Config{Source: b.path, Folder: "desired/dev"}))
			want := desired.Commit{SHA: hash.String(), Author: "Ada", Subject: "order: bump to 1a2b3c4", At: b.at}
			if diff := cmp.Diff(want, head.Commit); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]string{"order.yaml": "tag: 1a2b3c4", "sub/x.yaml": "deep", "empty.yaml": "", "run.sh": "#!/bin/sh"}, contents(t, head.FS())); diff != "" {
				t.Error(diff)
			}
			file := gitrepo.File{Blob: plumbing.ComputeHash(plumbing.BlobObject, []byte("#!/bin/sh")).String(), Mode: 0o755, Size: 9}
			if diff := cmp.Diff(file, head.Files["run.sh"]); diff != "" {
				t.Error(diff)
			}
			if err := fstest.TestFS(head.FS(), "order.yaml", "sub/x.yaml", "empty.yaml", "run.sh"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFetchOfABranchThatStandsStillReturnsTheSameValue(t *testing.T) {
	b := newRepo(t, true)
	first := b.commit("one", services(3, "a"))
	r := open(t, gitrepo.Config{Source: "file://" + b.path, Folder: "desired/dev/"})
	head := fetch(t, r)
	again := fetch(t, r)
	if reflect.ValueOf(head.Files).Pointer() != reflect.ValueOf(again.Files).Pointer() {
		t.Error("the head was read twice")
	}
	b.commit("two", services(3, "b"), first)
	next := fetch(t, r)
	if next.Commit.SHA == head.Commit.SHA || contents(t, next.FS())["service-00000.yaml"] != "b" {
		t.Errorf("a new commit was not seen: %+v", next.Commit)
	}
	if contents(t, head.FS())["service-00000.yaml"] != "a" {
		t.Error("the head before changed")
	}
}

func TestFetchTellsRewrittenHistory(t *testing.T) {
	b := newRepo(t, true)
	r := open(t, gitrepo.Config{Source: b.path})
	tree := files{"a": "a"}
	root := b.commit("root", tree)
	first := b.commit("first", tree, root)
	if fetch(t, r).Rewritten {
		t.Error("the first head is not a rewrite of anything")
	}
	side := b.commit("side", tree, root)
	b.point("main", first)
	long := first
	for i := range 63 {
		long = b.commit(fmt.Sprint(i), tree, long)
	}
	far := long
	for i := range 64 {
		far = b.commit(fmt.Sprint(i), tree, far)
	}
	steps := []struct {
		name string
		to   func() plumbing.Hash
		want bool
	}{
		{"63 commits on", func() plumbing.Hash { return long }, false},
		{"64 commits at once", func() plumbing.Hash { return far }, true},
		{"back", func() plumbing.Hash { return first }, true},
		{"merged", func() plumbing.Hash { return b.commit("merge", tree, side, first) }, false},
		{"to the side", func() plumbing.Hash { return side }, true},
		{"amended", func() plumbing.Hash { return b.commit("side, amended", tree, root) }, true},
	}
	for _, step := range steps {
		b.point("main", step.to())
		if got := fetch(t, r).Rewritten; got != step.want {
			t.Errorf("%s: rewritten is %t", step.name, got)
		}
	}
}

func TestHeadOutlivesItsRepository(t *testing.T) {
	b := newRepo(t, true)
	b.commit("one", services(3, "a"))
	r := open(t, gitrepo.Config{Source: b.path, Folder: "desired/dev"})
	head := fetch(t, r)
	if err := os.RemoveAll(b.path); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, head.FS()); len(got) != 3 {
		t.Errorf("read %v", got)
	}
	_, err := r.Fetch(t.Context())
	if !fault.Is(err, fault.Blocked) || fault.CodeOf(err) != gitrepo.CodeRepositoryNotFound {
		t.Errorf("error is %v", err)
	}
}

func TestOddEntriesAreListedAndRefused(t *testing.T) {
	b := newRepo(t, true)
	const commit = "1234567890123456789012345678901234567890"
	b.commit("odd", files{
		"d/link":   link("/etc/passwd"),
		"d/module": submodule(commit),
		"d/twin":   "/etc/passwd", // the blob of the link, as a file
		"d/large":  strings.Repeat("x", gitrepo.FileSizeMax+100),
		"d/limit":  strings.Repeat("x", gitrepo.FileSizeMax),
	})
	head := fetch(t, open(t, gitrepo.Config{Source: b.path, Folder: "d"}))
	tree := head.FS()
	for name, mode := range map[string]fs.FileMode{"link": fs.ModeSymlink, "module": fs.ModeIrregular} {
		if got := head.Files[name].Mode.Type(); got != mode {
			t.Errorf("%s has type %s, want %s", name, got, mode)
		}
		if _, err := fs.ReadFile(tree, name); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: error is %v", name, err)
		}
		if _, err := tree.Open(name); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	if info, err := fs.Stat(tree, "large"); err != nil || info.Size() != gitrepo.FileSizeMax+100 {
		t.Errorf("the large file's size is %v, %v", info, err)
	}
	if _, err := fs.ReadFile(tree, "large"); err == nil || !strings.Contains(err.Error(), "has 1048676 bytes, and at most 1048576 are read") {
		t.Errorf("the large file is read: %v", err)
	}
	if got := head.Files["module"].Blob; got != commit {
		t.Errorf("the submodule is at %s", got)
	}
	for name, want := range map[string][2]int{"limit": {gitrepo.FileSizeMax, gitrepo.FileSizeMax}, "twin": {11, 11}} {
		info, err := fs.Stat(tree, name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := fs.ReadFile(tree, name)
		if err != nil || info.Size() != int64(want[0]) || len(data) != want[1] {
			t.Errorf("%s: size %d, %d bytes read, %v; want %v", name, info.Size(), len(data), err, want)
		}
	}
}

func TestFetchErrors(t *testing.T) {
	b := newRepo(t, true)
	b.point("side", b.commit("deep", files{strings.Repeat("d/", 20) + "x": "x"}))
	b.commit("one", files{"desired/dev/a.yaml": "a", "file": "x", "bad/..": "up"})
	tests := []struct {
		name, code, text string
		cfg              gitrepo.Config
		kind             fault.Kind
	}{
		{"folder", gitrepo.CodeFolderNotFound, "has no folder desired/qa", gitrepo.Config{Source: b.path, Folder: "desired/qa"}, fault.Terminal},
		{"folder is a file", gitrepo.CodeFolderNotFound, "has no folder file", gitrepo.Config{Source: b.path, Folder: "file"}, fault.Terminal},
		{"branch", gitrepo.CodeBranchNotFound, "no branch trunk in " + b.path + "; it has main, side", gitrepo.Config{Source: b.path, Branch: "trunk"}, fault.Blocked},
		{"repository", gitrepo.CodeRepositoryNotFound, "is not a git repository", gitrepo.Config{Source: t.TempDir()}, fault.Blocked},
		{"entry", gitrepo.CodeBadTree, `an entry named ".."`, gitrepo.Config{Source: b.path, Folder: "bad"}, fault.Terminal},
		{"depth", gitrepo.CodeFolderTooLarge, "deeper than 16", gitrepo.Config{Source: b.path, Branch: "side", Folder: "d"}, fault.Terminal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := open(t, tt.cfg).Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.text) || fault.KindOf(err) != tt.kind || fault.CodeOf(err) != tt.code {
				t.Errorf("%v (%s, %s); want %q (%s, %s)", err, fault.KindOf(err), fault.CodeOf(err), tt.text, tt.kind, tt.code)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	const secret = "hunter2"
	keys := gitrepo.Auth{SSHKeyFile: "key", SSHKnownHosts: "hosts"}
	tests := []struct {
		name, text string
		cfg        gitrepo.Config
	}{
		{"no source", "no source", gitrepo.Config{}},
		{"password in the source", "holds a password", gitrepo.Config{Source: "https://me:" + secret + "@example.com/r.git"}},
		{"password for ssh", "holds a password", gitrepo.Config{Source: "ssh://git:" + secret + "@example.com/r.git", Auth: keys}},
		{"token as the user", "user name", gitrepo.Config{Source: "https://" + secret + "@example.com/r.git"}},
		{"broken source with a password", "not a URL", gitrepo.Config{Source: "https://me:" + secret + "@exa mple.com:port/%zz"}},
		{"plain http", "write https", gitrepo.Config{Source: "http://example.com/r.git"}},
		{"git protocol", "write https, ssh or a local path", gitrepo.Config{Source: "git://example.com/r.git"}},
		{"ssh without a key", "needs a key file", gitrepo.Config{Source: "git@example.com:org/r.git", Auth: gitrepo.Auth{SSHKnownHosts: "hosts"}}},
		{"ssh without known hosts", "known_hosts", gitrepo.Config{Source: "ssh://git@example.com/r.git", Auth: gitrepo.Auth{SSHKeyFile: "key"}}},
		{"two tokens", "not both", gitrepo.Config{Source: "https://example.com/r", Auth: gitrepo.Auth{TokenEnv: "A", TokenFile: "b"}}},
		{"folder outside", "inside the repository", gitrepo.Config{Source: "/r", Folder: "../x"}},
		{"branch", "branch", gitrepo.Config{Source: "/r", Branch: "a..b"}},
		{"cache is a file", "git cache", gitrepo.Config{Source: "https://example.com/r", CacheDir: "repo_test.go"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := gitrepo.Open(tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.text) || !fault.Is(err, fault.Terminal) {
				t.Fatalf("error is %v, want %q", err, tt.text)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q repeats the secret", err)
			}
		})
	}
}

// What was committed is what is read, for any tree.
func TestAnyTreeIsReadAsItWasCommitted(t *testing.T) {
	b := newRepo(t, true)
	r := open(t, gitrepo.Config{Source: b.path, Folder: "f"})
	name := rapid.StringMatching(`[a-c]{1,2}(/[a-c]{1,2}){0,2}\.(yaml|md)`)
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.MapOf(name, rapid.StringN(0, 40, -1)).Draw(rt, "tree")
		tree := files{"f/always": "here"}
		for path, content := range want {
			tree["f/"+path] = content
		}
		want["always"] = "here"
		b.commit("any", tree)
		head := fetch(t, r)
		if diff := cmp.Diff(want, contents(t, head.FS())); diff != "" {
			rt.Fatal(diff)
		}
		if len(head.Files) != len(want) {
			rt.Fatalf("%d files, want %d", len(head.Files), len(want))
		}
	})
}

// While commits are made, whatever is fetched is one commit whole: each of them gives every file its own content.
func TestEveryHeadIsOneCommit(t *testing.T) {
	b := newRepo(t, false)
	tip := b.commit("0", services(20, "0"))
	r := open(t, gitrepo.Config{Source: b.path, Folder: "desired/dev"})
	const commits = 40
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for last := false; !last; {
				select {
				case <-done:
					last = true
				default:
				}
				head, err := r.Fetch(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				tree := head.FS()
				for name := range head.Files {
					if data, err := fs.ReadFile(tree, name); err != nil || string(data) != head.Commit.Subject {
						t.Errorf("%s of commit %s holds %q, %v", name, head.Commit.Subject, data, err)
					}
				}
				if last && head.Commit.Subject != fmt.Sprint(commits) {
					t.Errorf("the newest commit is %s", head.Commit.Subject)
				}
			}
		})
	}
	for i := range commits {
		tip = b.commit(fmt.Sprint(i+1), services(20, fmt.Sprint(i+1)), tip)
	}
	close(done)
	readers.Wait()
}

func BenchmarkFetch(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		repo := newRepo(b, true)
		tree := files{}
		for i := range n {
			tree[fmt.Sprintf("desired/dev/service-%05d.yaml", i)] = fmt.Sprintf("name: service-%d\n%s", i, strings.Repeat("key: value\n", 100))
		}
		tip := repo.commit("base", tree)
		r := open(b, gitrepo.Config{Source: repo.path, Folder: "desired/dev"})
		first := time.Now()
		fetch(b, r)
		b.Logf("%d files, first fetch: %s", n, time.Since(first))
		b.Run(fmt.Sprintf("unchanged/%d", n), func(b *testing.B) {
			for b.Loop() {
				fetch(b, r)
			}
		})
		b.Run(fmt.Sprintf("one_file_of/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				tree["desired/dev/service-00000.yaml"] = fmt.Sprint(i)
				tip = repo.commit("change", tree, tip)
				b.StartTimer()
				fetch(b, r)
			}
		})
	}
}

// A repository that lies on this machine is found where it is now: another one in its place, none, and the one before again.
func TestLocalRepositoryIsExchanged(t *testing.T) {
	for _, bare := range []bool{false, true} {
		first, second := newRepo(t, bare), newRepo(t, bare)
		want := map[string]string{}
		for _, b := range []*builder{first, second} {
			want[b.path] = b.commit("in "+b.path, files{"desired/dev/a.yaml": b.path}).String()
		}
		place := filepath.Join(t.TempDir(), "here")
		repo := open(t, gitrepo.Config{Source: place, Folder: "desired/dev"})
		for _, from := range []string{first.path, first.path, "", second.path, first.path, ""} {
			if err := os.RemoveAll(place); err != nil {
				t.Fatal(err)
			}
			if from == "" {
				if _, err := repo.Fetch(t.Context()); fault.CodeOf(err) != gitrepo.CodeRepositoryNotFound {
					t.Errorf("bare=%t, nothing there: %v", bare, err)
				}
				continue
			}
			if err := os.CopyFS(place, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			if head, err := repo.Fetch(t.Context()); err != nil || head.Commit.SHA != want[from] {
				t.Errorf("bare=%t, found %s, error %v, want %s", bare, head.Commit.SHA, err, want[from])
			}
		}
	}
}
