package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/wire"
)

// TestOneRollout goes the whole way: register, migrate, roll, verify, remember.
func TestOneRollout(t *testing.T) {
	bubble(t, sim.Config{Seed: 1, Book: logs()}, func(w *world) {
		before := w.observe(observed.Look{})
		revision := w.mustAct(w.register("v2")).Revision
		w.checkRegistered(revision)

		migration := w.mustAct(rollout.RunMigration{Revision: revision, Container: container, Command: []string{"/worker", "migrate"}, Token: "token-1"})
		look := observed.Look{Migration: migration.Task, MigrationLog: true}
		s := w.until(5*time.Minute, look, func(s observed.Service) bool { return s.Migration != nil && s.Migration.Stopped() })
		if c, ok := s.Migration.Container(container); !ok || !c.Exited || c.ExitCode != 0 || s.Migration.StopCode != "EssentialContainerExited" {
			w.Errorf("migration %+v, want an exit with 0", s.Migration)
		}
		if len(s.MigrationLog) != 1 || s.MigrationLog[0] != "migrated to version 2" {
			w.Errorf("migration log %q", s.MigrationLog)
		}
		read := w.sim.Calls.Count("logs", "GetLogEvents")
		for range 3 {
			if s := w.observe(observed.Look{Migration: migration.Task}); len(s.MigrationLog) != 1 || len(s.Missing) > 0 {
				w.Errorf("a stopped migration's log %q, missing %+v", s.MigrationLog, s.Missing)
			}
		}
		if n := w.sim.Calls.Count("logs", "GetLogEvents"); n != read {
			w.Errorf("%d requests for a log that was read already", n-read)
		}

		began := time.Now()
		id := w.mustAct(roll(revision)).Deployment
		if id == "" || id == before.Primary().ID {
			w.Fatalf("deployment %q after %q", id, before.Primary().ID)
		}
		look = observed.Look{
			Deployment: id, ServiceDeployment: true, Tasks: true, Targets: true, Alarms: []string{alarm, "absent"},
			Logs: &observed.LogLook{Revision: revision, Since: began, Patterns: []string{"listening", "panic"}, Tail: 5},
		}
		s = w.until(10*time.Minute, look, func(s observed.Service) bool {
			return s.ServiceDeployment != nil && s.ServiceDeployment.Status == observed.ServiceDeploymentSuccessful && len(s.Deployments) == 1
		})
		w.checkRolled(s, id, revision)

		w.mustAct(rollout.Tag{Set: map[string]string{rollout.TagGood: revision}})
		w.mustAct(rollout.Keep{Revision: revision})
		for _, old := range []bool{false, true} { // what was just written is known, and what is read later is the same
			if old {
				time.Sleep(3 * time.Hour)
			}
			asked := w.sim.Calls.Count("ssm", "GetParameter")
			s = w.observe(observed.Look{Parameter: true, Fresh: true})
			if s.Tags[rollout.TagGood] != revision || s.Parameter == nil || *s.Parameter != revision {
				w.Errorf("tags %v, parameter %v, want %s in both", s.Tags, s.Parameter, revision)
			}
			if again := w.sim.Calls.Count("ssm", "GetParameter") > asked; again != old {
				w.Errorf("the parameter was read again: %t; three hours later: %t", again, old)
			}
		}
		w.mustAct(rollout.Scale{Count: 3})
		if s := w.observe(observed.Look{}); s.Desired != 3 || s.Primary().ID != id {
			w.Errorf("desired %d of %s, want 3 of %s", s.Desired, s.Primary().ID, id)
		}
	})
}

func (w *world) checkRegistered(revision string) {
	w.Helper()
	out := must(w.sim.ECS.DescribeTaskDefinition(w.ctx(), &awsecs.DescribeTaskDefinitionInput{
		TaskDefinition: &revision, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags},
	}))
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[*t.Key] = *t.Value
	}
	if *out.TaskDefinition.Family != service || tags[rollout.TagFingerprint] != "v1:print-v2" || tags[rollout.TagAsk] != "v1:v2" || tags[rollout.TagCommit] != "c0ffee1" {
		w.Errorf("family %s, tags %v", *out.TaskDefinition.Family, tags)
	}
	c := out.TaskDefinition.ContainerDefinitions[0]
	from := *c.Secrets[0].ValueFrom
	if !strings.HasPrefix(from, "arn:aws:secretsmanager:eu-central-1:000000000000:secret:orders/db-") || !strings.HasSuffix(from, ":password::") {
		w.Errorf("secret from %s", from)
	}
	if len(c.Environment) != 2 || *c.Environment[0].Name != "LOG_LEVEL" || *c.Environment[1].Name != "PORT" {
		w.Errorf("environment %v", c.Environment)
	}
}

func (w *world) checkRolled(s observed.Service, id, revision string) {
	w.Helper()
	if p := s.Primary(); p.ID != id || p.Rollout != observed.RolloutCompleted || s.TaskDefinition != revision || s.Running != 2 {
		w.Errorf("primary %+v, running %d", p, s.Running)
	}
	if s.ServiceDeployment.Deployment != id {
		w.Errorf("the record is of %s, want %s", s.ServiceDeployment.Deployment, id)
	}
	if r := s.Revisions[revision]; r.Fingerprint != "v1:print-v2" || !r.Active {
		w.Errorf("revision %+v", r)
	}
	own := 0
	for _, task := range s.Tasks {
		if task.Deployment == id && task.LastStatus == "RUNNING" && task.TaskDefinition == revision {
			own++
		}
	}
	if own != 2 {
		w.Errorf("%d running tasks of the deployment, want 2: %+v", own, s.Tasks)
	}
	healthy := 0
	for _, target := range s.Targets {
		if target.State == "healthy" && target.Port == 8080 && target.Group == w.group {
			healthy++
		}
	}
	if healthy != 2 {
		w.Errorf("targets %+v, want 2 healthy", s.Targets)
	}
	if len(s.Alarms) != 2 || s.Alarms[0].State != observed.AlarmOK || s.Alarms[0].Since.IsZero() || s.Alarms[1].State != observed.AlarmMissing {
		w.Errorf("alarms %+v", s.Alarms)
	}
	if s.Logs == nil || len(s.Logs.Matches["listening"]) != 2 || len(s.Logs.Matches["panic"]) != 0 || len(s.Logs.Tail) != 2 || !s.Logs.Seen {
		w.Errorf("logs %+v", s.Logs)
	}
	if len(s.Missing) > 0 {
		w.Errorf("missing %+v", s.Missing)
	}
}

func TestIdleObservationIsOneCall(t *testing.T) {
	bubble(t, sim.Config{Seed: 2, Book: logs()}, func(w *world) {
		look := observed.Look{Template: true, Parameter: true, Tasks: true}
		w.mustAct(rollout.Keep{Revision: "r"})
		w.until(5*time.Minute, look, func(s observed.Service) bool { return len(s.Tasks) == 2 })
		w.observe(look)
		time.Sleep(time.Second)
		w.sim.Calls.Reset()
		s := w.observe(look)
		counts := w.sim.Calls.Counts()
		if len(counts) != 1 || counts["ecs.DescribeServices"] != 1 {
			w.Errorf("an idle observation made %v, want one DescribeServices", counts)
		}
		if s.Template == nil || s.Parameter == nil || len(s.Tasks) != 2 || len(s.Revisions) != 1 {
			w.Errorf("the answer from the caches lacks something: %+v", s)
		}
		look.Fresh = true
		w.sim.Calls.Reset()
		w.observe(look)
		for _, operation := range []string{"cloudformation.DescribeStacks", "ecs.DescribeTaskDefinition", "ecs.ListTasks"} {
			if w.sim.Calls.Counts()[operation] == 0 {
				w.Errorf("a fresh observation did not call %s: %v", operation, w.sim.Calls.Counts())
			}
		}
	})
}

// What a pass has been told already is fresh to it, for a while, unless an event came since; to a later pass it is not.
func TestAPassAsksNothingTwice(t *testing.T) {
	bubble(t, sim.Config{Seed: 2, Book: logs()}, func(w *world) {
		time.Sleep(2 * time.Second) // since what was asked to make this world
		look := observed.Look{Template: true, Fresh: true, Since: time.Now()}
		asked := func(l observed.Look) int {
			w.sim.Calls.Reset()
			w.observe(l)
			all := 0
			for _, n := range w.sim.Calls.Counts() {
				all += n
			}
			return all
		}
		first := asked(look)
		if n := asked(look); first < 3 || n > 0 {
			w.Errorf("the first look of a pass made %d requests, the next one %d more", first, n)
		}
		w.account.Notice(cluster, service)
		if n := asked(look); n == 0 {
			w.Error("an event in between was overlooked")
		}
		time.Sleep(3 * time.Second) // more than an answer counts as fresh
		if n := asked(look); n < first {
			w.Errorf("a pass that takes long is told what was so before: %d requests, want %d", n, first)
		}
		look.Since = time.Now().Add(time.Millisecond)
		time.Sleep(2 * time.Millisecond)
		if n := asked(look); n < first {
			w.Errorf("the next pass made %d requests, want %d", n, first)
		}
	})
}

func TestCachesGrowOld(t *testing.T) {
	bubble(t, sim.Config{Seed: 3, Book: logs()}, func(w *world) {
		look := observed.Look{Template: true}
		first := w.observe(look)
		changed := taskDefinition("orders-template", "placeholder:1")
		changed.Memory = aws.String("1024")
		must(w.sim.ECS.RegisterTaskDefinition(w.ctx(), changed))
		if s := w.observe(look); s.Template.ARN != first.Template.ARN {
			w.Error("the template is not cached")
		}
		time.Sleep(5*time.Minute + time.Second)
		if s := w.observe(look); s.Template.ARN == first.Template.ARN || s.Template.Content == first.Template.Content {
			w.Errorf("the template is still %s after five minutes", s.Template.ARN)
		}
	})
}

func TestIdentity(t *testing.T) {
	bubble(t, sim.Config{Seed: 4}, func(w *world) {
		if err := w.account.CheckIdentity(w.ctx()); err != nil {
			w.Error(err)
		}
		other := account.New(client.New(w.sim.AWSConfig(), client.Options{}), account.Options{Account: "333333333333", Region: sim.DefaultRegion})
		if err := other.CheckIdentity(w.ctx()); !fault.Is(err, fault.Blocked) || !strings.Contains(err.Error(), "belong to account 000000000000, the environment's is 333333333333") {
			w.Errorf("error %v, want both accounts named", err)
		}
	})
}

// TestRollRequest holds what is sent with every roll: one who decides is left, and what git does not own is not written.
func TestRollRequest(t *testing.T) {
	bubble(t, sim.Config{Seed: 17}, func(w *world) {
		var sent []*awsecs.UpdateServiceInput
		w.sim.Faults.Add(wire.Fault{Service: "ecs", Operation: "UpdateService", When: func(c *wire.Call) bool {
			sent = append(sent, c.Input.(*awsecs.UpdateServiceInput))
			return false
		}})
		revision := w.mustAct(w.register("v2")).Revision
		w.mustAct(roll(revision))
		with := roll(revision)
		with.Count = aws.Int(4)
		w.mustAct(with)
		w.mustAct(rollout.Scale{Count: 5})
		want := &awsecs.UpdateServiceInput{
			Cluster: aws.String(cluster), Service: aws.String(service), TaskDefinition: &revision,
			DeploymentConfiguration: &types.DeploymentConfiguration{
				MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200),
				DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true},
				Alarms:                   &types.DeploymentAlarms{AlarmNames: []string{}},
			},
		}
		counted := *want
		counted.DesiredCount = aws.Int32(4)
		scaled := &awsecs.UpdateServiceInput{Cluster: want.Cluster, Service: want.Service, DesiredCount: aws.Int32(5)}
		unexported := cmpopts.IgnoreUnexported(awsecs.UpdateServiceInput{}, types.DeploymentConfiguration{}, types.DeploymentCircuitBreaker{}, types.DeploymentAlarms{})
		if diff := cmp.Diff([]*awsecs.UpdateServiceInput{want, &counted, scaled}, sent, unexported); diff != "" {
			w.Error(diff)
		}
	})
}

// Who makes a service's deployments, or how, is told where that is not ECS by rolling.
func TestDeployedBy(t *testing.T) {
	bubble(t, sim.Config{Seed: 77}, func(w *world) {
		if s := w.observe(observed.Look{}); s.DeployedBy != "" {
			w.Errorf("ECS's own is deployed by %q", s.DeployedBy)
		}
		must(w.sim.ECS.CreateService(w.ctx(), &awsecs.CreateServiceInput{
			Cluster: aws.String(cluster), ServiceName: aws.String("outside"), DesiredCount: aws.Int32(1),
			DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeExternal},
		}))
		w.with(account.OutputService, "outside")
		if s := w.observe(observed.Look{Fresh: true}); s.DeployedBy != "EXTERNAL" {
			w.Errorf("%+v", s)
		}
		must(w.sim.ECS.CreateService(w.ctx(), &awsecs.CreateServiceInput{
			Cluster: aws.String(cluster), ServiceName: aws.String("coloured"), DesiredCount: aws.Int32(0), TaskDefinition: aws.String("orders-template"), LaunchType: types.LaunchTypeFargate,
			NetworkConfiguration:    &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
			DeploymentConfiguration: &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(1)},
		}))
		w.with(account.OutputService, "coloured")
		if s := w.observe(observed.Look{Fresh: true}); s.DeployedBy != "BLUE_GREEN" {
			w.Errorf("%+v", s)
		}
	})
}
