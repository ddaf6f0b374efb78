package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/canteen/deploy/controller/desired"
)

// repo is the repository that the controller follows, made from desired/dev of this checkout.
type repo struct {
	dir string
	git *git.Repository
}

const (
	serviceFile     = "desired/dev/order-processing.yaml"
	environmentFile = "desired/dev/environment.yaml"
)

// edit is one value of one file.
type edit struct {
	file, value string
	path        []string
}

// waits are what the demo changes of desired/dev, so that the story fits into two minutes.
var waits = []edit{
	{serviceFile, "10s", []string{"spec", "verify", "bake"}},
	{environmentFile, "4s", []string{"spec", "drift", "after"}},
}

func bump(v *version) edit {
	return edit{serviceFile, v.tag, []string{"spec", "containers", container, "image", "tag"}}
}

// newRepo copies desired/dev, shortens the waits and begins a repository with it. There is nothing to commit on top of
// until the first version is asked for.
func newRepo(root, dir string) (*repo, error) {
	r := &repo{dir: dir}
	if err := os.CopyFS(filepath.Join(dir, "desired", "dev"), os.DirFS(filepath.Join(root, "desired", "dev"))); err != nil {
		return nil, fmt.Errorf("copy desired/dev: %w", err)
	}
	var err error
	r.git, err = git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
	if err != nil {
		return nil, fmt.Errorf("begin the repository: %w", err)
	}
	return r, r.edit(waits...)
}

func (r *repo) edit(edits ...edit) error {
	for _, e := range edits {
		file := filepath.Join(r.dir, filepath.FromSlash(e.file))
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if data, err = desired.Set(data, e.value, e.path...); err != nil {
			return fmt.Errorf("edit %s: %w", e.file, err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// commit edits and commits, and returns the commit's short SHA.
func (r *repo) commit(subject string, edits ...edit) (string, error) {
	if err := r.edit(edits...); err != nil {
		return "", err
	}
	tree, err := r.git.Worktree()
	if err != nil {
		return "", err
	}
	if err := tree.AddGlob("desired"); err != nil {
		return "", fmt.Errorf("stage: %w", err)
	}
	hash, err := tree.Commit(subject, &git.CommitOptions{Author: &object.Signature{Name: "A developer", Email: "developer@canteen.example", When: time.Now()}})
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	return hash.String()[:7], nil
}
