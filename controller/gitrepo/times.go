package gitrepo

import (
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// The bounds of the memory of commits: the oldest are forgotten first.
const (
	timesMax  = 20_000
	shortHash = 7 // the least digits that a commit is named by
)

// times remembers when the commits were made that fetches brought along, so that it can be told how old a change is without
// another question to the server.
type times struct {
	mu    sync.Mutex
	at    map[string]time.Time // by id
	short map[string][]string  // ids by their first digits
	order []string             // oldest first
}

// CommitTime answers when the commit was made (its committer's time) whose id begins with the given digits, at least seven. It
// knows the commits that came by since Open, and up to 64 generations before them where the source has them: of a remote one
// that is only what was fetched. It reports false where it knows none, or several.
func (r *Repo) CommitTime(id string) (time.Time, bool) { return r.times.of(id) }

func (t *times) of(id string) (time.Time, bool) {
	if len(id) < shortHash {
		return time.Time{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found := ""
	for _, full := range t.short[id[:shortHash]] {
		if !strings.HasPrefix(full, id) {
			continue
		}
		if found != "" {
			return time.Time{}, false
		}
		found = full
	}
	at, ok := t.at[found]
	return at, ok
}

// see remembers the tip and its ancestors, back to those that are known already. A store that has no more of them ends it: what
// is not known here is only not told.
func (t *times) see(objects storer.EncodedObjectStorer, tip plumbing.Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	generation := []plumbing.Hash{tip}
	for range generationsMax {
		var parents []plumbing.Hash
		for _, hash := range generation {
			if _, known := t.at[hash.String()]; known {
				continue
			}
			commit, err := object.GetCommit(objects, hash)
			if err != nil {
				continue
			}
			t.add(hash.String(), commit.Committer.When.UTC())
			parents = append(parents, commit.ParentHashes...)
		}
		generation = parents
	}
}

func (t *times) add(id string, at time.Time) {
	if t.at == nil {
		t.at, t.short = map[string]time.Time{}, map[string][]string{}
	}
	t.at[id] = at
	t.short[id[:shortHash]] = append(t.short[id[:shortHash]], id)
	t.order = append(t.order, id)
	if len(t.order) <= timesMax {
		return
	}
	old := t.order[0]
	t.order = t.order[1:]
	delete(t.at, old)
	rest := t.short[old[:shortHash]][1:] // of one beginning, too, the oldest stands first
	if len(rest) == 0 {
		delete(t.short, old[:shortHash])
		return
	}
	t.short[old[:shortHash]] = rest
}
