package release

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing/fstest"
	"time"
)

// Repo is a clone on this machine and the branch of its remote that controllers follow. Commits are made of objects, without
// the work tree: what a person has in it is left alone, and several processes may work on one clone.
type Repo struct {
	Dir    string // a folder in the clone's work tree
	Remote string // such as origin
	Branch string // such as main
}

// ErrShallow is a clone that does not know which commit is older.
var ErrShallow = errors.New("the clone is shallow, so that older and newer cannot be told apart; fetch the whole history (actions/checkout: fetch-depth: 0)")

// Tip fetches the branch and returns its newest commit.
func (r Repo) Tip(ctx context.Context) (string, error) {
	if err := r.whole(ctx); err != nil {
		return "", err
	}
	// A ref of its own: FETCH_HEAD is one file for everybody.
	ref := "refs/deploy/" + r.Remote + "/" + r.Branch
	if _, err := r.git(ctx, nil, nil, "fetch", "--quiet", "--no-tags", r.Remote, "+refs/heads/"+r.Branch+":"+ref); err != nil {
		return "", fmt.Errorf("fetch %s of %s: %w", r.Branch, r.Remote, err)
	}
	return r.Resolve(ctx, ref)
}

func (r Repo) whole(ctx context.Context) error {
	shallow, err := r.git(ctx, nil, nil, "rev-parse", "--is-shallow-repository")
	if err == nil && shallow == "true" {
		err = ErrShallow
	}
	return err
}

// Resolve returns the full hash of a commit, by any name that git knows for it.
func (r Repo) Resolve(ctx context.Context, name string) (string, error) {
	out, err := r.git(ctx, nil, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if err != nil || out == "" {
		return "", fmt.Errorf("no commit is called %s here", name)
	}
	return out, nil
}

// Older reports that the first commit is an ancestor of the second, and not the same.
func (r Repo) Older(ctx context.Context, first, second string) (bool, error) {
	a, errA := r.Resolve(ctx, first)
	b, errB := r.Resolve(ctx, second)
	if err := errors.Join(errA, errB); err != nil {
		return false, err
	}
	if a == b {
		return false, nil
	}
	_, err := r.git(ctx, nil, nil, "merge-base", "--is-ancestor", a, b)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}

// Between lists the commits that the second has and the first does not, newest first, one line each, at most so many.
func (r Repo) Between(ctx context.Context, first, second string, most int) ([]string, error) {
	a, errA := r.Resolve(ctx, first)
	b, errB := r.Resolve(ctx, second)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	out, err := r.git(ctx, nil, nil, "log", "--format=%h %s (%an)", fmt.Sprintf("--max-count=%d", most), a+".."+b)
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(out, "\n"), nil
}

// Folder is a folder's files at a commit, those in folders below it left out. (MapFS is the standard library's file system in memory;
// it drags no test in.)
func (r Repo) Folder(ctx context.Context, commit, folder string) (fstest.MapFS, error) {
	out, err := r.git(ctx, nil, nil, "ls-tree", "-z", "--full-tree", commit, folder+"/")
	if err != nil {
		return nil, fmt.Errorf("list %s at %s: %w", folder, commit, err)
	}
	var names, blobs []string
	for entry := range strings.SplitSeq(out, "\x00") {
		about, name, _ := strings.Cut(entry, "\t") // mode, type and hash
		if path.Ext(name) != ".yaml" {
			continue
		}
		fields := strings.Fields(about)
		if fields[1] != "blob" {
			return nil, fmt.Errorf("read %s at %s: it is no file but a %s", name, commit, fields[1])
		}
		names, blobs = append(names, path.Base(name)), append(blobs, fields[2])
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no %s at %s", folder, commit[:min(7, len(commit))])
	}
	contents, err := r.blobs(ctx, blobs)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", folder, commit, err)
	}
	files := fstest.MapFS{}
	for i, name := range names {
		files[name] = &fstest.MapFile{Data: contents[i], Mode: 0o644}
	}
	return files, nil
}

// blobs reads files by their hashes, in the same order, by one git for all.
func (r Repo) blobs(ctx context.Context, hashes []string) ([][]byte, error) {
	out, err := r.raw(ctx, nil, []byte(strings.Join(hashes, "\n")+"\n"), "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	var contents [][]byte
	for _, hash := range hashes {
		head, rest, _ := bytes.Cut(out, []byte("\n"))
		var kind string
		var size int
		if _, err := fmt.Sscanf(string(head), hash+" %s %d", &kind, &size); err != nil || kind != "blob" || len(rest) <= size {
			return nil, fmt.Errorf("git cat-file: no file %s: %s", hash, head)
		}
		contents, out = append(contents, rest[:size:size]), rest[size+1:]
	}
	return contents, nil
}

// Commit makes a commit with other contents of some files, and returns its hash. No branch points to it yet. Contents that the parent has
// all of are an error.
func (r Repo) Commit(ctx context.Context, parent string, files map[string][]byte, message string) (string, error) {
	dir, err := os.MkdirTemp("", "deploy-index-")
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	defer os.RemoveAll(dir)
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
	if _, err := r.git(ctx, index, nil, "read-tree", parent); err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	for name, content := range files {
		blob, err := r.git(ctx, nil, content, "hash-object", "-w", "--stdin")
		if err != nil {
			return "", fmt.Errorf("commit %s: %w", name, err)
		}
		if _, err := r.git(ctx, index, nil, "update-index", "--add", "--cacheinfo", "100644,"+blob+","+name); err != nil {
			return "", fmt.Errorf("commit %s: %w", name, err)
		}
	}
	tree, err := r.git(ctx, index, nil, "write-tree")
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	if before, err := r.git(ctx, nil, nil, "rev-parse", parent+"^{tree}"); err != nil || before == tree {
		return "", fmt.Errorf("commit: %w", cmp.Or(err, errors.New("no file would change")))
	}
	commit, err := r.git(ctx, r.identity(ctx), []byte(message), "commit-tree", tree, "-p", parent)
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	return commit, nil
}

// identity is a bot's where nobody said who commits.
func (r Repo) identity(ctx context.Context) []string {
	if email, err := r.git(ctx, nil, nil, "config", "user.email"); err == nil && email != "" || os.Getenv("GIT_COMMITTER_EMAIL") != "" {
		return nil
	}
	const name, email = "deploy-bot", "deploy-bot@users.noreply.github.com"
	return []string{"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + email, "GIT_COMMITTER_NAME=" + name, "GIT_COMMITTER_EMAIL=" + email}
}

// Push makes a commit the remote branch's newest. It never forces, unless the branch is a bot's own and still where it is said
// to be (lease; empty: does not exist yet).
func (r Repo) Push(ctx context.Context, commit, branch string, lease *string) error {
	args := []string{"push", "--quiet", r.Remote, commit + ":refs/heads/" + branch}
	if lease != nil {
		args = append(args, "--force-with-lease=refs/heads/"+branch+":"+*lease)
	}
	if _, err := r.git(ctx, nil, nil, args...); err != nil {
		return fmt.Errorf("push to %s: %w", branch, err)
	}
	return nil
}

// RemoteBranch is the newest commit of a branch of the remote, and empty where there is no such branch.
func (r Repo) RemoteBranch(ctx context.Context, branch string) (string, error) {
	out, err := r.git(ctx, nil, nil, "ls-remote", r.Remote, "refs/heads/"+branch)
	if err != nil {
		return "", fmt.Errorf("ask %s for %s: %w", r.Remote, branch, err)
	}
	hash, _, _ := strings.Cut(out, "\t")
	return hash, nil
}

func (r Repo) git(ctx context.Context, env []string, stdin []byte, args ...string) (string, error) {
	out, err := r.raw(ctx, env, stdin, args...)
	return strings.TrimRight(string(out), "\n\x00"), err
}

// raw runs git. Its error ends with what git said, which holds no credentials: git shows addresses without them.
func (r Repo) raw(ctx context.Context, env []string, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = r.Dir, bytes.NewReader(stdin)
	// Nobody is there to answer a question, and words are read by nobody but people.
	cmd.Env = append(os.Environ(), append(env, "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")...)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), nil
}
