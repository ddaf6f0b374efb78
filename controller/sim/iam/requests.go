package iam

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Place is where resources are named.
type Place struct{ Account, Region string }

func (p Place) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + p.Region + ":" + p.Account + ":" + resource
}

// on is one action on each of the resources.
func on(action string, context map[string][]string, resources ...string) []Request {
	var out []Request
	for _, r := range resources {
		out = append(out, Request{Action: action, Resource: r, Context: context})
	}
	return out
}

// Requests answers every action on every resource that a call is authorized as; none for what needs no permission. Where AWS's
// pages leave open on which of several resources it is, all are answered. An operation without a row here is an error: nobody
// can tell whether it is allowed.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
func (p Place) Requests(c *wire.Call) ([]Request, error) {
	var out []Request
	var known bool
	if c.Service == "dynamodb" {
		out, known = p.dynamodb(c.Input)
	} else if out, known = p.ecs(c.Input); !known {
		out, known = p.others(c.Input)
	}
	if !known {
		return nil, fmt.Errorf("%s %s has no row in the table of what operations are authorized as", c.Service, c.Operation)
	}
	return out, nil
}

func (p Place) others(input any) ([]Request, bool) {
	switch in := input.(type) {
	case *elbv2.DescribeTargetHealthInput:
		return on("elasticloadbalancing:DescribeTargetHealth", nil, "*"), true
	case *cloudwatchlogs.FilterLogEventsInput:
		// Refusals name the group's streams, without one.
		return on("logs:FilterLogEvents", nil, p.arn("logs", "log-group:"+aws.ToString(in.LogGroupName)+":log-stream:")), in.LogGroupName != nil
	case *cloudwatchlogs.GetLogEventsInput:
		return on("logs:GetLogEvents", nil, p.arn("logs", "log-group:"+aws.ToString(in.LogGroupName)+":log-stream:"+aws.ToString(in.LogStreamName))), in.LogGroupName != nil
	case *cloudwatch.DescribeAlarmsInput:
		return p.alarms(in), true
	case *ecr.DescribeImagesInput:
		return on("ecr:DescribeImages", nil, p.repository(in.RegistryId, in.RepositoryName)), true
	case *ecr.BatchGetImageInput:
		return on("ecr:BatchGetImage", nil, p.repository(in.RegistryId, in.RepositoryName)), true
	case *ecr.GetDownloadUrlForLayerInput:
		return on("ecr:GetDownloadUrlForLayer", nil, p.repository(in.RegistryId, in.RepositoryName)), true
	case *cloudformation.DescribeStacksInput:
		name := aws.ToString(in.StackName)
		switch {
		case name == "":
			// All stacks are described to those only who may also list them.
			return append(on("cloudformation:DescribeStacks", nil, "*"), on("cloudformation:ListStacks", nil, "*")...), true
		case strings.HasPrefix(name, "arn:"):
			return on("cloudformation:DescribeStacks", nil, name), true
		}
		return on("cloudformation:DescribeStacks", nil, p.arn("cloudformation", "stack/"+name+"/*")), true
	case *ssm.GetParameterInput:
		return on("ssm:GetParameter", nil, p.parameter(in.Name)), true
	case *ssm.PutParameterInput:
		return on("ssm:PutParameter", nil, p.parameter(in.Name)), len(in.Tags) == 0
	case *secretsmanager.DescribeSecretInput:
		id := aws.ToString(in.SecretId)
		if strings.HasPrefix(id, "arn:") {
			return on("secretsmanager:DescribeSecret", nil, id), true
		}
		// Of one that is there the ARN counts, which ends in six characters more; of one that is not, the name.
		return on("secretsmanager:DescribeSecret", nil, p.arn("secretsmanager", "secret:"+id), p.arn("secretsmanager", "secret:"+id+"-AbCdEf")), true
	case *sqs.ReceiveMessageInput:
		return on("sqs:ReceiveMessage", nil, p.queue(in.QueueUrl)), true
	case *sqs.DeleteMessageBatchInput: // authorized as each of the deletions in it
		return on("sqs:DeleteMessage", nil, p.queue(in.QueueUrl)), true
	case *sts.GetCallerIdentityInput:
		return nil, true // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: no permissions are required
	}
	return nil, false
}

// alarms are composite only for whoever may see every alarm: with a narrower scope AWS leaves them out.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/permissions-reference-cw.html
func (p Place) alarms(in *cloudwatch.DescribeAlarmsInput) []Request {
	all := len(in.AlarmNames) == 0
	for _, kind := range in.AlarmTypes {
		all = all || kind == cwtypes.AlarmTypeCompositeAlarm
	}
	if all {
		return on("cloudwatch:DescribeAlarms", nil, "*")
	}
	var out []Request
	for _, name := range in.AlarmNames {
		out = append(out, on("cloudwatch:DescribeAlarms", nil, p.arn("cloudwatch", "alarm:"+name))...)
	}
	return out
}

func (p Place) repository(registry, name *string) string {
	if registry != nil {
		p.Account = *registry
	}
	return p.arn("ecr", "repository/"+aws.ToString(name))
}

// queue is the ARN of the queue of a URL, which ends in its account and name.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
func (p Place) queue(url *string) string {
	parts := strings.Split(aws.ToString(url), "/")
	if len(parts) < 2 {
		return p.arn("sqs", "")
	}
	there := p
	there.Account = parts[len(parts)-2]
	return there.arn("sqs", parts[len(parts)-1])
}

func (p Place) parameter(name *string) string {
	return p.arn("ssm", "parameter/"+strings.TrimPrefix(aws.ToString(name), "/"))
}
