package account

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
)

// The outputs that a service's stack must have, and the last two, which it may have.
const (
	OutputRepository    = "RepoUri"
	OutputCluster       = "ClusterName"
	OutputService       = "ServiceName"
	OutputSubnets       = "AppSubnetIds"
	OutputSecurityGroup = "EcsSecurityGroupId"
	OutputTemplate      = "TaskTemplate"
	OutputParameter     = "TaskDefinitionParameter"
	OutputMigrationRole = "MigrationTaskRoleArn"
)

// stack is what a stack says of its service.
type stack struct {
	observed.Stack
	cluster, service string // names
}

// stack answers the stack as it was no longer than maxAge ago. A stack that does not exist or lacks outputs is a Blocked error
// that names all of them.
func (a *Account) stack(ctx context.Context, stackName string, maxAge time.Duration) (stack, error) {
	if s, ok := a.stacks.get(stackName, maxAge); ok {
		return s, nil
	}
	if maxAge == a.opts.StackAge && a.stacks.len()+int(a.asking.Load()) >= stacksListedFrom {
		if s, ok := a.listStacks(ctx, stackName); ok {
			return s, nil
		}
	}
	a.asking.Add(1)
	defer a.asking.Add(-1)
	unknown := stack{Stack: observed.Stack{Name: stackName}}
	out, err := a.aws.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stackName})
	if err = Classify(err); fault.Is(err, fault.NotFound) {
		return unknown, fault.New(fault.Blocked, "stack_missing",
			fmt.Errorf("stack %s does not exist in account %s, region %s: %w", stackName, a.opts.Account, a.opts.Region, err))
	}
	if err != nil {
		return unknown, deed(err, "describe stack %s", stackName)
	}
	if len(out.Stacks) != 1 {
		return unknown, fmt.Errorf("describe stack %s: the answer has %d stacks, not 1", stackName, len(out.Stacks))
	}
	s := stackOf(stackName, out.Stacks[0])
	if err := s.complete(); err != nil {
		return s, err
	}
	a.keepStack(stackName, s)
	return s, nil
}

// keepStack keeps what a stack says. Most say the same again and again: then it is the same memory as before, which others keep as well.
func (a *Account) keepStack(stackName string, s stack) {
	if old, ok := a.stacks.get(stackName, forever); ok && reflect.DeepEqual(old, s) {
		s = old
	}
	a.stacks.put(stackName, s)
}

const (
	// stacksListedFrom is how many stacks must be known, or be asked for by their names now, before all are asked for together: a page of
	// the list has up to a hundred, and CloudFormation answers about ten requests a second.
	stacksListedFrom = 10
	stackPagesMax    = 200
)

// listStacks renews every stack of a service's that the account shows, and answers the one that is asked for if it is among them. Callers
// that come meanwhile wait for the same list. Where the list cannot be had, for lack of permission perhaps, ok is false,
// the stack is asked for by its name, and the list is not tried again for Options.StackAge. A list that was cut off, by the caller's time
// or by the budget, is gone on with by the next caller.
func (a *Account) listStacks(ctx context.Context, stackName string) (s stack, ok bool) {
	select {
	case a.listing <- struct{}{}:
		defer func() { <-a.listing }()
	case <-ctx.Done():
		return stack{}, false
	}
	if s, ok := a.stacks.get(stackName, a.opts.StackAge); ok {
		return s, true
	}
	if a.rest == nil && time.Since(a.listed) < a.opts.StackAge {
		return stack{}, false
	}
	in := &cloudformation.DescribeStacksInput{NextToken: a.rest}
	if a.rest == nil {
		a.listed = time.Now()
	}
	a.rest = nil
	for range stackPagesMax {
		out, err := a.aws.CloudFormation.DescribeStacks(ctx, in)
		if err != nil {
			if ctx.Err() != nil || fault.Is(Classify(err), fault.Throttled) {
				if a.rest = in.NextToken; a.rest == nil {
					a.listed = time.Time{} // it was not even begun
				}
			}
			break
		}
		for _, from := range out.Stacks {
			// Whatever has the outputs may be a service's, known or not yet: after a start none is, and asked for by name ten thousand
			// would take the better part of an hour.
			key := own(from.StackName)
			if s := stackOf(key, from); s.complete() == nil {
				a.keepStack(key, s)
			}
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	return a.stacks.get(stackName, a.opts.StackAge)
}

func stackOf(stackName string, from cfn.Stack) stack {
	outputs := make(map[string]string, len(from.Outputs))
	for _, o := range from.Outputs {
		key, value := word(aws.ToString(o.OutputKey)), own(o.OutputValue)
		switch key {
		case OutputCluster, OutputSubnets, OutputSecurityGroup, OutputMigrationRole:
			value = word(value)
		case OutputService:
			if value == stackName {
				value = stackName
			}
		}
		outputs[key] = value
	}
	return stack{
		Stack: observed.Stack{
			Name:   stackName,
			Status: word(string(from.StackStatus)),
			// Every status of CloudFormation's in which it may still change something ends so.
			InProgress: strings.HasSuffix(string(from.StackStatus), "_IN_PROGRESS"),
			UpdatedAt:  aws.ToTime(from.LastUpdatedTime),
			Outputs:    outputs,
		},
		cluster: name(outputs[OutputCluster]),
		service: name(outputs[OutputService]),
	}
}

func (s stack) complete() error {
	var missing []string
	for _, key := range []string{OutputRepository, OutputCluster, OutputService, OutputSubnets, OutputSecurityGroup, OutputTemplate} {
		if s.Outputs[key] == "" {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.Blocked, "outputs_missing", fmt.Errorf(
		"stack %s (%s) has no output %s: add what is missing to the stack", s.Name, s.Status, strings.Join(missing, ", ")))
}

// key is the service in every cache that is about one service.
func (s stack) key() string { return s.cluster + "/" + s.service }

// parameter answers the value of the stack's task-definition parameter, nil where there is none. One that was changed by somebody else is
// put right when it is seen, and nothing that is begun depends on it: even a fresh look may answer it from what is kept.
func (a *Account) parameter(ctx context.Context, s stack) (*string, error) {
	parameter := s.Outputs[OutputParameter]
	if parameter == "" {
		return nil, nil
	}
	if v, ok := a.parameters.get(parameter, a.opts.ParameterAge); ok {
		return &v, nil
	}
	out, err := a.aws.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &parameter})
	if err = Classify(err); fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, deed(err, "read parameter %s", parameter)
	}
	if out.Parameter == nil {
		return nil, fmt.Errorf("read parameter %s: the answer is empty", parameter)
	}
	v := aws.ToString(out.Parameter.Value)
	a.parameters.put(parameter, v)
	return &v, nil
}
