package elb

import (
	"math"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/canteen/deploy/controller/sim/ecs"
)

var _ ecs.TrafficShifter = (*Engine)(nil)

// Shift makes a rule, or the default one of a listener, forward these percents (0 to 100, one decimal, 100 in
// sum) to target groups that it has already; other groups stay on it with weight 0. It needs the ARN of a rule
// or of a listener. A refusal changes nothing.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/alb-resources-for-blue-green.html
func (e *Engine) Shift(ruleOrListener string, percents map[string]float64) error {
	weights, err := weightsOf(percents)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	l, r := e.listeners[ruleOrListener], (*rule)(nil)
	if l == nil {
		if l, r, err = e.rule(&ruleOrListener); err != nil {
			return err
		}
	}
	actions, to := &l.DefaultActions, &l.route
	if r != nil {
		actions, to = &r.Actions, &r.route
	}
	for arn := range weights {
		if _, has := to.weights[arn]; !has {
			return invalid("Target group '%s' is not one that '%s' forwards to", arn, ruleOrListener)
		}
	}
	for arn := range to.weights {
		weights[arn] += 0
	}
	*actions = reweighed((*actions)[0], weights)
	*to = route{weights: weights}
	return nil
}

// reweighed is a forward action with other weights, made anew because the old one was handed out.
func reweighed(a types.Action, weights map[string]int) []types.Action {
	if a.ForwardConfig == nil {
		return []types.Action{a} // one target group, which has everything
	}
	c := *a.ForwardConfig
	c.TargetGroups = slices.Clone(c.TargetGroups)
	for i, t := range c.TargetGroups {
		c.TargetGroups[i].Weight = aws.Int32(int32(weights[*t.TargetGroupArn]))
	}
	a.ForwardConfig = &c
	return []types.Action{a}
}

// weightsOf is percents as a rule's whole weights, which end at 999: the percents themselves where all are whole,
// tenths of them otherwise, as none is 100 then.
func weightsOf(percents map[string]float64) (map[string]int, error) {
	tenths, sum, unit := map[string]int{}, 0, 10
	for arn, p := range percents {
		n := int(math.Round(p * 10))
		if math.Abs(p*10-float64(n)) > 1e-6 || n < 0 || n > 1000 {
			return nil, invalid("The percentage of a target group must be 0 to 100 with one decimal, found %g", p)
		}
		if n%10 != 0 {
			unit = 1
		}
		tenths[arn], sum = n, sum+n
	}
	if sum != 1000 {
		return nil, invalid("The percentages of target groups must be 100 in sum, found %g", float64(sum)/10)
	}
	for arn := range tenths {
		tenths[arn] /= unit
	}
	return tenths, nil
}
