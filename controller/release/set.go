package release

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing/fstest"
	"time"

	"github.com/canteen/deploy/controller/desired"
)

// Change asks for one image in one file.
type Change struct {
	Env       string // the folder below desired/
	Service   string
	Container string // may be empty where the service has one
	Image     desired.Image
}

func (c Change) folder() string { return path.Join("desired", c.Env) }
func (c Change) file() string   { return path.Join(c.folder(), c.Service+".yaml") }

// Outcome says what came of a change.
type Outcome string

// The outcomes. Only Written changes git; none of them is a failure.
const (
	Written Outcome = "written"
	Already Outcome = "already" // git asks for it already
	Older   Outcome = "older"   // git asks for a newer build
)

// Result is what came of a change.
type Result struct {
	Outcome Outcome
	Before  desired.Image // what git asked for
	Commit  string        // where something was written
}

// ErrRefused is a push that nobody overtook and that the remote did not take all the same.
var ErrRefused = errors.New("the remote takes no push")

// attemptsMax is how often a push that was overtaken is tried again. Each try that fails means that somebody else's succeeded.
const attemptsMax = 20

// Set puts an image into the branch, on top of whatever is there by then, and pushes it. It may be repeated, and run by several
// pipelines at once. A build that git has a newer one of (tags are commits of this repository) is not written: the pipeline of the
// older commit may well end later.
func Set(ctx context.Context, repo Repo, kinds desired.Kinds, c Change) (Result, error) {
	return pushed(ctx, repo, func(tip string) (edit, error) {
		files, err := repo.Folder(ctx, tip, c.folder())
		if err != nil {
			return edit{}, err
		}
		content, result, err := Edit(ctx, repo, files, kinds, c)
		return edit{Result: result, file: c.file(), content: content, message: c.message(result.Before)}, err
	})
}

// edit is what is to be written on top of a commit, if the outcome says so.
type edit struct {
	Result
	file    string
	content []byte
	message string
}

// pushed makes an edit again and again, on top of what others pushed, until it is the branch's newest commit.
func pushed(ctx context.Context, repo Repo, make func(tip string) (edit, error)) (Result, error) {
	for attempt := 1; ; attempt++ {
		tip, err := repo.Tip(ctx)
		if err != nil {
			return Result{}, err
		}
		e, err := make(tip)
		if err != nil || e.Outcome != Written {
			return e.Result, err
		}
		if e.Commit, err = repo.Commit(ctx, tip, map[string][]byte{e.file: e.content}, e.message); err != nil {
			return Result{}, err
		}
		push := repo.Push(ctx, e.Commit, repo.Branch, nil)
		if push == nil {
			return e.Result, nil
		}
		// Was the branch moved, or may we not push at all? The branch knows, whatever words the server has for it.
		now, err := repo.RemoteBranch(ctx, repo.Branch)
		switch {
		case err == nil && now == e.Commit: // the answer was lost, the push was not
			return e.Result, nil
		case err == nil && now == tip:
			return Result{}, fmt.Errorf("%w: %w", ErrRefused, push)
		case err != nil || attempt == attemptsMax:
			return Result{}, push
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(min(attempt, 5)) * int64(200*time.Millisecond)))):
		case <-ctx.Done():
			return Result{}, fmt.Errorf("push to %s: %w", repo.Branch, ctx.Err())
		}
	}
}

// Edit returns the file's new content where the outcome is Written. The files are those of the environment's folder.
func Edit(ctx context.Context, repo Repo, files fstest.MapFS, kinds desired.Kinds, c Change) ([]byte, Result, error) {
	env := load(files, kinds, c.folder())
	asked, err := env.service(c.Service)
	if err != nil {
		return nil, Result{}, err
	}
	if c.Container == "" {
		if c.Container, err = only(asked, c.file()); err != nil {
			return nil, Result{}, err
		}
	}
	before, ok := asked.Spec.Containers[c.Container]
	if !ok {
		return nil, Result{}, fmt.Errorf("%s has no container %s; it has %s", c.file(), c.Container, strings.Join(containers(asked), ", "))
	}
	result := Result{Before: before.Image}
	if result.Outcome, err = judge(ctx, repo, before.Image, c.Image); err != nil || result.Outcome != Written {
		return nil, result, err
	}
	content, err := desired.SetImage(env.content(c.Service), c.Container, c.Image)
	if err != nil {
		return nil, Result{}, located(c.file(), err)
	}
	if _, err := env.with(map[string][]byte{c.Service: content}).service(c.Service); err != nil {
		return nil, Result{}, err
	}
	return content, result, nil
}

// already says that git asks for the image as far as is known of it: the digest that stands beside the tag there may be unknown here.
func already(before, after desired.Image) bool {
	return before.Tag == after.Tag && (before.Digest == after.Digest || after.Digest == "")
}

// judge says what is to be done about a new image in place of another.
func judge(ctx context.Context, repo Repo, before, after desired.Image) (Outcome, error) {
	if before.Tag == after.Tag {
		switch {
		case already(before, after):
			return Already, nil
		case before.Digest != "":
			return "", fmt.Errorf("tag %s is %s in git, and cannot be %s as well; build a new commit", after.Tag, before.Digest, after.Digest)
		}
		return Written, nil
	}
	if err := repo.whole(ctx); err != nil {
		return "", err
	}
	if _, err := repo.Resolve(ctx, after.Tag); err != nil {
		return "", fmt.Errorf("the tag must be a commit of this repository, so that older and newer builds can be told apart: %w", err)
	}
	if _, err := repo.Resolve(ctx, before.Tag); err != nil {
		return Written, nil // what git asks for was built of something else, which is neither older nor newer
	}
	older, err := repo.Older(ctx, after.Tag, before.Tag)
	if older {
		return Older, err
	}
	return Written, err
}

// located is the error of an edit, which knows the place and not the file.
func located(file string, err error) error {
	if at, ok := errors.AsType[desired.Error](err); ok {
		at.File = file
		return at
	}
	return fmt.Errorf("edit %s: %w", file, err)
}

// only is the container of a service that has one.
func only(s *desired.Service, file string) (string, error) {
	all := containers(s)
	if len(all) != 1 {
		return "", fmt.Errorf("%s has the containers %s; name one", file, strings.Join(all, ", "))
	}
	return all[0], nil
}

func (c Change) message(before desired.Image) string {
	text := fmt.Sprintf("%s: %s to %s\n\nIt asked for %s before.\n", c.Service, c.Image.Tag, c.Env, before.Tag)
	if c.Image.Digest != "" {
		text += "\nImage-Digest: " + c.Image.Digest + "\n"
	}
	return text
}
