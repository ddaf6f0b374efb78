package elb_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/sim/elb"
)

// codeOf is an error's code as clients get it, "" for none.
func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// weightsShown is what clients see of a rule.
func (f *fixture) weightsShown(t *testing.T, rule string) map[string]int32 {
	t.Helper()
	out, err := f.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{RuleArns: []string{rule}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int32{}
	for _, g := range out.Rules[0].Actions[0].ForwardConfig.TargetGroups {
		got[*g.TargetGroupArn] = *g.Weight
	}
	return got
}

// listenerWithTwo is a listener whose default action forwards to two groups, with its default rule.
func listenerWithTwo(t *testing.T) (f *fixture, listener, rule, green string) {
	t.Helper()
	f = newFixture(t, elb.Config{}, false, &elbv2.CreateTargetGroupInput{})
	listener, green = f.attach(t), f.second(t, "green")
	if _, err := f.ModifyListener(t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &listener, DefaultActions: forward(f.group, 1, green, 0)}); err != nil {
		t.Fatal(err)
	}
	out, err := f.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{ListenerArn: &listener})
	if err != nil {
		t.Fatal(err)
	}
	return f, listener, *out.Rules[0].RuleArn, green
}

// Whatever percents are shifted: the weights have exactly their ratio, are ones that ModifyListener takes, and
// requests go by them.
func TestShiftIsExact(t *testing.T) {
	f, listener, rule, green := listenerWithTwo(t)
	rapid.Check(t, func(rt *rapid.T) {
		tenths := rapid.OneOf(rapid.IntRange(0, 1000), rapid.Map(rapid.IntRange(0, 100), func(n int) int { return 10 * n })).Draw(rt, "tenths")
		at := rapid.SampledFrom([]string{listener, rule}).Draw(rt, "at")
		if err := f.Shift(at, map[string]float64{f.group: 100 - float64(tenths)/10, green: float64(tenths) / 10}); err != nil {
			rt.Fatal(err)
		}
		w := f.weightsShown(t, rule)
		if int(w[green])*(1000-tenths) != int(w[f.group])*tenths || w[green]+w[f.group] == 0 {
			rt.Errorf("%d tenths became %v", tenths, w)
		}
		sent := map[string]int{}
		for range 1000 {
			sent[f.Route(listener, httptest.NewRequest(http.MethodGet, "http://a/", nil))]++
		}
		if sent[green] != tenths {
			rt.Errorf("%d of 1000 requests, want %d", sent[green], tenths)
		}
		if _, err := f.ModifyListener(t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &listener, DefaultActions: forward(f.group, int(w[f.group]), green, int(w[green]))}); err != nil {
			rt.Errorf("weights %v: %v", w, err)
		}
	})
}

func TestShiftKeepsEverythingElse(t *testing.T) {
	f, listener, _, green := listenerWithTwo(t)
	third := f.second(t, "third")
	rule := *f.rule(t, listener, 1, forward(f.group, 1, green, 1, third, 1), path("/*"))
	before, err := f.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{RuleArns: []string{rule}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Shift(rule, map[string]float64{f.group: 25, green: 75}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int32{f.group: 25, green: 75, third: 0}, f.weightsShown(t, rule)); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	if w := *before.Rules[0].Actions[0].ForwardConfig.TargetGroups[0].Weight; w != 1 {
		t.Errorf("an answer that was given changed afterwards: %d", w)
	}
	if attached, err := f.Attached(third); err != nil || !attached {
		t.Errorf("a group with weight 0: attached %t, %v", attached, err)
	}
}

func TestShiftRefuses(t *testing.T) {
	f, listener, rule, green := listenerWithTwo(t)
	other := f.second(t, "other")
	for _, c := range []struct {
		name, at string
		percents map[string]float64
		code     string
	}{
		{"no such rule", rule + "0", map[string]float64{f.group: 100}, "RuleNotFound"},
		{"no rule named", "", map[string]float64{f.group: 100}, "RuleNotFound"},
		{"group that is elsewhere", rule, map[string]float64{f.group: 50, other: 50}, "ValidationError"},
		{"such a group without a share", listener, map[string]float64{f.group: 100, other: 0}, "ValidationError"},
		{"two decimals", rule, map[string]float64{f.group: 99.95, green: 0.05}, "ValidationError"},
		{"too little", rule, map[string]float64{f.group: 50, green: 49.9}, "ValidationError"},
		{"too much", rule, map[string]float64{f.group: 100, green: 0.1}, "ValidationError"},
		{"below nothing", rule, map[string]float64{f.group: 110, green: -10}, "ValidationError"},
		{"nothing", rule, nil, "ValidationError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := f.Shift(c.at, c.percents)
			if code := codeOf(err); code != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if diff := cmp.Diff(map[string]int32{f.group: 1, green: 0}, f.weightsShown(t, rule)); diff != "" {
				t.Errorf("weights (-want +got):\n%s", diff)
			}
		})
	}
}

// A rule with one group and no ForwardConfig has nobody to share with.
func TestShiftOnARuleWithOneGroup(t *testing.T) {
	f := newFixture(t, elb.Config{}, false, &elbv2.CreateTargetGroupInput{})
	listener := f.attach(t)
	green := f.second(t, "green")
	if err := f.Shift(listener, map[string]float64{f.group: 100}); err != nil {
		t.Error(err)
	}
	if err := f.Shift(listener, map[string]float64{f.group: 0, green: 100}); codeOf(err) != "ValidationError" {
		t.Errorf("got %v", err)
	}
	out, err := f.DescribeListeners(t.Context(), &elbv2.DescribeListenersInput{ListenerArns: []string{listener}})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(out.Listeners[0].DefaultActions[0].TargetGroupArn); got != f.group {
		t.Errorf("forwards to %s", got)
	}
}

// Requests under a real listener go by what was shifted, from the next one on.
func TestShiftMovesRealRequests(t *testing.T) {
	f := newFixture(t, elb.Config{Listen: true, FirstCheck: time.Millisecond}, false, &elbv2.CreateTargetGroupInput{
		HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2),
	})
	listener := f.attach(t)
	green := f.second(t, "green")
	if _, err := f.ModifyListener(t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &listener, DefaultActions: forward(f.group, 1, green, 0)}); err != nil {
		t.Fatal(err)
	}
	a, _ := realTarget(t, "10.0.0.1", named("blue"))
	b, _ := realTarget(t, "10.0.0.2", named("green"))
	f.register(t, a)
	if err := f.Register(green, b); err != nil {
		t.Fatal(err)
	}
	until(t, "healthy green target", func() bool {
		out, err := f.DescribeTargetHealth(t.Context(), &elbv2.DescribeTargetHealthInput{TargetGroupArn: &green})
		return err == nil && out.TargetHealthDescriptions[0].TargetHealth.State == types.TargetHealthStateEnumHealthy
	})
	for _, c := range []struct{ blue, green int }{{90, 10}, {0, 100}, {100, 0}} {
		if err := f.Shift(listener, map[string]float64{f.group: float64(c.blue), green: float64(c.green)}); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for range 100 {
			code, body := get(t, http.MethodGet, "http://"+f.Address(listener), "")
			got[fmt.Sprint(code, " ", body[:4])]++
		}
		want := map[string]int{"200 blue": c.blue, "200 gree": c.green}
		maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c, diff)
		}
	}
}
