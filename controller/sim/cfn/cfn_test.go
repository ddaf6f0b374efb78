package cfn_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/canteen/deploy/controller/sim/cfn"
)

func TestStacks(t *testing.T) {
	e := cfn.New("000000000000", "eu-central-1")
	describe := func(name string) (types.Stack, error) {
		out, err := e.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(name)})
		if err != nil {
			return types.Stack{}, err
		}
		return out.Stacks[0], nil
	}
	if _, err := describe("orders"); err == nil || err.Error() != "api error ValidationError: Stack with id orders does not exist" {
		t.Errorf("absent: %v", err)
	}
	e.Put(cfn.Stack{Name: "orders", Outputs: map[string]string{"B": "2", "A": "1"}})
	s, err := describe("orders")
	if err != nil || s.StackStatus != types.StackStatusCreateComplete || len(s.Outputs) != 2 || *s.Outputs[0].OutputKey != "A" || s.LastUpdatedTime != nil {
		t.Errorf("new: %+v, %v", s, err)
	}
	if err := e.SetStatus("orders", types.StackStatusUpdateInProgress, "User Initiated"); err != nil {
		t.Fatal(err)
	}
	if s, err = describe(*s.StackId); err != nil || s.StackStatus != types.StackStatusUpdateInProgress || *s.StackStatusReason != "User Initiated" || s.LastUpdatedTime == nil {
		t.Errorf("by id: %+v, %v", s, err)
	}
	e.Put(cfn.Stack{Name: "other"})
	all, err := e.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
	if err != nil || len(all.Stacks) != 2 {
		t.Errorf("all: %v, %v", all, err)
	}
	e.Delete("orders")
	if _, err := describe("orders"); err == nil {
		t.Error("the stack is gone")
	}
	if e.SetStatus("orders", types.StackStatusUpdateComplete, "") == nil {
		t.Error("a stack that is not there has no status")
	}
}
