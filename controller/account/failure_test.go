package account_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/cfn"
	"github.com/canteen/deploy/controller/sim/script"
	"github.com/canteen/deploy/controller/sim/wire"
)

func refused(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: "injected", Fault: smithy.FaultClient}
}

func TestWhatCannotBeLookedAtIsAnError(t *testing.T) {
	tests := map[string]struct {
		spoil func(w *world)
		kind  fault.Kind
		text  string
	}{
		"no such stack":          {func(w *world) { w.sim.CFN.Delete(stackName) }, fault.Blocked, "stack orders-dev does not exist in account 000000000000"},
		"outputs missing":        {func(w *world) { w.without(account.OutputCluster, account.OutputTemplate) }, fault.Blocked, "has no output ClusterName, TaskTemplate"},
		"no such cluster":        {func(w *world) { w.with(account.OutputCluster, "elsewhere") }, fault.Blocked, "cluster elsewhere"},
		"stack cannot be read":   {func(w *world) { w.always("cloudformation", "DescribeStacks", "AccessDenied") }, fault.Blocked, "describe stack orders-dev"},
		"service cannot be read": {func(w *world) { w.always("ecs", "DescribeServices", "ThrottlingException") }, fault.Throttled, "describe service orders"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 5}, func(w *world) {
				tt.spoil(w)
				s, err := w.account.Observe(w.ctx(), nil, observed.Look{Stack: stackName, Fresh: true})
				if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.text) {
					w.Errorf("error %v of kind %q, want kind %q and %q", err, fault.KindOf(err), tt.kind, tt.text)
				}
				if s.Status != observed.StatusUnknown || s.Stack.Name != stackName {
					w.Errorf("status %q of stack %q, want unknown", s.Status, s.Stack.Name)
				}
			})
		})
	}
}

func (w *world) without(keys ...string) {
	outputs := maps.Clone(w.outputs)
	for _, k := range keys {
		delete(outputs, k)
	}
	w.sim.CFN.Put(cfn.Stack{Name: stackName, Outputs: outputs})
}

func (w *world) with(key, value string) {
	outputs := maps.Clone(w.outputs)
	outputs[key] = value
	w.sim.CFN.Put(cfn.Stack{Name: stackName, Outputs: outputs})
}

func (w *world) always(service, operation, code string) {
	w.sim.Faults.Add(wire.Fault{Service: service, Operation: operation, Before: refused(code)})
}

func TestServiceThatIsGone(t *testing.T) {
	bubble(t, sim.Config{Seed: 6}, func(w *world) {
		w.with(account.OutputService, "never-made")
		if s := w.observe(observed.Look{Fresh: true, Tasks: true, Targets: true}); s.Status != observed.StatusMissing || len(s.Missing) > 0 {
			w.Errorf("status %q, missing %+v; want MISSING and nothing else", s.Status, s.Missing)
		}
		w.with(account.OutputService, service)
		must(w.sim.ECS.DeleteService(w.ctx(), &awsecs.DeleteServiceInput{Cluster: aws.String(cluster), Service: aws.String(service), Force: aws.Bool(true)}))
		if s := w.observe(observed.Look{Fresh: true}); s.Status != observed.StatusDraining {
			w.Errorf("status %q, want DRAINING", s.Status)
		}
		if _, err := w.act(rollout.Scale{Count: 1}); !fault.Is(err, fault.Blocked) {
			w.Errorf("error %v, want kind blocked", err)
		}
	})
}

func TestStackInProgress(t *testing.T) {
	bubble(t, sim.Config{Seed: 7}, func(w *world) {
		if err := w.sim.CFN.SetStatus(stackName, cfntypes.StackStatusUpdateInProgress, ""); err != nil {
			w.Fatal(err)
		}
		if s := w.observe(observed.Look{Fresh: true}); !s.Stack.InProgress || s.Stack.Status != "UPDATE_IN_PROGRESS" {
			w.Errorf("stack %+v", s.Stack)
		}
	})
}

// TestAnyOtherFactIsMissing lets each fact's own operation fail, and expects the rest of the observation to be there.
func TestAnyOtherFactIsMissing(t *testing.T) {
	tests := map[observed.Fact]struct{ service, operation string }{
		observed.FactImages:            {"ecr", "DescribeImages"},
		observed.FactTemplate:          {"ecs", "DescribeTaskDefinition"},
		observed.FactParameter:         {"ssm", "GetParameter"},
		observed.FactServiceDeployment: {"ecs", "ListServiceDeployments"},
		observed.FactTasks:             {"ecs", "ListTasks"},
		observed.FactTargets:           {"elasticloadbalancing", "DescribeTargetHealth"},
		observed.FactAlarms:            {"monitoring", "DescribeAlarms"},
		observed.FactLogs:              {"logs", "FilterLogEvents"},
		observed.FactMigration:         {"ecs", "DescribeTasks"},
	}
	for fact, tt := range tests {
		t.Run(string(fact), func(t *testing.T) {
			bubble(t, sim.Config{Seed: 8, Book: logs()}, func(w *world) {
				s := w.observe(observed.Look{Tasks: true})
				w.always(tt.service, tt.operation, "AccessDeniedException")
				s = w.observe(observed.Look{
					Containers: map[string]string{container: "v2"}, Template: true, Parameter: true,
					Deployment: s.Primary().ID, ServiceDeployment: true, Tasks: true, Targets: true, Alarms: []string{alarm},
					Logs: &observed.LogLook{Revision: s.TaskDefinition, Patterns: []string{"x"}}, Migration: s.Tasks[0].ARN,
					Fresh: fact == observed.FactTasks,
				})
				m, ok := s.Lacks(fact)
				if !ok || m.Kind != string(fault.Blocked) || m.Message == "" {
					w.Errorf("missing %+v, want %s as blocked", s.Missing, fact)
				}
				for _, m := range s.Missing {
					// Neither logs without tasks nor a revision without its description is a second fault.
					if m.Fact != fact && fact != observed.FactMigration {
						w.Errorf("%s is missing too: %s", m.Fact, m.Message)
					}
				}
				if s.Status != observed.StatusActive {
					w.Errorf("status %q", s.Status)
				}
			})
		})
	}
}

// The last lines of a migration that has stopped come without being asked for, and that they do not is told and no more.
func TestALogThatCannotBeReadHidesNoMigration(t *testing.T) {
	bubble(t, sim.Config{Seed: 8, Book: logs()}, func(w *world) {
		revision := w.mustAct(w.register("v2")).Revision
		task := w.mustAct(rollout.RunMigration{Revision: revision, Container: container, Command: []string{"/worker", "migrate"}, Token: "t"}).Task
		w.always("logs", "GetLogEvents", "AccessDeniedException")
		s := w.until(5*time.Minute, observed.Look{Migration: task}, func(s observed.Service) bool { return s.Migration != nil && s.Migration.Stopped() })
		if m, ok := s.Lacks(observed.FactMigrationLog); !ok || m.Kind != string(fault.Blocked) || len(s.Missing) != 1 {
			w.Errorf("missing %+v, want %s alone", s.Missing, observed.FactMigrationLog)
		}
		asked := w.sim.Calls.Count("logs", "GetLogEvents")
		w.observe(observed.Look{Migration: task})
		if n := w.sim.Calls.Count("logs", "GetLogEvents"); n != asked {
			w.Errorf("the log was asked for again at once")
		}
	})
}

func TestLostAnswers(t *testing.T) {
	bubble(t, sim.Config{Seed: 9, Book: logs()}, func(w *world) {
		w.sim.Faults.Add(
			wire.Fault{Service: "ecs", Operation: "RegisterTaskDefinition", After: wire.ErrResponseLost, Times: 1},
			wire.Fault{Service: "ecs", Operation: "UpdateService", After: wire.ErrResponseLost, Times: 1},
			wire.Fault{Service: "ecs", Operation: "RunTask", After: wire.ErrResponseLost, Times: 1},
		)
		register := w.register("v2")
		if _, err := w.act(register); !fault.Is(err, fault.Lost) {
			w.Fatalf("register: %v, want kind lost", err)
		}
		register.Look = true
		revision := w.mustAct(register).Revision
		if n := w.sim.Calls.Count("ecs", "RegisterTaskDefinition"); n != 1 {
			w.Errorf("%d registrations, want 1: the first one took effect", n)
		}
		run := rollout.RunMigration{Revision: revision, Container: container, Command: []string{"/worker", "migrate"}, Token: "t"}
		if _, err := w.act(run); !fault.Is(err, fault.Lost) {
			w.Errorf("run: %v, want kind lost", err)
		}
		w.mustAct(run)
		tasks := must(w.sim.ECS.ListTasks(w.ctx(), &awsecs.ListTasksInput{Cluster: aws.String(cluster), Family: aws.String(service)})).TaskArns
		if len(tasks) != 3 {
			w.Errorf("%d tasks, want the service's two and one migration", len(tasks))
		}
		if _, err := w.act(roll(revision)); !fault.Is(err, fault.Lost) {
			w.Errorf("roll: %v, want kind lost", err)
		}
		if n := w.sim.Calls.Count("ecs", "UpdateService"); n != 1 {
			w.Errorf("%d UpdateService, want 1", n)
		}
		first := w.observe(observed.Look{}).Primary()
		if id := w.mustAct(roll(revision)).Deployment; id != first.ID || first.TaskDefinition != revision {
			w.Errorf("the repeat made deployment %s of %s, want %s of %s", id, first.TaskDefinition, first.ID, revision)
		}
	})
}

func TestMigrationOfAChangedNetworkIsAdopted(t *testing.T) {
	bubble(t, sim.Config{Seed: 10, Book: logs()}, func(w *world) {
		revision := w.mustAct(w.register("v2")).Revision
		run := rollout.RunMigration{Revision: revision, Container: container, Command: []string{"/worker", "migrate"}, Token: "same"}
		first := w.mustAct(run).Task
		must(w.sim.ECS.UpdateService(w.ctx(), &awsecs.UpdateServiceInput{
			Cluster: aws.String(cluster), Service: aws.String(service), NetworkConfiguration: network("subnet-9"),
		}))
		if again := w.mustAct(run).Task; again != first || first == "" {
			w.Errorf("the repeat answered %s, want %s", again, first)
		}
		task := must(w.sim.ECS.DescribeTasks(w.ctx(), &awsecs.DescribeTasksInput{Cluster: aws.String(cluster), Tasks: []string{first}})).Tasks[0]
		if by := aws.ToString(task.StartedBy); !strings.HasPrefix(by, "deploy-") || len(by) > 36 {
			w.Errorf("started by %q", by)
		}
		w.mustAct(rollout.StopTask{Task: first, Reason: strings.Repeat("too long ", 100)})
		s := w.until(3*time.Minute, observed.Look{Migration: first}, func(s observed.Service) bool { return s.Migration.Stopped() })
		if s.Migration.StopCode != "UserInitiated" && s.Migration.StopCode != "EssentialContainerExited" {
			w.Errorf("stop code %s", s.Migration.StopCode)
		}
		time.Sleep(2 * time.Hour)
		if s := w.observe(observed.Look{Migration: first, MigrationLog: true}); s.Migration != nil || len(s.Missing) > 0 {
			w.Errorf("migration %+v, missing %+v; want neither", s.Migration, s.Missing)
		}
		w.mustAct(rollout.StopTask{Task: first, Reason: "expired"})
	})
}

// A migration's task has the role that the stack names for it, where it names one; its container and the revision are the same.
func TestMigrationHasTheRoleOfTheStack(t *testing.T) {
	bubble(t, sim.Config{Seed: 10, Book: logs()}, func(w *world) {
		revision := w.mustAct(w.register("v2")).Revision
		roleOf := func(token string) string {
			arn := w.mustAct(rollout.RunMigration{Revision: revision, Container: container, Command: []string{"/worker", "migrate"}, Token: token}).Task
			task := must(w.sim.ECS.DescribeTasks(w.ctx(), &awsecs.DescribeTasksInput{Cluster: aws.String(cluster), Tasks: []string{arn}})).Tasks[0]
			if aws.ToString(task.TaskDefinitionArn) != revision || !slices.Equal(task.Overrides.ContainerOverrides[0].Command, []string{"/worker", "migrate"}) {
				w.Errorf("the migration is %s with %+v", aws.ToString(task.TaskDefinitionArn), task.Overrides)
			}
			return aws.ToString(task.Overrides.TaskRoleArn)
		}
		if role := roleOf("template's"); role != "" {
			w.Errorf("role %s, and the stack names none", role)
		}
		const own = "arn:aws:iam::000000000000:role/migration"
		w.with(account.OutputMigrationRole, own)
		w.observe(observed.Look{Fresh: true})
		if role := roleOf("stack's"); role != own {
			w.Errorf("role %q, want the stack's", role)
		}
	})
}

func TestStartable(t *testing.T) {
	bubble(t, sim.Config{Seed: 11}, func(w *world) {
		revision := w.mustAct(w.register("v2")).Revision
		ask := func() observed.Startable {
			return w.observe(observed.Look{Startable: []string{revision}, Fresh: true}).Startable[revision]
		}
		if got := ask(); !got.OK {
			w.Errorf("%+v, want OK", got)
		}
		must(w.sim.ECR.BatchDeleteImage(w.ctx(), &ecr.BatchDeleteImageInput{RepositoryName: aws.String("orders"), ImageIds: []ecrtypes.ImageIdentifier{{ImageDigest: aws.String(digest("v2"))}}}))
		if got := ask(); got.OK || !strings.Contains(got.Reason, "is not in its repository") {
			w.Errorf("%+v after the image was deleted", got)
		}
		must(w.sim.ECS.DeregisterTaskDefinition(w.ctx(), &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: &revision}))
		if got := ask(); got.OK || got.Lacks != observed.LackImage || !strings.Contains(got.Reason, "is not in its repository") {
			w.Errorf("%+v after the revision was deregistered too", got)
		}
		must(w.sim.PushImage("orders", sim.SeedImage{Tag: "v2", Digest: digest("v2")}))
		if got := ask(); got.OK || got.Lacks != observed.LackRevision || !strings.Contains(got.Reason, "not active") {
			w.Errorf("%+v after the image was pushed again", got)
		}
	})
}

func TestImages(t *testing.T) {
	bubble(t, sim.Config{Seed: 12}, func(w *world) {
		s := w.observe(observed.Look{Containers: map[string]string{container: "v2", "other": "not-pushed"}})
		want := observed.Image{Tag: "v2", Digest: digest("v2"), URI: w.outputs[account.OutputRepository] + "@" + digest("v2")}
		if s.Images[container] != want || s.Images["other"] != (observed.Image{Tag: "not-pushed"}) || len(s.Missing) > 0 {
			w.Errorf("images %+v, missing %+v", s.Images, s.Missing)
		}
		w.with(account.OutputRepository, w.sim.ECR.Registry()+"/nowhere")
		s = w.observe(observed.Look{Containers: map[string]string{container: "v2"}, Fresh: true})
		if m, ok := s.Lacks(observed.FactImages); !ok || m.Kind != string(fault.Blocked) {
			w.Errorf("missing %+v, want images as blocked", s.Missing)
		}
	})
}

func TestSecretThatIsMissingBlocks(t *testing.T) {
	bubble(t, sim.Config{Seed: 13}, func(w *world) {
		register := w.register("v2")
		app := register.Containers[container]
		app.Secrets = map[string]string{"DB_PASSWORD": "secretsmanager:orders/other:password"}
		register.Containers[container] = app
		if _, err := w.act(register); !fault.Is(err, fault.Blocked) || !strings.Contains(err.Error(), "secret DB_PASSWORD of container AppContainer") {
			w.Errorf("error %v, want blocked", err)
		}
		must(w.sim.Secrets.CreateSecret(w.ctx(), &secretsmanager.CreateSecretInput{Name: aws.String("orders/other"), SecretString: aws.String("{}")}))
		w.mustAct(register)
		if n := w.sim.Calls.Count("secretsmanager", "GetSecretValue"); n != 0 {
			w.Errorf("a secret's value was read %d times", n)
		}
	})
}

func TestActionsThatAreRefused(t *testing.T) {
	tests := map[string]struct {
		action rollout.Action
		fault  wire.Fault
		kind   fault.Kind
	}{
		"pass role":           {nil, wire.Fault{Service: "ecs", Operation: "RegisterTaskDefinition", Before: &types.AccessDeniedException{Message: aws.String("iam:PassRole")}}, fault.Blocked},
		"race in the family":  {nil, wire.Fault{Service: "ecs", Operation: "RegisterTaskDefinition", Before: &types.ClientException{Message: aws.String("Too many concurrent attempts to create a new revision of the specified family.")}}, fault.Unknown},
		"throttled roll":      {roll("orders:1"), wire.Fault{Service: "ecs", Operation: "UpdateService", Before: refused("ThrottlingException")}, fault.Throttled},
		"server error":        {roll("orders:1"), wire.Fault{Service: "ecs", Operation: "UpdateService", Before: errors.New("internal")}, fault.Lost},
		"tag quota":           {rollout.Tag{Set: map[string]string{"a": "b"}}, wire.Fault{Service: "ecs", Operation: "TagResource", Before: &types.LimitExceededException{}}, fault.Blocked},
		"parameter denied":    {rollout.Keep{Revision: "r"}, wire.Fault{Service: "ssm", Operation: "PutParameter", Before: refused("AccessDeniedException")}, fault.Blocked},
		"unknown revision":    {roll("orders:999"), wire.Fault{Service: "none"}, fault.Blocked},
		"stop without access": {rollout.StopTask{Task: "t"}, wire.Fault{Service: "ecs", Operation: "StopTask", Before: &types.AccessDeniedException{}}, fault.Blocked},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 14}, func(w *world) {
				w.sim.Faults.Add(tt.fault)
				action := tt.action
				if action == nil {
					action = w.register("v2")
				}
				if _, err := w.act(action); !fault.Is(err, tt.kind) {
					w.Errorf("error %v of kind %q, want %q", err, fault.KindOf(err), tt.kind)
				}
			})
		})
	}
}

// TestLogsAreOfTheDeploymentOnly has the old deployment go on logging what the new one must not.
func TestLogsAreOfTheDeploymentOnly(t *testing.T) {
	book := script.Book{
		{Match: script.Match{Image: digest("v1")}, Script: script.Script{Logs: []script.Line{{After: time.Second, Text: "panic: old"}}}},
		{Match: script.Match{Image: digest("v2")}, Script: script.Script{Logs: []script.Line{{After: time.Second, Text: "listening"}, {After: 3 * time.Minute, Text: "panic: new"}}}},
	}
	bubble(t, sim.Config{Seed: 15, Book: book}, func(w *world) {
		w.sim.Logs.SetDelay(5 * time.Second)
		revision := w.mustAct(w.register("v2")).Revision
		id := w.mustAct(roll(revision)).Deployment
		look := observed.Look{Deployment: id, Logs: &observed.LogLook{Revision: revision, Since: time.Now().Add(-time.Hour), Patterns: []string{"panic", "listening"}, Tail: 1}}
		if s := w.observe(look); s.Logs == nil || s.Logs.Seen || len(s.Missing) > 0 {
			w.Errorf("before any task: logs %+v, missing %+v", s.Logs, s.Missing)
		}
		waited := false
		s := w.until(5*time.Minute, look, func(s observed.Service) bool {
			if slices.ContainsFunc(s.Tasks, func(t observed.Task) bool { return t.Deployment == id && t.LastStatus == "PROVISIONING" }) {
				waited = true
				if slices.ContainsFunc(w.sim.Calls.Recent(), func(c sim.Call) bool { return c.Operation == "FilterLogEvents" && c.Error != "" }) {
					w.Error("the stream of a task was asked for by its name before it had a network")
				}
			}
			return s.Logs != nil && len(s.Logs.Matches["listening"]) == 2
		})
		if !waited {
			w.Error("no task was seen before it had a network")
		}
		if len(s.Logs.Matches["panic"]) != 0 {
			w.Errorf("matches of the old deployment: %+v", s.Logs.Matches["panic"])
		}
		s = w.until(5*time.Minute, look, func(s observed.Service) bool { return s.Logs != nil && len(s.Logs.Matches["panic"]) == 2 })
		if len(s.Logs.Matches["listening"]) != 2 || len(s.Logs.Tail) != 1 || s.Logs.Tail[0].Message != "panic: new" {
			w.Errorf("a line was lost or counted twice: %+v", s.Logs)
		}
		must(w.sim.Logs.DeleteLogGroup(w.ctx(), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(group)}))
		s = w.observe(look)
		if m, ok := s.Lacks(observed.FactLogs); !ok || m.Kind != string(fault.NotFound) {
			w.Errorf("missing %+v after the log group was deleted", s.Missing)
		}
	})
}

// TestStoppedTasksAreDescribedOnce rolls a second time, after which the tasks are listed anew: those that had stopped before are known.
func TestStoppedTasksAreDescribedOnce(t *testing.T) {
	book := script.Book{{Match: script.Match{Image: digest("bad")}, Script: script.Script{Exit: &script.Exit{After: time.Second, Code: 3}}}}
	bubble(t, sim.Config{Seed: 18, Book: book}, func(w *world) {
		id := w.mustAct(roll(w.mustAct(w.register("bad")).Revision)).Deployment
		look := observed.Look{Deployment: id, ServiceDeployment: true, Tasks: true, Thorough: true}
		w.until(30*time.Minute, look, func(s observed.Service) bool { return s.Primary().Rollout == observed.RolloutFailed })
		ended := map[string]bool{}
		for _, t := range w.observe(look).Tasks {
			if t.Stopped() {
				ended[t.ARN] = true
			}
		}
		again := 0
		w.sim.Faults.Add(wire.Fault{Operation: "DescribeTasks", Change: func(c *wire.Call, out any) any {
			for _, arn := range c.Input.(*awsecs.DescribeTasksInput).Tasks {
				if ended[arn] {
					again++
				}
			}
			return out
		}})
		look.Deployment = w.mustAct(roll(w.mustAct(w.register("v2")).Revision)).Deployment
		listed := 0
		for _, t := range w.observe(look).Tasks {
			if ended[t.ARN] {
				listed++
			}
		}
		if listed < 3 || listed != len(ended) || again > 0 {
			w.Errorf("of %d stopped tasks %d are seen after the next deployment, and %d were described again", len(ended), listed, again)
		}
		time.Sleep(90 * time.Minute) // ECS has forgotten them
		look.Deployment = w.mustAct(roll(w.mustAct(w.register("v3")).Revision)).Deployment
		if slices.ContainsFunc(w.observe(look).Tasks, func(t observed.Task) bool { return ended[t.ARN] }) {
			w.Error("tasks are seen that ECS does not list any more")
		}
	})
}

// TestBadRollout follows a rollout that the breaker ends, without ECS rolling anything back.
func TestBadRollout(t *testing.T) {
	book := script.Book{{Match: script.Match{Image: digest("bad")}, Script: script.Script{Exit: &script.Exit{After: time.Second, Code: 3}}}}
	bubble(t, sim.Config{Seed: 16, Book: book}, func(w *world) {
		revision := w.mustAct(w.register("bad")).Revision
		id := w.mustAct(roll(revision)).Deployment
		look := observed.Look{Deployment: id, ServiceDeployment: true, Tasks: true}
		s := w.until(30*time.Minute, look, func(s observed.Service) bool { return s.Primary().Rollout == observed.RolloutFailed })
		if s.Primary().ID != id || len(s.Deployments) != 2 || s.ServiceDeployment == nil || s.ServiceDeployment.Failures == 0 {
			w.Errorf("deployments %+v, record %+v", s.Deployments, s.ServiceDeployment)
		}
		crashed := 0
		for _, task := range s.Tasks {
			if c, ok := task.Container(container); ok && task.Deployment == id && task.Stopped() && c.Exited && c.ExitCode == 3 {
				crashed++
			}
		}
		if crashed < 3 {
			w.Errorf("%d crashed tasks of the deployment, want at least 3: %+v", crashed, s.Tasks)
		}
	})
}
