package elb

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// rule is one rule of a listener that is not its default.
type rule struct {
	types.Rule
	route
	priority int
}

// CreateRule makes a rule that forwards what meets all its conditions.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html
func (e *Engine) CreateRule(_ context.Context, in *elbv2.CreateRuleInput) (*elbv2.CreateRuleOutput, error) {
	if err := wire.Refuse(in, "Actions", "Conditions", "ListenerArn", "Priority", "Tags"); err != nil {
		return nil, err
	}
	weights, err := forwarded(in.Actions)
	if err != nil {
		return nil, err
	}
	if err := checkConditions(in.Conditions); err != nil {
		return nil, err
	}
	priority := int(aws.ToInt32(in.Priority))
	if priority < 1 || priority > 50_000 {
		return nil, invalid("Priority must be 1 to 50000, found %d", priority)
	}
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.listeners[aws.ToString(in.ListenerArn)]
	if l == nil {
		return nil, listenerNotFound(aws.ToString(in.ListenerArn))
	}
	if slices.ContainsFunc(l.rules, func(r *rule) bool { return r.priority == priority }) {
		return nil, &types.PriorityInUseException{Message: aws.String("Priority '" + strconv.Itoa(priority) + "' is currently in use")}
	}
	if len(l.rules) == maxRules {
		return nil, &types.TooManyRulesException{Message: aws.String("The maximum number of rules on the load balancer has been reached")}
	}
	if err := e.mayForward(weights, *l.LoadBalancerArn); err != nil {
		return nil, err
	}
	e.rulesMade++
	r := &rule{route: route{weights: weights}, priority: priority, Rule: types.Rule{
		RuleArn:  aws.String(strings.Replace(*l.ListenerArn, ":listener/", ":listener-rule/", 1) + "/" + id("rule", *l.ListenerArn, e.rulesMade)),
		Priority: aws.String(strconv.Itoa(priority)), IsDefault: aws.Bool(false), Actions: in.Actions, Conditions: in.Conditions,
	}}
	l.rules = append(l.rules, r)
	slices.SortFunc(l.rules, func(a, b *rule) int { return cmp.Compare(a.priority, b.priority) })
	e.reattach()
	return &elbv2.CreateRuleOutput{Rules: []types.Rule{r.Rule}}, nil
}

// ModifyRule replaces a rule's actions or conditions; what is left out stays. A default rule changes by
// ModifyListener.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyRule.html
func (e *Engine) ModifyRule(_ context.Context, in *elbv2.ModifyRuleInput) (*elbv2.ModifyRuleOutput, error) {
	if err := wire.Refuse(in, "RuleArn", "Actions", "Conditions"); err != nil {
		return nil, err
	}
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	l, r, err := e.rule(in.RuleArn)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, &types.OperationNotPermittedException{Message: aws.String("Default rule '" + *in.RuleArn + "' cannot be modified")}
	}
	if in.Conditions != nil {
		if err := checkConditions(in.Conditions); err != nil {
			return nil, err
		}
	}
	if in.Actions != nil {
		weights, err := forwarded(in.Actions)
		if err != nil {
			return nil, err
		}
		if err := e.mayForward(weights, *l.LoadBalancerArn); err != nil {
			return nil, err
		}
		r.Actions, r.route = in.Actions, route{weights: weights}
	}
	if in.Conditions != nil {
		r.Conditions = in.Conditions
	}
	e.reattach()
	return &elbv2.ModifyRuleOutput{Rules: []types.Rule{r.Rule}}, nil
}

// DeleteRule removes a rule that is not a default one.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteRule.html
func (e *Engine) DeleteRule(_ context.Context, in *elbv2.DeleteRuleInput) (*elbv2.DeleteRuleOutput, error) {
	defer e.tell()
	e.mu.Lock()
	defer e.mu.Unlock()
	l, r, err := e.rule(in.RuleArn)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, &types.OperationNotPermittedException{Message: aws.String("Default rule '" + *in.RuleArn + "' cannot be deleted")}
	}
	l.rules = slices.DeleteFunc(l.rules, func(other *rule) bool { return other == r })
	e.reattach()
	return &elbv2.DeleteRuleOutput{}, nil
}

// DescribeRules answers a listener's rules by priority, the default one last, or those that are named.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeRules.html
func (e *Engine) DescribeRules(_ context.Context, in *elbv2.DescribeRulesInput) (*elbv2.DescribeRulesOutput, error) {
	if (in.ListenerArn == nil) == (len(in.RuleArns) == 0) {
		return nil, invalid("You must specify either listener ARN or rule ARNs")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []types.Rule
	if in.ListenerArn != nil {
		l := e.listeners[*in.ListenerArn]
		if l == nil {
			return nil, listenerNotFound(*in.ListenerArn)
		}
		for _, r := range l.rules {
			out = append(out, r.Rule)
		}
		out = append(out, l.defaultRule())
	}
	for _, arn := range in.RuleArns {
		l, r, err := e.rule(&arn)
		if err != nil {
			return nil, err
		}
		if r == nil {
			out = append(out, l.defaultRule())
		} else {
			out = append(out, r.Rule)
		}
	}
	key := func(r types.Rule) string { return fmt.Sprintf("%7s %s", *r.Priority, *r.RuleArn) } // "default" is the longest and the last
	page, next, ok := wire.Page(out, key, in.Marker, pageSize(in.PageSize))
	if !ok {
		return nil, invalid("Marker is not one that DescribeRules gave")
	}
	return &elbv2.DescribeRulesOutput{Rules: page, NextMarker: next}, nil
}

// rule finds by ARN; nil for a listener's default rule.
func (e *Engine) rule(arn *string) (*listener, *rule, error) {
	for _, l := range e.listeners {
		if *l.defaultRule().RuleArn == aws.ToString(arn) {
			return l, nil, nil
		}
		for _, r := range l.rules {
			if *r.RuleArn == aws.ToString(arn) {
				return l, r, nil
			}
		}
	}
	return nil, nil, &types.RuleNotFoundException{Message: aws.String("One or more rules not found: " + aws.ToString(arn))}
}

func (l *listener) defaultRule() types.Rule {
	return types.Rule{
		RuleArn:  aws.String(strings.Replace(*l.ListenerArn, ":listener/", ":listener-rule/", 1) + "/" + id("default rule", *l.ListenerArn)),
		Priority: aws.String("default"), IsDefault: aws.Bool(true), Actions: l.DefaultActions, Conditions: []types.RuleCondition{},
	}
}

func (l *listener) forwardsTo(groupARN string) bool {
	_, ok := l.weights[groupARN]
	return ok || slices.ContainsFunc(l.rules, func(r *rule) bool { _, ok := r.weights[groupARN]; return ok })
}

// Route answers the ARN of the target group that a listener sends a request to, by rules and weights; "" for an
// unknown listener, and where all weights are 0. Each call counts as a request.
func (e *Engine) Route(listenerARN string, r *http.Request) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.listeners[listenerARN]; l != nil {
		return l.choose(r).pick()
	}
	return ""
}

// choose finds the first rule that a request meets.
func (l *listener) choose(r *http.Request) *route {
	for _, rule := range l.rules {
		if !slices.ContainsFunc(rule.Conditions, func(c types.RuleCondition) bool { return !meets(r, c) }) {
			return &rule.route
		}
	}
	return &l.route
}

// pick takes the target groups in turns, each as often as its weight says, spread as evenly as can be.
func (r *route) pick() string {
	if r.credit == nil {
		r.credit = map[string]int{}
	}
	best, total := "", 0
	for _, arn := range slices.Sorted(maps.Keys(r.weights)) {
		w := r.weights[arn]
		if w == 0 {
			continue
		}
		total += w
		r.credit[arn] += w
		if best == "" || r.credit[arn] > r.credit[best] {
			best = arn
		}
	}
	if best != "" {
		r.credit[best] -= total
	}
	return best
}

// condition is what a rule's condition compares: fields as in
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
func condition(c types.RuleCondition) (values []string, err error) {
	switch aws.ToString(c.Field) {
	case "path-pattern":
		values = c.Values
		if c.PathPatternConfig != nil {
			values = c.PathPatternConfig.Values
		}
	case "host-header":
		values = c.Values
		if c.HostHeaderConfig != nil {
			values = c.HostHeaderConfig.Values
		}
	case "http-header":
		if c.HttpHeaderConfig == nil || c.HttpHeaderConfig.HttpHeaderName == nil {
			return nil, invalid("A condition on http-header needs an HttpHeaderConfig with a name")
		}
		values = c.HttpHeaderConfig.Values
	case "http-request-method":
		if c.HttpRequestMethodConfig != nil {
			values = c.HttpRequestMethodConfig.Values
		}
	default:
		return nil, invalid("Condition field '%s' is not modelled by this account; there are path-pattern, host-header, http-header and http-request-method", aws.ToString(c.Field))
	}
	if len(values) == 0 {
		return nil, invalid("A condition value must be specified for %s (regular expressions are not modelled)", aws.ToString(c.Field))
	}
	return values, nil
}

func checkConditions(conditions []types.RuleCondition) error {
	if len(conditions) == 0 {
		return invalid("A rule must have at least one condition")
	}
	n := 0
	for _, c := range conditions {
		values, err := condition(c)
		if err != nil {
			return err
		}
		n += len(values)
	}
	if n > maxValues {
		return invalid("A rule can have at most %d condition values, found %d", maxValues, n)
	}
	return nil
}

func meets(r *http.Request, c types.RuleCondition) bool {
	values, err := condition(c)
	if err != nil {
		return false // cannot be: checkConditions saw it
	}
	var have []string
	fold := true
	switch *c.Field {
	case "path-pattern":
		have, fold = []string{r.URL.Path}, false
	case "host-header":
		host, _, splitErr := net.SplitHostPort(r.Host)
		if splitErr != nil {
			host = r.Host
		}
		have = []string{host}
	case "http-header":
		have = r.Header.Values(*c.HttpHeaderConfig.HttpHeaderName)
	case "http-request-method":
		have, fold = []string{r.Method}, false
	}
	return slices.ContainsFunc(have, func(h string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return wildcard(v, h, fold) })
	})
}

// wildcard compares with * and ?.
func wildcard(pattern, text string, fold bool) bool {
	expr := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	if fold {
		expr = "(?i)" + expr
	}
	ok, err := regexp.MatchString("^(?s:"+expr+")$", text)
	return ok && err == nil
}
