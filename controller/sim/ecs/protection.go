package ecs

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Limits of UpdateTaskProtection and GetTaskProtection in the API reference.
const (
	protectionMinutes    = 120
	protectionMinutesMax = 2880
	protectMax           = 10
	protectionReadMax    = 100
)

// protected: scale-in and deployments leave the task alone. Failed health checks
// and StopTask do not.
func (e *Engine) protected(t *task) bool { return t.protectedUntil.After(e.now) }

// spare leaves out the tasks that are protected.
func (e *Engine) spare(ts []*task) []*task {
	var out []*task
	for _, t := range ts {
		if !e.protected(t) {
			out = append(out, t)
		}
	}
	return out
}

// tellProtected tells how many tasks hold scale-in up, when that changes.
func (e *Engine) tellProtected(s *service) {
	p, n := s.primary(), 0
	full, surplus := e.healthyOf(s.live(p)) >= s.desired, s.surplus()
	for _, t := range s.tasks {
		if t.live() && e.protected(t) && full && (t.dep != p || surplus > 0) {
			n++
		}
	}
	if n > 0 && n != s.held {
		e.event(s, "was unable to reach steady state because (taskSet %s) was unable to scale in due to (reason %d tasks under protection)", p.id(), n)
	}
	s.held = n
}

// UpdateTaskProtection protects up to 10 tasks of services from scale-in, for
// 120 minutes unless told otherwise, or ends that. Tasks that cannot be protected
// are failures: MISSING, TASK_NOT_VALID for a standalone task or one that does
// not run, DEPLOYMENT_BLOCKED for one of an older deployment that protection
// holds up already.
func (e *Engine) UpdateTaskProtection(_ context.Context, in *awsecs.UpdateTaskProtectionInput) (*awsecs.UpdateTaskProtectionOutput, error) {
	switch n := len(in.Tasks); {
	case n == 0:
		return nil, invalid("Tasks cannot be empty.")
	case n > protectMax:
		return nil, invalid("Tasks cannot have more than %d elements.", protectMax)
	case in.ExpiresInMinutes != nil && (*in.ExpiresInMinutes < 1 || *in.ExpiresInMinutes > protectionMinutesMax):
		return nil, invalid("expiresInMinutes must be between 1 and %d.", protectionMinutesMax)
	}
	e.lock()
	defer e.unlock()
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	out := &awsecs.UpdateTaskProtectionOutput{ProtectedTasks: []types.ProtectedTask{}, Failures: []types.Failure{}}
	for _, ref := range in.Tasks {
		t, failure := e.protectable(c, ref, in.ProtectionEnabled)
		if failure != nil {
			out.Failures = append(out.Failures, *failure)
			continue
		}
		t.protectedUntil = time.Time{}
		if in.ProtectionEnabled {
			d := minutes(orInt(in.ExpiresInMinutes, protectionMinutes))
			t.protectedUntil = e.now.Add(d)
			e.after(d, func() { e.touch(t.svc) })
		}
		e.touch(t.svc)
		out.ProtectedTasks = append(out.ProtectedTasks, e.viewProtection(t))
	}
	return out, nil
}

func (e *Engine) protectable(c *cluster, ref string, enable bool) (*task, *types.Failure) {
	t := e.task(c, ref)
	if t == nil {
		return nil, new(missing(e.taskARN(c, ref)))
	}
	fail := func(reason, detail string) (*task, *types.Failure) {
		return nil, &types.Failure{Arn: aws.String(t.arn), Reason: aws.String(reason), Detail: aws.String(detail)}
	}
	switch {
	case t.svc == nil:
		return fail("TASK_NOT_VALID", "The task is not part of a service.")
	case !t.live() || t.status != running:
		return fail("TASK_NOT_VALID", "The task is not in RUNNING state.")
	case enable && t.svc.held > 0 && t.dep != t.svc.primary():
		return fail("DEPLOYMENT_BLOCKED", "A deployment of the service can't reach steady state because of protected tasks.")
	}
	return t, nil
}

func (e *Engine) taskARN(c *cluster, ref string) string {
	if strings.HasPrefix(ref, "arn:") {
		return ref
	}
	return e.arn("task", c.name, ref)
}

// GetTaskProtection says which tasks are protected, and until when.
func (e *Engine) GetTaskProtection(_ context.Context, in *awsecs.GetTaskProtectionInput) (*awsecs.GetTaskProtectionOutput, error) {
	if len(in.Tasks) > protectionReadMax {
		return nil, invalid("Tasks cannot have more than %d elements.", protectionReadMax)
	}
	e.lock()
	defer e.unlock()
	c, err := e.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	out := &awsecs.GetTaskProtectionOutput{ProtectedTasks: []types.ProtectedTask{}, Failures: []types.Failure{}}
	for _, ref := range in.Tasks {
		switch t := e.task(c, ref); {
		case t == nil:
			out.Failures = append(out.Failures, missing(e.taskARN(c, ref)))
		case t.svc == nil:
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(t.arn), Reason: aws.String("TASK_NOT_VALID")})
		default:
			out.ProtectedTasks = append(out.ProtectedTasks, e.viewProtection(t))
		}
	}
	return out, nil
}

func (e *Engine) viewProtection(t *task) types.ProtectedTask {
	v := types.ProtectedTask{TaskArn: aws.String(t.arn)}
	if e.protected(t) {
		v.ProtectionEnabled, v.ExpirationDate = true, when(t.protectedUntil)
	}
	return v
}
