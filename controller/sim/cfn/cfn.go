// Package cfn shows CloudFormation stacks with their outputs. Stacks are put there by Go code; nothing is
// deployed by them.
package cfn

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Stack is one stack.
type Stack struct {
	Name    string
	Status  types.StackStatus // empty: CREATE_COMPLETE
	Reason  string
	Outputs map[string]string
	Tags    map[string]string
}

type kept struct {
	Stack
	created time.Time
	updated *time.Time
}

// Engine holds the stacks of one account and region.
type Engine struct {
	account, region string

	mu     sync.Mutex
	stacks map[string]*kept
}

// New makes an engine without stacks.
func New(account, region string) *Engine {
	return &Engine{account: account, region: region, stacks: map[string]*kept{}}
}

// Put makes or replaces a stack.
func (e *Engine) Put(s Stack) {
	if s.Status == "" {
		s.Status = types.StackStatusCreateComplete
	}
	s.Outputs, s.Tags = maps.Clone(s.Outputs), maps.Clone(s.Tags)
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	k := &kept{Stack: s, created: now}
	if old := e.stacks[s.Name]; old != nil {
		k.created, k.updated = old.created, &now
	}
	e.stacks[s.Name] = k
}

// Get answers a stack that was put.
func (e *Engine) Get(name string) (Stack, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := e.stacks[name]
	if k == nil {
		return Stack{}, false
	}
	s := k.Stack
	s.Outputs, s.Tags = maps.Clone(s.Outputs), maps.Clone(s.Tags)
	return s, true
}

// SetStatus changes a stack's status; it answers an error for a stack that is not there.
func (e *Engine) SetStatus(name string, status types.StackStatus, reason string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := e.stacks[name]
	if k == nil {
		return missing(name)
	}
	now := time.Now()
	k.Status, k.Reason, k.updated = status, reason, &now
	return nil
}

// Delete removes a stack, as after DELETE_COMPLETE.
func (e *Engine) Delete(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.stacks, name)
}

const pageSize = 100

// DescribeStacks answers one stack by name or id, or all. A missing one is a ValidationError.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
func (e *Engine) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput) (*cloudformation.DescribeStacksOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []*kept
	for _, k := range e.stacks {
		if in.StackName == nil || *in.StackName == k.Name || strings.HasPrefix(*in.StackName, "arn:") && *in.StackName == e.id(k) {
			found = append(found, k)
		}
	}
	if in.StackName != nil && len(found) == 0 {
		return nil, missing(*in.StackName)
	}
	page, next, ok := wire.Page(found, func(k *kept) string { return k.Name }, in.NextToken, pageSize)
	if !ok {
		return nil, invalid("NextToken is not one that DescribeStacks gave")
	}
	out := &cloudformation.DescribeStacksOutput{NextToken: next}
	for _, k := range page {
		out.Stacks = append(out.Stacks, e.show(k))
	}
	return out, nil
}

// id is the stack's ARN.
func (e *Engine) id(k *kept) string {
	sum := sha256.Sum256([]byte(k.Name))
	return fmt.Sprintf("arn:aws:cloudformation:%s:%s:stack/%s/%x-%x-%x-%x-%x", e.region, e.account, k.Name, sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func (e *Engine) show(k *kept) types.Stack {
	s := types.Stack{
		StackName:       aws.String(k.Name),
		StackId:         aws.String(e.id(k)),
		StackStatus:     k.Status,
		CreationTime:    &k.created,
		LastUpdatedTime: k.updated,
	}
	if k.Reason != "" {
		s.StackStatusReason = aws.String(k.Reason)
	}
	for _, name := range slices.Sorted(maps.Keys(k.Outputs)) {
		s.Outputs = append(s.Outputs, types.Output{OutputKey: aws.String(name), OutputValue: aws.String(k.Outputs[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(k.Tags)) {
		s.Tags = append(s.Tags, types.Tag{Key: aws.String(name), Value: aws.String(k.Tags[name])})
	}
	return s
}

func missing(name string) error { return invalid("Stack with id " + name + " does not exist") }

func invalid(message string) error {
	return &smithy.GenericAPIError{Code: "ValidationError", Message: message, Fault: smithy.FaultClient}
}
