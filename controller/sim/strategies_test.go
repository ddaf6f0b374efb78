package sim_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/ecs"
)

// shifting is testdata/strategies.yaml after its service's first deployment, and a queue that hears of the next.
type shifting struct {
	*sim.Account
	client *awsecs.Client
	queue  *string
}

func openShifting(t *testing.T, c sim.Config) shifting {
	t.Helper()
	seed, err := os.ReadFile("testdata/strategies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.Seed, c.Unthrottled = 1, true
	a := open(t, c, string(seed))
	until(t, "first deployment", time.Hour, func() bool { return completed(service(t, a)) })
	return shifting{
		Account: a, client: awsecs.NewFromConfig(a.AWSConfig()),
		queue: listen(t, a, `{"source":["aws.ecs"],"detail-type":["ECS Deployment State Change","ECS Hook State Change"]}`),
	}
}

// roll deploys the other image under c, and answers the deployment.
func (s shifting) roll(t *testing.T, c *ecstypes.DeploymentConfiguration) ecstypes.Deployment {
	t.Helper()
	revision := register(t, s.client, service(t, s.Account), "good002")
	out := ok(t, s.client.UpdateService, &awsecs.UpdateServiceInput{
		Cluster: aws.String("orders-dev"), Service: aws.String("orders"), TaskDefinition: &revision, DeploymentConfiguration: c,
	})
	return out.Service.Deployments[0]
}

// newest is the service's newest service deployment.
func (s shifting) newest(t *testing.T) ecstypes.ServiceDeployment {
	t.Helper()
	list := ok(t, s.client.ListServiceDeployments, &awsecs.ListServiceDeploymentsInput{Cluster: aws.String("orders-dev"), Service: aws.String("orders")})
	out := ok(t, s.client.DescribeServiceDeployments, &awsecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{*list.ServiceDeployments[0].ServiceDeploymentArn}})
	return out.ServiceDeployments[0]
}

func (s shifting) untilStatus(t *testing.T, want ecstypes.ServiceDeploymentStatus) ecstypes.ServiceDeployment {
	t.Helper()
	until(t, string(want), 12*time.Hour, func() bool { return s.newest(t).Status == want })
	return s.newest(t)
}

// weights are those of the listener, by name of target group.
func (s shifting) weights(t *testing.T) map[string]int32 {
	t.Helper()
	client := elbv2.NewFromConfig(s.AWSConfig())
	lb := ok(t, client.DescribeLoadBalancers, &elbv2.DescribeLoadBalancersInput{}).LoadBalancers[0]
	l := ok(t, client.DescribeListeners, &elbv2.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn}).Listeners[0]
	out := map[string]int32{}
	for _, g := range l.DefaultActions[0].ForwardConfig.TargetGroups {
		out[strings.Split(*g.TargetGroupArn, "/")[1]] = *g.Weight
	}
	return out
}

func (s shifting) untilWeights(t *testing.T, want map[string]int32) {
	t.Helper()
	until(t, "weights", 2*time.Hour, func() bool { return cmp.Equal(s.weights(t), want) })
}

// heard are the names of the events of a deployment and of hooks, in the order in which they happened. Those of
// one instant, which EventBridge brings in any order, are by name.
func (s shifting) heard(t *testing.T, deployment string) []string {
	t.Helper()
	time.Sleep(time.Minute) // for what is on its way
	var got []event
	for _, e := range heard(t, s.Account, s.queue) {
		if e.DetailType == "ECS Hook State Change" || e.Detail.DeploymentID == deployment {
			got = append(got, e)
		}
	}
	slices.SortFunc(got, func(a, b event) int {
		return strings.Compare(a.Detail.UpdatedAt+a.Detail.EventName, b.Detail.UpdatedAt+b.Detail.EventName)
	})
	var names []string
	for _, e := range got {
		names = append(names, e.Detail.EventType+" "+e.Detail.EventName)
	}
	return names
}

var (
	allBlue  = map[string]int32{"blue": 100, "green": 0}
	allGreen = map[string]int32{"blue": 0, "green": 100}
)

// Each strategy moves the listener's weights as it says; stopped halfway, it moves them back.
func TestStrategiesShiftTheListener(t *testing.T) {
	for _, c := range []struct {
		name   string
		config ecstypes.DeploymentConfiguration
		steps  []map[string]int32
	}{
		{"blue/green", ecstypes.DeploymentConfiguration{Strategy: "BLUE_GREEN", BakeTimeInMinutes: aws.Int32(5)}, nil},
		{
			"linear", ecstypes.DeploymentConfiguration{Strategy: "LINEAR", LinearConfiguration: &ecstypes.LinearConfiguration{StepPercent: aws.Float64(33.3)}},
			[]map[string]int32{{"blue": 667, "green": 333}, {"blue": 334, "green": 666}, {"blue": 1, "green": 999}},
		},
		{
			"canary", ecstypes.DeploymentConfiguration{Strategy: "CANARY", CanaryConfiguration: &ecstypes.CanaryConfiguration{CanaryPercent: aws.Float64(5)}},
			[]map[string]int32{{"blue": 95, "green": 5}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShifting(t, sim.Config{})
				before := *service(t, s.Account).TaskDefinition
				if diff := cmp.Diff(allBlue, s.weights(t)); diff != "" {
					t.Errorf("at first (-want +got):\n%s", diff)
				}
				s.roll(t, &c.config)
				for _, step := range append(c.steps, allGreen) {
					s.untilWeights(t, step)
				}
				if d := s.newest(t); d.Status != ecstypes.ServiceDeploymentStatusInProgress {
					t.Fatalf("with all of the traffic: %s", d.Status)
				}
				ok(t, s.client.StopServiceDeployment, &awsecs.StopServiceDeploymentInput{
					ServiceDeploymentArn: s.newest(t).ServiceDeploymentArn, StopType: ecstypes.StopServiceDeploymentStopTypeRollback,
				})
				s.untilWeights(t, allBlue)
				s.untilStatus(t, ecstypes.ServiceDeploymentStatusRollbackSuccessful)
				if got := *service(t, s.Account).TaskDefinition; got != before {
					t.Errorf("runs %s, want %s", got, before)
				}
				s.roll(t, &c.config)
				s.untilStatus(t, ecstypes.ServiceDeploymentStatusSuccessful)
				if diff := cmp.Diff(allGreen, s.weights(t)); diff != "" {
					t.Errorf("in the end (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A rule that lacks one of the two target groups cannot be shifted: the deployment fails and nothing moved.
func TestStrategyNeedsBothGroupsOnTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShifting(t, sim.Config{})
		client := elbv2.NewFromConfig(s.AWSConfig())
		lb := ok(t, client.DescribeLoadBalancers, &elbv2.DescribeLoadBalancersInput{}).LoadBalancers[0]
		l := ok(t, client.DescribeListeners, &elbv2.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn}).Listeners[0]
		both := l.DefaultActions[0].ForwardConfig.TargetGroups
		ok(t, client.CreateRule, &elbv2.CreateRuleInput{ // so that green's targets are checked
			ListenerArn: l.ListenerArn, Priority: aws.Int32(1), Actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: both[1].TargetGroupArn}},
			Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/test"}}},
		})
		l.DefaultActions[0].ForwardConfig.TargetGroups = both[:1]
		ok(t, client.ModifyListener, &elbv2.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: l.DefaultActions})
		s.roll(t, nil)
		until(t, "an end", 12*time.Hour, func() bool {
			return slices.Contains([]ecstypes.ServiceDeploymentStatus{"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED", "SUCCESSFUL"}, s.newest(t).Status)
		})
		if d := s.newest(t); d.Status != ecstypes.ServiceDeploymentStatusRollbackSuccessful {
			t.Errorf("%s: %s", d.Status, aws.ToString(d.StatusReason))
		}
		if diff := cmp.Diff(map[string]int32{"blue": 100}, s.weights(t)); diff != "" {
			t.Errorf("weights (-want +got):\n%s", diff)
		}
	})
}

// An alarm of either kind that turns red during a rolling deployment fails it and rolls it back, and EventBridge
// tells of it.
func TestAlarmRollsARollingDeploymentBack(t *testing.T) {
	for _, name := range []string{"orders-dev-5xx", "orders-dev-any"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShifting(t, sim.Config{})
				alarms := cloudwatch.NewFromConfig(s.AWSConfig())
				ok(t, alarms.PutCompositeAlarm, &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String("orders-dev-any"), AlarmRule: aws.String("ALARM(orders-dev-5xx)")})
				before := *service(t, s.Account).TaskDefinition
				d := s.roll(t, &ecstypes.DeploymentConfiguration{
					Strategy: "ROLLING", Alarms: &ecstypes.DeploymentAlarms{Enable: true, Rollback: true, AlarmNames: []string{name}},
				})
				time.Sleep(time.Minute)
				if got := s.newest(t); got.Alarms.Status != ecstypes.ServiceDeploymentRollbackMonitorsStatusMonitoring {
					t.Fatalf("before the alarm: %+v", got.Alarms)
				}
				ok(t, alarms.SetAlarmState, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("orders-dev-5xx"), StateValue: cwtypes.StateValueAlarm, StateReason: aws.String("test")})
				got := s.untilStatus(t, ecstypes.ServiceDeploymentStatusRollbackSuccessful)
				if got.Alarms.Status != ecstypes.ServiceDeploymentRollbackMonitorsStatusTriggered || !slices.Equal(got.Alarms.TriggeredAlarmNames, []string{name}) {
					t.Errorf("after the alarm: %+v", got.Alarms)
				}
				if now := *service(t, s.Account).TaskDefinition; now != before {
					t.Errorf("runs %s, want %s", now, before)
				}
				want := []string{"INFO SERVICE_DEPLOYMENT_IN_PROGRESS", "ERROR SERVICE_DEPLOYMENT_FAILED"}
				if diff := cmp.Diff(want, s.heard(t, *d.Id)); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Alarms must be there when a service names them.
func TestDeploymentAlarmsMustExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShifting(t, sim.Config{})
		_, err := s.client.UpdateService(t.Context(), &awsecs.UpdateServiceInput{
			Cluster: aws.String("orders-dev"), Service: aws.String("orders"), DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
				Alarms: &ecstypes.DeploymentAlarms{Enable: true, Rollback: true, AlarmNames: []string{"none"}},
			},
		})
		if err == nil || !strings.Contains(err.Error(), "InvalidParameterException") || !strings.Contains(err.Error(), "none") {
			t.Errorf("got %v", err)
		}
	})
}

// Functions answer as the seed file says, then as Config.Hook does; what neither knows fails.
func TestHooksDecide(t *testing.T) {
	const functions = "arn:aws:lambda:eu-central-1:000000000000:function:"
	own := func(c ecs.HookCall) ecs.HookAnswer {
		if c.FunctionARN == functions+"own" {
			return ecs.HookSucceeded
		}
		return ""
	}
	for _, c := range []struct {
		function string
		hook     func(ecs.HookCall) ecs.HookAnswer
		status   ecstypes.ServiceDeploymentStatus
		weights  map[string]int32
		events   []string
		atLeast  time.Duration // in the hook's stage
	}{
		{"passes", own, "SUCCESSFUL", allGreen, []string{"INFO HOOK_SUCCEEDED", "INFO HOOK_SUCCEEDED", "INFO SERVICE_DEPLOYMENT_COMPLETED"}, 6 * time.Minute},
		{"fails", own, "ROLLBACK_SUCCESSFUL", allBlue, []string{"ERROR HOOK_FAILED", "ERROR SERVICE_DEPLOYMENT_FAILED"}, 30 * time.Second},
		{"own", own, "SUCCESSFUL", allGreen, []string{"INFO HOOK_SUCCEEDED", "INFO HOOK_SUCCEEDED", "INFO SERVICE_DEPLOYMENT_COMPLETED"}, 0},
		{"unknown", own, "ROLLBACK_SUCCESSFUL", allBlue, []string{"ERROR HOOK_FAILED", "ERROR SERVICE_DEPLOYMENT_FAILED"}, 0},
		{"own", nil, "ROLLBACK_SUCCESSFUL", allBlue, []string{"ERROR HOOK_FAILED", "ERROR SERVICE_DEPLOYMENT_FAILED"}, 0},
	} {
		t.Run(c.function+" "+string(c.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShifting(t, sim.Config{Hook: c.hook})
				began := time.Now()
				d := s.roll(t, &ecstypes.DeploymentConfiguration{LifecycleHooks: []ecstypes.DeploymentLifecycleHook{{
					HookTargetArn: aws.String(functions + c.function), RoleArn: aws.String("arn:aws:iam::000000000000:role/hooks"),
					LifecycleStages: []ecstypes.DeploymentLifecycleHookStage{"PRE_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT"},
				}}})
				got := s.untilStatus(t, c.status)
				if took := time.Since(began); took < c.atLeast {
					t.Errorf("took %s, and the function asked for %s", took, c.atLeast)
				}
				if diff := cmp.Diff(c.weights, s.weights(t)); diff != "" {
					t.Errorf("weights (-want +got):\n%s", diff)
				}
				if failed := c.status == "ROLLBACK_SUCCESSFUL"; failed && !strings.Contains(aws.ToString(got.StatusReason), functions+c.function) {
					t.Errorf("reason %q", aws.ToString(got.StatusReason))
				}
				if diff := cmp.Diff(append([]string{"INFO SERVICE_DEPLOYMENT_IN_PROGRESS"}, c.events...), s.heard(t, *d.Id)); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}
