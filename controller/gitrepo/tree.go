package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
)

// The bounds of a folder.
const (
	// FileSizeMax is the size up to which a file is read, in bytes. Of a larger one only the size is known.
	FileSizeMax = 1 << 20
	// NameMax is the longest name of a file or folder, in bytes: that of a whole path on Linux. Longer ones were written by hand.
	NameMax = 4096

	filesMax      = 50_000
	folderSizeMax = 64 << 20 // bytes, of what is read
	foldersDeep   = 16
)

// File is one file of the folder.
type File struct {
	Blob string // git's id of the content: equal ids, equal content
	// Mode is 0644 or 0755 for files. Symbolic links (fs.ModeSymlink) and submodules (fs.ModeIrregular) are listed so
	// that they can be told, and cannot be opened.
	Mode fs.FileMode
	Size int64 // bytes; 0 of a submodule
}

// content is what was read of one blob.
type content struct {
	data []byte // nil of a file larger than FileSizeMax
	size int64
}

// readHead reads the folder at a commit. Contents that last has are taken from it.
func readHead(ctx context.Context, objects storer.EncodedObjectStorer, tip plumbing.Hash, folder string, last *Head) (*Head, error) {
	commit, err := object.GetCommit(objects, tip)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", tip, err)
	}
	tree, err := commit.Tree()
	if err == nil && folder != "." {
		tree, err = tree.Tree(folder)
	}
	if errors.Is(err, object.ErrDirectoryNotFound) {
		return nil, fault.New(fault.Terminal, CodeFolderNotFound, fmt.Errorf("commit %s has no folder %s", tip, folder))
	}
	if err != nil {
		return nil, fmt.Errorf("folder %s of commit %s: %w", folder, tip, err)
	}
	head := &Head{Commit: describe(commit), folder: tree.Hash}
	if last != nil && last.folder == head.folder {
		head.Files, head.contents = last.Files, last.contents // the commits between were about other folders
	} else {
		head.Files, head.contents = map[string]File{}, map[string]content{}
		r := reader{objects: objects, last: last, head: head}
		if err := r.walk(ctx, tree, "", 1); err != nil {
			return nil, fmt.Errorf("folder %s of commit %s: %w", folder, tip, err)
		}
	}
	for _, parent := range commit.ParentHashes {
		head.Parents = append(head.Parents, parent.String())
	}
	before := plumbing.ZeroHash
	if last != nil {
		before = plumbing.NewHash(last.Commit.SHA)
	}
	since, found, err := history(objects, commit, before)
	if err != nil {
		return nil, fmt.Errorf("history of commit %s: %w", tip, err)
	}
	head.Rewritten = last != nil && !found
	if head.Confirms, err = confirms(objects, since, before); err != nil {
		return nil, fmt.Errorf("history of commit %s: %w", tip, err)
	}
	return head, nil
}

func describe(c *object.Commit) desired.Commit {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return desired.Commit{
		SHA:     c.Hash.String(),
		Author:  c.Author.Name,
		Subject: strings.TrimSpace(subject),
		At:      c.Committer.When.UTC(),
	}
}

type reader struct {
	objects storer.EncodedObjectStorer
	last    *Head
	head    *Head
	size    int64
}

func (r *reader) walk(ctx context.Context, tree *object.Tree, dir string, depth int) error {
	if depth > foldersDeep {
		return tooLarge("it is deeper than %d folders", foldersDeep)
	}
	for _, entry := range tree.Entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		// A tree can be written by hand, with any name in it. One that is not UTF-8 is a name on Linux: its file is listed, to be
		// told, and cannot be opened.
		name := path.Join(dir, entry.Name)
		if len(entry.Name) > NameMax {
			return fault.New(fault.Terminal, CodeBadTree, fmt.Errorf("its tree has a name of %d bytes, which begins with %.40q", len(entry.Name), entry.Name))
		}
		if _, twice := r.head.Files[name]; twice {
			return fault.New(fault.Terminal, CodeBadTree, fmt.Errorf("its tree has two entries named %q", entry.Name))
		}
		if entry.Name == "" || entry.Name == "." || entry.Name == ".." || strings.Contains(entry.Name, "/") {
			return fault.New(fault.Terminal, CodeBadTree, fmt.Errorf("its tree has an entry named %q, which no file can have", entry.Name))
		}
		if entry.Mode == filemode.Dir {
			sub, err := object.GetTree(r.objects, entry.Hash)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := r.walk(ctx, sub, name, depth+1); err != nil {
				return err
			}
			continue
		}
		if err := r.file(name, entry); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) file(name string, entry object.TreeEntry) error {
	if len(r.head.Files) == filesMax {
		return tooLarge("it has more than %d files", filesMax)
	}
	file := File{Blob: entry.Hash.String()}
	switch entry.Mode {
	case filemode.Regular, filemode.Deprecated:
		file.Mode = 0o644
	case filemode.Executable:
		file.Mode = 0o755
	case filemode.Symlink:
		file.Mode = fs.ModeSymlink | 0o777
	default:
		file.Mode = fs.ModeIrregular
	}
	var err error
	switch file.Mode.Type() {
	case 0:
		file.Size, err = r.content(file.Blob, entry.Hash)
	case fs.ModeSymlink:
		file.Size, err = r.objects.EncodedObjectSize(entry.Hash)
	default: // the commit of a submodule is in another repository
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.head.Files[name] = file
	return nil
}

// content keeps what a blob holds, and returns its size.
func (r *reader) content(id string, hash plumbing.Hash) (int64, error) {
	if c, ok := r.head.contents[id]; ok {
		return c.size, nil
	}
	var c content
	known := false
	if r.last != nil {
		c, known = r.last.contents[id]
	}
	if !known {
		var err error
		if c, err = r.read(hash); err != nil {
			return 0, err
		}
	}
	r.head.contents[id] = c
	r.size += int64(len(c.data))
	if r.size > folderSizeMax {
		return 0, tooLarge("it holds more than %d MiB", folderSizeMax>>20)
	}
	return c.size, nil
}

// read asks for the size first: a large object is not even opened, since opening it may read it whole.
func (r *reader) read(hash plumbing.Hash) (content, error) {
	if size, err := r.objects.EncodedObjectSize(hash); err == nil && size > FileSizeMax {
		return content{size: size}, nil
	}
	blob, err := object.GetBlob(r.objects, hash)
	if err != nil {
		return content{}, err
	}
	stream, err := blob.Reader()
	if err != nil {
		return content{}, err
	}
	data, err := io.ReadAll(io.LimitReader(stream, FileSizeMax+1))
	// As long as it is, and no longer: ReadAll leaves room for more, which for ten thousand small files is more than they are.
	return content{data: bytes.Clone(data), size: blob.Size}, errors.Join(err, stream.Close())
}

func tooLarge(format string, limit int) error {
	return fault.New(fault.Terminal, CodeFolderTooLarge, fmt.Errorf(format+": only the files of one environment belong in it", limit))
}

// history are the commits from the tip back to the head before, which is left out, newest generations first, and whether that was
// found among the tip's ancestors. Where it was not, the branch was rewritten or moved far, and only the tip itself is surely new;
// so it is where there was no head before (zero). Parents that a shallow fetch left out end the search there.
func history(objects storer.EncodedObjectStorer, tip *object.Commit, before plumbing.Hash) (since []*object.Commit, found bool, err error) {
	if before.IsZero() {
		return []*object.Commit{tip}, false, nil
	}
	seen := map[plumbing.Hash]bool{tip.Hash: true}
	generation := []plumbing.Hash{tip.Hash}
	for range generationsMax {
		var parents []plumbing.Hash
		for _, hash := range generation {
			if hash == before {
				return since, true, nil
			}
			commit, err := object.GetCommit(objects, hash)
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				continue
			}
			if err != nil {
				return nil, false, err
			}
			since = append(since, commit)
			for _, parent := range commit.ParentHashes {
				if !seen[parent] {
					seen[parent] = true
					parents = append(parents, parent)
				}
			}
		}
		generation = parents
	}
	return []*object.Commit{tip}, false, nil
}

// confirms are the trailers of commits that came since the head before. What that one had among its own ancestors has been read: a
// branch that was begun long ago and is merged now leads back to it.
func confirms(objects storer.EncodedObjectStorer, since []*object.Commit, before plumbing.Hash) ([]string, error) {
	var out []string
	var old map[plumbing.Hash]bool
	for _, c := range since {
		said := desired.Confirms(c.Message)
		if len(said) == 0 {
			continue
		}
		if old == nil {
			var err error
			if old, err = ancestors(objects, before); err != nil {
				return nil, err
			}
		}
		if !old[c.Hash] {
			out = append(out, said...)
		}
	}
	return out, nil
}

// ancestors are those of a commit, generationsMax generations back, as far as the store has them.
func ancestors(objects storer.EncodedObjectStorer, of plumbing.Hash) (map[plumbing.Hash]bool, error) {
	all := map[plumbing.Hash]bool{of: true}
	generation := []plumbing.Hash{of}
	for range generationsMax {
		var parents []plumbing.Hash
		for _, hash := range generation {
			commit, err := object.GetCommit(objects, hash)
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, parent := range commit.ParentHashes {
				if !all[parent] {
					all[parent] = true
					parents = append(parents, parent)
				}
			}
		}
		generation = parents
	}
	return all, nil
}
