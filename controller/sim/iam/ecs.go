package iam

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// ecs is the table of Amazon ECS.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
func (p Place) ecs(input any) ([]Request, bool) {
	switch in := input.(type) {
	case *ecs.DescribeServicesInput:
		var out []Request
		for _, s := range in.Services {
			out = append(out, on("ecs:DescribeServices", p.cluster(in.Cluster), p.service(in.Cluster, &s))...)
		}
		return out, len(out) > 0
	case *ecs.UpdateServiceInput:
		return on("ecs:UpdateService", p.cluster(in.Cluster), p.service(in.Cluster, in.Service)), true
	case *ecs.DescribeTaskDefinitionInput:
		return on("ecs:DescribeTaskDefinition", nil, "*"), true
	case *ecs.ListTaskDefinitionsInput:
		return on("ecs:ListTaskDefinitions", nil, "*"), true
	case *ecs.RegisterTaskDefinitionInput:
		return p.register(in), true
	case *ecs.RunTaskInput:
		return p.run(in), len(in.Tags) == 0
	case *ecs.StopTaskInput:
		return on("ecs:StopTask", p.cluster(in.Cluster), p.task(in.Cluster, aws.ToString(in.Task))), true
	case *ecs.DescribeTasksInput:
		var out []Request
		for _, t := range in.Tasks {
			out = append(out, on("ecs:DescribeTasks", p.cluster(in.Cluster), p.task(in.Cluster, t))...)
		}
		return out, len(out) > 0
	case *ecs.ListTasksInput:
		return on("ecs:ListTasks", p.cluster(in.Cluster), p.arn("ecs", "container-instance/"+short(in.Cluster)+"/*")), true
	case *ecs.ListServiceDeploymentsInput:
		return on("ecs:ListServiceDeployments", p.cluster(in.Cluster), p.service(in.Cluster, in.Service)), true
	case *ecs.DescribeServiceDeploymentsInput:
		var out []Request
		for _, arn := range in.ServiceDeploymentArns {
			// Both are required: the deployment, and its service.
			at := strings.LastIndexByte(arn, '/')
			service := strings.Replace(arn[:max(at, 0)], ":service-deployment/", ":service/", 1)
			out = append(out, on("ecs:DescribeServiceDeployments", nil, arn, service)...)
		}
		return out, len(out) > 0
	case *ecs.TagResourceInput:
		return on("ecs:TagResource", map[string][]string{"aws:TagKeys": keys(in.Tags)}, aws.ToString(in.ResourceArn)), true
	}
	return nil, false
}

// register passes the roles that the definition names, and tags at birth.
func (p Place) register(in *ecs.RegisterTaskDefinitionInput) []Request {
	definition := p.arn("ecs", "task-definition/"+aws.ToString(in.Family)+":*") // nobody knows the number before
	out := on("ecs:RegisterTaskDefinition", map[string][]string{"aws:TagKeys": keys(in.Tags)}, definition)
	if len(in.Tags) > 0 {
		out = append(out, on("ecs:TagResource", map[string][]string{"aws:TagKeys": keys(in.Tags), "ecs:CreateAction": {"RegisterTaskDefinition"}}, definition)...)
	}
	return append(out, p.pass(in.TaskRoleArn, in.ExecutionRoleArn)...)
}

// run passes the roles that it puts in place of the definition's. Those of the definition were passed when it was registered;
// AWS's table has PassRole for RunTask and UpdateService without saying for which.
func (p Place) run(in *ecs.RunTaskInput) []Request {
	definition := aws.ToString(in.TaskDefinition)
	if !strings.HasPrefix(definition, "arn:") {
		if !strings.Contains(definition, ":") {
			definition += ":*"
		}
		definition = p.arn("ecs", "task-definition/"+definition)
	}
	out := on("ecs:RunTask", p.cluster(in.Cluster), definition)
	if in.Overrides != nil {
		out = append(out, p.pass(in.Overrides.TaskRoleArn, in.Overrides.ExecutionRoleArn)...)
	}
	return out
}

func (p Place) pass(roles ...*string) []Request {
	var out []Request
	for _, r := range roles {
		name := aws.ToString(r)
		if name == "" {
			continue
		}
		if !strings.HasPrefix(name, "arn:") {
			name = "arn:aws:iam::" + p.Account + ":role/" + name
		}
		out = append(out, on("iam:PassRole", map[string][]string{"iam:PassedToService": {"ecs-tasks.amazonaws.com"}}, name)...)
	}
	return out
}

func keys(tags []types.Tag) []string {
	var out []string
	for _, t := range tags {
		out = append(out, aws.ToString(t.Key))
	}
	return out
}

// short is a cluster's name, of a name or an ARN; ECS's own default where there is none.
func short(cluster *string) string {
	name := aws.ToString(cluster)
	if name == "" {
		return "default"
	}
	return name[strings.LastIndexByte(name, '/')+1:]
}

func (p Place) cluster(cluster *string) map[string][]string {
	return map[string][]string{"ecs:cluster": {p.arn("ecs", "cluster/"+short(cluster))}}
}

func (p Place) service(cluster, service *string) string {
	if name := aws.ToString(service); !strings.HasPrefix(name, "arn:") {
		return p.arn("ecs", "service/"+short(cluster)+"/"+name)
	}
	return *service
}

func (p Place) task(cluster *string, task string) string {
	if strings.HasPrefix(task, "arn:") {
		return task
	}
	return p.arn("ecs", "task/"+short(cluster)+"/"+task)
}

// dynamodb is the table of DynamoDB. A transaction is authorized as what is in it.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
func (p Place) dynamodb(input any) ([]Request, bool) {
	table := func(action string, name *string) []Request {
		return on("dynamodb:"+action, nil, p.arn("dynamodb", "table/"+aws.ToString(name)))
	}
	switch in := input.(type) {
	case *dynamodb.GetItemInput:
		return table("GetItem", in.TableName), true
	case *dynamodb.QueryInput:
		return table("Query", in.TableName), true
	case *dynamodb.UpdateItemInput:
		return table("UpdateItem", in.TableName), true
	case *dynamodb.TransactWriteItemsInput:
		var out []Request
		for _, item := range in.TransactItems {
			switch {
			case item.Put != nil:
				out = append(out, table("PutItem", item.Put.TableName)...)
			case item.Update != nil:
				out = append(out, table("UpdateItem", item.Update.TableName)...)
			case item.Delete != nil:
				out = append(out, table("DeleteItem", item.Delete.TableName)...)
			case item.ConditionCheck != nil:
				out = append(out, table("ConditionCheckItem", item.ConditionCheck.TableName)...)
			default:
				return nil, false
			}
		}
		return out, len(out) > 0
	}
	return nil, false
}
