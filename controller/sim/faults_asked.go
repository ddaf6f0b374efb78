package sim

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/canteen/deploy/controller/sim/sts"
	"github.com/canteen/deploy/controller/sim/wire"
)

// asked is a call that a fault refuses, with the account that it was made in: what a refusal's text names comes from here.
type asked struct {
	account *Account
	call    *wire.Call
}

// refusalOf is a refusal whose text is made from what was asked; shape is how README.md shows it.
func refusalOf(service, operation, code, shape string, text func(asked) string) fault {
	return fault{
		symptom: code + " " + shape,
		call:    &wire.Fault{Service: service, Operation: operation},
		refuse: func(a *Account, c *wire.Call) error {
			return &wire.StatusError{Status: http.StatusBadRequest, Code: code, Message: text(asked{a, c})}
		},
	}
}

// askedRefusals name containers, target groups, roles and callers as AWS's texts do.
func askedRefusals() map[string]fault {
	invalid := func(shape string, text func(asked) string) fault {
		return refusalOf("ecs", "UpdateService", "InvalidParameterException", shape, text)
	}
	const who = "User: … is not authorized to perform: "
	return map[string]fault{
		"pass-role-missing": refusalOf("ecs", "RegisterTaskDefinition", "AccessDeniedException", who+"iam:PassRole on resource: …", func(r asked) string {
			return r.denied("iam:PassRole", r.role())
		}),
		"access-denied": refusalOf("", "", "AccessDeniedException", who+"… on resource: …", func(r asked) string {
			return r.denied(r.action(), r.resource())
		}),
		"secret-access-denied": refusalOf("secretsmanager", "", "AccessDeniedException", who+"secretsmanager:… on resource: …", func(r asked) string {
			return r.denied(r.action(), r.resource())
		}),
		"container-unknown": invalid("The container … does not exist in the task definition.", func(r asked) string {
			return fmt.Sprintf("The container %s does not exist in the task definition.", aws.ToString(r.balancer().ContainerName))
		}),
		"port-unknown": invalid("The container … did not have a container port … defined.", func(r asked) string {
			lb := r.balancer()
			return fmt.Sprintf("The container %s did not have a container port %d defined.", aws.ToString(lb.ContainerName), aws.ToInt32(lb.ContainerPort))
		}),
		"target-group-unattached": invalid("The target group with targetGroupArn … does not have an associated load balancer.", func(r asked) string {
			return fmt.Sprintf("The target group with targetGroupArn %s does not have an associated load balancer.", aws.ToString(r.balancer().TargetGroupArn))
		}),
		"target-group-unknown": invalid("Unable to find target group …", func(r asked) string {
			return "Unable to find target group " + aws.ToString(r.balancer().TargetGroupArn)
		}),
		"platform-unknown": refusalOf("ecs", "UpdateService", "PlatformUnknownException", "The specified platform does not exist: …", func(r asked) string {
			return "The specified platform does not exist: " + cmp.Or(r.text("PlatformVersion"), "LATEST")
		}),
	}
}

// caller is who GetCallerIdentity says that everybody is.
func (r asked) caller() string {
	out, err := (&sts.Engine{Account: r.account.config.Account}).GetCallerIdentity(context.Background(), &awssts.GetCallerIdentityInput{})
	if err != nil { // it never fails
		return ""
	}
	return aws.ToString(out.Arn)
}

// denied is the text of
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func (r asked) denied(action, resource string) string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action", r.caller(), action, resource, action)
}

// action is the IAM action of the call: https://docs.aws.amazon.com/service-authorization/latest/reference/
func (r asked) action() string {
	prefix := r.call.Service
	if prefix == "monitoring" {
		prefix = "cloudwatch"
	}
	return prefix + ":" + r.call.Operation
}

// text is a member of the input that is text, "" where it is absent or something else.
func (r asked) text(member string) string {
	v := reflect.ValueOf(r.call.Input).Elem().FieldByName(member)
	if !v.IsValid() || v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.String {
		return ""
	}
	return v.Elem().String()
}

func (r asked) role() string {
	return cmp.Or(r.text("ExecutionRoleArn"), r.text("TaskRoleArn"), "*")
}

// resource is the ARN of what the call is about, * where it is about none.
func (r asked) resource() string {
	arn := func(service, rest string) string {
		return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, r.account.config.Region, r.account.config.Account, rest)
	}
	cluster, service := tailOf(cmp.Or(r.text("Cluster"), "default")), tailOf(cmp.Or(r.text("Service"), r.text("ServiceName")))
	for _, member := range []string{"ServiceDeploymentArn", "TargetGroupArn", "ResourceArn", "SecretId", "TaskDefinition"} {
		if v := r.text(member); strings.HasPrefix(v, "arn:") {
			return v
		}
	}
	switch {
	case r.call.Service == "ecs" && service != "":
		return arn("ecs", "service/"+cluster+"/"+service)
	case r.call.Service == "ecs" && r.text("TaskDefinition") != "":
		return arn("ecs", "task-definition/"+r.text("TaskDefinition"))
	case r.call.Service == "ecs" && r.text("Cluster") != "":
		return arn("ecs", "cluster/"+cluster)
	case r.call.Service == "secretsmanager" && r.text("SecretId") != "":
		return arn("secretsmanager", "secret:"+r.text("SecretId"))
	case r.call.Service == "ecr" && r.text("RepositoryName") != "":
		return arn("ecr", "repository/"+r.text("RepositoryName"))
	case r.call.Service == "logs" && r.text("LogGroupName") != "":
		return arn("logs", "log-group:"+r.text("LogGroupName")+":log-stream:")
	}
	return "*"
}

func tailOf(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// balancer is the first load balancer of an UpdateService, else that of the service itself.
func (r asked) balancer() ecstypes.LoadBalancer {
	in, ok := r.call.Input.(*awsecs.UpdateServiceInput)
	if !ok {
		return ecstypes.LoadBalancer{}
	}
	if len(in.LoadBalancers) > 0 {
		return in.LoadBalancers[0]
	}
	out, err := r.account.ECS.DescribeServices(context.Background(), &awsecs.DescribeServicesInput{Cluster: in.Cluster, Services: []string{aws.ToString(in.Service)}})
	if err != nil || len(out.Services) == 0 || len(out.Services[0].LoadBalancers) == 0 {
		return ecstypes.LoadBalancer{}
	}
	return out.Services[0].LoadBalancers[0]
}
