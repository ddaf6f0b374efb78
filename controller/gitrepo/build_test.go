package gitrepo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// files are a commit's files by path: plain content, or an odd entry.
type files map[string]any

type link string      // a symbolic link
type script string    // an executable
type submodule string // a commit's id

// builder writes commits straight into a repository's objects, so that a tree may hold what no work tree could.
type builder struct {
	t    testing.TB
	repo *git.Repository
	path string
	at   time.Time
}

func newRepo(t testing.TB, bare bool) *builder {
	t.Helper()
	path := filepath.Join(t.TempDir(), "repo.git")
	repo, err := git.PlainInit(path, bare)
	if err != nil {
		t.Fatal(err)
	}
	return &builder{t: t, repo: repo, path: path, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// commit writes a commit and moves main there.
func (b *builder) commit(message string, tree files, parents ...plumbing.Hash) plumbing.Hash {
	b.t.Helper()
	b.at = b.at.Add(time.Minute)
	who := object.Signature{Name: "Ada", Email: "ada@example.com", When: b.at}
	hash := b.store(&object.Commit{Author: who, Committer: who, Message: message, TreeHash: b.tree(tree), ParentHashes: parents})
	b.point("main", hash)
	return hash
}

// point moves a branch as git does, by renaming a lock file. go-git's own way empties the file first, and a reader at that
// moment sees no branch.
func (b *builder) point(branch string, to plumbing.Hash) {
	b.t.Helper()
	dir := b.path
	if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
		dir = filepath.Join(dir, ".git")
	}
	ref := filepath.Join(dir, "refs", "heads", branch)
	if err := os.WriteFile(ref+".lock", []byte(to.String()+"\n"), 0o644); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(ref+".lock", ref); err != nil {
		b.t.Fatal(err)
	}
}

type encoder interface {
	Encode(plumbing.EncodedObject) error
}

func (b *builder) store(e encoder) plumbing.Hash {
	b.t.Helper()
	o := b.repo.Storer.NewEncodedObject()
	if err := e.Encode(o); err != nil {
		b.t.Fatal(err)
	}
	hash, err := b.repo.Storer.SetEncodedObject(o)
	if err != nil {
		b.t.Fatal(err)
	}
	return hash
}

func (b *builder) blob(content string) plumbing.Hash {
	b.t.Helper()
	o := b.repo.Storer.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	w, _ := o.Writer()
	if _, err := w.Write([]byte(content)); err != nil {
		b.t.Fatal(err)
	}
	hash, err := b.repo.Storer.SetEncodedObject(o)
	if err != nil {
		b.t.Fatal(err)
	}
	return hash
}

func (b *builder) tree(f files) plumbing.Hash {
	b.t.Helper()
	tree, dirs := &object.Tree{}, map[string]files{}
	for name, content := range f {
		if dir, rest, ok := strings.Cut(name, "/"); ok {
			if dirs[dir] == nil {
				dirs[dir] = files{}
			}
			dirs[dir][rest] = content
			continue
		}
		e := object.TreeEntry{Name: name}
		switch c := content.(type) {
		case string:
			e.Mode, e.Hash = filemode.Regular, b.blob(c)
		case script:
			e.Mode, e.Hash = filemode.Executable, b.blob(string(c))
		case link:
			e.Mode, e.Hash = filemode.Symlink, b.blob(string(c))
		case submodule:
			e.Mode, e.Hash = filemode.Submodule, plumbing.NewHash(string(c))
		default:
			b.t.Fatalf("%s: a %T is not a file", name, c)
		}
		tree.Entries = append(tree.Entries, e)
	}
	for dir, f := range dirs {
		tree.Entries = append(tree.Entries, object.TreeEntry{Name: dir, Mode: filemode.Dir, Hash: b.tree(f)})
	}
	slices.SortFunc(tree.Entries, func(x, y object.TreeEntry) int { return strings.Compare(sortName(x), sortName(y)) })
	return b.store(tree)
}

// sortName is what git orders a tree's entries by.
func sortName(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

func services(n int, content string) files {
	f := files{}
	for i := range n {
		f[fmt.Sprintf("desired/dev/service-%05d.yaml", i)] = content
	}
	return f
}

// reopened is the repository without what an opened one keeps in memory.
func reopened(t testing.TB, path string) *git.Repository {
	t.Helper()
	repo, err := git.PlainOpen(path)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}
