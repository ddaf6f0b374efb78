package sim

import (
	"context"
	"fmt"
	"sync"

	"github.com/canteen/deploy/controller/sim/ecs"
)

// network is the account's VPC: ecs.VPC. Until a seed says which subnets and security groups there are, all exist.
type network struct {
	region string
	next   ecs.VPC // asked in place of what follows, except for what is gone; may be nil

	mu      sync.Mutex
	subnets map[string]string // id → availability zone; nil: every id, its zone left to ECS
	groups  map[string]bool   // nil: every id
	gone    map[string]int    // kind and id, or kind alone for all: how many faults took it away
}

// SeedVPC is the account's network. A list that is left out lets every id exist.
type SeedVPC struct {
	Subnets        []SeedSubnet `json:"subnets,omitempty"`
	SecurityGroups []string     `json:"securityGroups,omitempty"`
}

// SeedSubnet is a subnet in an availability zone of the account's region, such as eu-central-1a.
type SeedSubnet struct {
	ID   string `json:"id"`
	Zone string `json:"zone"`
}

const subnetKind, groupKind = "subnet ", "group "

func (n *network) Subnet(id string) (zone string, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next != nil {
		zone, ok = n.next.Subnet(id)
	} else if zone, ok = n.subnets[id]; n.subnets == nil {
		ok = true
	}
	return zone, ok && !n.lost(subnetKind, id)
}

func (n *network) SecurityGroup(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	ok := n.groups == nil || n.groups[id]
	if n.next != nil {
		ok = n.next.SecurityGroup(id)
	}
	return ok && !n.lost(groupKind, id)
}

func (n *network) lost(kind, id string) bool { return n.gone[kind] > 0 || n.gone[kind+id] > 0 }

// lose takes a subnet or security group away until undo is called, or all of its kind where id is empty.
func (n *network) lose(kind, id string) (undo func() error, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, known := n.subnets[id]
	known = known || n.subnets == nil
	if kind == groupKind {
		known = n.groups == nil || n.groups[id]
	}
	if id != "" && !known {
		return nil, fmt.Errorf("there is no %s%s", kind, id)
	}
	n.gone[kind+id]++
	return func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.gone[kind+id]--
		return nil
	}, nil
}

func (n *network) set(v *SeedVPC) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v.Subnets != nil {
		n.subnets = map[string]string{}
	}
	for i, s := range v.Subnets {
		zone, inRegion := s.Zone, len(s.Zone) == len(n.region)+1 && s.Zone[:len(n.region)] == n.region
		if s.ID == "" || !inRegion {
			return fmt.Errorf("subnets[%d]: want an id, and a zone such as %sa, found %q and %q", i, n.region, s.ID, zone)
		}
		n.subnets[s.ID] = zone
	}
	if v.SecurityGroups != nil {
		n.groups = map[string]bool{}
	}
	for _, id := range v.SecurityGroups {
		n.groups[id] = true
	}
	return nil
}

func (p planter) vpc(_ context.Context, s *Seed) error {
	if s.VPC == nil {
		return nil
	}
	if err := p.account.network.set(s.VPC); err != nil {
		return fmt.Errorf("vpc.%w", err)
	}
	return nil
}

func (p planter) role(_ context.Context, s *Seed) error {
	if s.ServiceLinkedRole != nil {
		p.account.ECS.SetServiceLinkedRole(*s.ServiceLinkedRole)
	}
	return nil
}
