package ecs

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// tagsMax is AWS's limit for each resource.
const tagsMax = 50

type tags map[string]string

func newTags(in []types.Tag) (tags, error) {
	t := tags{}
	return t, t.put(in)
}

// put adds tags or changes none: keys ≤ 128, values ≤ 256 characters, no "aws:"
// prefix, at most 50 of a user's own.
func (t tags) put(in []types.Tag) error {
	next := maps.Clone(t)
	for _, tag := range in {
		k, v := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case k == "" || len(k) > 128:
			return invalid("Tag keys must have 1 to 128 characters")
		case len(v) > 256:
			return invalid("The value of tag %s has more than 256 characters", k)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalid("Tag key %s begins with aws:, which is reserved", k)
		}
		next[k] = v
	}
	own := 0
	for k := range next {
		if !strings.HasPrefix(k, "aws:") {
			own++
		}
	}
	if own > tagsMax {
		return &types.LimitExceededException{Message: aws.String("The maximum number of tags for a resource is 50.")}
	}
	maps.Copy(t, next)
	return nil
}

func (t tags) list() []types.Tag {
	out := make([]types.Tag, 0, len(t))
	for _, k := range slices.Sorted(maps.Keys(t)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(t[k])})
	}
	return out
}

// tagged finds the tags of a cluster, service, task or task definition.
func (e *Engine) tagged(ref *string) (tags, error) {
	arn := aws.ToString(ref)
	kind, path, ok := e.resource(arn)
	if !ok {
		return nil, invalid("Invalid resource ARN: %s", arn)
	}
	absent := &types.ResourceNotFoundException{Message: aws.String("The specified resource could not be found: " + arn)}
	if (kind == "service" || kind == "task") && len(path) == 1 {
		return nil, invalid("Long arn format must be used for tagging operations")
	}
	switch {
	case kind == "cluster" && len(path) == 1:
		if c := e.clusters[path[0]]; c != nil {
			return c.tags, nil
		}
	case kind == "service" && len(path) == 2:
		if c := e.clusters[path[0]]; c != nil && c.services[path[1]] != nil && c.services[path[1]].status != serviceInactive {
			return c.services[path[1]].tags, nil
		}
	case kind == "task" && len(path) == 2:
		if c := e.clusters[path[0]]; c != nil && c.tasks[path[1]] != nil {
			return c.tasks[path[1]].tags, nil
		}
	case kind == "task-definition":
		if td, err := e.taskDefinition(arn); err == nil {
			return td.tags, nil
		}
	default:
		return nil, invalid("Tagging %s is not modelled by this local account", arn)
	}
	return nil, absent
}

// TagResource adds or changes tags; it never starts a deployment.
func (e *Engine) TagResource(_ context.Context, in *awsecs.TagResourceInput) (*awsecs.TagResourceOutput, error) {
	e.lock()
	defer e.unlock()
	t, err := e.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if err := t.put(in.Tags); err != nil {
		return nil, err
	}
	return &awsecs.TagResourceOutput{}, nil
}

// UntagResource removes tags; absent keys are no error.
func (e *Engine) UntagResource(_ context.Context, in *awsecs.UntagResourceInput) (*awsecs.UntagResourceOutput, error) {
	e.lock()
	defer e.unlock()
	t, err := e.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(t, k)
	}
	return &awsecs.UntagResourceOutput{}, nil
}

// ListTagsForResource lists one resource's tags, sorted by key.
func (e *Engine) ListTagsForResource(_ context.Context, in *awsecs.ListTagsForResourceInput) (*awsecs.ListTagsForResourceOutput, error) {
	e.lock()
	defer e.unlock()
	t, err := e.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListTagsForResourceOutput{Tags: t.list()}, nil
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
