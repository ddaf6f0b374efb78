package account

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/rollout"
)

// Render puts images, env and secrets onto the template and answers the request that registers the result in family.
// Declared names replace the template's, whether they were env or secrets there; the template's others stay. secrets
// answers the valueFrom of each reference that a container declares. It is pure: the same input is the same request. A
// container that the template lacks is Terminal: git names it.
func Render(template *types.TaskDefinition, family string, containers map[string]rollout.Container, secrets map[string]string) (*ecs.RegisterTaskDefinitionInput, error) {
	in := inputOf(template)
	in.Family = &family
	if err := known(template, containers); err != nil {
		return nil, err
	}
	for i, c := range in.ContainerDefinitions {
		declared, ok := containers[aws.ToString(c.Name)]
		if !ok {
			continue
		}
		overlay, err := overlay(c, declared, secrets)
		if err != nil {
			return nil, err
		}
		in.ContainerDefinitions[i] = overlay
	}
	return in, nil
}

func known(template *types.TaskDefinition, containers map[string]rollout.Container) error {
	var has []string
	for _, c := range template.ContainerDefinitions {
		has = append(has, aws.ToString(c.Name))
	}
	for _, c := range slices.Sorted(maps.Keys(containers)) {
		if !slices.Contains(has, c) {
			return fault.New(fault.Terminal, "container_unknown", fmt.Errorf(
				"template %s has no container %s; it has %s", aws.ToString(template.TaskDefinitionArn), c, strings.Join(has, ", ")))
		}
	}
	return nil
}

func overlay(c types.ContainerDefinition, declared rollout.Container, secrets map[string]string) (types.ContainerDefinition, error) {
	if declared.Image != "" {
		c.Image = &declared.Image
	}
	env, secret := map[string]string{}, map[string]string{}
	for _, kv := range c.Environment {
		env[aws.ToString(kv.Name)] = aws.ToString(kv.Value)
	}
	for _, s := range c.Secrets {
		secret[aws.ToString(s.Name)] = aws.ToString(s.ValueFrom)
	}
	// ECS refuses a name that is both: the declared one takes the place of the other.
	for k, v := range declared.Env {
		delete(secret, k)
		env[k] = v
	}
	for k, reference := range declared.Secrets {
		valueFrom, ok := secrets[reference]
		if !ok {
			return c, fault.New(fault.Blocked, "secret_unresolved", fmt.Errorf("secret %s of container %s: %s is not resolved", k, aws.ToString(c.Name), reference))
		}
		delete(env, k)
		secret[k] = valueFrom
	}
	c.Environment = make([]types.KeyValuePair, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		c.Environment = append(c.Environment, types.KeyValuePair{Name: aws.String(k), Value: aws.String(env[k])})
	}
	c.Secrets = make([]types.Secret, 0, len(secret))
	for _, k := range slices.Sorted(maps.Keys(secret)) {
		c.Secrets = append(c.Secrets, types.Secret{Name: aws.String(k), ValueFrom: aws.String(secret[k])})
	}
	return c, nil
}

// tagsOf are the tags in order of key.
func tagsOf(set map[string]string) []types.Tag {
	var out []types.Tag
	for _, k := range slices.Sorted(maps.Keys(set)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(set[k])})
	}
	return out
}

// tagMap is the tags as a map, without AWS's own.
func tagMap(tags []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		if k := aws.ToString(t.Key); !strings.HasPrefix(k, "aws:") {
			out[word(k)] = own(t.Value)
		}
	}
	return out
}
