package ecs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// when is nil for an instant that has not come.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (e *Engine) brief(r *record) types.ServiceDeploymentBrief {
	s := r.dep.svc
	return types.ServiceDeploymentBrief{
		ServiceDeploymentArn: aws.String(r.arn), ServiceArn: aws.String(s.arn), ClusterArn: aws.String(s.cluster.arn),
		Status: r.status, StatusReason: text(r.statusReason), TargetServiceRevisionArn: aws.String(e.revisionARN(r.dep)),
		CreatedAt: when(r.createdAt), StartedAt: when(r.startedAt), FinishedAt: when(r.finishedAt),
	}
}

func (e *Engine) viewRecord(r *record) types.ServiceDeployment {
	s := r.dep.svc
	v := types.ServiceDeployment{
		ServiceDeploymentArn: aws.String(r.arn), ServiceArn: aws.String(s.arn), ClusterArn: aws.String(s.cluster.arn),
		Status: r.status, StatusReason: text(r.statusReason), DeploymentConfiguration: new(clone(r.config)),
		CreatedAt: when(r.createdAt), StartedAt: when(r.startedAt), FinishedAt: when(r.finishedAt),
		StoppedAt: when(r.stoppedAt), UpdatedAt: when(r.updatedAt),
		TargetServiceRevision:    new(e.revisionSummary(r.dep)),
		SourceServiceRevisions:   []types.ServiceRevisionSummary{},
		DeploymentCircuitBreaker: e.breaker(r),
	}
	for _, d := range r.sources {
		v.SourceServiceRevisions = append(v.SourceServiceRevisions, e.revisionSummary(d))
	}
	if r.rollbackTo != nil {
		v.Rollback = &types.Rollback{
			Reason: aws.String(r.rollbackReason), StartedAt: when(r.rollbackAt), ServiceRevisionArn: aws.String(e.revisionARN(r.rollbackTo)),
		}
	}
	v.Alarms = e.viewAlarms(r)
	if r.life != nil {
		v.LifecycleStage, v.LifecycleHookDetails = r.life.stage, r.life.viewHooks()
	}
	return v
}

func (e *Engine) breaker(r *record) *types.ServiceDeploymentCircuitBreaker {
	b := r.config.DeploymentCircuitBreaker
	v := &types.ServiceDeploymentCircuitBreaker{
		Status:       types.ServiceDeploymentRollbackMonitorsStatusMonitoring,
		Threshold:    int32(e.threshold(b, r.dep.svc.desired)),
		FailureCount: int32(r.failures),
	}
	if r.open() {
		v.FailureCount = int32(r.dep.failures)
	}
	switch {
	case !b.Enable:
		v.Status, v.Threshold, v.FailureCount = types.ServiceDeploymentRollbackMonitorsStatusDisabled, 0, 0
	case r.triggered:
		v.Status = types.ServiceDeploymentRollbackMonitorsStatusTriggered
	case !r.open():
		v.Status = types.ServiceDeploymentRollbackMonitorsStatusMonitoringComplete
	}
	return v
}

func (e *Engine) revisionSummary(d *deployment) types.ServiceRevisionSummary {
	v := types.ServiceRevisionSummary{Arn: aws.String(e.revisionARN(d))}
	if d == d.svc.primary() && !d.failed {
		v.RequestedTaskCount = int32(d.svc.desired)
	}
	if d.svc.primary().record.life != nil || d.record != nil && d.record.life != nil {
		v.RequestedProductionTrafficWeight, v.RequestedTestTrafficWeight = aws.Float64(d.production), aws.Float64(d.test)
	}
	for _, t := range d.svc.tasks {
		if t.dep == d {
			switch {
			case t.status == running:
				v.RunningTaskCount++
			case t.live():
				v.PendingTaskCount++
			}
		}
	}
	return v
}

// DescribeServiceRevisions describes up to 20; absent ones are failures with
// reason MISSING. Digests are there once the revision's first task has them.
func (e *Engine) DescribeServiceRevisions(_ context.Context, in *awsecs.DescribeServiceRevisionsInput) (*awsecs.DescribeServiceRevisionsOutput, error) {
	if n := len(in.ServiceRevisionArns); n < 1 || n > 20 {
		return nil, invalid("serviceRevisionArns must have 1 to 20 elements")
	}
	e.lock()
	defer e.unlock()
	out := &awsecs.DescribeServiceRevisionsOutput{ServiceRevisions: []types.ServiceRevision{}, Failures: []types.Failure{}}
	for _, arn := range in.ServiceRevisionArns {
		if d := e.revision(arn); d != nil {
			out.ServiceRevisions = append(out.ServiceRevisions, e.viewRevision(d))
		} else {
			out.Failures = append(out.Failures, missing(arn))
		}
	}
	return out, nil
}

func (e *Engine) revision(arn string) *deployment {
	kind, path, ok := e.resource(arn)
	if !ok || kind != "service-revision" || len(path) != 3 {
		return nil
	}
	if c := e.clusters[path[0]]; c != nil && c.services[path[1]] != nil {
		for _, d := range c.services[path[1]].revisions {
			if d.number == path[2] {
				return d
			}
		}
	}
	return nil
}

func (e *Engine) viewRevision(d *deployment) types.ServiceRevision {
	s := d.svc
	v := types.ServiceRevision{
		ServiceRevisionArn: aws.String(e.revisionARN(d)), ServiceArn: aws.String(s.arn), ClusterArn: aws.String(s.cluster.arn),
		CreatedAt: when(d.revisedAt), TaskDefinition: aws.String(d.spec.td.arn),
		LaunchType: s.launchType, CapacityProviderStrategy: clone(s.strategy),
		PlatformFamily: aws.String("Linux"), PlatformVersion: aws.String(resolvedPlatform(d.spec.platform)),
		NetworkConfiguration: new(clone(d.spec.network)), LoadBalancers: clone(d.spec.lbs),
		ContainerImages: []types.ContainerImage{},
	}
	for _, c := range d.spec.td.ContainerDefinitions {
		v.ContainerImages = append(v.ContainerImages, types.ContainerImage{
			ContainerName: aws.String(*c.Name), Image: aws.String(*c.Image), ImageDigest: text(d.digests[*c.Name]),
		})
	}
	if len(d.spec.lbs) > 0 {
		v.ResolvedConfiguration = &types.ResolvedConfiguration{}
		for _, lb := range d.balancers {
			v.ResolvedConfiguration.LoadBalancers = append(v.ResolvedConfiguration.LoadBalancers,
				types.ServiceRevisionLoadBalancer{TargetGroupArn: aws.String(*lb.TargetGroupArn)})
			if a := lb.AdvancedConfiguration; a != nil {
				last := len(v.ResolvedConfiguration.LoadBalancers) - 1
				v.ResolvedConfiguration.LoadBalancers[last].ProductionListenerRule = clone(a.ProductionListenerRule)
			}
		}
	}
	return v
}

// resolvedPlatform: LATEST is 1.4.0 for Linux.
func resolvedPlatform(version string) string {
	if version == "LATEST" {
		return "1.4.0"
	}
	return version
}
