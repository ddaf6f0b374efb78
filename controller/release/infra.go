package release

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/desired"
)

// infraFile is where the infrastructure's program reads which build of the controller each environment runs.
const infraFile = "infra/cdk.json"

// ControllerChange asks for a build of the controller itself in one environment of the infrastructure.
type ControllerChange struct {
	Env, Tag string
	Back     string // why an older build than the one that is asked for is meant; without it none is written
	Propose  string // the branch to push to where the repository's own takes pull requests only
}

// SetController writes the change as Set does a service's: the controller is rolled by the infrastructure and never by itself.
func SetController(ctx context.Context, repo Repo, c ControllerChange) (Result, error) {
	build := func(tip string) (edit, error) { return c.edit(ctx, repo, tip) }
	if c.Propose == "" {
		return pushed(ctx, repo, build)
	}
	tip, err := repo.Tip(ctx)
	if err != nil {
		return Result{}, err
	}
	e, err := build(tip)
	if err != nil || e.Outcome != Written {
		return e.Result, err
	}
	if there, err := repo.RemoteBranch(ctx, c.Propose); err != nil || there != "" {
		return Result{}, cmp.Or(err, fmt.Errorf("there is a branch %s already; name one that there is not", c.Propose))
	}
	if e.Commit, err = repo.Commit(ctx, tip, map[string][]byte{e.file: e.content}, e.message); err != nil {
		return Result{}, err
	}
	return e.Result, repo.Push(ctx, e.Commit, c.Propose, new(string))
}

func (c ControllerChange) edit(ctx context.Context, repo Repo, tip string) (edit, error) {
	content, err := repo.raw(ctx, nil, nil, "cat-file", "blob", tip+":"+infraFile)
	if err != nil {
		return edit{}, fmt.Errorf("read %s: %w", infraFile, err)
	}
	before, err := controllerOf(content, c.Env)
	if err != nil {
		return edit{}, err
	}
	e := edit{file: infraFile, message: fmt.Sprintf("infra: controller %s to %s\n\nIt was %s before.\n", c.Tag, c.Env, before)}
	if c.Back != "" {
		e.message += "\n" + oneLine(c.Back) + "\n"
	}
	e.Before.Tag = before
	e.Outcome, err = judge(ctx, repo, e.Before, desired.Image{Tag: c.Tag})
	if e.Outcome == Older && c.Back != "" {
		e.Outcome = Written
	}
	if err != nil || e.Outcome != Written {
		return e, err
	}
	// JSON is YAML, so that the edit that leaves every other byte alone serves here, too.
	if e.content, err = desired.Set(content, c.Tag, "context", "environments", c.Env, "controller", "image"); err != nil {
		return e, located(infraFile, err)
	}
	return e, nil
}

func controllerOf(content []byte, env string) (string, error) {
	var file struct {
		Context struct {
			Environments map[string]struct {
				Controller struct{ Image string }
			}
		}
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return "", fmt.Errorf("%s: %w", infraFile, err)
	}
	environments := file.Context.Environments
	if environments[env].Controller.Image == "" {
		return "", fmt.Errorf("%s has no controller.image for %s; its environments are %s", infraFile, env, strings.Join(slices.Sorted(maps.Keys(environments)), ", "))
	}
	return environments[env].Controller.Image, nil
}
