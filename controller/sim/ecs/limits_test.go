package ecs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/canteen/deploy/controller/sim/ecs"
)

func TestQuotas(t *testing.T) {
	w := newWorld(t, nil, func(c *ecs.Config) {
		c.Quotas = ecs.Quotas{Clusters: 2, ServicesPerCluster: 3, Revisions: 4, Provisioning: 5}
	})
	type invalid = *types.InvalidParameterException
	td := w.register("web:1")
	for i := range 3 {
		must(w.CreateService(ctx(), createInput(td, 0, func(in *awsecs.CreateServiceInput) { in.ServiceName = aws.String(fmt.Sprint("s", i)) })))
	}
	_, err := w.CreateService(ctx(), createInput(td, 0))
	refused[invalid](t, "fourth service", "services per cluster is 3", err)
	_, err = w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("s1"), DesiredCount: aws.Int32(5001)})
	refused[invalid](t, "5,001 tasks", "at most 5000", err)
	must(w.CreateCluster(ctx(), &awsecs.CreateClusterInput{ClusterName: aws.String("d")}))
	_, err = w.CreateCluster(ctx(), &awsecs.CreateClusterInput{ClusterName: aws.String("e")})
	refused[*types.ClientException](t, "third cluster", "number of clusters", err)
	for range 3 {
		w.register("web:2")
	}
	_, err = w.RegisterTaskDefinition(ctx(), &awsecs.RegisterTaskDefinitionInput{Family: aws.String("web"), Memory: aws.String("512"), ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("a"), Image: aws.String("b")}}})
	refused[*types.LimitExceededException](t, "fifth revision", "revisions of family web", err)
	_, err = w.RegisterTaskDefinition(ctx(), &awsecs.RegisterTaskDefinitionInput{Family: aws.String("big"), Memory: aws.String("512"), ContainerDefinitions: []types.ContainerDefinition{{
		Name: aws.String("a"), Image: aws.String("b"), Command: []string{strings.Repeat("x", 64<<10)},
	}}})
	refused[*types.ClientException](t, "64 KiB", "Max allowed length is '65536' bytes.", err)
	run := &awsecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: &td, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnets(), Count: aws.Int32(5)}
	must(w.RunTask(ctx(), run))
	_, err = w.RunTask(ctx(), run)
	refused[*types.ClientException](t, "provisioning", "PROVISIONING", err)
	run.Overrides = &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String("app"), Command: []string{strings.Repeat("x", 8192)}}}}
	_, err = w.RunTask(ctx(), run)
	refused[invalid](t, "overrides", "at most 8192", err)
	_, err = w.CreateService(ctx(), createInput(td, 0, func(in *awsecs.CreateServiceInput) {
		in.ServiceConnectConfiguration = &types.ServiceConnectConfiguration{Enabled: true, Namespace: aws.String("apps")}
	}))
	refused[*types.NamespaceNotFoundException](t, "namespace", "apps", err)
}

type vpc map[string]string

func (v vpc) Subnet(id string) (string, bool) { z, ok := v[id]; return z, ok }
func (v vpc) SecurityGroup(id string) bool    { return id == "sg-1" }

func TestNetworkRefusals(t *testing.T) {
	w := newWorld(t, nil, func(c *ecs.Config) { c.VPC = vpc{"subnet-a": "z1", "subnet-b": "z2"} })
	td := w.register("web:1")
	must(w.CreateService(ctx(), createInput(td, 0)))
	update := func(subnet, group string) error {
		_, err := w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), NetworkConfiguration: &types.NetworkConfiguration{
			AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{subnet}, SecurityGroups: []string{group}},
		}})
		return err
	}
	refused[*types.InvalidParameterException](t, "subnet", "The subnet ID 'subnet-x' does not exist (ErrorCode: InvalidSubnetID.NotFound)", update("subnet-x", "sg-1"))
	refused[*types.InvalidParameterException](t, "security group", "InvalidGroup.NotFound", update("subnet-a", "sg-x"))
	if err := update("subnet-a", "sg-1"); err != nil {
		t.Error(err)
	}
	_, err := w.RunTask(ctx(), &awsecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: &td, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: &types.NetworkConfiguration{
		AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-y"}},
	}})
	refused[*types.InvalidParameterException](t, "a task's subnet", "'subnet-y' does not exist", err)
}

// Every listing goes on where its token says; a token of another listing, one
// that is none and one of yesterday are refused.
func TestTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		must(w.CreateCluster(ctx(), &awsecs.CreateClusterInput{ClusterName: aws.String("d")}))
		td := w.register("web:1")
		w.register("web:2")
		w.register("other:1", func(in *awsecs.RegisterTaskDefinitionInput) { in.Family = aws.String("other") })
		w.settle(td, 2)
		w.roll("web:2")
		must(w.CreateService(ctx(), createInput(td, 0, func(in *awsecs.CreateServiceInput) { in.ServiceName = aws.String("s2") })))
		one := aws.Int32(1)
		c := aws.String("c")
		lists := map[string]func(token *string) (int, *string, error){
			"services": func(tok *string) (int, *string, error) {
				out, err := w.ListServices(ctx(), &awsecs.ListServicesInput{Cluster: c, MaxResults: one, NextToken: tok})
				if err != nil {
					return 0, nil, err
				}
				return len(out.ServiceArns), out.NextToken, nil
			},
			"tasks": func(tok *string) (int, *string, error) {
				out, err := w.ListTasks(ctx(), &awsecs.ListTasksInput{Cluster: c, MaxResults: one, NextToken: tok})
				if err != nil {
					return 0, nil, err
				}
				return len(out.TaskArns), out.NextToken, nil
			},
			"tasks of a family": func(tok *string) (int, *string, error) {
				out, err := w.ListTasks(ctx(), &awsecs.ListTasksInput{Cluster: c, MaxResults: one, NextToken: tok, Family: aws.String("web")})
				if err != nil {
					return 0, nil, err
				}
				return len(out.TaskArns), out.NextToken, nil
			},
			"service deployments": func(tok *string) (int, *string, error) {
				out, err := w.ListServiceDeployments(ctx(), &awsecs.ListServiceDeploymentsInput{Cluster: c, Service: aws.String("web"), MaxResults: one, NextToken: tok})
				if err != nil {
					return 0, nil, err
				}
				return len(out.ServiceDeployments), out.NextToken, nil
			},
			"task definitions": func(tok *string) (int, *string, error) {
				out, err := w.ListTaskDefinitions(ctx(), &awsecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("web"), MaxResults: one, NextToken: tok})
				if err != nil {
					return 0, nil, err
				}
				return len(out.TaskDefinitionArns), out.NextToken, nil
			},
			"families": func(tok *string) (int, *string, error) {
				out, err := w.ListTaskDefinitionFamilies(ctx(), &awsecs.ListTaskDefinitionFamiliesInput{MaxResults: one, NextToken: tok})
				if err != nil {
					return 0, nil, err
				}
				return len(out.Families), out.NextToken, nil
			},
			"clusters": func(tok *string) (int, *string, error) {
				out, err := w.ListClusters(ctx(), &awsecs.ListClustersInput{MaxResults: one, NextToken: tok})
				if err != nil {
					return 0, nil, err
				}
				return len(out.ClusterArns), out.NextToken, nil
			},
			"capacity providers": func(tok *string) (int, *string, error) {
				out, err := w.DescribeCapacityProviders(ctx(), &awsecs.DescribeCapacityProvidersInput{MaxResults: one, NextToken: tok})
				if err != nil {
					return 0, nil, err
				}
				return len(out.CapacityProviders), out.NextToken, nil
			},
		}
		tokens := map[string]*string{}
		for name, list := range lists {
			n, token, err := list(nil)
			if err != nil || n != 1 || token == nil {
				t.Fatalf("%s: %d with token %v, %v", name, n, token, err)
			}
			tokens[name] = token
			if n, token, err := list(token); n != 1 || err != nil || name != "tasks" && name != "tasks of a family" && token != nil {
				t.Errorf("%s, second page: %d, more %v, %v", name, n, token != nil, err)
			}
			_, _, err = list(aws.String("nonsense"))
			refused[*types.InvalidParameterException](t, name, "Invalid token.", err)
		}
		for name, list := range lists {
			for from, token := range tokens {
				if from != name {
					_, _, err := list(token)
					refused[*types.InvalidParameterException](t, name+" with a token of "+from, "Invalid token.", err)
				}
			}
		}
		pass(25 * time.Hour)
		for name, list := range lists {
			_, _, err := list(tokens[name])
			refused[*types.InvalidParameterException](t, name, "expired", err)
		}
		_, err := w.ListServices(ctx(), &awsecs.ListServicesInput{Cluster: c, MaxResults: aws.Int32(101)})
		refused[*types.InvalidParameterException](t, "page of 101", "between 1 and 100", err)
	})
}

func TestDeleteTaskDefinitions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		used, idle, active := w.register("web:1"), w.register("web:2"), w.register("web:3")
		w.settle(used, 1)
		for _, td := range []string{used, idle} {
			must(w.DeregisterTaskDefinition(ctx(), &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: &td}))
		}
		out := must(w.DeleteTaskDefinitions(ctx(), &awsecs.DeleteTaskDefinitionsInput{TaskDefinitions: []string{used, idle, active, "web:9", "web"}}))
		if len(out.TaskDefinitions) != 2 || out.TaskDefinitions[0].Status != types.TaskDefinitionStatusDeleteInProgress || len(out.Failures) != 3 {
			t.Fatalf("%d deleted, failures %+v", len(out.TaskDefinitions), out.Failures)
		}
		pass(time.Minute)
		list := must(w.ListTaskDefinitions(ctx(), &awsecs.ListTaskDefinitionsInput{Status: types.TaskDefinitionStatusDeleteInProgress}))
		if !slices.Equal(list.TaskDefinitionArns, []string{used}) {
			t.Errorf("still being deleted: %v", list.TaskDefinitionArns)
		}
		_, err := w.DescribeTaskDefinition(ctx(), &awsecs.DescribeTaskDefinitionInput{TaskDefinition: &idle})
		refused[*types.ClientException](t, "gone", "Unable to describe task definition.", err)
		_, err = w.CreateService(ctx(), createInput(used, 1, func(in *awsecs.CreateServiceInput) { in.ServiceName = aws.String("s2") }))
		refused[*types.ClientException](t, "new use", "TaskDefinition is inactive", err)
		w.update(func(in *awsecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(2) })
		w.until(5*time.Minute, "the service scales with it", func() bool { return w.service().RunningCount == 2 })
		if next := w.register("web:4"); !strings.HasSuffix(next, ":4") {
			t.Errorf("the next revision is %s", next)
		}
		_, err = w.DeleteTaskDefinitions(ctx(), &awsecs.DeleteTaskDefinitionsInput{TaskDefinitions: make([]string, 11)})
		refused[*types.InvalidParameterException](t, "eleven", "10", err)
	})
}

func TestTaskProtection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		a := w.settle(w.register("web:1"), 3, withLB)
		task := *w.tasks(types.DesiredStatusRunning)[0].TaskArn
		protect := func(on bool, minutes *int32, tasks ...string) *awsecs.UpdateTaskProtectionOutput {
			return must(w.UpdateTaskProtection(ctx(), &awsecs.UpdateTaskProtectionInput{Cluster: aws.String("c"), ProtectionEnabled: on, ExpiresInMinutes: minutes, Tasks: tasks}))
		}
		alone := *must(w.RunTask(ctx(), &awsecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: aws.String("web:1"), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnets()})).Tasks[0].TaskArn
		out := protect(true, nil, task, alone, "none")
		if len(out.ProtectedTasks) != 1 || out.ProtectedTasks[0].ExpirationDate.Sub(time.Now()) != 2*time.Hour ||
			*out.Failures[0].Reason != "TASK_NOT_VALID" || *out.Failures[1].Reason != "MISSING" {
			t.Fatalf("%+v, failures %+v", out.ProtectedTasks, out.Failures)
		}
		// Scale-in takes the others.
		w.update(func(in *awsecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(1) })
		pass(5 * time.Minute)
		if ts := w.tasks(types.DesiredStatusRunning); !slices.ContainsFunc(ts, func(k types.Task) bool { return *k.TaskArn == task }) || w.service().RunningCount != 1 {
			t.Fatalf("after scale-in:\n%s", w.story())
		}
		// A rollout cannot end while it is there, and says so.
		b := w.roll(w.register("web:2"))
		pass(30 * time.Minute)
		if p := w.primary(); p.RolloutState != inProgress || w.deployment(*a.Id) == nil || !w.said("was unable to scale in due to (reason 1 tasks under protection)") {
			t.Errorf("half an hour later:\n%s", w.story())
		}
		if out := protect(true, nil, task); len(out.Failures) != 1 || *out.Failures[0].Reason != "DEPLOYMENT_BLOCKED" {
			t.Errorf("protected again: %+v", out)
		}
		w.until(2*time.Hour, "protection expired", func() bool { return w.primary().RolloutState == completed && *w.primary().Id == *b.Id })
		got := must(w.GetTaskProtection(ctx(), &awsecs.GetTaskProtectionInput{Cluster: aws.String("c"), Tasks: []string{task}}))
		if got.ProtectedTasks[0].ProtectionEnabled {
			t.Error("still protected")
		}
		_, err := w.UpdateTaskProtection(ctx(), &awsecs.UpdateTaskProtectionInput{Cluster: aws.String("c"), Tasks: []string{task}, ExpiresInMinutes: aws.Int32(2881)})
		refused[*types.InvalidParameterException](t, "three days", "2880", err)
		_, err = w.UpdateTaskProtection(ctx(), &awsecs.UpdateTaskProtectionInput{Cluster: aws.String("c"), Tasks: make([]string, 11)})
		refused[*types.InvalidParameterException](t, "eleven", "10", err)
	})
}
