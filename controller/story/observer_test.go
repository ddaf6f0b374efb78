package story

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// TestObserverSees does what a wrong controller would do, and wants the Observer to say so.
func TestObserverSees(t *testing.T) {
	for name, c := range map[string]struct {
		before string // of the wrong deed, as a story
		do     func(w *World, c *awsecs.Client) error
		says   string
	}{
		"a roll to what nobody asked": {"image a1 runs\npush image x9\nadvance 1m", func(w *World, c *awsecs.Client) error {
			return rollTo(w, c, registerAs(w, c, "x9"))
		}, "property 1 is broken: orders was rolled to orders:2, which is neither"},
		"a roll to a stranger's revision": {"image a1 runs\npush image x9\nby hand deploy image x9\nadvance 5s", func(w *World, c *awsecs.Client) error {
			return rollTo(w, c, revisionTwo(w))
		}, "property 1 is broken: orders was rolled to orders:2, which the controller never registered"},
		"a roll before the migration": {"image a1 runs\npush image b2\nstop\ncommit image b2", func(w *World, c *awsecs.Client) error {
			return rollTo(w, c, registerAs(w, c, "b2"))
		}, "property 2 is broken"},
		"a roll to what a breaking migration left behind": {"image a1 runs\ncommit also onFailure: freeze\ncommit also migration: {container: app, command: [/worker, migrate], timeout: 5m, lock: orders-db, compatibility: breaking}\n" +
			"push image b2: panics after 70s\ncommit image b2\nexpect ended deploy rejected by logs\nadvance 1m\nstop", func(w *World, c *awsecs.Client) error {
			return rollTo(w, c, strings.TrimSuffix(revisionTwo(w), "2")+"1")
		}, "property 1 is broken: orders was rolled to orders:1, which a breaking migration has left behind"},
		"a second migration of the same": {"image a1 runs\nadvance 2m\nstop\ncommit orders.yaml with spec.containers.app.env.LOG_LEVEL debug", func(w *World, c *awsecs.Client) error {
			return migrateAs(w, c, registerAs(w, c, "a1"))
		}, "property 3 is broken: the migration of a1 ran again after it had succeeded"},
		"a rejected version again": {"image a1 runs\npush image b2: crashes on start\ncommit image b2\nexpect ended deploy rejected\nexpect ended revert reverted\nexpect tag deploy:rejected\nadvance 1m\nstop", func(w *World, c *awsecs.Client) error {
			return rollTo(w, c, revisionTwo(w))
		}, "property 4 is broken"},
		"good before its bake": {"push image a1\ncommit image a1\nstart\nexpect phase Verifying\nstop", func(w *World, c *awsecs.Client) error {
			_, err := c.TagResource(ctx(), &awsecs.TagResourceInput{ResourceArn: w.service("orders").ServiceArn,
				Tags: []types.Tag{{Key: aws.String("deploy:good"), Value: w.service("orders").TaskDefinition}}})
			return err
		}, "property 5 is broken"},
		"fewer tasks": {"image a1 runs", func(w *World, c *awsecs.Client) error {
			_, err := c.UpdateService(ctx(), &awsecs.UpdateServiceInput{Cluster: aws.String("main"), Service: aws.String("orders"), DesiredCount: aws.Int32(1)})
			return err
		}, "property 7 is broken: the count of orders was lowered from 2 to 1"},
		"a revision taken away": {"image a1 runs", func(w *World, c *awsecs.Client) error {
			_, err := c.DeregisterTaskDefinition(ctx(), &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("orders:1")})
			return err
		}, "property 7 is broken: the controller has no business with DeregisterTaskDefinition"},
		"a task stopped": {"image a1 runs", func(w *World, c *awsecs.Client) error {
			tasks, err := c.ListTasks(ctx(), &awsecs.ListTasksInput{Cluster: aws.String("main"), ServiceName: aws.String("orders")})
			if err != nil {
				return err
			}
			_, err = c.StopTask(ctx(), &awsecs.StopTaskInput{Cluster: aws.String("main"), Task: &tasks.TaskArns[0]})
			return err
		}, "property 7 is broken: a task was stopped"},
		"a needless revision": {"image a1 runs\nadvance 1m", func(w *World, c *awsecs.Client) error {
			registerAs(w, c, "a1")
			return nil
		}, "property 8 is broken: RegisterTaskDefinition"},
		"a needless tag": {"image a1 runs\nadvance 1m", func(w *World, c *awsecs.Client) error {
			s := w.service("orders")
			_, err := c.TagResource(ctx(), &awsecs.TagResourceInput{ResourceArn: s.ServiceArn, Tags: s.Tags})
			return err
		}, "property 8 is broken: orders was given the tags that it had"},
		"a look at what is not its own": {"image a1 runs", func(_ *World, c *awsecs.Client) error {
			_, err := c.DescribeServices(ctx(), &awsecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{"menus"}})
			return err
		}, "property 15 is broken: the infrastructure does not allow it: api error AccessDeniedException: User: arn:aws:sts::000000000000:assumed-role/AKIALOCALACCOUNT is not authorized to perform: ecs:DescribeServices on resource: arn:aws:ecs:eu-central-1:000000000000:service/main/menus"},
		"a tag of somebody else's": {"image a1 runs", func(w *World, c *awsecs.Client) error {
			_, err := c.TagResource(ctx(), &awsecs.TagResourceInput{ResourceArn: w.service("orders").ServiceArn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("nobody")}}})
			return err
		}, "property 15 is broken: the infrastructure does not allow it: api error AccessDeniedException: User: arn:aws:sts::000000000000:assumed-role/AKIALOCALACCOUNT is not authorized to perform: ecs:TagResource"},
		"a parameter that is not good": {"image a1 runs", func(w *World, _ *awsecs.Client) error {
			_, err := ssm.NewFromConfig(w.account.AWSConfig()).PutParameter(ctx(), &ssm.PutParameterInput{Name: aws.String("/orders/task-definition"), Value: aws.String("orders:9"), Overwrite: aws.Bool(true)})
			return err
		}, "property 5 is broken: the parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Read(name, []byte("# A wrong controller.\n"+c.before+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s.steps = append(s.steps, step{text: "the wrong deed", do: func(t *Telling) error {
					return c.do(t.World, awsecs.NewFromConfig(t.account.AWSConfig()))
				}})
				_, err := s.Tell(dir, nil)
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("the Observer says %v, want %q", err, c.says)
				}
			})
		})
	}
}

func ctx() context.Context { return context.Background() }

// registerAs registers a copy of what runs with another image, tagged as the controller tags.
func registerAs(w *World, c *awsecs.Client, tag string) string {
	in := registration(w.definition(aws.ToString(w.service("orders").TaskDefinition)), "orders")
	in.ContainerDefinitions[0].Image = aws.String(w.account.ECR.Registry() + "/orders@" + w.image("orders", tag).digest)
	for i, e := range in.ContainerDefinitions[0].Environment {
		if words := w.repo.asks("orders", time.Now()); aws.ToString(e.Name) == "LOG_LEVEL" {
			in.ContainerDefinitions[0].Environment[i].Value = aws.String(words[len(words)-1].Spec.Containers["app"].Env["LOG_LEVEL"])
		}
	}
	in.Tags = []types.Tag{{Key: aws.String("deploy:ask"), Value: aws.String("v1:" + tag)}, {Key: aws.String("deploy:commit"), Value: aws.String("c0ffee1")}}
	out, err := c.RegisterTaskDefinition(ctx(), in)
	if err != nil {
		panic(err)
	}
	return aws.ToString(out.TaskDefinition.TaskDefinitionArn)
}

// revisionTwo is the ARN of the service's second revision.
func revisionTwo(w *World) string {
	arn := aws.ToString(w.service("orders").TaskDefinition)
	return arn[:strings.LastIndexByte(arn, ':')] + ":2"
}

// rollTo rolls as the controller does.
func rollTo(w *World, c *awsecs.Client, revision string) error {
	_, err := c.UpdateService(ctx(), &awsecs.UpdateServiceInput{
		Cluster: aws.String("main"), Service: aws.String("orders"), TaskDefinition: &revision,
		DeploymentConfiguration: &types.DeploymentConfiguration{MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200),
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true}},
	})
	return err
}

// migrateAs runs a migration as the controller does.
func migrateAs(w *World, c *awsecs.Client, revision string) error {
	_, err := c.RunTask(ctx(), &awsecs.RunTaskInput{
		Cluster: aws.String("main"), TaskDefinition: &revision, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: w.service("orders").NetworkConfiguration,
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String("app"), Command: migrate}}},
	})
	return err
}
