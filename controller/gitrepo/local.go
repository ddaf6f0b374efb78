package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/canteen/deploy/controller/fault"
)

// local is a repository on this machine. It is opened anew whenever objects are read: an opened one would not see the packs that a
// later git gc writes.
type local struct {
	path, branch string
	opened       storer.ReferenceStorer // the newest one, which reads its references from the disk each time; nil for none
}

func (l *local) tip(context.Context) (plumbing.Hash, error) {
	if l.opened != nil {
		if ref, err := storer.ResolveReference(l.opened, plumbing.NewBranchReferenceName(l.branch)); err == nil {
			return ref.Hash(), nil
		}
	}
	_, tip, err := l.open() // which says what is wrong
	return tip, err
}

func (l *local) with(ctx context.Context, _ plumbing.Hash, read readFunc) (*Head, error) {
	repo, tip, err := l.open()
	if err != nil {
		return nil, err
	}
	return read(ctx, repo.Storer, tip)
}

func (l *local) open() (*git.Repository, plumbing.Hash, error) {
	l.opened = nil
	repo, err := git.PlainOpenWithOptions(l.path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, plumbing.ZeroHash, fault.New(fault.Blocked, CodeRepositoryNotFound, fmt.Errorf("%s is not a git repository", l.path))
	}
	if err != nil {
		return nil, plumbing.ZeroHash, fmt.Errorf("open %s: %w", l.path, err)
	}
	storage, err := bounded(repo)
	if err == nil {
		repo, err = git.Open(storage, nil)
	}
	if err != nil {
		return nil, plumbing.ZeroHash, fmt.Errorf("open %s: %w", l.path, err)
	}
	ref, err := repo.Reference(plumbing.NewBranchReferenceName(l.branch), true)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		have := branches(repo)
		if slices.Contains(have, l.branch) {
			// go-git, unlike git, empties a branch's file before it writes the new commit into it.
			return nil, plumbing.ZeroHash, fmt.Errorf("branch %s of %s is being written", l.branch, l.path)
		}
		return nil, plumbing.ZeroHash, noBranch(l.branch, l.path, have)
	}
	if err != nil {
		return nil, plumbing.ZeroHash, fmt.Errorf("branch %s of %s: %w", l.branch, l.path, err)
	}
	// A work tree's .git may be a file that says where the repository is, and may come to say something else.
	if root := storage.Filesystem().Root(); root == l.path || root == filepath.Join(l.path, git.GitDirName) {
		l.opened = storage
	}
	return repo, ref.Hash(), nil
}

// bounded is the repository's storage with a cache of objectsKept bytes; as it was opened it keeps up to 96 MiB of objects while it is
// read.
func bounded(repo *git.Repository) (*filesystem.Storage, error) {
	opened, ok := repo.Storer.(*filesystem.Storage)
	if !ok {
		return nil, fmt.Errorf("its storage is a %T, which is not on a disk", repo.Storer)
	}
	return filesystem.NewStorage(opened.Filesystem(), cache.NewObjectLRU(objectsKept)), nil
}

// branches are for an error's text only, so a listing that fails is an empty one.
func branches(repo *git.Repository) []string {
	var names []string
	if iter, err := repo.Branches(); err == nil {
		_ = iter.ForEach(func(ref *plumbing.Reference) error {
			names = append(names, ref.Name().Short())
			return nil
		})
	}
	return names
}

func noBranch(branch, source string, have []string) error {
	const shown = 5
	slices.Sort(have)
	text := "it has none"
	if len(have) > shown {
		text = fmt.Sprintf("it has %s and %d more", strings.Join(have[:shown], ", "), len(have)-shown)
	} else if len(have) > 0 {
		text = "it has " + strings.Join(have, ", ")
	}
	return fault.New(fault.Blocked, CodeBranchNotFound, fmt.Errorf("no branch %s in %s; %s", branch, source, text))
}
