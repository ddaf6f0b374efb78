package sim_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim"
)

func open(t *testing.T, c sim.Config, seed string) *sim.Account {
	t.Helper()
	a, err := sim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	s, err := sim.ReadSeed([]byte(seed), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Plant(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return a
}

func exampleSeed(t *testing.T) string { return seedText(t) }

func seedText(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/account.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func until(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(limit / 1000) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

func service(t *testing.T, a *sim.Account) ecstypes.Service {
	t.Helper()
	out, err := a.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("orders-dev"), Services: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Services) != 1 {
		t.Fatalf("services: %v, failures: %v", out.Services, out.Failures)
	}
	return out.Services[0]
}

func completed(s ecstypes.Service) bool {
	return len(s.Deployments) == 1 && s.Deployments[0].RolloutState == ecstypes.DeploymentRolloutStateCompleted
}

// TestExampleSeedRollsOut goes through what a deployment does, with SDK clients, in virtual time.
func TestExampleSeedRollsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1}, exampleSeed(t))
		ctx := t.Context()
		client := ecs.NewFromConfig(a.AWSConfig())
		until(t, "first deployment", 10*time.Minute, func() bool { return completed(service(t, a)) })

		group := *service(t, a).LoadBalancers[0].TargetGroupArn
		health, err := elbv2.NewFromConfig(a.AWSConfig()).DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: &group})
		if err != nil {
			t.Fatal(err)
		}
		var states []elbtypes.TargetHealthStateEnum
		for _, d := range health.TargetHealthDescriptions {
			states = append(states, d.TargetHealth.State)
		}
		if diff := cmp.Diff([]elbtypes.TargetHealthStateEnum{"healthy", "healthy"}, states); diff != "" {
			t.Errorf("targets (-want +got):\n%s", diff)
		}

		// A migration: the command picks the script, and its line reaches the log group.
		run, err := client.RunTask(ctx, &ecs.RunTaskInput{
			Cluster: aws.String("orders-dev"), TaskDefinition: aws.String("orders-dev"), LaunchType: ecstypes.LaunchTypeFargate,
			NetworkConfiguration: service(t, a).NetworkConfiguration,
			Overrides:            &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("app"), Command: []string{"/worker", "migrate"}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var task ecstypes.Task
		until(t, "migration", 10*time.Minute, func() bool {
			out, err := client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("orders-dev"), Tasks: []string{*run.Tasks[0].TaskArn}})
			if err != nil {
				t.Fatal(err)
			}
			task = out.Tasks[0]
			return aws.ToString(task.LastStatus) == "STOPPED"
		})
		if task.Containers[0].ExitCode == nil || *task.Containers[0].ExitCode != 0 {
			t.Errorf("migration ended with %v, stopped because %s", task.Containers[0].ExitCode, aws.ToString(task.StoppedReason))
		}
		events, err := cloudwatchlogs.NewFromConfig(a.AWSConfig()).FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("/ecs/orders-dev"), FilterPattern: aws.String("migrated"),
		})
		if err != nil {
			t.Fatal(err)
		}
		id := (*task.TaskArn)[strings.LastIndex(*task.TaskArn, "/")+1:]
		if len(events.Events) != 1 || *events.Events[0].LogStreamName != "orders/app/"+id {
			t.Errorf("log of the migration: %v", events.Events)
		}

		// A rollout to an image that crashes is stopped by the circuit breaker.
		revision := register(t, client, service(t, a), "bad0001")
		if _, err := client.UpdateService(ctx, &ecs.UpdateServiceInput{
			Cluster: aws.String("orders-dev"), Service: aws.String("orders"), TaskDefinition: &revision,
			DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
				DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: false},
				MinimumHealthyPercent:    aws.Int32(100), MaximumPercent: aws.Int32(200),
			},
		}); err != nil {
			t.Fatal(err)
		}
		until(t, "circuit breaker", time.Hour, func() bool {
			return service(t, a).Deployments[0].RolloutState == ecstypes.DeploymentRolloutStateFailed
		})
		if got := service(t, a).RunningCount; got < 2 {
			t.Errorf("the old tasks must go on running, %d do", got)
		}
	})
}

// register makes a revision like the service's with another tag.
func register(t *testing.T, client *ecs.Client, s ecstypes.Service, tag string) string {
	t.Helper()
	td, err := client.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: s.TaskDefinition})
	if err != nil {
		t.Fatal(err)
	}
	d := td.TaskDefinition
	image := *d.ContainerDefinitions[0].Image
	d.ContainerDefinitions[0].Image = aws.String(image[:strings.LastIndex(image, ":")+1] + tag)
	out, err := client.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: d.Family, ContainerDefinitions: d.ContainerDefinitions, Cpu: d.Cpu, Memory: d.Memory,
		NetworkMode: d.NetworkMode, RequiresCompatibilities: d.RequiresCompatibilities, ExecutionRoleArn: d.ExecutionRoleArn,
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.TaskDefinition.TaskDefinitionArn
}

func TestThrottlingIsSharedAndRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{}, "clusters: [c]")
		cfg := a.AWSConfig()
		cfg.RetryMaxAttempts = 1
		clients := []*ecs.Client{ecs.NewFromConfig(cfg), ecs.NewFromConfig(cfg)}
		call := func(i int) error {
			_, err := clients[i%2].DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"x"}})
			return err
		}
		for i := range 100 {
			if err := call(i); err != nil {
				t.Fatalf("call %d of a burst of 100: %v", i+1, err)
			}
		}
		api, ok := errors.AsType[smithy.APIError](call(0))
		if !ok || api.ErrorCode() != "ThrottlingException" || api.ErrorMessage() != "Rate exceeded" {
			t.Errorf("call 101: got %v", api)
		}
		if _, err := clients[0].DescribeClusters(t.Context(), &ecs.DescribeClustersInput{}); err != nil {
			t.Errorf("another category has its own bucket: %v", err)
		}
		time.Sleep(time.Second)
		for i := range 20 {
			if err := call(i); err != nil {
				t.Errorf("call %d after a second: %v", i+1, err)
			}
		}
		if call(0) == nil {
			t.Error("20 calls refill in a second, 21 were let through")
		}
		if got := a.Calls.Count("ecs", "DescribeServices"); got != 122 {
			t.Errorf("counted %d calls, want 122", got)
		}
		recent := a.Calls.Recent()
		if last := recent[len(recent)-1]; last.Error != "ThrottlingException" || last.Operation != "DescribeServices" {
			t.Errorf("last call: %+v", last)
		}
	})
}

// AWS's page has two figures for Elastic Load Balancing; either may hold.
func TestBothFiguresForLoadBalancers(t *testing.T) {
	for wide, burst := range map[bool]int{false: 40, true: 200} {
		synctest.Test(t, func(t *testing.T) {
			cfg := open(t, sim.Config{WideELBLimits: wide}, "").AWSConfig()
			cfg.RetryMaxAttempts = 1
			n := 0
			for n < 300 {
				if _, err := elbv2.NewFromConfig(cfg).DescribeLoadBalancers(t.Context(), &elbv2.DescribeLoadBalancersInput{}); err != nil {
					break
				}
				n++
			}
			if n != burst {
				t.Errorf("wide %v: %d calls at once, want %d", wide, n, burst)
			}
		})
	}
}

// No page has the limit of StopServiceDeployment: it may be that of the operations that change services, or its own.
func TestBothLimitsForStops(t *testing.T) {
	for apart, burst := range map[bool]int{false: 50, true: 10} {
		synctest.Test(t, func(t *testing.T) {
			cfg := open(t, sim.Config{StopsLimitedApart: apart}, "clusters: [c]").AWSConfig()
			cfg.RetryMaxAttempts = 1
			client := ecs.NewFromConfig(cfg)
			stop := func() bool { // false: throttled
				_, err := client.StopServiceDeployment(t.Context(), &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: aws.String("arn:aws:ecs:eu-central-1:000000000000:service-deployment/c/s/x")})
				return !strings.Contains(err.Error(), "ThrottlingException")
			}
			n := 0
			for n < 100 && stop() {
				n++
			}
			if n != burst {
				t.Errorf("apart %v: %d stops at once, want %d", apart, n, burst)
			}
			_, err := client.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("s")})
			if throttled := strings.Contains(err.Error(), "ThrottlingException"); throttled == apart {
				t.Errorf("apart %v: after the stops UpdateService is throttled: %v", apart, throttled)
			}
		})
	}
}

func TestAWSConfigReadsNothingOfThisMachine(t *testing.T) {
	for k, v := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "other", "AWS_PROFILE": "none",
		"AWS_CONFIG_FILE": "/does/not/exist", "HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(k, v)
	}
	a := open(t, sim.Config{}, "clusters: [c]")
	out, err := ecs.NewFromConfig(a.AWSConfig()).DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"c"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *out.Clusters[0].ClusterArn, "arn:aws:ecs:eu-central-1:000000000000:cluster/c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSeedErrorsNameTheField(t *testing.T) {
	for _, c := range []struct{ name, seed, want string }{
		{"unknown field", "repositories: [{name: a, images: [{tag: x, digset: y}]}]", "seed: repositories[0].images[0].digset is not a field here; there are commands, digest,"},
		{"unknown section", "service: []", "seed: service is not a field here"},
		{"wrong kind", "clusters: orders", "seed: clusters must be a list, found orders"},
		{"wrong scalar", "targetGroups: [{name: a, port: http}]", "seed: targetGroups[0].port must be a int32, found string"},
		{"duration", "targetGroups: [{name: a, port: 80, interval: 10}]", "seed: targetGroups[0].interval must be a duration such as 30s, found 10"},
		{"part of a second", "targetGroups: [{name: a, port: 80, interval: 5500ms}]", "seed: targetGroups[0]: interval must be whole seconds, found 5.5s"},
		{"duplicate key", "clusters: [a]\nclusters: [b]", "already set in map"},
		{"no executable", "repositories: [{name: a, images: [{tag: x, process: {files: {/w: nowhere}}}]}]", "seed: repositories[0].images[0].process.files./w: there is no executable"},
		{"process without processes", "repositories: [{name: a, images: [{tag: x, process: {files: {}}}]}]", "seed: repositories[0]: images[0]: process: this account runs modelled tasks only"},
		{"digest", "repositories: [{name: a, images: [{tag: x, digest: abc}]}]", "seed: repositories[0]: images[0]: digest must be sha256: and 64 hexadecimal digits"},
		{"reference", "stacks: [{name: a, outputs: {X: '${secret:b}'}}]", "seed: stacks[0]: outputs.X: ${secret:b} names nothing in this file"},
		{"stack status", "stacks: [{name: a, status: DONE}]", `seed: stacks[0]: status: "DONE" is not a status`},
		{"listener", "loadBalancers: [{name: a, listeners: [{port: 80, targetGroup: b}]}]", "seed: loadBalancers[0]: listeners[0]: targetGroup: there is no target group"},
		{"member of the API", "taskDefinitions: [{family: f, colour: red}]", "seed: taskDefinitions[0]: RegisterTaskDefinition: SerializationException: unknown member colour"},
		{"rule of the API", "services: [{cluster: none, serviceName: s, taskDefinition: t, desiredCount: 1}]", "seed: services[0]: CreateService: ClusterNotFoundException"},
		{"alarm state", "alarms: [{name: a, state: RED}]", "seed: alarms[0]: "},
		{"alternate target group", "targetGroups: [{name: b, port: 80}]\nloadBalancers: [{name: a, listeners: [{port: 80, targetGroup: b, alternateTargetGroup: b}]}]", `listeners[0]: alternateTargetGroup: there is no other target group "b"`},
		{"function", "hooks: [{function: smoke, answers: [{status: FAILED}]}]", `seed: hooks[0]: function: must be the ARN of a Lambda function, found "smoke"`},
		{"function that says nothing", "hooks: [{function: 'arn:aws:lambda:r:1:function:f'}]", "seed: hooks[0]: answers: must not be empty"},
		{"function twice", "hooks: [{function: 'arn:aws:lambda:r:1:function:f', answers: [{status: FAILED}]}, {function: 'arn:aws:lambda:r:1:function:f', answers: [{status: FAILED}]}]", "seed: hooks[1]: function: arn:aws:lambda:r:1:function:f has its answers already"},
		{"answer", "hooks: [{function: 'arn:aws:lambda:r:1:function:f', answers: [{status: SUCCEEDED}, {status: OK}]}]", `seed: hooks[0]: answers[1]: status: must be one of [SUCCEEDED FAILED IN_PROGRESS], found "OK"`},
		{"delay of an end", "hooks: [{function: 'arn:aws:lambda:r:1:function:f', answers: [{status: FAILED, callBackDelay: 1s}]}]", "answers[0]: callBackDelay: only an IN_PROGRESS answer has one"},
		{"part of a second in a hook", "hooks: [{function: 'arn:aws:lambda:r:1:function:f', answers: [{status: IN_PROGRESS, callBackDelay: 1500ms}]}]", "answers[0]: callBackDelay: must be whole seconds, found 1.5s"},
		{"below no times", "hooks: [{function: 'arn:aws:lambda:r:1:function:f', answers: [{status: FAILED, times: -1}]}]", "answers[0]: times: must not be below 0, found -1"},
		{"threshold", "targetGroups: [{name: a, port: 80, healthyThreshold: 1}]", "seed: targetGroups[0]: api error ValidationError: Healthy and unhealthy threshold must be between 2 and 10"},
		{"twice", "clusters: [a]\nlogGroups: [g, g]", "seed: logGroups[1]: ResourceAlreadyExistsException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := sim.ReadSeed([]byte(c.seed), t.TempDir())
			if err == nil {
				a, newErr := sim.New(sim.Config{})
				if newErr != nil {
					t.Fatal(newErr)
				}
				defer a.Close()
				err = a.Plant(t.Context(), s)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestListenRefusesOtherMachines(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.168.0.1:0", "[::]:0", "example.com:0", "127.0.0.1"} {
		if l, err := sim.Listen(t.Context(), addr); err == nil {
			l.Close()
			t.Errorf("%s was not refused", addr)
		}
	}
}

func TestServe(t *testing.T) {
	a := open(t, sim.Config{}, "clusters: [c]")
	l, err := sim.Listen(t.Context(), "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	cfg := a.AWSConfig()
	cfg.HTTPClient, cfg.BaseEndpoint = nil, aws.String("http://"+l.Addr().String())
	if _, err := ecs.NewFromConfig(cfg).DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"c"}}); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}
