package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	gitconfig "github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/memory"
)

// remote is a repository behind https or ssh.
type remote struct {
	url      string
	end      *transport.Endpoint
	branch   string
	auth     Auth
	cacheDir string
}

func (r *remote) tip(ctx context.Context) (plumbing.Hash, error) {
	access, err := r.access()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	refs, err := inTime(ctx, func() ([]*plumbing.Reference, error) {
		return r.on(memory.NewStorage()).ListContext(ctx, &git.ListOptions{Auth: access.method, PeelingOption: git.IgnorePeeled, ProxyOptions: r.way(ctx)})
	})
	if err != nil {
		return plumbing.ZeroHash, r.classify(err, access)
	}
	var have []string
	for _, ref := range refs {
		if ref.Name() == plumbing.NewBranchReferenceName(r.branch) {
			return ref.Hash(), nil
		}
		if ref.Name().IsBranch() {
			have = append(have, ref.Name().Short())
		}
	}
	return plumbing.ZeroHash, noBranch(r.branch, r.url, have)
}

func (r *remote) with(ctx context.Context, before plumbing.Hash, read readFunc) (*Head, error) {
	access, err := r.access()
	if err != nil {
		return nil, err
	}
	return inTime(ctx, func() (*Head, error) {
		objects, remove, err := r.store()
		if err != nil {
			return nil, err
		}
		defer remove()
		if err := r.fetch(ctx, objects, 1, access); err != nil {
			return nil, r.classify(err, access)
		}
		ref, err := objects.Reference(tracked)
		if err != nil {
			return nil, fmt.Errorf("fetched branch: %w", err)
		}
		commit, err := object.GetCommit(objects, ref.Hash())
		if err != nil {
			return nil, fmt.Errorf("commit %s: %w", ref.Hash(), err)
		}
		if before.IsZero() || slices.Contains(commit.ParentHashes, before) {
			return read(ctx, objects, ref.Hash())
		}
		// More than one commit at once, or another history: what lies between has to be seen. Only what the first fetch did not
		// bring is transferred.
		err = r.fetch(ctx, objects, generationsMax, access)
		if err != nil && !errors.Is(err, git.NoErrAlreadyUpToDate) {
			return nil, r.classify(err, access)
		}
		if ref, err = objects.Reference(tracked); err != nil {
			return nil, fmt.Errorf("fetched branch: %w", err)
		}
		return read(ctx, objects, ref.Hash())
	})
}

// tracked is the branch in the store that takes what is fetched.
const tracked = plumbing.ReferenceName("refs/heads/tip")

func (r *remote) fetch(ctx context.Context, objects storage.Storer, depth int, access access) error {
	return r.on(objects).FetchContext(ctx, &git.FetchOptions{
		RefSpecs: []gitconfig.RefSpec{gitconfig.RefSpec("+refs/heads/" + r.branch + ":" + tracked.String())},
		Depth:    depth,
		Tags:     git.NoTags,
		Auth:     access.method,

		ProxyOptions: r.way(ctx),
	})
}

func (r *remote) on(objects storage.Storer) *git.Remote {
	return git.NewRemote(objects, &gitconfig.RemoteConfig{Name: "origin", URLs: []string{r.url}})
}

// store returns a new and empty store, and what removes it.
func (r *remote) store() (storage.Storer, func(), error) {
	if r.cacheDir == "" {
		return newPack(), func() {}, nil
	}
	dir, err := os.MkdirTemp(r.cacheDir, cachePrefix)
	if err != nil {
		return nil, nil, fmt.Errorf("git cache: %w", err)
	}
	objects := filesystem.NewStorageWithOptions(osfs.New(dir), cache.NewObjectLRU(objectsKept), filesystem.Options{LargeObjectThreshold: FileSizeMax})
	return objects, func() {
		_ = objects.Close()
		_ = os.RemoveAll(dir) // what stays is removed at the next Open
	}, nil
}

// objectsKept bounds what go-git keeps of the objects that it has unpacked from a disk: none is read twice here.
const objectsKept = 8 * cache.MiByte

const cachePrefix = "fetch-"

// prepareCache makes the directory and removes what a controller that was killed left in it.
func prepareCache(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(dir, cachePrefix+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// inTime returns when ctx ends even where f does not, since not all of go-git takes a context. f works only on what it made
// itself, so it may end later; what it waits for ends with ctx's deadline (way).
func inTime[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		value, err := f()
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
