package ecs

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// resolveGroups says in which of its two target groups each load balancer of a
// new deployment puts its tasks. With stages that is the one which does not
// carry traffic; the two change places from deployment to deployment.
func (d *deployment) resolveGroups(live *deployment, staged bool) {
	d.balancers = clone(d.spec.lbs)
	if live == nil {
		return
	}
	for i := range d.balancers {
		lb := &d.balancers[i]
		if lb.AdvancedConfiguration == nil {
			continue
		}
		own, other := aws.ToString(lb.TargetGroupArn), aws.ToString(lb.AdvancedConfiguration.AlternateTargetGroupArn)
		used := slices.ContainsFunc(live.balancers, func(o types.LoadBalancer) bool { return aws.ToString(o.TargetGroupArn) == own })
		usedOther := slices.ContainsFunc(live.balancers, func(o types.LoadBalancer) bool { return aws.ToString(o.TargetGroupArn) == other })
		if staged && used || !staged && usedOther {
			lb.TargetGroupArn = aws.String(other)
		}
	}
}

// carriers is every deployment that may have traffic, once each.
func (e *Engine) carriers(s *service, r *record) []*deployment {
	out := slices.Clone(s.deployments)
	for _, d := range []*deployment{r.dep, r.life.blue} {
		if d != nil && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// routeAll gives one deployment all of the production traffic.
func (e *Engine) routeAll(s *service, to *deployment) {
	if to == nil || to.production == 100 {
		return
	}
	for _, d := range s.deployments {
		d.production, d.test = 0, 0
	}
	to.production, to.test = 100, 100
	e.shift(s, true)
	e.shift(s, false)
}

// shift tells the load balancers how the rules divide traffic now.
func (e *Engine) shift(s *service, production bool) {
	shifter, ok := e.cfg.LoadBalancers.(TrafficShifter)
	if !ok {
		return
	}
	p := s.primary()
	for _, lb := range p.balancers {
		a := lb.AdvancedConfiguration
		if a == nil {
			continue
		}
		rule := aws.ToString(a.TestListenerRule)
		if production {
			rule = aws.ToString(a.ProductionListenerRule)
		}
		weights := e.weights(s, lb, production)
		if rule == "" || len(weights) == 0 {
			continue
		}
		e.effect(func() {
			if err := shifter.Shift(rule, weights); err != nil {
				e.section(func() { e.cannotShift(s, p, err) })
			}
		})
	}
}

// weights is the share of each of a load balancer's two groups, in percent.
func (e *Engine) weights(s *service, lb types.LoadBalancer, production bool) map[string]float64 {
	out := map[string]float64{}
	for _, d := range s.deployments {
		share := d.test
		if production {
			share = d.production
		}
		for _, own := range d.balancers {
			if aws.ToString(own.ContainerName) == aws.ToString(lb.ContainerName) && aws.ToInt32(own.ContainerPort) == aws.ToInt32(lb.ContainerPort) {
				out[aws.ToString(own.TargetGroupArn)] += share
			}
		}
	}
	total := 0.0
	for _, share := range out {
		total += share
	}
	if total == 0 {
		return nil
	}
	for _, spec := range s.primary().spec.lbs {
		if a := spec.AdvancedConfiguration; a != nil && aws.ToString(a.ProductionListenerRule) == aws.ToString(lb.AdvancedConfiguration.ProductionListenerRule) {
			out[aws.ToString(spec.TargetGroupArn)] += 0
			out[aws.ToString(a.AlternateTargetGroupArn)] += 0
		}
	}
	return out
}

func (e *Engine) cannotShift(s *service, p *deployment, err error) {
	r := s.staged()
	if r == nil || s.status != serviceActive || p != s.primary() {
		return
	}
	e.event(s, "was unable to shift traffic: %s", err)
	if !r.life.back {
		e.fail(p, networkingInvalid, true)
	}
}

// validAdvanced checks a load balancer's advancedConfiguration.
func validAdvanced(lb types.LoadBalancer) error {
	a := lb.AdvancedConfiguration
	switch {
	case a == nil:
		return nil
	case aws.ToString(a.AlternateTargetGroupArn) == "":
		return invalid("advancedConfiguration.alternateTargetGroupArn must be given.")
	case aws.ToString(a.AlternateTargetGroupArn) == aws.ToString(lb.TargetGroupArn):
		return invalid("advancedConfiguration.alternateTargetGroupArn must differ from targetGroupArn.")
	case aws.ToString(a.ProductionListenerRule) == "":
		return invalid("advancedConfiguration.productionListenerRule must be given.")
	case aws.ToString(a.RoleArn) == "":
		return invalid("advancedConfiguration.roleArn must be given.")
	}
	return nil
}

// swapped is the service's load balancers with the target group that carries
// traffic in the first place.
func (s *service) swapped() []types.LoadBalancer {
	out := orEmpty(clone(s.primary().spec.lbs))
	for i := range out {
		a, live := out[i].AdvancedConfiguration, s.primary().balancers[i]
		if a != nil && aws.ToString(live.TargetGroupArn) != aws.ToString(out[i].TargetGroupArn) {
			a.AlternateTargetGroupArn, out[i].TargetGroupArn = out[i].TargetGroupArn, a.AlternateTargetGroupArn
		}
	}
	return out
}
