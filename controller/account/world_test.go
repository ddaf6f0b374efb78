package account_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/cfn"
	"github.com/canteen/deploy/controller/sim/script"
)

const (
	stackName = "orders-dev"
	cluster   = "main"
	service   = "orders"
	parameter = "/deploy/orders"
	alarm     = "orders-5xx"
	group     = "/ecs/orders"
	container = "AppContainer"
)

// world is an account with one service that runs revision 1 of its own family, and the adapter that speaks to it.
type world struct {
	*testing.T
	sim     *sim.Account
	account *account.Account
	outputs map[string]string
	group   string // target group's ARN
}

// bubble runs f in virtual time against a fresh world.
func bubble(t *testing.T, config sim.Config, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		local, err := sim.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := local.Close(); err != nil {
				t.Error(err)
			}
		}()
		w := &world{T: t, sim: local}
		var mu sync.Mutex // several requests are paused at once
		dice := rand.New(rand.NewPCG(1, config.Seed))
		jitter := func() float64 { mu.Lock(); defer mu.Unlock(); return dice.Float64() }
		clients := client.New(local.AWSConfig(), client.Options{Jitter: jitter})
		w.account = account.New(clients, account.Options{Account: sim.DefaultAccount, Region: sim.DefaultRegion})
		w.build()
		f(w)
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func digest(tag string) string {
	sum := sha256.Sum256([]byte(tag))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (w *world) build() {
	ctx := w.Context()
	must(w.sim.ECR.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("orders")}))
	for _, tag := range []string{"v1", "v2", "bad"} {
		if err := w.sim.ECR.Put("orders", tag, digest(tag), nil); err != nil {
			w.Fatal(err)
		}
	}
	must(w.sim.Secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("orders/db"), SecretString: aws.String(`{"password":"hush"}`)}))
	must(w.sim.Logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(group)}))
	must(w.sim.Alarms.PutMetricAlarm(ctx, &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String(alarm), Namespace: aws.String("n"), MetricName: aws.String("m"), Statistic: cw.StatisticSum,
		Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: cw.ComparisonOperatorGreaterThanThreshold,
	}))
	must(w.sim.Alarms.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String(alarm), StateValue: cw.StateValueOk, StateReason: aws.String("quiet")}))
	w.group = *must(w.sim.ELB.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("orders"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8080), TargetType: elbtypes.TargetTypeEnumIp,
		HealthCheckPath: aws.String("/health"), HealthCheckIntervalSeconds: aws.Int32(10),
	})).TargetGroups[0].TargetGroupArn
	balancer := must(w.sim.ELB.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("orders"), Subnets: []string{"subnet-1"}})).LoadBalancers[0].LoadBalancerArn
	must(w.sim.ELB.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: balancer, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &w.group}},
	}))
	must(w.sim.ECS.CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: aws.String(cluster)}))
	must(w.sim.ECS.RegisterTaskDefinition(ctx, taskDefinition("orders-template", "placeholder:1")))
	first := taskDefinition(service, w.sim.ECR.Registry()+"/orders@"+digest("v1"))
	revision := must(w.sim.ECS.RegisterTaskDefinition(ctx, first)).TaskDefinition.TaskDefinitionArn
	must(w.sim.ECS.CreateService(ctx, &awsecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: aws.String(service), TaskDefinition: revision, DesiredCount: aws.Int32(2),
		LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network("subnet-1"),
		LoadBalancers: []types.LoadBalancer{{TargetGroupArn: &w.group, ContainerName: aws.String(container), ContainerPort: aws.Int32(8080)}},
	}))
	w.outputs = map[string]string{
		account.OutputRepository: w.sim.ECR.Registry() + "/orders", account.OutputCluster: cluster, account.OutputService: service,
		account.OutputSubnets: "subnet-1,subnet-2", account.OutputSecurityGroup: "sg-1", account.OutputTemplate: "orders-template",
		account.OutputParameter: parameter,
	}
	w.sim.CFN.Put(cfn.Stack{Name: stackName, Outputs: w.outputs})
	w.until(10*time.Minute, observed.Look{}, func(s observed.Service) bool { return s.Primary().Rollout == observed.RolloutCompleted })
}

func network(subnets ...string) *types.NetworkConfiguration {
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: subnets, SecurityGroups: []string{"sg-1"}}}
}

func taskDefinition(family, image string) *awsecs.RegisterTaskDefinitionInput {
	return &awsecs.RegisterTaskDefinitionInput{
		Family: aws.String(family), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ExecutionRoleArn:        aws.String("arn:aws:iam::000000000000:role/execution"),
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String(container), Image: &image, Essential: aws.Bool(true),
			PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(8080)}},
			Environment:  []types.KeyValuePair{{Name: aws.String("PORT"), Value: aws.String("8080")}},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": group, "awslogs-region": sim.DefaultRegion, "awslogs-stream-prefix": "app",
			}},
		}},
	}
}

func (w *world) observe(look observed.Look) observed.Service {
	w.Helper()
	look.Stack = stackName
	s, err := w.account.Observe(w.Context(), nil, look)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// until observes every five seconds until done holds, and fails after limit.
func (w *world) until(limit time.Duration, look observed.Look, done func(observed.Service) bool) observed.Service {
	w.Helper()
	for from := time.Now(); ; time.Sleep(5 * time.Second) {
		s := w.observe(look)
		if done(s) {
			return s
		}
		if time.Since(from) > limit {
			w.Fatalf("not after %s; the last look was %+v", limit, s)
		}
	}
}

func (w *world) act(action rollout.Action) (rollout.Outcome, error) {
	w.Helper()
	return w.account.Act(w.Context(), nil, w.observe(observed.Look{}), action)
}

func (w *world) mustAct(action rollout.Action) rollout.Outcome {
	w.Helper()
	out, err := w.act(action)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// register is the action that registers the tag's image.
func (w *world) register(tag string) rollout.Register {
	return rollout.Register{
		Template: "orders-template", Ask: "v1:" + tag, Fingerprint: "v1:print-" + tag, Commit: "c0ffee1",
		Containers: map[string]rollout.Container{container: {
			Image: w.outputs[account.OutputRepository] + "@" + digest(tag), Tag: tag, Digest: digest(tag),
			Env: map[string]string{"LOG_LEVEL": "info"}, Secrets: map[string]string{"DB_PASSWORD": "secretsmanager:orders/db:password"},
		}},
	}
}

func roll(revision string) rollout.Roll {
	return rollout.Roll{Revision: revision, MinimumHealthyPercent: 100, MaximumPercent: 200}
}

// logs is a book in which every image says that it listens.
func logs() script.Book {
	return script.Book{
		{Match: script.Match{Command: []string{"/worker", "migrate"}}, Script: script.Script{
			Logs: []script.Line{{After: time.Second, Text: "migrated to version 2"}}, Exit: &script.Exit{After: 5 * time.Second},
		}},
		{Script: script.Script{Logs: []script.Line{{After: time.Second, Text: "listening on 8080"}}}},
	}
}

func (w *world) ctx() context.Context { return w.Context() }
