package ecs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// family is all revisions of one task definition; revision n is revs[n-1].
type family struct{ revs []*taskDefinition }

// taskDefinition is one revision. Apart from status and tags it never changes.
type taskDefinition struct {
	types.TaskDefinition
	arn, family    string
	revision       int32
	inactive       bool
	deregisteredAt time.Time
	deletedAt      time.Time
	erased         bool
	tags           tags
}

func (td *taskDefinition) view() *types.TaskDefinition {
	v := clone(td.TaskDefinition)
	v.Status, v.DeregisteredAt, v.DeleteRequestedAt = td.status(), when(td.deregisteredAt), when(td.deletedAt)
	return &v
}

func (td *taskDefinition) status() types.TaskDefinitionStatus {
	switch {
	case !td.deletedAt.IsZero():
		return types.TaskDefinitionStatusDeleteInProgress
	case td.inactive:
		return types.TaskDefinitionStatusInactive
	}
	return types.TaskDefinitionStatusActive
}

func (td *taskDefinition) container(name string) *types.ContainerDefinition {
	for i := range td.ContainerDefinitions {
		if aws.ToString(td.ContainerDefinitions[i].Name) == name {
			return &td.ContainerDefinitions[i]
		}
	}
	return nil
}

var errTaskDefinitionAbsent = client("Unable to describe task definition.")

// taskDefinition finds a revision by family (its newest ACTIVE revision),
// family:revision or ARN. The error is a ClientException.
func (e *Engine) taskDefinition(ref string) (*taskDefinition, error) {
	if strings.HasPrefix(ref, "arn:") {
		kind, path, ok := e.resource(ref)
		if !ok || kind != "task-definition" || len(path) != 1 {
			return nil, client("Invalid task definition identifier: %s", ref)
		}
		ref = path[0]
	}
	name, rev, exact := strings.Cut(ref, ":")
	f := e.families[name]
	if f == nil {
		return nil, errTaskDefinitionAbsent
	}
	if exact {
		n, err := strconv.Atoi(rev)
		if err != nil || n < 1 || n > len(f.revs) {
			return nil, errTaskDefinitionAbsent
		}
		if e.gone(f.revs[n-1]) {
			return nil, errTaskDefinitionAbsent
		}
		return f.revs[n-1], nil
	}
	for _, td := range slices.Backward(f.revs) {
		if !td.inactive {
			return td, nil
		}
	}
	return nil, errTaskDefinitionAbsent
}

// usableTaskDefinition finds a revision for new tasks. A deregistered one is
// refused: by a ClientException for services, by an InvalidParameterException
// for RunTask, as seen on real ECS.
func (e *Engine) usableTaskDefinition(ref string, refuse func(string, ...any) error) (*taskDefinition, error) {
	td, err := e.taskDefinition(ref)
	if err != nil {
		return nil, client("TaskDefinition not found.")
	}
	if !td.deletedAt.IsZero() {
		return nil, refuse("TaskDefinition is inactive")
	}
	if td.inactive && e.now.Sub(td.deregisteredAt) >= e.cfg.Doubts.InactiveUsableFor {
		return nil, refuse("TaskDefinition is inactive")
	}
	return td, nil
}

// RegisterTaskDefinition makes a new revision, also for content that exists
// already, and returns it with ECS's defaults filled in.
func (e *Engine) RegisterTaskDefinition(_ context.Context, in *awsecs.RegisterTaskDefinitionInput) (*awsecs.RegisterTaskDefinitionOutput, error) {
	if n := jsonSize(*in); n > e.cfg.Quotas.TaskDefinitionBytes {
		return nil, client("Actual length: '%d'. Max allowed length is '%d' bytes.", n, e.cfg.Quotas.TaskDefinitionBytes)
	}
	if err := validateTaskDefinition(in); err != nil {
		return nil, err
	}
	t, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	content, err := canonical(in)
	if err != nil {
		return nil, err
	}
	e.lock()
	defer e.unlock()
	name := aws.ToString(in.Family)
	f := e.families[name]
	if f == nil {
		f = &family{}
		e.families[name] = f
	}
	if len(f.revs) >= e.cfg.Quotas.Revisions {
		return nil, &types.LimitExceededException{Message: aws.String("The maximum number of revisions of family " + name + " has been reached.")}
	}
	td := &taskDefinition{TaskDefinition: content, family: name, revision: int32(len(f.revs) + 1), tags: t}
	td.arn = e.arn("task-definition", fmt.Sprintf("%s:%d", name, td.revision))
	td.TaskDefinitionArn, td.Revision = aws.String(td.arn), td.revision
	td.RegisteredAt = aws.Time(e.now)
	td.RegisteredBy = aws.String("arn:aws:iam::" + e.cfg.Account + ":root")
	f.revs = append(f.revs, td)
	out := &awsecs.RegisterTaskDefinitionOutput{TaskDefinition: td.view()}
	if len(in.Tags) > 0 {
		out.Tags = td.tags.list()
	}
	return out, nil
}

// DescribeTaskDefinition describes an ACTIVE or INACTIVE revision; a bare family
// means its newest ACTIVE one. An absent one is a ClientException.
func (e *Engine) DescribeTaskDefinition(_ context.Context, in *awsecs.DescribeTaskDefinitionInput) (*awsecs.DescribeTaskDefinitionOutput, error) {
	e.lock()
	defer e.unlock()
	td, err := e.taskDefinition(aws.ToString(in.TaskDefinition))
	if err != nil {
		return nil, err
	}
	out := &awsecs.DescribeTaskDefinitionOutput{TaskDefinition: td.view()}
	if slices.Contains(in.Include, types.TaskDefinitionFieldTags) {
		out.Tags = td.tags.list()
	}
	return out, nil
}

// DeregisterTaskDefinition makes a revision INACTIVE. Services that use it go on
// doing so. It may be repeated.
func (e *Engine) DeregisterTaskDefinition(_ context.Context, in *awsecs.DeregisterTaskDefinitionInput) (*awsecs.DeregisterTaskDefinitionOutput, error) {
	ref := aws.ToString(in.TaskDefinition)
	if !strings.Contains(ref[strings.LastIndex(ref, "/")+1:], ":") {
		return nil, client("Invalid revision number. Use family:revision or the full ARN of %s.", ref)
	}
	e.lock()
	defer e.unlock()
	td, err := e.taskDefinition(ref)
	if err != nil {
		return nil, err
	}
	if !td.inactive {
		td.inactive, td.deregisteredAt = true, e.now
	}
	return &awsecs.DeregisterTaskDefinitionOutput{TaskDefinition: td.view()}, nil
}

// ListTaskDefinitions lists ARNs by family, then revision; status defaults to
// ACTIVE, pages to 100. FamilyPrefix is a whole family name, as on real ECS.
func (e *Engine) ListTaskDefinitions(_ context.Context, in *awsecs.ListTaskDefinitionsInput) (*awsecs.ListTaskDefinitionsOutput, error) {
	status := in.Status
	if status == "" {
		status = types.TaskDefinitionStatusActive
	}
	e.lock()
	defer e.unlock()
	arns := map[string]string{}
	keys := []string{}
	for name, f := range e.families {
		if in.FamilyPrefix != nil && *in.FamilyPrefix != name {
			continue
		}
		for _, td := range f.revs {
			if td.status() == status && !e.gone(td) {
				key := fmt.Sprintf("%s %08d", name, td.revision)
				arns[key] = td.arn
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	descending := in.Sort == types.SortOrderDesc
	if descending {
		slices.Reverse(keys)
	}
	keys, next, err := e.page(listing("ListTaskDefinitions", aws.ToString(in.FamilyPrefix), string(status), string(in.Sort)), keys, descending, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	out := &awsecs.ListTaskDefinitionsOutput{TaskDefinitionArns: []string{}, NextToken: next}
	for _, k := range keys {
		out.TaskDefinitionArns = append(out.TaskDefinitionArns, arns[k])
	}
	return out, nil
}
