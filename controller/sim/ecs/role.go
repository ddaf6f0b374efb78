package ecs

import "time"

// The service-linked role AWSServiceRoleForECS is what ECS acts with on network interfaces and target groups. An account has it
// for good from its first cluster or service on; until IAM knows it everywhere, services are refused.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html

// roleState is where the role is in its life. Its zero: it is there.
type roleState struct {
	absent bool
	barred bool      // nobody may make it
	ready  time.Time // it can be assumed from then on
}

// SetServiceLinkedRole takes the role away and keeps it away, or, with true, puts it back at once.
func (e *Engine) SetServiceLinkedRole(exists bool) {
	e.section(func() { e.role = roleState{absent: !exists, barred: !exists} })
}

// makeRole is what CreateCluster and CreateService do in an account that never had the role.
func (e *Engine) makeRole() {
	if e.role.absent && !e.role.barred {
		e.role = roleState{ready: e.now.Add(e.cfg.Timing.RoleReady)}
	}
}

// assumeRole refuses what needs the role while it cannot be assumed.
func (e *Engine) assumeRole() error {
	if e.role.absent || e.now.Before(e.role.ready) {
		return invalid("Unable to assume the service linked role. Please verify that the ECS service linked role exists.")
	}
	return nil
}
