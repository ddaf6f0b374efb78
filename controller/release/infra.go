package release

import (
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

// SetController asks for a build of the controller itself in one environment of the infrastructure, as Set does for a service: the
// controller is rolled by the infrastructure and never by itself.
func SetController(ctx context.Context, repo Repo, env, tag string) (Result, error) {
	return pushed(ctx, repo, func(tip string) (edit, error) {
		content, err := repo.raw(ctx, nil, nil, "cat-file", "blob", tip+":"+infraFile)
		if err != nil {
			return edit{}, fmt.Errorf("read %s: %w", infraFile, err)
		}
		before, err := controllerOf(content, env)
		if err != nil {
			return edit{}, err
		}
		e := edit{file: infraFile, message: fmt.Sprintf("infra: controller %s to %s\n\nIt was %s before.\n", tag, env, before)}
		e.Before.Tag = before
		e.Outcome, err = judge(ctx, repo, e.Before, desired.Image{Tag: tag})
		if err != nil || e.Outcome != Written {
			return e, err
		}
		// JSON is YAML, so that the edit that leaves every other byte alone serves here, too.
		e.content, err = desired.Set(content, tag, "context", "environments", env, "controller", "image")
		return e, err
	})
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
