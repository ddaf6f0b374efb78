package story

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/desired"
)

// folder is where the environment's files are in the repository.
const folder = "desired/dev"

// repository is what developers commit to. It remembers each commit as the Observer needs it.
type repository struct {
	dir    string
	source string // where the controller finds it: a link to dir, so that it can go out of reach while developers go on
	git    *git.Repository

	mu     sync.Mutex
	loader *desired.Loader
	words  []word
	gone   time.Time // since when the controller cannot reach it; zero while it can
	dead   time.Time // since when no controller runs
	blind  []span    // when none read it
}

// span is a time that is over.
type span struct{ from, to time.Time }

// word is what one commit said.
type word struct {
	at       time.Time
	sha      string
	snapshot *desired.Snapshot
}

func newRepository(dir string, services []string) (*repository, error) {
	r := &repository{dir: dir, source: dir + "-remote", loader: desired.NewLoader(app.Kinds())}
	if err := os.MkdirAll(r.path(""), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(r.path(desired.EnvironmentFile), baseEnvironment, 0o600); err != nil {
		return nil, err
	}
	for _, s := range services {
		if err := os.WriteFile(r.path(s+".yaml"), forService(baseService, s), 0o600); err != nil {
			return nil, err
		}
	}
	var err error
	if err = os.Symlink(filepath.Base(dir), r.source); err != nil {
		return nil, err
	}
	r.git, err = git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
	if err != nil {
		return nil, fmt.Errorf("begin the repository: %w", err)
	}
	return r, nil
}

func forService(text []byte, name string) []byte {
	return bytes.ReplaceAll(text, []byte("NAME"), []byte(name))
}

func (r *repository) path(file string) string {
	return filepath.Join(r.dir, filepath.FromSlash(folder), file)
}

// edit changes one file's text.
func (r *repository) edit(file string, change func([]byte) ([]byte, error)) error {
	data, err := os.ReadFile(r.path(file))
	if err != nil {
		return err
	}
	if data, err = change(data); err != nil {
		return fmt.Errorf("edit %s: %w", file, err)
	}
	return os.WriteFile(r.path(file), data, 0o600)
}

// set changes one text, named by its path with dots.
func (r *repository) set(file, path, value string) error {
	return r.edit(file, func(data []byte) ([]byte, error) { return desired.Set(data, value, strings.Split(path, ".")...) })
}

// add appends one member to the file's spec, which is its last mapping.
func (r *repository) add(file, member string) error {
	return r.edit(file, func(data []byte) ([]byte, error) { return append(data, "  "+member+"\n"...), nil })
}

// drop removes the members of the file's spec that begin so.
func (r *repository) drop(file, member string) error {
	return r.edit(file, func(data []byte) ([]byte, error) {
		lines := slices.DeleteFunc(bytes.SplitAfter(data, []byte("\n")), func(l []byte) bool { return bytes.HasPrefix(l, []byte("  "+member+":")) })
		return bytes.Join(lines, nil), nil
	})
}

// commit commits all files and answers the commit's short SHA.
func (r *repository) commit(subject string) (string, error) {
	newest, err := r.newestCommit()
	switch {
	case errors.Is(err, plumbing.ErrReferenceNotFound):
		return r.commitOn(nil, subject) // the first
	case err != nil:
		return "", err
	}
	return r.commitOn([]plumbing.Hash{newest.Hash}, subject)
}

// commitOn commits all files as they are on top of the parents. It writes git's objects itself: the index and the comparison with the
// work tree, which git needs for more than this, would cost a story as much as a tenth of its requests.
func (r *repository) commitOn(parents []plumbing.Hash, subject string) (string, error) {
	tree, err := r.tree(r.dir)
	if err != nil {
		return "", fmt.Errorf("store the files: %w", err)
	}
	for _, p := range parents {
		if before, err := r.git.CommitObject(p); err != nil {
			return "", fmt.Errorf("read the commit before: %w", err)
		} else if before.TreeHash == tree {
			return "", git.ErrEmptyCommit // as git says it
		}
	}
	who := object.Signature{Name: "A developer", Email: "developer@canteen.example", When: time.Now().UTC()}
	hash, err := r.store(&object.Commit{Author: who, Committer: who, Message: subject, TreeHash: tree, ParentHashes: parents})
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	if err := r.git.Storer.SetReference(plumbing.NewHashReference(branchName, hash)); err != nil {
		return "", fmt.Errorf("move the branch: %w", err)
	}
	return r.say(hash), nil
}

// tree stores the files and folders of a folder.
func (r *repository) tree(dir string) (plumbing.Hash, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	t := &object.Tree{}
	for _, e := range entries {
		at, one := filepath.Join(dir, e.Name()), object.TreeEntry{Name: e.Name(), Mode: filemode.Regular}
		switch {
		case e.Name() == git.GitDirName:
			continue
		case e.IsDir():
			one.Mode = filemode.Dir
			one.Hash, err = r.tree(at)
		default:
			var data []byte
			if data, err = os.ReadFile(at); err == nil {
				one.Hash, err = r.store(blob(data))
			}
		}
		if err != nil {
			return plumbing.ZeroHash, err
		}
		t.Entries = append(t.Entries, one)
	}
	sort.Sort(object.TreeEntrySorter(t.Entries))
	return r.store(t)
}

type blob []byte

// Encode makes it one of git's objects.
func (b blob) Encode(o plumbing.EncodedObject) error {
	o.SetType(plumbing.BlobObject)
	o.SetSize(int64(len(b)))
	w, err := o.Writer()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return errors.Join(err, w.Close())
}

// store keeps an object, unless there is one like it: as a file of its own, as git does, and not made smaller, which takes longer than all
// else about it.
func (r *repository) store(v interface {
	Encode(plumbing.EncodedObject) error
}) (plumbing.Hash, error) {
	o := &plumbing.MemoryObject{}
	if err := v.Encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	name := o.Hash().String()
	path := filepath.Join(r.dir, git.GitDirName, "objects", name[:2], name[2:])
	if _, err := os.Stat(path); err == nil {
		return o.Hash(), nil
	}
	var file bytes.Buffer
	deflate := deflaters.Get().(*zlib.Writer)
	defer deflaters.Put(deflate)
	deflate.Reset(&file)
	content, err := o.Reader()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	_, head := fmt.Fprintf(deflate, "%s %d\x00", o.Type(), o.Size())
	_, body := io.Copy(deflate, content)
	return o.Hash(), errors.Join(head, body, deflate.Close(), os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, file.Bytes(), 0o444))
}

var deflaters = sync.Pool{New: func() any {
	w, err := zlib.NewWriterLevel(nil, zlib.NoCompression)
	if err != nil {
		panic(err) // never, with this level
	}
	return w
}}

// say remembers what the branch says from now on, and answers the commit's short SHA.
func (r *repository) say(commit plumbing.Hash) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.words = append(r.words, word{at: time.Now().UTC(), sha: commit.String(), snapshot: r.loader.Load(os.DirFS(r.path("")))})
	return commit.String()[:7]
}

// newest is what the newest commit says.
func (r *repository) newest() *desired.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.words[len(r.words)-1].snapshot
}

// away takes the repository out of the controller's reach, or brings it back.
func (r *repository) away(gone bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !gone {
		r.blind = append(r.blind, span{r.gone, time.Now()})
		r.gone = time.Time{}
		return os.Symlink(filepath.Base(r.dir), r.source)
	}
	r.gone = time.Now()
	return os.Remove(r.source)
}

// alive is told when a controller starts or ends.
func (r *repository) alive(is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !is {
		r.dead = time.Now()
	} else if !r.dead.IsZero() {
		r.blind = append(r.blind, span{r.dead, time.Now()})
		r.dead = time.Time{}
	}
}

// lastRead is the last time not after since at which a controller has certainly read the repository: one that can looks at it every
// poll, so that it may have missed what was said in the last one.
func (r *repository) lastRead(since time.Time) time.Time {
	blind := slices.Clone(r.blind)
	for _, open := range []time.Time{r.gone, r.dead} {
		if !open.IsZero() {
			blind = append(blind, span{open, time.Now()})
		}
	}
	for again := true; again; {
		again = false
		for _, b := range blind {
			if b.from.Before(since) && !b.to.Before(since) {
				since, again = b.from.Add(-poll), true
			}
		}
	}
	return since
}

// asks are the valid words about a service of which one was the newest at each time from then on, oldest first. Who cannot
// reach the repository knows what was said until then.
func (r *repository) asks(service string, since time.Time) []*desired.Service {
	r.mu.Lock()
	defer r.mu.Unlock()
	since = r.lastRead(since)
	var out []*desired.Service
	for i, w := range slices.Backward(r.words) {
		s := w.snapshot.Services[service]
		if s == nil {
			continue // an invalid file leaves the last valid word standing that was read
		}
		out = append(out, s)
		unread := i+1 < len(r.words) && r.words[i+1].at.Sub(w.at) < poll // perhaps
		if !w.at.After(since) && !unread {
			break
		}
	}
	slices.Reverse(out)
	return out
}
