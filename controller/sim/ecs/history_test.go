package ecs_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func (w *world) recordARNs() []string {
	var out []string
	for _, b := range must(w.ListServiceDeployments(ctx(), &awsecs.ListServiceDeploymentsInput{Cluster: aws.String("c"), Service: aws.String("web")})).ServiceDeployments {
		out = append(out, *b.ServiceDeploymentArn)
	}
	return out
}

// Service deployments are kept for 90 days, and no longer than their service,
// which is described as INACTIVE for a while.
func TestHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.settle(w.register("web:1"), 1)
		revision := *w.record(*w.primary().Id).TargetServiceRevision.Arn
		pass(89 * 24 * time.Hour)
		w.roll(w.register("web:2"))
		if n := len(w.recordARNs()); n != 2 {
			t.Errorf("%d service deployments after 89 days, want 2", n)
		}
		old := w.recordARNs()[1]
		pass(2 * 24 * time.Hour)
		if n := len(w.recordARNs()); n != 1 {
			t.Errorf("%d service deployments after 91 days, want 1", n)
		}
		gone := func(arn string) bool {
			out := must(w.DescribeServiceDeployments(ctx(), &awsecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn}}))
			return len(out.Failures) == 1 && *out.Failures[0].Reason == "MISSING"
		}
		if !gone(old) || gone(w.recordARNs()[0]) {
			t.Error("the old service deployment is described, or the new one is not")
		}
		w.roll(w.register("web:3"))
		pass(10 * time.Minute)
		newest := w.recordARNs()[0]
		if out := must(w.DescribeServiceRevisions(ctx(), &awsecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{revision}})); len(out.Failures) != 1 {
			t.Error("the revision of 91 days ago is described")
		}

		must(w.DeleteService(ctx(), &awsecs.DeleteServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), Force: aws.Bool(true)}))
		w.until(5*time.Minute, "INACTIVE", func() bool { return *w.service().Status == "INACTIVE" })
		if !gone(newest) || len(w.recordARNs()) != 0 {
			t.Error("the history outlived the service")
		}
		_, err := w.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web")})
		refused[*types.ServiceNotActiveException](t, "update", "Service was not ACTIVE.", err)
		_, err = w.DeleteService(ctx(), &awsecs.DeleteServiceInput{Cluster: aws.String("c"), Service: aws.String("web")})
		refused[*types.ServiceNotFoundException](t, "delete", "Service not found.", err)
		pass(2 * time.Hour)
		out := must(w.DescribeServices(ctx(), &awsecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"web"}}))
		if len(out.Services) != 0 || *out.Failures[0].Reason != "MISSING" {
			t.Errorf("two hours later: %+v", out)
		}
	})
}
