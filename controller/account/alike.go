package account

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

// observeAlike answers whether the revision that the service names has the content that would be registered. An image that it
// names by a tag is the same where every task of the service that runs has the digest, and the tag has it in the registry. The tasks must
// have been looked at.
func (a *Account) observeAlike(ctx context.Context, s observed.Service, r observed.Rendering) (*bool, error) {
	if m, lacks := s.Lacks(observed.FactTasks); lacks {
		return nil, fmt.Errorf("compare what runs: %s", m.Message)
	}
	containers := map[string]rollout.Container{}
	for name, c := range r.Containers {
		containers[name] = rollout.Container(c)
	}
	in, err := a.request(ctx, placeOf(s), rollout.Register{Template: r.Template, Containers: containers})
	if err != nil {
		return nil, err
	}
	out, err := a.describeTaskDefinition(ctx, s.TaskDefinition)
	if err != nil {
		return nil, err
	}
	runs := inputOf(out.TaskDefinition)
	for i, c := range runs.ContainerDefinitions {
		container := aws.ToString(c.Name)
		want, declared := containers[container]
		if !declared || aws.ToString(c.Image) == want.Image {
			continue
		}
		same, err := a.sameImage(ctx, s, aws.ToString(c.Image), container, want)
		if err != nil {
			return nil, err
		}
		if same {
			runs.ContainerDefinitions[i].Image = &want.Image
		}
	}
	have, err := Canonical(runs)
	if err != nil {
		return nil, err
	}
	would, err := Canonical(in)
	if err != nil {
		return nil, err
	}
	return aws.Bool(string(have) == string(would)), nil
}

// sameImage reports whether an image that is named by a tag is the wanted one, in the registry and in every task that runs.
func (a *Account) sameImage(ctx context.Context, s observed.Service, image, container string, want rollout.Container) (bool, error) {
	repository, _, _ := strings.Cut(want.Image, "@")
	if tag, ok := strings.CutPrefix(image, repository+":"); !ok || strings.Contains(tag, "@") && !strings.HasSuffix(tag, "@"+want.Digest) {
		return false, nil
	}
	if strings.Contains(image, "@") {
		return true, nil
	}
	digest, known, err := a.imageNow(ctx, image, s.Stack, freshness{wanted: true})
	if err != nil || !known || digest != want.Digest {
		return false, err
	}
	running := 0
	for _, t := range s.Tasks {
		c, ok := t.Container(container)
		if t.DesiredStatus != string(types.DesiredStatusRunning) || t.Stopped() || !ok || c.Digest == "" {
			continue
		}
		if c.Digest != want.Digest {
			return false, nil
		}
		running++
	}
	return running > 0, nil
}
