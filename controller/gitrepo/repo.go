// Package gitrepo follows one branch: the content of one folder at the branch's newest commit. It needs no git binary.
// A local repository is read where it lies, at what its branch has committed; the work tree is never looked at. Of a
// remote one, each new head is fetched afresh, shallow, into memory or a directory that is gone afterwards. That costs a
// download of the tree for each commit, and buys that nothing can be stale, corrupt, locked or growing.
package gitrepo

import (
	"context"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
)

// generationsMax is how far back the head before is looked for, and how deep a remote source is fetched for that.
const generationsMax = 64

// fetchTimeMax ends a fetch whose caller set no deadline and whose server says nothing.
const fetchTimeMax = 5 * time.Minute

// Head is the folder at one commit. It is complete and never changes: it can be read for as long as it is kept,
// whatever happens to the repository. Its maps are shared and must not be modified.
type Head struct {
	Commit desired.Commit
	// Files are the folder's files at any depth, by their slash-separated path below the folder.
	Files map[string]File
	// Rewritten reports that the head that Fetch returned before is not among this one's ancestors: the branch was
	// force-pushed (or moved by more than 64 generations at once, which a bounded fetch cannot tell from it).
	Rewritten bool
	// Confirms are the values of the trailers desired.ConfirmTrailer of the commits that came since the head that Fetch returned
	// before, newest first; of the first head, of that commit alone.
	Confirms []string
	// Parents are the ids of the commits that Commit was made on.
	Parents []string

	folder   plumbing.Hash      // of the folder's tree: equal ids, equal files
	contents map[string]content // by blob
}

// Repo follows one branch of one repository. It is safe for concurrent use; fetches take turns.
type Repo struct {
	cfg    Config
	source source
	turn   chan struct{} // holds a token while nobody fetches
	last   *Head         // guarded by turn
	times  times
}

// source is where commits come from.
type source interface {
	// tip asks for the branch's newest commit, and for nothing else.
	tip(ctx context.Context) (plumbing.Hash, error)
	// with fetches the branch's newest commit and calls read with it. Where history must be transferred, that is one generation,
	// or generationsMax where the head before (zero for none) is not that commit's parent. The objects are gone when read
	// returns.
	with(ctx context.Context, before plumbing.Hash, read readFunc) (*Head, error)
}

type readFunc func(context.Context, storer.EncodedObjectStorer, plumbing.Hash) (*Head, error)

// Open checks the configuration and asks nobody yet, so that a controller starts while its git server is down. Its
// errors are fault.Terminal.
func Open(cfg Config) (*Repo, error) {
	cfg = cfg.withDefaults()
	end, err := cfg.check()
	if err != nil {
		return nil, fault.New(fault.Terminal, CodeConfig, fmt.Errorf("git repository: %w", err))
	}
	r := &Repo{cfg: cfg, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	if end.Protocol == "file" {
		r.source = &local{path: end.Path, branch: cfg.Branch}
		return r, nil
	}
	if err := prepareCache(cfg.CacheDir); err != nil {
		return nil, fault.New(fault.Terminal, CodeConfig, fmt.Errorf("git cache: %w", err))
	}
	r.source = &remote{url: cfg.Source, end: end, branch: cfg.Branch, auth: cfg.Auth, cacheDir: cfg.CacheDir}
	return r, nil
}

// Fetch returns the folder at the branch's newest commit. While the branch stands still that costs one question for its
// tip, and the value is the same as before. Contents of blobs that the head before had are taken from it.
//
// Errors: fault.Terminal when that commit cannot be used (no such folder, too large), fault.Blocked when somebody has to
// mend access, repository or branch; anything else, such as the network, is worth another try. After an error the head
// before is still good. No error holds a token or a key.
func (r *Repo) Fetch(ctx context.Context) (Head, error) {
	select {
	case <-r.turn:
		defer func() { r.turn <- struct{}{} }()
	case <-ctx.Done():
		return Head{}, fmt.Errorf("wait for the fetch before this one: %w", ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeMax)
	defer cancel()
	head, err := r.fetch(ctx)
	if err != nil {
		return Head{}, fmt.Errorf("follow branch %s: %w", r.cfg.Branch, err)
	}
	r.last = head
	return *head, nil
}

func (r *Repo) fetch(ctx context.Context) (*Head, error) {
	tip, err := r.source.tip(ctx)
	if err != nil {
		return nil, err
	}
	last, before := r.last, plumbing.ZeroHash
	if last != nil {
		if before = plumbing.NewHash(last.Commit.SHA); tip == before {
			return last, nil
		}
	}
	return r.source.with(ctx, before, func(ctx context.Context, objects storer.EncodedObjectStorer, tip plumbing.Hash) (*Head, error) {
		head, err := readHead(ctx, objects, tip, r.cfg.Folder, last)
		if err == nil {
			r.times.see(objects, tip)
		}
		return head, err
	})
}
