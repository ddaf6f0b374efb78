package ecs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// record is one service deployment: what became of one deployment, kept after
// the deployment itself is gone.
type record struct {
	arn          string
	dep          *deployment
	sources      []*deployment
	status       types.ServiceDeploymentStatus
	statusReason string
	config       types.DeploymentConfiguration
	triggered    bool // the breaker
	failures     int  // the breaker's count when it ended
	ordinal      int
	life         *lifecycle // nil for ROLLING
	watch        alarmWatch

	createdAt, updatedAt, visibleAt, startedAt, finishedAt, stoppedAt time.Time

	rollbackTo     *deployment
	rollbackAt     time.Time
	rollbackReason string
}

func (e *Engine) newRecord(d *deployment, sources []*deployment) *record {
	s := d.svc
	rnd := e.random("service-deployment " + s.arn)
	r := &record{
		arn: e.arn("service-deployment", s.cluster.name, s.name, serviceDeploymentID(rnd)), dep: d, sources: sources,
		status: types.ServiceDeploymentStatusPending, config: clone(s.config), ordinal: len(s.records),
		createdAt: e.now, updatedAt: e.now, visibleAt: e.now.Add(upTo(e.cfg.Doubts.SDRecordLagMax, rnd)),
	}
	if n := len(s.records); n > 0 {
		r.ordinal = s.records[n-1].ordinal + 1
	}
	d.record = r
	s.records = append(s.records, r)
	r.life = s.newLifecycle(r, sources)
	return r
}

// open: it has not ended.
func (r *record) open() bool {
	switch r.status {
	case types.ServiceDeploymentStatusSuccessful, types.ServiceDeploymentStatusStopped,
		types.ServiceDeploymentStatusRollbackSuccessful, types.ServiceDeploymentStatusRollbackFailed:
		return false
	}
	return true
}

func (e *Engine) setRecord(r *record, status types.ServiceDeploymentStatus, reason string) {
	r.status, r.updatedAt = status, e.now
	if reason != "" {
		r.statusReason = reason
	}
	if r.startedAt.IsZero() && status != types.ServiceDeploymentStatusPending {
		r.startedAt = e.now
	}
	if !r.open() {
		r.finishedAt, r.failures = e.now, r.dep.failures
		if status == types.ServiceDeploymentStatusStopped {
			r.stoppedAt = e.now
		}
	}
	e.touch(r.dep.svc)
}

// openRecord is the record under which d rolls out: its own, or that of the
// deployment which is being rolled back to it.
func (s *service) openRecord(d *deployment) *record {
	for _, r := range s.records {
		if r.rollbackTo == d && r.open() {
			return r
		}
	}
	return d.record
}

// advanceRecords takes the steps that ECS takes some seconds after what caused
// them.
func (e *Engine) advanceRecords(s *service) {
	for _, r := range s.records {
		switch r.status {
		case types.ServiceDeploymentStatusPending:
			e.setRecord(r, types.ServiceDeploymentStatusInProgress, "")
		case types.ServiceDeploymentStatusStopRequested:
			e.setRecord(r, types.ServiceDeploymentStatusStopped, "")
		case types.ServiceDeploymentStatusRollbackRequested:
			if d := r.dep; d == s.primary() && d.state == types.DeploymentRolloutStateInProgress {
				e.fail(d, stoppedByUser, true)
			}
		}
	}
}

var stoppedByUser = cause{
	event:      "Service deployment rolled back because the service deployment was stopped.",
	deployment: "ECS deployment was stopped.",
	rolledBack: "Service deployment rolled back because the service deployment was stopped.",
}

func (e *Engine) succeedRecord(s *service, d *deployment) {
	r := s.openRecord(d)
	switch {
	case !r.open():
	case r.rollbackTo == d:
		e.setRecord(r, types.ServiceDeploymentStatusRollbackSuccessful, r.rollbackReason)
	default:
		e.setRecord(r, types.ServiceDeploymentStatusSuccessful, "")
	}
}

// forgetHistory drops records and revisions that are older than ECS keeps them
// and that nothing refers to.
func (e *Engine) forgetHistory(s *service) {
	old := func(at time.Time) bool { return e.now.Sub(at) > e.cfg.Timing.HistoryRetention }
	s.records = slices.DeleteFunc(s.records, func(r *record) bool { return !r.open() && old(r.finishedAt) })
	s.revisions = slices.DeleteFunc(s.revisions, func(d *deployment) bool {
		return old(d.revisedAt) && d != s.candidate && !slices.Contains(s.deployments, d)
	})
}

func (e *Engine) visible(r *record) bool {
	return !e.now.Before(r.visibleAt) && (r.open() || e.now.Sub(r.finishedAt) <= e.cfg.Timing.HistoryRetention)
}

func (e *Engine) record(arn string) *record {
	kind, path, ok := e.resource(arn)
	if !ok || kind != "service-deployment" || len(path) != 3 {
		return nil
	}
	if c := e.clusters[path[0]]; c != nil && c.services[path[1]] != nil {
		for _, r := range c.services[path[1]].records {
			if r.arn == arn && e.visible(r) {
				return r
			}
		}
	}
	return nil
}

// ListServiceDeployments lists a service's deployments, newest first; pages have
// 20 unless asked otherwise.
func (e *Engine) ListServiceDeployments(_ context.Context, in *awsecs.ListServiceDeploymentsInput) (*awsecs.ListServiceDeploymentsOutput, error) {
	e.lock()
	defer e.unlock()
	s, err := e.service(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if c := e.controller(s); c != types.DeploymentControllerTypeEcs {
		return nil, unsupported("ListServiceDeployments is not supported for services with the %s deployment controller.", c)
	}
	found := map[string]*record{}
	keys := []string{}
	for _, r := range slices.Backward(s.records) {
		switch {
		case !e.visible(r), len(in.Status) > 0 && !slices.Contains(in.Status, r.status):
			continue
		case in.CreatedAt != nil && in.CreatedAt.After != nil && !r.createdAt.After(*in.CreatedAt.After),
			in.CreatedAt != nil && in.CreatedAt.Before != nil && !r.createdAt.Before(*in.CreatedAt.Before):
			continue
		}
		key := fmt.Sprintf("%08d", r.ordinal)
		found[key] = r
		keys = append(keys, key)
	}
	keys, next, err := e.page(listing("ListServiceDeployments", s.arn), keys, true, in.NextToken, in.MaxResults, 20)
	if err != nil {
		return nil, err
	}
	out := &awsecs.ListServiceDeploymentsOutput{ServiceDeployments: []types.ServiceDeploymentBrief{}, NextToken: next}
	for _, k := range keys {
		out.ServiceDeployments = append(out.ServiceDeployments, e.brief(found[k]))
	}
	return out, nil
}

// DescribeServiceDeployments describes up to 20; absent ones are failures with
// reason MISSING.
func (e *Engine) DescribeServiceDeployments(_ context.Context, in *awsecs.DescribeServiceDeploymentsInput) (*awsecs.DescribeServiceDeploymentsOutput, error) {
	if n := len(in.ServiceDeploymentArns); n < 1 || n > 20 {
		return nil, invalid("serviceDeploymentArns must have 1 to 20 elements")
	}
	e.lock()
	defer e.unlock()
	out := &awsecs.DescribeServiceDeploymentsOutput{ServiceDeployments: []types.ServiceDeployment{}, Failures: []types.Failure{}}
	for _, arn := range in.ServiceDeploymentArns {
		if r := e.record(arn); r != nil {
			out.ServiceDeployments = append(out.ServiceDeployments, e.viewRecord(r))
		} else {
			out.Failures = append(out.Failures, missing(arn))
		}
	}
	return out, nil
}

// StopServiceDeployment rolls a running service deployment back; repeated while
// it does so it changes nothing, and after the end it is a ConflictException.
func (e *Engine) StopServiceDeployment(_ context.Context, in *awsecs.StopServiceDeploymentInput) (*awsecs.StopServiceDeploymentOutput, error) {
	if in.StopType != "" && in.StopType != types.StopServiceDeploymentStopTypeRollback {
		return nil, unsupported("stopType %s is not modelled by this local account; use ROLLBACK", in.StopType)
	}
	e.lock()
	defer e.unlock()
	arn := aws.ToString(in.ServiceDeploymentArn)
	r := e.record(arn)
	if r == nil {
		return nil, &types.ServiceDeploymentNotFoundException{Message: aws.String("Service deployment not found: " + arn)}
	}
	switch r.status {
	case types.ServiceDeploymentStatusPending, types.ServiceDeploymentStatusInProgress:
		e.setRecord(r, types.ServiceDeploymentStatusRollbackRequested, "")
	default:
		if !r.open() {
			return nil, &types.ConflictException{
				Message:     aws.String(fmt.Sprintf("Service deployment is %s and can't be stopped.", r.status)),
				ResourceIds: []string{r.arn},
			}
		}
	}
	return &awsecs.StopServiceDeploymentOutput{ServiceDeploymentArn: aws.String(r.arn)}, nil
}
