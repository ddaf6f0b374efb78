package ecs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// knownNetwork asks the VPC for subnets and security groups. It is called
// without the engine's lock. zones is what it learned: subnet → zone.
func (e *Engine) knownNetwork(in *types.NetworkConfiguration) (zones map[string]string, err error) {
	if e.cfg.VPC == nil || in == nil || in.AwsvpcConfiguration == nil {
		return nil, nil
	}
	zones = map[string]string{}
	for _, id := range in.AwsvpcConfiguration.Subnets {
		zone, ok := e.cfg.VPC.Subnet(id)
		if !ok {
			return nil, invalid("Error retrieving subnet information for [%s]: The subnet ID '%s' does not exist (ErrorCode: InvalidSubnetID.NotFound)", id, id)
		}
		zones[id] = zone
	}
	for _, id := range in.AwsvpcConfiguration.SecurityGroups {
		if !e.cfg.VPC.SecurityGroup(id) {
			return nil, invalid("Error retrieving security group information for [%s]: The security group '%s' does not exist (ErrorCode: InvalidGroup.NotFound)", id, id)
		}
	}
	return zones, nil
}

// zone is where a subnet is: as the VPC says, else the subnets of one
// configuration lie in the region's zones in turn.
func (e *Engine) zone(subnets []string, i int) string {
	if z := e.zones[subnets[i]]; z != "" {
		return z
	}
	return e.cfg.Region + string(rune('a'+i%3))
}

// placer says where a deployment's next tasks go.
type placer struct {
	subnets          []string
	zones            []string // of each subnet, "" where no task may go
	inZone, inSubnet map[string]int
	byProvider       map[string]int
}

func (e *Engine) placer(d *deployment) *placer {
	p := &placer{subnets: d.spec.network.AwsvpcConfiguration.Subnets, inZone: map[string]int{}, inSubnet: map[string]int{}, byProvider: map[string]int{}}
	for i := range p.subnets {
		z := e.zone(p.subnets, i)
		if e.shut[z] {
			z = ""
		}
		p.zones = append(p.zones, z)
	}
	for _, t := range d.svc.live(d) {
		if e.ailing(t) == nil { // else its replacement takes the place
			p.inZone[t.net.zone]++
			p.inSubnet[t.net.subnet]++
		}
		p.byProvider[t.plan.capacityProvider]++
	}
	return p
}

// next is a subnet of the zone that has the fewest of the deployment's tasks
// (the service scheduler spreads them over availability zones), the subnets of
// one zone in turn; -1: no zone takes tasks.
func (p *placer) next() int {
	best := -1
	for i, z := range p.zones {
		if z == "" {
			continue
		}
		if best < 0 || p.inZone[z] < p.inZone[p.zones[best]] ||
			p.inZone[z] == p.inZone[p.zones[best]] && p.inSubnet[p.subnets[i]] < p.inSubnet[p.subnets[best]] {
			best = i
		}
	}
	return best
}

func (p *placer) placed(t *task) {
	p.inZone[t.net.zone]++
	p.inSubnet[t.net.subnet]++
	p.byProvider[t.plan.capacityProvider]++
}

// RefuseZone makes an availability zone take no new tasks, until it is called
// again with false. Tasks that run there go on.
func (e *Engine) RefuseZone(zone string, refuse bool) {
	e.section(func() {
		e.shut[zone] = refuse
		e.touchAll()
	})
}

// zonesOf counts a deployment's live tasks in each zone that takes tasks.
func (e *Engine) zonesOf(d *deployment) map[string]int {
	out := map[string]int{}
	subnets := d.spec.network.AwsvpcConfiguration.Subnets
	for i := range subnets {
		if z := e.zone(subnets, i); !e.shut[z] {
			out[z] = 0
		}
	}
	for _, t := range d.svc.live(d) {
		if !e.shut[t.net.zone] {
			out[t.net.zone]++
		}
	}
	return out
}

// rebalance moves one task of a settled service to the zone that has too few
// (developer guide, service-rebalancing): the new one starts first.
func (e *Engine) rebalance(s *service) {
	p := s.primary()
	if s.balancing != types.AvailabilityZoneRebalancingEnabled || p.state != types.DeploymentRolloutStateCompleted ||
		len(s.deployments) > 1 || !e.settled(s) || e.room(p) < 1 || !e.mayLaunch(p) || e.placement != "" {
		return
	}
	crowded, poor, text := extremes(e.zonesOf(p))
	if crowded == "" {
		if s.unbalanced {
			s.unbalanced = false
			e.event(s, "is AZ balanced with %s.", text)
		}
		return
	}
	i := slices.IndexFunc(s.tasks, func(t *task) bool {
		return t.live() && t.net.zone == crowded && t.replacement == nil && !e.protected(t)
	})
	if i < 0 {
		return
	}
	s.unbalanced = true
	old := s.tasks[i]
	e.event(s, "is not AZ balanced with %s. AZ Rebalancing in progress.", text)
	if started := e.startTasks(p, 1); len(started) > 0 {
		old.replacement, old.moving = started[0], true
		e.event(s, "has started 1 tasks in %s to AZ Rebalance:%s.", poor, taskIDs(started))
	}
}

// extremes are the zones with the most and the fewest tasks, "" where they
// differ by less than two.
func extremes(tasks map[string]int) (most, least, text string) {
	var parts []string
	for _, z := range sortedKeys(tasks) {
		parts = append(parts, fmt.Sprintf("%d tasks in %s", tasks[z], z))
		if most == "" || tasks[z] > tasks[most] {
			most = z
		}
		if least == "" || tasks[z] < tasks[least] {
			least = z
		}
	}
	text = strings.Join(parts, ", ")
	if most == "" || tasks[most]-tasks[least] < 2 {
		return "", "", text
	}
	return most, least, text
}

// moved ends the old task of a rebalancing once the new one is healthy.
func (e *Engine) moved(t *task) {
	switch r := t.replacement; {
	case !r.live() || !t.live():
		t.replacement, t.moving = nil, false
	case e.healthy(r):
		e.event(t.svc, "has stopped 1 running tasks:%s.", taskIDs([]*task{t}))
		e.schedulerStop(t, "Scaling activity initiated by (deployment "+t.dep.id()+")")
	}
}
