package ecs

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Trouble is what befalls tasks and services while it lasts, for causes below what
// the API shows. Its zero does nothing.
type Trouble struct {
	Service string // cluster/service; "": every task, those of RunTask too
	Times   int    // how many tasks it stops from starting; 0: all

	// FailIn makes tasks fail in this lastStatus, PROVISIONING, PENDING or
	// ACTIVATING, After it began, with Reason as stoppedReason; ${subnet} in it is
	// the task's subnet, ${role} its execution role, ${secret} the ARN of its first
	// secret and ${key} that one's JSON key. Event, if any, follows "(service NAME) ".
	FailIn string
	After  time.Duration
	Reason string
	Event  string
	// Culprit is a container that ECS added to the task and that carries Reason.
	Culprit string

	Stuck   bool   // tasks stay PENDING, with pullStartedAt and without pullStoppedAt
	Sidecar string // a container of this name stands in tasks although no task definition has it

	// NoInstance is why no container instance takes a task, such as "No Container
	// Instances were found in your cluster."; Missing is RunTask's word for it, such
	// as RESOURCE:CPU. The circuit breaker does not count it.
	NoInstance, Missing string

	// Throttled says whose API ("elb", "ec2") throttles the scheduler: it does
	// nothing for the service meanwhile.
	Throttled string
	// Controller is the deployment controller that the service shows and obeys.
	Controller types.DeploymentControllerType
	// Health is what the scheduler sees of the service's targets in place of what
	// the load balancer found; "" as State: what it found.
	Health TargetHealth
}

// trouble is one that is there, counted.
type trouble struct {
	Trouble
	used int
}

// AddTrouble makes trouble until undo is called: then what waits goes on.
func (e *Engine) AddTrouble(t Trouble) (undo func()) {
	one := &trouble{Trouble: t}
	e.section(func() {
		e.troubles = append(e.troubles, one)
		e.touchAll()
	})
	return func() {
		e.section(func() {
			e.troubles = slices.DeleteFunc(e.troubles, func(o *trouble) bool { return o == one })
			e.touchAll()
		})
	}
}

// Doubt changes the answers to what AWS's documents leave open, until undo is
// called.
func (e *Engine) Doubt(change func(*Doubts)) (undo func()) {
	var old Doubts
	e.section(func() { old = e.cfg.Doubts; change(&e.cfg.Doubts) })
	return func() { e.section(func() { e.cfg.Doubts = old }) }
}

// ForgetStopped takes every STOPPED task away, as if its hour had passed.
func (e *Engine) ForgetStopped() {
	e.section(func() {
		for _, c := range e.clusters {
			for id, t := range c.tasks {
				if t.status != stopped {
					continue
				}
				delete(c.tasks, id)
				if t.svc != nil {
					t.svc.forgetTask(t)
				}
			}
		}
	})
}

// touchAll has every service looked at, in one order, so that a seed repeats
// itself.
func (e *Engine) touchAll() {
	for _, cluster := range sortedKeys(e.clusters) {
		services := e.clusters[cluster].services
		for _, name := range sortedKeys(services) {
			if services[name].status == serviceActive {
				e.touch(services[name])
			}
		}
	}
}

func (t *trouble) of(s *service) bool {
	return t.Service == "" || s != nil && t.Service == s.cluster.name+"/"+s.name
}

// troubled finds the first trouble of a service that is so.
func (e *Engine) troubled(s *service, so func(*trouble) bool) *trouble {
	i := slices.IndexFunc(e.troubles, func(t *trouble) bool { return t.of(s) && so(t) })
	if i < 0 {
		return nil
	}
	return e.troubles[i]
}

// failsIn ends the task later if it is to fail in its present status.
func (e *Engine) failsIn(t *task, status taskStatus) bool {
	one := e.troubled(t.svc, func(o *trouble) bool {
		return o.FailIn == status.String() && (o.Times == 0 || o.used < o.Times)
	})
	if one == nil {
		return false
	}
	one.used++
	e.after(one.After, func() {
		if !t.wanted {
			return
		}
		reason := t.named(one.Reason)
		if one.Event != "" && t.svc != nil {
			e.event(t.svc, "%s", t.named(one.Event))
		}
		if one.Culprit != "" {
			c := e.inject(t, one.Culprit)
			c.reason, c.exit = reason, &Exit{Code: 1}
		}
		e.failStart(t, reason)
	})
	return true
}

// named puts the task's own subnet, execution role and first secret into a text.
func (t *task) named(text string) string {
	const fields = 7 // of a secret's ARN, before its JSON key, stage and version
	secret, key := "", ""
	for _, c := range t.td.ContainerDefinitions {
		if len(c.Secrets) > 0 && secret == "" {
			parts := strings.Split(aws.ToString(c.Secrets[0].ValueFrom), ":")
			secret = strings.Join(parts[:min(fields, len(parts))], ":")
			if len(parts) > fields {
				key = parts[fields]
			}
		}
	}
	return strings.NewReplacer("${subnet}", t.net.subnet, "${role}", aws.ToString(t.td.ExecutionRoleArn), "${secret}", secret, "${key}", key).Replace(text)
}

// heldPending: the task waits for its image, and looks again later.
func (e *Engine) heldPending(t *task, again func()) bool {
	if e.troubled(t.svc, func(o *trouble) bool { return o.Stuck }) == nil {
		return false
	}
	const look = 10 * time.Second
	e.after(look, again)
	return true
}

// inject puts a container into a task that its task definition does not have.
func (e *Engine) inject(t *task, name string) *container {
	c := &container{
		def:       &types.ContainerDefinition{Name: aws.String(name), Image: aws.String(name), Essential: aws.Bool(false)},
		runtimeID: t.id + "-0000000000", health: types.HealthStatusUnknown, injected: true,
	}
	t.containers = append(t.containers, c)
	return c
}

// addSidecars puts in what the account's owner has put into every task.
func (e *Engine) addSidecars(t *task) {
	for _, o := range e.troubles {
		if o.Sidecar != "" && o.of(t.svc) {
			e.inject(t, o.Sidecar)
		}
	}
}

// throttledBy says that a neighbour throttles the scheduler, once for each time
// that it begins.
func (e *Engine) throttledBy(s *service) bool {
	o := e.troubled(s, func(o *trouble) bool { return o.Throttled != "" })
	if o != nil && !s.throttled {
		e.event(s, "operations are being throttled on %s. Will try again later.", o.Throttled)
		e.tell(s, "ECS_OPERATION_THROTTLED", nil, "")
	}
	s.throttled = o != nil
	return s.throttled
}

// controller is the service's deployment controller.
func (e *Engine) controller(s *service) types.DeploymentControllerType {
	if o := e.troubled(s, func(o *trouble) bool { return o.Controller != "" }); o != nil {
		return o.Controller
	}
	if s.foreign != "" {
		return s.foreign
	}
	return types.DeploymentControllerTypeEcs
}

// targetHealth is what the scheduler sees of a target.
func (e *Engine) targetHealth(t *task, k *target) TargetHealth {
	if o := e.troubled(t.svc, func(o *trouble) bool { return o.Health.State != "" }); o != nil {
		return o.Health
	}
	return k.health
}

func (e *Engine) noInstance(s *service) *trouble {
	return e.troubled(s, func(o *trouble) bool { return o.NoInstance != "" })
}

// ownDeployments refuses what another deployment controller does in ECS's place.
func (e *Engine) ownDeployments(s *service, in *awsecs.UpdateServiceInput) error {
	what := ""
	switch c := e.controller(s); {
	case c == types.DeploymentControllerTypeEcs:
		return nil
	case in.TaskDefinition != nil:
		what = "task definition"
	case in.NetworkConfiguration != nil:
		what = "network configuration"
	case in.PlatformVersion != nil:
		what = "platform version"
	case in.LoadBalancers != nil:
		what = "load balancers"
	case in.ForceNewDeployment:
		return invalid("Cannot force a new deployment on services with a %s deployment controller.", c)
	default:
		return nil
	}
	tail := ""
	if e.controller(s) == types.DeploymentControllerTypeCodeDeploy {
		tail = " Use AWS CodeDeploy to trigger a new deployment."
	}
	return invalid("Unable to update %s on services with a %s deployment controller.%s", what, e.controller(s), tail)
}
