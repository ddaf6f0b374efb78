package elb_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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

// second makes another target group.
func (f *fixture) second(t *testing.T, name string) string {
	t.Helper()
	out, err := f.CreateTargetGroup(t.Context(), &elbv2.CreateTargetGroupInput{Name: &name, Port: aws.Int32(8080), Protocol: types.ProtocolEnumHttp, TargetType: types.TargetTypeEnumIp, HealthCheckPath: aws.String("/healthz")})
	if err != nil {
		t.Fatal(err)
	}
	return *out.TargetGroups[0].TargetGroupArn
}

// forward is an action by pairs of group and weight.
func forward(pairs ...any) []types.Action {
	c := &types.ForwardActionConfig{}
	for i := 0; i < len(pairs); i += 2 {
		c.TargetGroups = append(c.TargetGroups, types.TargetGroupTuple{TargetGroupArn: aws.String(pairs[i].(string)), Weight: aws.Int32(int32(pairs[i+1].(int)))})
	}
	return []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: c}}
}

func path(values ...string) types.RuleCondition {
	return types.RuleCondition{Field: aws.String("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: values}}
}

func (f *fixture) rule(t *testing.T, listener string, priority int32, actions []types.Action, conditions ...types.RuleCondition) *string {
	t.Helper()
	out, err := f.CreateRule(t.Context(), &elbv2.CreateRuleInput{ListenerArn: &listener, Priority: &priority, Actions: actions, Conditions: conditions})
	if err != nil {
		t.Fatal(err)
	}
	return out.Rules[0].RuleArn
}

func TestRulesGoByPriority(t *testing.T) {
	f := newFixture(t, elb.Config{}, false, &elbv2.CreateTargetGroupInput{})
	listener := f.attach(t)
	api, admin, header := f.second(t, "api"), f.second(t, "admin"), f.second(t, "header")
	f.rule(t, listener, 20, forward(api, 1), path("/api/*"))
	f.rule(t, listener, 10, forward(admin, 1), path("/api/admin", "/admin?"), types.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{"*.example.com"}}})
	f.rule(t, listener, 30, forward(header, 1), types.RuleCondition{Field: aws.String("http-header"), HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: aws.String("X-Canary"), Values: []string{"yes"}}})
	for _, c := range []struct{ name, url, canary, want string }{
		{"default", "http://a/", "", f.group},
		{"path", "http://a/api/x", "", api},
		{"case of a path counts", "http://a/API/x", "", f.group},
		{"lower priority first, of a host only", "http://WWW.example.com:80/api/admin", "", admin},
		{"all conditions", "http://a/api/admin", "", api},
		{"one character", "http://www.example.com/admin1", "", admin},
		{"header", "http://a/", "YES", header},
	} {
		r := httptest.NewRequest(http.MethodGet, c.url, nil)
		if c.canary != "" {
			r.Header.Set("X-Canary", c.canary)
		}
		if got := f.Route(listener, r); got != c.want {
			t.Errorf("%s: went to %s", c.name, got)
		}
	}
	out, err := f.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{ListenerArn: &listener})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, r := range out.Rules {
		order = append(order, *r.Priority)
	}
	want(t, "order", []string{"10", "20", "30", "default"}, order)
}

func TestWeightsAreKeptAndChangeByModify(t *testing.T) {
	f := newFixture(t, elb.Config{}, false, &elbv2.CreateTargetGroupInput{})
	listener := f.attach(t)
	green := f.second(t, "green")
	r := f.rule(t, listener, 1, forward(f.group, 90, green, 10), path("/*"))
	share := func() map[string]int {
		got := map[string]int{}
		for range 100 {
			got[f.Route(listener, httptest.NewRequest(http.MethodGet, "http://a/", nil))]++
		}
		return got
	}
	for _, c := range []struct{ blue, green int }{{90, 10}, {50, 50}, {0, 100}, {1, 3}} {
		if _, err := f.ModifyRule(t.Context(), &elbv2.ModifyRuleInput{RuleArn: r, Actions: forward(f.group, c.blue, green, c.green)}); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{f.group: 100 * c.blue / (c.blue + c.green), green: 100 * c.green / (c.blue + c.green)}
		maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
		if diff := cmp.Diff(want, share()); diff != "" {
			t.Errorf("%d to %d (-want +got):\n%s", c.blue, c.green, diff)
		}
	}
	if _, err := f.DeleteRule(t.Context(), &elbv2.DeleteRuleInput{RuleArn: r}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ModifyListener(t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &listener, DefaultActions: forward(green, 1)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{green: 100}, share()); diff != "" {
		t.Errorf("the default (-want +got):\n%s", diff)
	}
}

// A group is in use as long as any rule forwards to it, whatever its weight; then its targets are checked.
func TestRulesAttachGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, elb.Config{}, false, &elbv2.CreateTargetGroupInput{})
		listener := f.attach(t)
		green := f.second(t, "green")
		f.group = green
		if err := f.Register(green, scripted("10.0.0.1", answers(ecs.Answer{Status: 200}))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		want(t, "unattached", []string{"10.0.0.1:8080 unused Target.NotInUse Target group is not configured to receive traffic from the load balancer"}, f.health(t))
		r := f.rule(t, listener, 1, forward(green, 0), path("/green"))
		time.Sleep(2 * time.Second)
		want(t, "attached", []string{"10.0.0.1:8080 healthy  "}, f.health(t))
		if _, err := f.DeleteTargetGroup(t.Context(), &elbv2.DeleteTargetGroupInput{TargetGroupArn: &green}); !isA[*types.ResourceInUseException](err) {
			t.Errorf("deleted while in use: %v", err)
		}
		if _, err := f.DeleteRule(t.Context(), &elbv2.DeleteRuleInput{RuleArn: r}); err != nil {
			t.Fatal(err)
		}
		if got := f.health(t); !strings.Contains(got[0], "Target.NotInUse") {
			t.Errorf("detached: %v", got)
		}
		if _, err := f.DeleteTargetGroup(t.Context(), &elbv2.DeleteTargetGroupInput{TargetGroupArn: &green}); err != nil {
			t.Error(err)
		}
		if _, err := f.DescribeTargetHealth(t.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &green}); !isA[*types.TargetGroupNotFoundException](err) {
			t.Errorf("health of what was deleted: %v", err)
		}
	})
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestRulesThatAreRefused(t *testing.T) {
	f := newFixture(t, elb.Config{}, false, &elbv2.CreateTargetGroupInput{})
	listener := f.attach(t)
	f.rule(t, listener, 1, forward(f.group, 1), path("/a"))
	create := func(priority int32, actions []types.Action, c ...types.RuleCondition) error {
		_, err := f.CreateRule(t.Context(), &elbv2.CreateRuleInput{ListenerArn: &listener, Priority: &priority, Actions: actions, Conditions: c})
		return err
	}
	six := path("1", "2", "3", "4", "5", "6")
	for name, err := range map[string]error{
		"priority in use":  create(1, forward(f.group, 1), path("/b")),
		"priority":         create(0, forward(f.group, 1), path("/b")),
		"no condition":     create(2, forward(f.group, 1)),
		"six values":       create(2, forward(f.group, 1), six),
		"weight":           create(2, forward(f.group, 1000), path("/b")),
		"source IP":        create(2, forward(f.group, 1), types.RuleCondition{Field: aws.String("source-ip")}),
		"absent group":     create(2, forward("arn:none", 1), path("/b")),
		"redirect":         create(2, []types.Action{{Type: types.ActionTypeEnumRedirect}}, path("/b")),
		"group stickiness": create(2, []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: forward(f.group, 1)[0].ForwardConfig.TargetGroups, TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: aws.Bool(true)}}}}, path("/b")),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	out, err := f.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{ListenerArn: &listener})
	if err != nil {
		t.Fatal(err)
	}
	last := out.Rules[len(out.Rules)-1].RuleArn
	if _, err := f.DeleteRule(t.Context(), &elbv2.DeleteRuleInput{RuleArn: last}); !isA[*types.OperationNotPermittedException](err) {
		t.Errorf("the default rule was deleted: %v", err)
	}
	if _, err := f.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{RuleArns: []string{*last, "arn:none"}}); !isA[*types.RuleNotFoundException](err) {
		t.Errorf("one absent rule: %v", err)
	}
}

func TestAttributesAreKept(t *testing.T) {
	f := newFixture(t, elb.Config{}, true, &elbv2.CreateTargetGroupInput{})
	attribute := func(k, v string) types.TargetGroupAttribute { return types.TargetGroupAttribute{Key: &k, Value: &v} }
	if _, err := f.ModifyTargetGroupAttributes(t.Context(), &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: &f.group, Attributes: []types.TargetGroupAttribute{
		attribute("slow_start.duration_seconds", "30"), attribute("stickiness.enabled", "true"), attribute("stickiness.lb_cookie.duration_seconds", "60"),
	}}); err != nil {
		t.Fatal(err)
	}
	out, err := f.DescribeTargetGroupAttributes(t.Context(), &elbv2.DescribeTargetGroupAttributesInput{TargetGroupArn: &f.group})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range out.Attributes {
		got[*a.Key] = *a.Value
	}
	if got["slow_start.duration_seconds"] != "30" || got["stickiness.enabled"] != "true" || got["deregistration_delay.timeout_seconds"] != "300" {
		t.Errorf("attributes %v", got)
	}
}

// Real requests go by weight, and each is counted by who answered it.
func TestRealRequestsGoByWeightAndAreMeasured(t *testing.T) {
	var mu sync.Mutex
	counts := map[string]float64{}
	f := newFixture(t, elb.Config{Listen: true, FirstCheck: time.Millisecond, Measure: func(metric, lb, group string, v float64) {
		mu.Lock()
		defer mu.Unlock()
		if metric != "TargetResponseTime" {
			counts[fmt.Sprintf("%s %s %s", metric, strings.Split(lb, "/")[1], strings.Join(strings.Split(group, "/")[:min(2, strings.Count(group, "/")+1)], "/"))] += v
		}
	}}, false, &elbv2.CreateTargetGroupInput{HealthCheckPath: aws.String("/healthz"), HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2)})
	listener := f.attach(t)
	url := "http://" + f.Address(listener)
	blue, green := f.group, f.second(t, "green")
	good, _ := realTarget(t, "10.0.0.1", named("blue"))
	bad, _ := realTarget(t, "10.0.0.2", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	f.register(t, good)
	if _, err := f.ModifyListener(t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &listener, DefaultActions: forward(blue, 3, green, 1)}); err != nil {
		t.Fatal(err)
	}
	f.group = green
	f.register(t, bad)
	codes := map[int]int{}
	for range 20 {
		code, _ := get(t, http.MethodGet, url+"/orders", "")
		codes[code]++
	}
	if _, err := f.DeregisterTargets(t.Context(), &elbv2.DeregisterTargetsInput{TargetGroupArn: &green, Targets: []types.TargetDescription{{Id: aws.String("10.0.0.2")}}}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		code, _ := get(t, http.MethodGet, url+"/orders", "")
		codes[code]++
	}
	if diff := cmp.Diff(map[int]int{200: 18, 500: 5, 503: 1}, codes); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	wantCounts := map[string]float64{
		"RequestCount front targetgroup/orders": 18, "RequestCount front targetgroup/green": 6,
		"HTTPCode_Target_2XX_Count front targetgroup/orders": 18, "HTTPCode_Target_5XX_Count front targetgroup/green": 5,
		"HTTPCode_ELB_5XX_Count front ": 1,
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(wantCounts, counts); diff != "" {
		t.Errorf("%v (-want +got):\n%s", slices.Sorted(maps.Keys(counts)), diff)
	}
}
