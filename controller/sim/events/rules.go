package events

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// PutRule makes a rule with an event pattern, enabled unless told otherwise, or changes one and keeps its targets.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
func (e *Engine) PutRule(_ context.Context, in *eventbridge.PutRuleInput) (*eventbridge.PutRuleOutput, error) {
	if err := wire.Refuse(in, "Name", "Description", "EventBusName", "EventPattern", "State", "Tags"); err != nil {
		return nil, err
	}
	name, state := aws.ToString(in.Name), in.State
	if state == "" {
		state = types.RuleStateEnabled
	}
	switch {
	case !validName.MatchString(name):
		return nil, validation("Name must be 1 to 64 letters, digits, dots, hyphens and underscores, found %q", name)
	case !bus(in.EventBusName):
		return nil, noBus(*in.EventBusName)
	case in.EventPattern == nil:
		return nil, validation("Parameter(s) EventPattern or ScheduleExpression must be specified; this account models EventPattern only.")
	case state != types.RuleStateEnabled && state != types.RuleStateDisabled:
		return nil, validation("State must be ENABLED or DISABLED in this account, found %s", state)
	}
	p, err := ParsePattern(*in.EventPattern)
	if err != nil {
		return nil, &types.InvalidEventPatternException{Message: aws.String("Event pattern is not valid. Reason: " + err.Error())}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r := &rule{pattern: p, targets: map[string]types.Target{}, Rule: types.Rule{
		Name: in.Name, Description: in.Description, EventPattern: in.EventPattern, State: state, EventBusName: aws.String(defaultBus),
		Arn: aws.String(fmt.Sprintf("arn:aws:events:%s:%s:rule/%s", e.config.Region, e.config.Account, name)),
	}}
	if old := e.rules[name]; old != nil {
		r.targets = old.targets
	}
	e.rules[name] = r
	return &eventbridge.PutRuleOutput{RuleArn: r.Arn}, nil
}

// DescribeRule answers one rule.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeRule.html
func (e *Engine) DescribeRule(_ context.Context, in *eventbridge.DescribeRuleInput) (*eventbridge.DescribeRuleOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.rule(in.Name, in.EventBusName)
	if err != nil {
		return nil, err
	}
	return &eventbridge.DescribeRuleOutput{
		Name: r.Name, Arn: r.Arn, Description: r.Description, EventPattern: r.EventPattern, State: r.State,
		EventBusName: r.EventBusName, CreatedBy: &e.config.Account,
	}, nil
}

// ListRules lists rules by the prefix of their names.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html
func (e *Engine) ListRules(_ context.Context, in *eventbridge.ListRulesInput) (*eventbridge.ListRulesOutput, error) {
	if !bus(in.EventBusName) {
		return nil, noBus(*in.EventBusName)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []types.Rule
	for name, r := range e.rules {
		if strings.HasPrefix(name, aws.ToString(in.NamePrefix)) {
			out = append(out, r.Rule)
		}
	}
	page, next, ok := wire.Page(out, func(r types.Rule) string { return *r.Name }, in.NextToken, limit(in.Limit))
	if !ok {
		return nil, validation("NextToken is not one that ListRules gave")
	}
	return &eventbridge.ListRulesOutput{Rules: page, NextToken: next}, nil
}

// EnableRule lets a rule match again.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_EnableRule.html
func (e *Engine) EnableRule(_ context.Context, in *eventbridge.EnableRuleInput) (*eventbridge.EnableRuleOutput, error) {
	return &eventbridge.EnableRuleOutput{}, e.setState(in.Name, in.EventBusName, types.RuleStateEnabled)
}

// DisableRule lets a rule match nothing.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html
func (e *Engine) DisableRule(_ context.Context, in *eventbridge.DisableRuleInput) (*eventbridge.DisableRuleOutput, error) {
	return &eventbridge.DisableRuleOutput{}, e.setState(in.Name, in.EventBusName, types.RuleStateDisabled)
}

func (e *Engine) setState(name, busName *string, s types.RuleState) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.rule(name, busName)
	if err == nil {
		r.State = s
	}
	return err
}

// DeleteRule removes a rule that has no targets; one that is not there is no error.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html
func (e *Engine) DeleteRule(_ context.Context, in *eventbridge.DeleteRuleInput) (*eventbridge.DeleteRuleOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.rules[aws.ToString(in.Name)]; r != nil && len(r.targets) > 0 {
		return nil, validation("Rule can't be deleted since it has targets.")
	}
	delete(e.rules, aws.ToString(in.Name))
	return &eventbridge.DeleteRuleOutput{}, nil
}

// PutTargets adds SQS queues to a rule, or replaces those with the same ids. A FIFO queue needs a MessageGroupId.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
func (e *Engine) PutTargets(_ context.Context, in *eventbridge.PutTargetsInput) (*eventbridge.PutTargetsOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.rule(in.Rule, in.EventBusName)
	if err != nil {
		return nil, err
	}
	targets := maps.Clone(r.targets)
	for _, t := range in.Targets {
		if err := wire.Refuse(&t, "Arn", "Id", "SqsParameters", "RetryPolicy"); err != nil {
			return nil, err
		}
		arn := aws.ToString(t.Arn)
		if !strings.HasPrefix(arn, "arn:aws:sqs:"+e.config.Region+":") {
			return nil, validation("Target %s: Arn must be of an SQS queue of this region in this account, found %q", aws.ToString(t.Id), arn)
		}
		if strings.HasSuffix(arn, ".fifo") && (t.SqsParameters == nil || aws.ToString(t.SqsParameters.MessageGroupId) == "") {
			return nil, validation("Parameter(s) SqsParameters must be specified for target: %s.", aws.ToString(t.Id))
		}
		targets[aws.ToString(t.Id)] = t
	}
	if len(targets) > maxTargets {
		return nil, &types.LimitExceededException{Message: aws.String("The requested resource exceeds the maximum number allowed.")}
	}
	r.targets = targets
	return &eventbridge.PutTargetsOutput{FailedEntries: []types.PutTargetsResultEntry{}}, nil
}

// RemoveTargets takes targets from a rule; ids that it does not have fail by themselves.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RemoveTargets.html
func (e *Engine) RemoveTargets(_ context.Context, in *eventbridge.RemoveTargetsInput) (*eventbridge.RemoveTargetsOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.rule(in.Rule, in.EventBusName)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.RemoveTargetsOutput{FailedEntries: []types.RemoveTargetsResultEntry{}}
	for _, id := range in.Ids {
		if _, ok := r.targets[id]; !ok {
			out.FailedEntryCount++
			out.FailedEntries = append(out.FailedEntries, types.RemoveTargetsResultEntry{
				TargetId: &id, ErrorCode: aws.String("ResourceNotFoundException"), ErrorMessage: aws.String("Rule " + *r.Name + " has no target " + id + "."),
			})
		}
		delete(r.targets, id)
	}
	return out, nil
}

// ListTargetsByRule lists a rule's targets.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListTargetsByRule.html
func (e *Engine) ListTargetsByRule(_ context.Context, in *eventbridge.ListTargetsByRuleInput) (*eventbridge.ListTargetsByRuleOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.rule(in.Rule, in.EventBusName)
	if err != nil {
		return nil, err
	}
	page, next, ok := wire.Page(slices.Collect(maps.Values(r.targets)), func(t types.Target) string { return *t.Id }, in.NextToken, limit(in.Limit))
	if !ok {
		return nil, validation("NextToken is not one that ListTargetsByRule gave")
	}
	return &eventbridge.ListTargetsByRuleOutput{Targets: page, NextToken: next}, nil
}

// TestEventPattern says whether a pattern matches an event.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html
func (e *Engine) TestEventPattern(_ context.Context, in *eventbridge.TestEventPatternInput) (*eventbridge.TestEventPatternOutput, error) {
	p, err := ParsePattern(aws.ToString(in.EventPattern))
	if err != nil {
		return nil, &types.InvalidEventPatternException{Message: aws.String("Event pattern is not valid. Reason: " + err.Error())}
	}
	return &eventbridge.TestEventPatternOutput{Result: p.Match([]byte(aws.ToString(in.Event)))}, nil
}

func (e *Engine) rule(name, busName *string) (*rule, error) {
	if !bus(busName) {
		return nil, noBus(*busName)
	}
	if r := e.rules[aws.ToString(name)]; r != nil {
		return r, nil
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("Rule " + aws.ToString(name) + " does not exist on EventBus default.")}
}

func noBus(name string) error {
	return &types.ResourceNotFoundException{Message: aws.String("Event bus " + name + " does not exist.")}
}

func limit(asked *int32) int {
	if asked == nil || *asked < 1 || *asked > pageSize {
		return pageSize
	}
	return int(*asked)
}
