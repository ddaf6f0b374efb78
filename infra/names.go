package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
)

// system is what every stack and resource is called after; service is the ECS service, and the file in desired/ENV.
const (
	system  = "order-processing"
	service = "order-processing"
)

// container is the one that git's images go into.
const container = "AppContainer"

// port is the worker's and the controller's.
const port = 8080

// stackName is the stack's, which desired/ENV/order-processing.yaml names.
func (s Settings) stackName() string { return system + "-" + s.Env }

// baseStackName is of what must be there before the first image.
func (s Settings) baseStackName() string { return s.stackName() + "-base" }

// named is a resource's name in this environment.
func (s Settings) named(part string) string { return s.stackName() + "-" + part }

// parameter keeps the last good revision; the controller writes it.
func (s Settings) parameter() string { return "/" + s.stackName() + "/task-definition" }

// secret is the name of one of the environment's secrets.
func (s Settings) secret(part string) string { return s.stackName() + "/" + part }

// templateFamily is the family of the task definition that no service runs.
func (s Settings) templateFamily() string { return s.named("template") }

func (s Settings) logGroup(of string) string {
	if of == "" {
		return "/ecs/" + s.stackName()
	}
	return "/ecs/" + s.named(of)
}

// arn names a resource of this account and region.
func (s Settings) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, s.Region, s.Account, resource)
}

// role is the ARN of one of the environment's roles.
func (s Settings) role(part string) string {
	return fmt.Sprintf("arn:aws:iam::%s:role/%s", s.Account, s.named(part))
}

// repositories by what is in them.
const (
	workerRepository     = service
	controllerRepository = "deploy-controller"
)

func (s Settings) repositoryURI(name string) string {
	return fmt.Sprintf("%s.dkr.ecr.%s.amazonaws.com/%s", s.Account, s.Region, name)
}

// retentions are the spans that CloudWatch Logs knows and that make sense here.
var retentions = map[int]awslogs.RetentionDays{
	7: awslogs.RetentionDays_ONE_WEEK, 14: awslogs.RetentionDays_TWO_WEEKS, 30: awslogs.RetentionDays_ONE_MONTH,
	90: awslogs.RetentionDays_THREE_MONTHS, 180: awslogs.RetentionDays_SIX_MONTHS, 365: awslogs.RetentionDays_ONE_YEAR,
}

func retention(days int) awslogs.RetentionDays { return retentions[days] }

func text(s string) *string        { return jsii.String(s) }
func number(n int) *float64        { return jsii.Number(n) }
func texts(s ...string) *[]*string { return jsii.Strings(s...) }
