package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
)

// The test's own executable is the program of the images that run as processes.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_PROGRAM") == "yes" {
		os.Exit(program())
	}
	os.Exit(m.Run())
}

// program answers every request with its version, and ends in peace on SIGTERM.
func program() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	answer := os.Getenv("VERSION") + " " + os.Getenv("PASSWORD")
	s := &http.Server{
		Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }),
	}
	fmt.Println("listening")
	go func() {
		<-ctx.Done()
		_ = s.Shutdown(context.Background())
	}()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Println(err)
		return 1
	}
	return 0
}

const processSeed = `
clusters: [orders-dev]
logGroups: [/ecs/orders-dev]
repositories:
  - name: orders
    images:
      - {tag: v1, process: {files: {/app: EXE}, entrypoint: [/app], env: {TEST_PROGRAM: "yes", VERSION: one}}}
      - {tag: v2, process: {files: {/app: EXE}, entrypoint: [/app], env: {TEST_PROGRAM: "yes", VERSION: two}}}
secrets:
  - {name: db, json: {password: hidden}}
targetGroups:
  - {name: orders-dev, port: 8080, interval: 5s, timeout: 2s, deregistrationDelay: 1s}
loadBalancers:
  - {name: orders-dev, listeners: [{port: 80, targetGroup: orders-dev}]}
taskDefinitions:
  - family: orders-dev
    requiresCompatibilities: [FARGATE]
    networkMode: awsvpc
    cpu: "256"
    memory: "512"
    executionRoleArn: arn:aws:iam::${account}:role/execution
    containerDefinitions:
      - name: app
        image: ${repository:orders}:v1
        portMappings: [{containerPort: 8080}]
        secrets: [{name: PASSWORD, valueFrom: "${secret:db}:password::"}]
        logConfiguration:
          logDriver: awslogs
          options: {awslogs-group: /ecs/orders-dev, awslogs-region: eu-central-1, awslogs-stream-prefix: orders}
services:
  - cluster: orders-dev
    serviceName: orders
    taskDefinition: orders-dev
    desiredCount: 2
    launchType: FARGATE
    networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a]}}
    loadBalancers: [{targetGroupArn: "${targetGroup:orders-dev}", containerName: app, containerPort: 8080}]
`

// blueGreen makes processSeed's service one that shifts its traffic.
var blueGreen = strings.NewReplacer(
	"\nloadBalancers:\n", "\n  - {name: green, port: 8080, interval: 5s, timeout: 2s, deregistrationDelay: 1s}\nloadBalancers:\n",
	"targetGroup: orders-dev}", "targetGroup: orders-dev, alternateTargetGroup: green}",
	"desiredCount: 2\n", "desiredCount: 2\n    deploymentConfiguration: {strategy: BLUE_GREEN, bakeTimeInMinutes: 0}\n",
	`", containerName: app, containerPort: 8080}`, `", containerName: app, containerPort: 8080, advancedConfiguration: {alternateTargetGroupArn: "${targetGroup:green}", `+
		`productionListenerRule: "${listener:orders-dev/80}", roleArn: "arn:aws:iam::000000000000:role/traffic"}}`,
)

// Real programs roll behind a real listener while a client keeps asking: every request gets an answer, first from
// one version, in the end only from the other.
func TestRealProcessesRollWithoutALostRequest(t *testing.T) {
	rollProcesses(t, processSeed, ecs.FastTiming())
}

// The same, with traffic that moves from one target group to the other.
func TestRealProcessesShiftWithoutALostRequest(t *testing.T) {
	timing := ecs.FastTiming()
	timing.Tick = ecs.Range{Min: 100 * time.Millisecond, Max: 100 * time.Millisecond} // each of many stages takes one
	a := rollProcesses(t, blueGreen.Replace(processSeed), timing)
	if diff := cmp.Diff(map[string]int32{"orders-dev": 0, "green": 100}, shifting{Account: a}.weights(t)); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}

func rollProcesses(t *testing.T, seed string, timing ecs.Timing) *sim.Account {
	t.Helper()
	t.Parallel() // it waits for most of its time
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, sim.Config{Processes: true, Dir: t.TempDir(), Timing: timing}, strings.ReplaceAll(seed, "EXE", exe))
	ctx := t.Context()
	until(t, "first deployment", time.Minute, func() bool { return completed(service(t, a)) })

	lbs, err := a.ELB.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{})
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := a.ELB.DescribeListeners(ctx, &elbv2.DescribeListenersInput{LoadBalancerArn: lbs.LoadBalancers[0].LoadBalancerArn})
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + a.ELB.Address(*listeners.Listeners[0].ListenerArn)
	ask := func() string {
		resp, err := http.Get(url)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", string(b), " ", err)
	}
	const first, second = "200 one hidden <nil>", "200 two hidden <nil>"
	if got := ask(); got != first {
		t.Fatalf("before the rollout: %s", got)
	}

	asking, stop := context.WithCancel(ctx)
	done := make(chan map[string]int)
	go func() {
		seen := map[string]int{}
		for asking.Err() == nil {
			seen[ask()]++
		}
		done <- seen
	}()
	client := awsecs.NewFromConfig(a.AWSConfig())
	revision := register(t, client, service(t, a), "v2")
	if _, err := client.UpdateService(ctx, &awsecs.UpdateServiceInput{Cluster: aws.String("orders-dev"), Service: aws.String("orders"), TaskDefinition: &revision}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	until(t, "second deployment", time.Minute, func() bool { return completed(service(t, a)) })
	t.Logf("rolled in %s", time.Since(began).Round(time.Millisecond))
	stop()
	seen := <-done
	if seen[first] == 0 || seen[second] == 0 || len(seen) != 2 {
		t.Errorf("answers during the rollout: %v", seen)
	}
	if got := ask(); got != second {
		t.Errorf("after the rollout: %s", got)
	}
	events, err := a.Logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/ecs/orders-dev"), FilterPattern: aws.String("listening")})
	if err != nil || len(events.Events) != 4 {
		t.Errorf("4 tasks said that they listen: %v, %v", events, err)
	}
	return a
}
