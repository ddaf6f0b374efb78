package ecs

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const deleteMax = 10 // DeleteTaskDefinitions in the API reference

// DeleteTaskDefinitions takes up to 10 INACTIVE revisions to
// DELETE_IN_PROGRESS. What is absent or still ACTIVE is a failure. A revision is
// gone once no task and no service refers to it; its number is not used again.
func (e *Engine) DeleteTaskDefinitions(_ context.Context, in *awsecs.DeleteTaskDefinitionsInput) (*awsecs.DeleteTaskDefinitionsOutput, error) {
	switch n := len(in.TaskDefinitions); {
	case n == 0:
		return nil, invalid("taskDefinitions cannot be empty.")
	case n > deleteMax:
		return nil, invalid("taskDefinitions cannot have more than %d elements.", deleteMax)
	}
	e.lock()
	defer e.unlock()
	out := &awsecs.DeleteTaskDefinitionsOutput{TaskDefinitions: []types.TaskDefinition{}, Failures: []types.Failure{}}
	fail := func(ref, reason, detail string) {
		out.Failures = append(out.Failures, types.Failure{Arn: aws.String(ref), Reason: aws.String(reason), Detail: aws.String(detail)})
	}
	for _, ref := range in.TaskDefinitions {
		if !strings.Contains(ref[strings.LastIndex(ref, "/")+1:], ":") {
			fail(ref, "INVALID", "A revision must be specified.")
			continue
		}
		td, err := e.taskDefinition(ref)
		switch {
		case err != nil:
			fail(ref, "MISSING", "The specified task definition does not exist.")
		case !td.inactive:
			fail(td.arn, "TASK_DEFINITION_ACTIVE", "The task definition is in ACTIVE status. Deregister it first.")
		default:
			if td.deletedAt.IsZero() {
				td.deletedAt = e.now
			}
			out.TaskDefinitions = append(out.TaskDefinitions, *td.view())
		}
	}
	return out, nil
}

// gone: deletion was asked for and nothing refers to the revision any more.
func (e *Engine) gone(td *taskDefinition) bool {
	if !td.deletedAt.IsZero() && !td.erased && e.now.After(td.deletedAt) {
		td.erased = !e.referred(td)
	}
	return td.erased
}

func (e *Engine) referred(td *taskDefinition) bool {
	uses := func(d *deployment) bool { return d.spec.td == td }
	for _, c := range e.clusters {
		for _, t := range c.tasks {
			if t.td == td && t.status != stopped {
				return true
			}
		}
		for _, s := range c.services {
			if s.status != serviceInactive && (slices.ContainsFunc(s.deployments, uses) || s.candidate != nil && uses(s.candidate)) {
				return true
			}
		}
	}
	return false
}

// ListTaskDefinitionFamilies lists family names; status defaults to ALL, pages
// to 100. FamilyPrefix is the beginning of a name.
func (e *Engine) ListTaskDefinitionFamilies(_ context.Context, in *awsecs.ListTaskDefinitionFamiliesInput) (*awsecs.ListTaskDefinitionFamiliesOutput, error) {
	e.lock()
	defer e.unlock()
	keys := []string{}
	for name, f := range e.families {
		active := slices.ContainsFunc(f.revs, func(td *taskDefinition) bool { return !td.inactive })
		left := slices.ContainsFunc(f.revs, func(td *taskDefinition) bool { return !e.gone(td) })
		switch {
		case !left, !strings.HasPrefix(name, aws.ToString(in.FamilyPrefix)),
			in.Status == types.TaskDefinitionFamilyStatusActive && !active,
			in.Status == types.TaskDefinitionFamilyStatusInactive && active:
			continue
		}
		keys = append(keys, name)
	}
	slices.Sort(keys)
	keys, next, err := e.page(listing("ListTaskDefinitionFamilies", aws.ToString(in.FamilyPrefix), string(in.Status)), keys, false, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListTaskDefinitionFamiliesOutput{Families: keys, NextToken: next}, nil
}

// ListClusters lists ARNs; pages have 100 unless asked otherwise.
func (e *Engine) ListClusters(_ context.Context, in *awsecs.ListClustersInput) (*awsecs.ListClustersOutput, error) {
	e.lock()
	defer e.unlock()
	keys := []string{}
	for _, c := range e.clusters {
		keys = append(keys, c.arn)
	}
	slices.Sort(keys)
	keys, next, err := e.page(listing("ListClusters"), keys, false, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListClustersOutput{ClusterArns: keys, NextToken: next}, nil
}
