package release

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/canteen/deploy/controller/desired"
)

// SetHere puts an image into the file in the work tree, for a person to look at, and commits that one file if asked to.
func SetHere(ctx context.Context, repo Repo, kinds desired.Kinds, c Change, commit bool) (Result, error) {
	top, err := repo.git(ctx, nil, nil, "rev-parse", "--show-toplevel")
	if err != nil {
		return Result{}, err
	}
	files, err := folderHere(filepath.Join(top, filepath.FromSlash(c.folder())))
	if err != nil {
		return Result{}, err
	}
	content, result, err := Edit(ctx, repo, files, kinds, c)
	if err != nil || result.Outcome != Written {
		return result, err
	}
	file := filepath.Join(top, filepath.FromSlash(c.file()))
	if err := os.WriteFile(file, content, 0o644); err != nil {
		return Result{}, fmt.Errorf("write %s: %w", c.file(), err)
	}
	if !commit {
		return result, nil
	}
	if _, err := repo.git(ctx, repo.identity(ctx), []byte(c.message(result.Before)), "commit", "--quiet", "--only", "--file=-", "--", file); err != nil {
		return Result{}, err
	}
	result.Commit, err = repo.Resolve(ctx, "HEAD")
	return result, err
}

func folderHere(dir string) (fstest.MapFS, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the environment: %w", err)
	}
	files := fstest.MapFS{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".yaml") || e.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the environment: %w", err)
		}
		files[e.Name()] = &fstest.MapFile{Data: content, Mode: 0o644}
	}
	return files, nil
}
