package elb_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/elb"
)

// fixture is one target group, attached or not, and what Notify told of it.
type fixture struct {
	*elb.Engine
	group string
	began time.Time

	mu   sync.Mutex
	told []string
}

func newFixture(t *testing.T, c elb.Config, attached bool, in *elbv2.CreateTargetGroupInput) *fixture {
	t.Helper()
	c.Account, c.Region = "000000000000", "eu-central-1"
	f := &fixture{Engine: elb.New(c), began: time.Now()}
	t.Cleanup(f.Close)
	f.Notify(func(_ string, to ecs.Target, h ecs.TargetHealth) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.told = append(f.told, fmt.Sprintf("%s %s %s %s", time.Since(f.began).Round(time.Second), to.ID, h.State, h.Reason))
	})
	in.Name, in.Port, in.Protocol, in.TargetType = aws.String("orders"), aws.Int32(8080), types.ProtocolEnumHttp, types.TargetTypeEnumIp
	out, err := f.CreateTargetGroup(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	f.group = *out.TargetGroups[0].TargetGroupArn
	if attached {
		f.attach(t)
	}
	return f
}

func (f *fixture) attach(t *testing.T) (listener string) {
	t.Helper()
	lb, err := f.CreateLoadBalancer(t.Context(), &elbv2.CreateLoadBalancerInput{Name: aws.String("front")})
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.CreateListener(t.Context(), &elbv2.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &f.group}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Listeners[0].ListenerArn
}

func (f *fixture) news() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.told
	f.told = nil
	return out
}

func (f *fixture) health(t *testing.T, targets ...types.TargetDescription) []string {
	t.Helper()
	out, err := f.DescribeTargetHealth(t.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &f.group, Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range out.TargetHealthDescriptions {
		got = append(got, fmt.Sprintf("%s:%d %s %s %s", *d.Target.Id, *d.Target.Port, d.TargetHealth.State, d.TargetHealth.Reason, aws.ToString(d.TargetHealth.Description)))
	}
	return got
}

func scripted(id string, answer *atomic.Pointer[ecs.Answer]) ecs.Target {
	return ecs.Target{ID: id, Port: 8080, Probe: func() ecs.Answer { return *answer.Load() }}
}

func answers(a ecs.Answer) *atomic.Pointer[ecs.Answer] {
	p := &atomic.Pointer[ecs.Answer]{}
	p.Store(&a)
	return p
}

func want(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// The API reference and other pages have two defaults for the time that a health check may take; either may hold, and the
// answer says which.
func TestBothDefaultTimeouts(t *testing.T) {
	for short, seconds := range map[bool]time.Duration{false: 6 * time.Second, true: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, elb.Config{ShortCheckTimeout: short}, true, &elbv2.CreateTargetGroupInput{})
			out, err := f.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{TargetGroupArns: []string{f.group}})
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Duration(*out.TargetGroups[0].HealthCheckTimeoutSeconds) * time.Second; got != seconds {
				t.Errorf("short %v: a check may take %s, want %s", short, got, seconds)
			}
		})
	}
}

func TestHealthOverALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, elb.Config{}, true, &elbv2.CreateTargetGroupInput{
			HealthCheckIntervalSeconds: aws.Int32(10), HealthCheckTimeoutSeconds: aws.Int32(5), HealthyThresholdCount: aws.Int32(3), UnhealthyThresholdCount: aws.Int32(2),
		})
		answer := answers(ecs.Answer{Status: 200})
		target := scripted("10.0.0.1", answer)
		if err := f.Register(f.group, target); err != nil {
			t.Fatal(err)
		}
		want(t, "before the first check", []string{"10.0.0.1:8080 initial Elb.RegistrationInProgress Target registration is in progress"}, f.health(t))
		time.Sleep(2 * time.Second)
		want(t, "one pass is enough for a new target", []string{"10.0.0.1:8080 healthy  "}, f.health(t))

		answer.Store(&ecs.Answer{Status: 503})
		time.Sleep(10 * time.Second)
		want(t, "one failure is below the threshold", []string{"10.0.0.1:8080 healthy  "}, f.health(t))
		time.Sleep(10 * time.Second)
		want(t, "two failures", []string{"10.0.0.1:8080 unhealthy Target.ResponseCodeMismatch Health checks failed with these codes: [503]"}, f.health(t))
		answer.Store(&ecs.Answer{Timeout: true})
		time.Sleep(10 * time.Second)
		want(t, "another reason", []string{"10.0.0.1:8080 unhealthy Target.Timeout Request timed out"}, f.health(t))
		answer.Store(&ecs.Answer{})
		time.Sleep(10 * time.Second)
		want(t, "refused", []string{"10.0.0.1:8080 unhealthy Target.FailedHealthChecks Health checks failed"}, f.health(t))

		answer.Store(&ecs.Answer{Status: 200})
		time.Sleep(20 * time.Second)
		want(t, "two passes are below the threshold of three", []string{"10.0.0.1:8080 unhealthy Target.FailedHealthChecks Health checks failed"}, f.health(t))
		time.Sleep(10 * time.Second)
		want(t, "three passes", []string{"10.0.0.1:8080 healthy  "}, f.health(t))

		f.Deregister(f.group, target)
		want(t, "draining", []string{"10.0.0.1:8080 draining Target.DeregistrationInProgress Target deregistration is in progress"}, f.health(t))
		time.Sleep(300*time.Second + time.Millisecond)
		want(t, "gone after the delay", nil, f.health(t))
		want(t, "asked by name", []string{"10.0.0.1:8080 unused Target.NotRegistered Target is not registered to the target group"},
			f.health(t, types.TargetDescription{Id: aws.String("10.0.0.1")}))
		synctest.Wait()
		want(t, "told, in order", []string{
			"0s 10.0.0.1 initial Elb.RegistrationInProgress",
			"1s 10.0.0.1 initial Elb.InitialHealthChecking",
			"1s 10.0.0.1 healthy ",
			"21s 10.0.0.1 unhealthy Target.ResponseCodeMismatch",
			"31s 10.0.0.1 unhealthy Target.Timeout",
			"41s 10.0.0.1 unhealthy Target.FailedHealthChecks",
			"1m11s 10.0.0.1 healthy ",
			"1m12s 10.0.0.1 draining Target.DeregistrationInProgress",
			"6m12s 10.0.0.1 unused Target.NotRegistered",
		}, f.news())
	})
}

func TestNewTargetThatNeverPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, elb.Config{}, true, &elbv2.CreateTargetGroupInput{Matcher: &types.Matcher{HttpCode: aws.String("200-299,302")}})
		if err := f.Register(f.group, scripted("10.0.0.1", answers(ecs.Answer{Status: 303}))); err != nil {
			t.Fatal(err)
		}
		if err := f.Register(f.group, scripted("10.0.0.2", answers(ecs.Answer{Status: 302}))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		want(t, "after one check", []string{
			"10.0.0.1:8080 initial Elb.InitialHealthChecking Initial health checks in progress", "10.0.0.2:8080 healthy  ",
		}, f.health(t))
		time.Sleep(30 * time.Second)
		want(t, "after two", []string{
			"10.0.0.1:8080 unhealthy Target.ResponseCodeMismatch Health checks failed with these codes: [303]", "10.0.0.2:8080 healthy  ",
		}, f.health(t))
	})
}

func TestGroupsAreInUseOnlyBehindAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, elb.Config{}, false, &elbv2.CreateTargetGroupInput{})
		unused := []string{"10.0.0.1:8080 unused Target.NotInUse Target group is not configured to receive traffic from the load balancer"}
		if err := f.Register(f.group, scripted("10.0.0.1", answers(ecs.Answer{Status: 200}))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		want(t, "without a listener", unused, f.health(t))
		if ok, err := f.Attached(f.group); ok || err != nil {
			t.Errorf("attached: %v, %v", ok, err)
		}
		listener := f.attach(t)
		time.Sleep(2 * time.Second)
		want(t, "with one", []string{"10.0.0.1:8080 healthy  "}, f.health(t))
		if _, err := f.DeleteTargetGroup(t.Context(), &elbv2.DeleteTargetGroupInput{TargetGroupArn: &f.group}); err == nil {
			t.Error("a group in use must not be deleted")
		}
		if _, err := f.DeleteListener(t.Context(), &elbv2.DeleteListenerInput{ListenerArn: &listener}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		want(t, "without it again", unused, f.health(t))
	})
}

func TestWhatIsNotModelledIsRefused(t *testing.T) {
	f := newFixture(t, elb.Config{}, true, &elbv2.CreateTargetGroupInput{})
	ctx := t.Context()
	ip := types.TargetTypeEnumIp
	for _, c := range []struct {
		name string
		in   elbv2.CreateTargetGroupInput
	}{
		{"TCP", elbv2.CreateTargetGroupInput{Name: aws.String("a"), Protocol: types.ProtocolEnumTcp, Port: aws.Int32(80), TargetType: ip}},
		{"instances", elbv2.CreateTargetGroupInput{Name: aws.String("a"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), TargetType: types.TargetTypeEnumInstance}},
		{"name", elbv2.CreateTargetGroupInput{Name: aws.String("-a"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), TargetType: ip}},
		{"timeout above interval", elbv2.CreateTargetGroupInput{Name: aws.String("a"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), TargetType: ip, HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(5)}},
		{"other port", elbv2.CreateTargetGroupInput{Name: aws.String("a"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), TargetType: ip, HealthCheckPort: aws.String("81")}},
		{"optimizer", elbv2.CreateTargetGroupInput{Name: aws.String("a"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), TargetType: ip, TargetControlPort: aws.Int32(1)}},
	} {
		if _, err := f.CreateTargetGroup(ctx, &c.in); err == nil {
			t.Errorf("%s was accepted", c.name)
		}
	}
	for k, v := range map[string]string{"stickiness.enabled": "yes", "slow_start.duration_seconds": "29", "stickiness.type": "app_cookie", "colour": "red", "deregistration_delay.timeout_seconds": "3601"} {
		if _, err := f.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{
			TargetGroupArn: &f.group, Attributes: []types.TargetGroupAttribute{{Key: &k, Value: &v}},
		}); err == nil {
			t.Errorf("attribute %s=%s was accepted", k, v)
		}
	}
	if _, err := f.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{Names: []string{"orders", "absent"}}); err == nil {
		t.Error("one absent name must fail the whole call")
	}
}
