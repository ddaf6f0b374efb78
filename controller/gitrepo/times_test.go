package gitrepo_test

import (
	"testing"

	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/canteen/deploy/controller/gitrepo"
)

// The times of commits come along with fetches: those since the start, and before it as far as the source has them.
func TestCommitTimes(t *testing.T) {
	b := newRepo(t, false)
	first := b.commit("first", files{"desired/dev/a.yaml": "1"})
	second := b.commit("second", files{"desired/dev/a.yaml": "2"}, first)
	b.point("main", second)
	r := open(t, gitrepo.Config{Source: b.path, Folder: "desired/dev"})
	if _, ok := r.CommitTime(first.String()); ok {
		t.Error("a commit is known before anything was fetched")
	}
	fetch(t, r)
	third := b.commit("third", files{"desired/dev/a.yaml": "2", "worker": "x"}, second)
	b.point("main", third)
	fetch(t, r)
	for _, hash := range []string{first.String(), second.String()[:7], third.String()[:12]} {
		at, ok := r.CommitTime(hash)
		if !ok {
			t.Errorf("commit %s is not known", hash)
			continue
		}
		iter, err := reopened(t, b.path).CommitObjects()
		if err != nil {
			t.Fatal(err)
		}
		_ = iter.ForEach(func(c *object.Commit) error {
			if id := c.Hash.String(); id[:len(hash)] == hash && !c.Committer.When.Equal(at) {
				t.Errorf("commit %s was made at %s, told %s", hash, c.Committer.When, at)
			}
			return nil
		})
	}
	for _, unknown := range []string{"", "latest", "0000000", first.String()[:6]} {
		if at, ok := r.CommitTime(unknown); ok {
			t.Errorf("%q was made at %s, want unknown", unknown, at)
		}
	}
}
