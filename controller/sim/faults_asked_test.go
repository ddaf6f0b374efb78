package sim_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim"
)

const shop = `
clusters: [shop]
vpc:
  subnets: [{id: subnet-1, zone: eu-central-1b}, {id: subnet-2, zone: eu-central-1c}]
  securityGroups: [sg-1]
targetGroups: [{name: front, port: 9000}, {name: loose, port: 9000}]
loadBalancers: [{name: front, listeners: [{port: 80, targetGroup: front}]}]
taskDefinitions:
  - {family: shop, networkMode: awsvpc, requiresCompatibilities: [FARGATE], cpu: "256", memory: "512",
     containerDefinitions: [{name: web, image: "public.ecr.aws/shop:1", portMappings: [{containerPort: 9000}]}]}
services:
  - {cluster: shop, serviceName: till, taskDefinition: shop, desiredCount: 2, launchType: FARGATE,
     networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1, subnet-2], securityGroups: [sg-1]}},
     loadBalancers: [{targetGroupArn: "${targetGroup:front}", containerName: web, containerPort: 9000}]}
`

// What a refusal's text names is what was asked for, or what the service has where nothing was.
func TestRefusalsNameWhatWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1, Unthrottled: true}, shop)
		cfg := a.AWSConfig()
		cfg.RetryMaxAttempts = 1
		client := ecs.NewFromConfig(cfg)
		caller := *ok(t, sts.NewFromConfig(cfg).GetCallerIdentity, &sts.GetCallerIdentityInput{}).Arn
		till := ok(t, client.DescribeServices, &ecs.DescribeServicesInput{Cluster: aws.String("shop"), Services: []string{"till"}}).Services[0]
		update := func(change func(*ecs.UpdateServiceInput)) error {
			in := &ecs.UpdateServiceInput{Cluster: aws.String("shop"), Service: aws.String("till")}
			change(in)
			_, err := client.UpdateService(t.Context(), in)
			return err
		}
		force := func() error { return update(func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true }) }
		other := func() error {
			return update(func(in *ecs.UpdateServiceInput) {
				in.LoadBalancers = []ecstypes.LoadBalancer{{ContainerName: aws.String("side"), ContainerPort: aws.Int32(7), TargetGroupArn: aws.String("arn:other")}}
			})
		}
		register := func() error {
			_, err := client.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{Family: aws.String("x"), ExecutionRoleArn: aws.String("arn:aws:iam::000000000000:role/shop-execution"),
				ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("x"), Image: aws.String("x"), Memory: aws.Int32(128)}}})
			return err
		}
		secret := func() error {
			_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("shop/db")})
			return err
		}
		for _, c := range []struct {
			fault, target string
			call          func() error
			want          string
		}{
			{"container-unknown", "", force, "The container web does not exist in the task definition."},
			{"container-unknown", "", other, "The container side does not exist in the task definition."},
			{"port-unknown", "", force, "The container web did not have a container port 9000 defined."},
			{"port-unknown", "", other, "The container side did not have a container port 7 defined."},
			{"target-group-unattached", "", force, "The target group with targetGroupArn " + *till.LoadBalancers[0].TargetGroupArn + " does not have an associated load balancer."},
			{"target-group-unknown", "", other, "Unable to find target group arn:other"},
			{"pass-role-missing", "", register, "User: " + caller + " is not authorized to perform: iam:PassRole on resource: arn:aws:iam::000000000000:role/shop-execution"},
			{"access-denied", "", force, "User: " + caller + " is not authorized to perform: ecs:UpdateService on resource: " + *till.ServiceArn},
			{"secret-access-denied", "", secret, "perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-central-1:000000000000:secret:shop/db"},
			{"platform-unknown", "", func() error {
				return update(func(in *ecs.UpdateServiceInput) { in.PlatformVersion = aws.String("1.3.0") })
			}, "does not exist: 1.3.0"},
			{"subnet-gone", "subnet-2", force, "Error retrieving subnet information for [subnet-2]: The subnet ID 'subnet-2' does not exist (ErrorCode: InvalidSubnetID.NotFound)"},
			{"subnet-gone", "", force, "The subnet ID 'subnet-1' does not exist"},
			{"security-group-gone", "sg-1", force, "Error retrieving security group information for [sg-1]: The security group 'sg-1' does not exist (ErrorCode: InvalidGroup.NotFound)"},
			{"service-linked-role", "", force, "Unable to assume the service linked role. Please verify that the ECS service linked role exists."},
		} {
			id, err := a.AddFault(t.Context(), sim.NamedFault{Name: c.fault, Target: c.target})
			if err != nil {
				t.Errorf("%s: %v", c.fault, err)
				continue
			}
			err = c.call()
			if api, is := errors.AsType[smithy.APIError](err); !is || !strings.Contains(api.ErrorMessage(), c.want) {
				t.Errorf("%s: got %v\nwant %s", c.fault, err, c.want)
			}
			if err := a.RemoveFault(id); err != nil {
				t.Error(err)
			}
		}
		if err := force(); err != nil {
			t.Errorf("when all is taken back: %v", err)
		}
		if _, err := a.AddFault(t.Context(), sim.NamedFault{Name: "subnet-gone", Target: "subnet-9"}); err == nil {
			t.Error("a subnet that never was could be taken away")
		}
	})
}

// Subnets, zones and security groups of a seed are those that there are.
func TestSeedOfANetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1, Unthrottled: true}, shop)
		client := ecs.NewFromConfig(a.AWSConfig())
		run := func(subnet, group string) (*ecs.RunTaskOutput, error) {
			return client.RunTask(t.Context(), &ecs.RunTaskInput{Cluster: aws.String("shop"), TaskDefinition: aws.String("shop"), LaunchType: ecstypes.LaunchTypeFargate,
				NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{subnet}, SecurityGroups: []string{group}}}})
		}
		out, err := run("subnet-2", "sg-1")
		if err != nil || *out.Tasks[0].AvailabilityZone != "eu-central-1c" {
			t.Errorf("in its zone: %v, %v", out, err)
		}
		if _, err := run("subnet-3", "sg-1"); err == nil || !strings.Contains(err.Error(), "'subnet-3' does not exist") {
			t.Errorf("a subnet that is not there: %v", err)
		}
		if _, err := run("subnet-1", "sg-2"); err == nil || !strings.Contains(err.Error(), "'sg-2' does not exist") {
			t.Errorf("a security group that is not there: %v", err)
		}
		for seed, want := range map[string]string{
			"vpc: {subnets: [{id: a, zone: us-east-1a}]}":             "vpc.subnets[0]: want an id, and a zone such as eu-central-1a",
			"vpc: {subnets: [{zone: eu-central-1a}]}":                 "vpc.subnets[0]",
			"clusters: [c]\nserviceLinkedRole: false\nservices: [{}]": "services[0]",
		} {
			s, err := sim.ReadSeed([]byte(seed), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			empty := open(t, sim.Config{}, "")
			if err := empty.Plant(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", seed, err, want)
			}
		}
	})
}
