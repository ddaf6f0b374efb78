package ecs_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func controlledBy(kind types.DeploymentControllerType) func(*awsecs.CreateServiceInput) {
	return func(in *awsecs.CreateServiceInput) {
		in.DeploymentController = &types.DeploymentController{Type: kind}
		if kind == types.DeploymentControllerTypeExternal {
			in.TaskDefinition, in.NetworkConfiguration = nil, nil
		}
	}
}

// A service that another controller deploys is kept and shown, and ECS deploys nothing of it.
func TestForeignControllers(t *testing.T) {
	for _, kind := range []types.DeploymentControllerType{types.DeploymentControllerTypeCodeDeploy, types.DeploymentControllerTypeExternal} {
		t.Run(string(kind), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, nil)
				td := w.register("web:1")
				must(w.CreateService(ctx(), createInput(td, 2, withLB, controlledBy(kind))))
				pass(10 * time.Minute)
				s := w.service()
				if s.DeploymentController.Type != kind || len(s.Deployments) != 0 || s.TaskSets == nil || s.RunningCount != 0 || s.DesiredCount != 2 || *s.Status != "ACTIVE" {
					t.Errorf("shown as %+v", s)
				}
				if external := kind == types.DeploymentControllerTypeExternal; external != (s.TaskDefinition == nil) {
					t.Errorf("task definition %v", aws.ToString(s.TaskDefinition))
				}
				update := func(change func(*awsecs.UpdateServiceInput)) error {
					in := &awsecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web")}
					change(in)
					_, err := w.UpdateService(ctx(), in)
					return err
				}
				type in = awsecs.UpdateServiceInput
				tail := ""
				if kind == types.DeploymentControllerTypeCodeDeploy {
					tail = " Use AWS CodeDeploy to trigger a new deployment."
				}
				refused[*types.InvalidParameterException](t, "revision", "Unable to update task definition on services with a "+string(kind)+" deployment controller."+tail,
					update(func(i *in) { i.TaskDefinition = &td }))
				refused[*types.InvalidParameterException](t, "network", "Unable to update network configuration", update(func(i *in) { i.NetworkConfiguration = subnets() }))
				refused[*types.InvalidParameterException](t, "force", "Cannot force a new deployment", update(func(i *in) { i.ForceNewDeployment = true }))
				refused[*types.UnsupportedFeatureException](t, "another controller", "deploymentController", update(func(i *in) {
					i.DeploymentController = &types.DeploymentController{Type: types.DeploymentControllerTypeEcs}
				}))
				_, err := w.ListServiceDeployments(ctx(), &awsecs.ListServiceDeploymentsInput{Cluster: aws.String("c"), Service: aws.String("web")})
				refused[*types.UnsupportedFeatureException](t, "service deployments", string(kind), err)
				if err := update(func(i *in) { i.DesiredCount, i.HealthCheckGracePeriodSeconds = aws.Int32(0), aws.Int32(7) }); err != nil {
					t.Fatal(err)
				}
				if s := w.service(); s.DesiredCount != 0 || *s.HealthCheckGracePeriodSeconds != 7 {
					t.Errorf("updated: %+v", s)
				}
				must(w.DeleteService(ctx(), &awsecs.DeleteServiceInput{Cluster: aws.String("c"), Service: aws.String("web")}))
				pass(time.Minute)
				if s := w.service(); *s.Status != "INACTIVE" {
					t.Errorf("deleted: %s", *s.Status)
				}
			})
		})
	}
}

func TestForeignControllersRefuse(t *testing.T) {
	w := newWorld(t, nil)
	td := w.register("web:1")
	create := func(change ...func(*awsecs.CreateServiceInput)) error {
		_, err := w.CreateService(ctx(), createInput(td, 1, change...))
		return err
	}
	type in = awsecs.CreateServiceInput
	codeDeploy, external := controlledBy(types.DeploymentControllerTypeCodeDeploy), controlledBy(types.DeploymentControllerTypeExternal)
	for name, c := range map[string]struct {
		err  error
		part string
	}{
		"breaker":          {create(withLB, withBreaker(true), codeDeploy), "circuit breaker"},
		"strategy":         {create(withLB, codeDeploy, func(i *in) { i.DeploymentConfiguration = &types.DeploymentConfiguration{Strategy: "BLUE_GREEN"} }), "BLUE_GREEN"},
		"no load balancer": {create(codeDeploy), "A load balancer is required"},
		"rebalancing":      {create(withLB, codeDeploy, func(i *in) { i.AvailabilityZoneRebalancing = "ENABLED" }), "availabilityZoneRebalancing"},
		"a revision":       {create(external, func(i *in) { i.TaskDefinition = &td }), "TaskDefinition must not be specified"},
		"an unknown one":   {create(func(i *in) { i.DeploymentController = &types.DeploymentController{Type: "ME"} }), "must be one of"},
	} {
		refused[*types.InvalidParameterException](t, name, c.part, c.err)
	}
}
