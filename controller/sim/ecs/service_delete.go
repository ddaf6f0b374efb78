package ecs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// DeleteService begins to drain a service. It must be scaled to 0 unless forced;
// for one that is draining it may be repeated.
func (e *Engine) DeleteService(_ context.Context, in *awsecs.DeleteServiceInput) (*awsecs.DeleteServiceOutput, error) {
	e.lock()
	defer e.unlock()
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	switch {
	case s.status == serviceInactive:
		return nil, &types.ServiceNotFoundException{Message: aws.String("Service not found.")}
	case s.status == serviceActive && s.desired > 0 && !aws.ToBool(in.Force):
		return nil, invalid("The service cannot be stopped while it is scaled above 0.")
	}
	s.status, s.desired, s.stale = serviceDraining, 0, nil
	e.touch(s)
	return &awsecs.DeleteServiceOutput{Service: new(e.viewService(s, false))}, nil
}

// drainService stops what runs; once nothing does, the service is INACTIVE and
// its history gone.
func (e *Engine) drainService(s *service) {
	var ended []*task
	for _, t := range s.tasks {
		if t.live() {
			ended = append(ended, t)
		}
	}
	e.announceTargets(s)
	e.scaledIn(s, ended)
	if len(s.tasks) > 0 {
		return
	}
	s.status, s.steadyAt = serviceInactive, e.now
	s.deployments = s.deployments[:1]
	s.records, s.revisions, s.candidate = nil, nil, nil
	e.after(e.cfg.Timing.InactiveRetention+1, func() {
		if s.cluster.services[s.name] == s {
			delete(s.cluster.services, s.name)
		}
	})
}
