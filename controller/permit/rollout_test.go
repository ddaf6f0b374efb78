package permit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/ledger/dynamo"
	"github.com/canteen/deploy/controller/ledger/lease"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/iam"
	"github.com/canteen/deploy/controller/sim/wire"
	"github.com/canteen/deploy/controller/status"
)

const (
	stack   = "order-processing-dev"
	service = "order-processing"
	tag     = "1a2b3c4"
)

// template reads one that the infrastructure's tests hold to what is synthesized.
func template(t *testing.T, name string) sim.Template {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("../../infra/testdata/dev", name+".template.json"))
	if err != nil {
		t.Fatal(err)
	}
	return sim.Template{Stack: name, Body: body}
}

// What the templates make, and what of them the account on this machine has no likeness of: this is all that the test below
// leaves out.
func TestWhatIsPlayed(t *testing.T) {
	r, err := sim.ReadTemplates(template(t, stack+"-base"), template(t, stack))
	if err != nil {
		t.Fatal(err)
	}
	played := []string{
		"AWS::CloudWatch::Alarm", "AWS::DynamoDB::Table", "AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::ECR::Repository", "AWS::ECS::Cluster",
		"AWS::ECS::Service", "AWS::ECS::TaskDefinition", "AWS::ElasticLoadBalancingV2::Listener", "AWS::ElasticLoadBalancingV2::ListenerRule",
		"AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::Logs::LogGroup", "AWS::SSM::Parameter", "AWS::SecretsManager::Secret",
	}
	if !slices.Equal(r.Played, played) {
		t.Errorf("played are\n%v\nwant\n%v", r.Played, played)
	}
	for kind := range r.Not {
		if strings.HasPrefix(kind, "AWS::ECS::") || strings.HasPrefix(kind, "AWS::ElasticLoadBalancingV2::") {
			t.Errorf("%s is not played", kind)
		}
	}
}

// world is the account that the templates make, with the controller in it, which may do what its role allows.
type world struct {
	*testing.T
	account *sim.Account
	app     *app.App
	guard   *iam.Guard
}

// From the synthesized templates to a verified rollout: the account is made of them, the controller reads the repository's own
// desired/dev, with its ledger in the stack's table and the permissions of the stack's role and no others.
func TestFromTemplateToVerifiedRollout(t *testing.T) {
	base, main := template(t, stack+"-base"), template(t, stack)
	reading, err := sim.ReadTemplates(base, main)
	if err != nil {
		t.Fatal(err)
	}
	push(t, reading.Seed)
	repository := newRepository(t)
	synctest.Test(t, func(t *testing.T) {
		w := open(t, reading.Seed, controllersPolicy(t, main.Body))
		if s := w.service(); s.DesiredCount != 0 || !strings.Contains(*s.TaskDefinition, "task-definition/"+stack+"-template:") {
			t.Fatalf("before the first commit the service has %d tasks of %s", s.DesiredCount, *s.TaskDefinition)
		}
		stop := w.start(repository)
		w.await("a verified rollout", 30*time.Minute, func() bool {
			v := w.app.Board().Service(service)
			return v != nil && v.Status.Phase == "Healthy"
		})
		s := w.service()
		good := tagOf(s, "deploy:good")
		if s.RunningCount != 2 || good != aws.ToString(s.TaskDefinition) && !strings.HasSuffix(aws.ToString(s.TaskDefinition), "/"+good) || !strings.Contains(*s.TaskDefinition, "task-definition/"+service+":") {
			t.Errorf("%d tasks of %s run, good is %q", s.RunningCount, *s.TaskDefinition, good)
		}
		kept := ""
		w.await("the good revision in the stack's parameter", time.Minute, func() bool {
			out, err := w.account.SSM.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/" + stack + "/task-definition")})
			if err == nil {
				kept = aws.ToString(out.Parameter.Value)
			}
			return kept == aws.ToString(s.TaskDefinition)
		})
		w.containers(kept)
		w.onlyMigrationsAreTheOwner()
		w.updateStack(base, main, kept)
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.close()
	})
}

// Without one of its statements the controller does not come to a verdict: the permissions are checked, and all needed.
func TestRolloutNeedsItsPermissions(t *testing.T) {
	for _, role := range []string{"execution", "task", "migration"} {
		t.Run("role "+role, func(t *testing.T) { withoutRole(t, stack+"-"+role) })
	}
}

// withoutRole lets the controller pass the other roles, and expects it to be refused at that one.
func withoutRole(t *testing.T, role string) {
	reading, err := sim.ReadTemplates(template(t, stack+"-base"), template(t, stack))
	if err != nil {
		t.Fatal(err)
	}
	push(t, reading.Seed)
	repository := newRepository(t)
	policy := controllersPolicy(t, template(t, stack).Body)
	for i, s := range policy.Statements {
		if s.Sid == "PassRoles" {
			policy.Statements[i].Resources = slices.DeleteFunc(slices.Clone(s.Resources), func(r string) bool { return strings.HasSuffix(r, "/"+role) })
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := open(t, reading.Seed, policy)
		stop := w.start(repository)
		w.await("the refusal to be told", 10*time.Minute, func() bool {
			v := w.app.Board().Service(service)
			said := ""
			if v != nil {
				said = v.Status.Why + fmt.Sprint(v.Status.Conditions)
			}
			return strings.Contains(said, "not authorized to perform: iam:PassRole") && strings.Contains(said, role)
		})
		if s := w.service(); s.DesiredCount != 0 {
			t.Errorf("the service has %d tasks", s.DesiredCount)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.close()
	})
}

// push adds the images that pipelines would have pushed: the worker's, and the controller's own, whose service is played too; and
// of the secrets that are made by hand the one that the worker's tasks read.
func push(t *testing.T, seed *sim.Seed) {
	t.Helper()
	seed.Secrets = append(seed.Secrets, sim.SeedSecret{Name: stack + "/db-ca", Value: "PEM"})
	for i, r := range seed.Repositories {
		listening := &sim.SeedScript{Logs: []sim.SeedLog{{Text: "listening"}}}
		switch r.Name {
		case service:
			seed.Repositories[i].Images = []sim.SeedImage{{Tag: tag, Script: listening, Commands: []sim.SeedCommand{
				{Command: []string{"/worker", "migrate"}, Script: sim.SeedScript{Exit: &sim.SeedExit{After: sim.Duration(5 * time.Second)}}}}}}
		case "deploy-controller":
			seed.Repositories[i].Images = []sim.SeedImage{{Tag: "0000000", Script: listening}}
		default:
			t.Fatalf("nobody pushes to %s", r.Name)
		}
	}
}

// controllersPolicy is that of the controller's role in the template.
func controllersPolicy(t *testing.T, body []byte) iam.Policy {
	t.Helper()
	var parsed struct {
		Resources map[string]struct {
			Properties struct {
				RoleName string
				Policies []struct{ PolicyDocument json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		t.Fatal(err)
	}
	for _, r := range parsed.Resources {
		if r.Properties.RoleName == stack+"-controller" && len(r.Properties.Policies) == 1 {
			policy, err := iam.ReadPolicy(r.Properties.Policies[0].PolicyDocument)
			if err != nil {
				t.Fatal(err)
			}
			return policy
		}
	}
	t.Fatal("the template has no role for the controller")
	return iam.Policy{}
}

var tags = regexp.MustCompile(`image: \{tag: .*\}`)

// newRepository has the files of desired/dev, with the tag that was pushed.
func newRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	repo, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")}})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "desired/dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"desired/dev/environment.yaml", "desired/dev/order-processing.yaml"} {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		data = tags.ReplaceAll(data, []byte(`image: {tag: "`+tag+`"}`))
		if strings.HasSuffix(name, service+".yaml") && !bytes.Contains(data, []byte(tag)) {
			t.Fatalf("%s has no tag to change", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tree.Commit("ask", &git.CommitOptions{Author: &object.Signature{Name: "dev", Email: "dev@example.org", When: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, seed *sim.Seed, policy iam.Policy) *world {
	t.Helper()
	w := &world{T: t, guard: iam.NewGuard(iam.Place{Account: sim.DefaultAccount, Region: sim.DefaultRegion})}
	w.guard.Bind(sim.AccessKey, policy)
	var err error
	if w.account, err = sim.New(sim.Config{Seed: 1, Middleware: []wire.Middleware{w.guard.Middleware()}}); err != nil {
		t.Fatal(err)
	}
	if err := w.account.Plant(t.Context(), seed); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) close() {
	if err := w.account.Close(); err != nil {
		w.Error(err)
	}
}

// start starts the controller as production does: its flags are in the template's task definition.
func (w *world) start(repository string) (stop func() error) {
	w.Helper()
	cfg, registry, log := w.account.AWSConfig(), prometheus.NewRegistry(), zap.NewNop()
	table := dynamo.New(cfg, dynamo.Options{Table: stack + "-ledger", Environment: "dev"})
	keeper := lease.New(table, "controller", log)
	a, err := app.New(app.Config{
		Env: "dev", Git: gitrepo.Config{Source: repository, Folder: "desired/dev"}, Shared: &app.Shared{Table: table, Lease: keeper},
		Poll: app.DefaultPoll, Pace: rollout.Pace{Watch: app.DefaultWatch, Idle: app.DefaultIdle}, Workers: 1, Build: status.Build{Version: "test"}, Registry: registry, Log: log,
		Connect: func(_ context.Context, env desired.EnvironmentSpec) (app.Account, error) {
			return account.New(client.New(cfg, client.Options{Registerer: registry, MayWrite: keeper.MayWrite}), account.Options{Account: env.Account, Region: env.Region}), nil
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.app = a
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func (w *world) await(what string, limit time.Duration, holds func() bool) {
	w.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			said := "nothing"
			if v := w.app.Board().Service(service); v != nil {
				said = v.Status.Why
			}
			w.Fatalf("no %s within %s; the controller says: %s", what, limit, said)
		}
	}
}

func (w *world) service() types.Service {
	w.Helper()
	out, err := w.account.ECS.DescribeServices(w.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(stack), Services: []string{service}, Include: []types.ServiceField{types.ServiceFieldTags}})
	if err != nil || len(out.Services) != 1 {
		w.Fatal(errors.Join(err, fmt.Errorf("there are %d services", len(out.Services))))
	}
	return out.Services[0]
}

func tagOf(s types.Service, key string) string {
	for _, t := range s.Tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

// containers holds what was registered to both of its owners: the infrastructure's roles, size and secrets, git's image and env.
func (w *world) containers(revision string) {
	w.Helper()
	out, err := w.account.ECS.DescribeTaskDefinition(w.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &revision})
	if err != nil {
		w.Fatal(err)
	}
	td, c := out.TaskDefinition, out.TaskDefinition.ContainerDefinitions[0]
	env, secrets := map[string]string{}, map[string]string{}
	for _, v := range c.Environment {
		env[*v.Name] = *v.Value
	}
	for _, v := range c.Secrets {
		secrets[*v.Name] = *v.ValueFrom
	}
	if !strings.HasSuffix(*td.ExecutionRoleArn, stack+"-execution") || !strings.HasSuffix(*td.TaskRoleArn, stack+"-task") || !strings.Contains(*c.Image, "/"+service+"@sha256:") ||
		env["LOG_LEVEL"] != "debug" || env["DB_NAME"] != "orders" || !strings.HasSuffix(secrets["DB_PASSWORD"], ":password::") || !strings.HasSuffix(secrets["DB_USER"], ":username::") {
		w.Errorf("registered is %s with env %v and secrets %v", *c.Image, env, secrets)
	}
}

// onlyMigrationsAreTheOwner holds that the owner's password is nowhere in what serves: the migration's task alone has the role that
// may read it.
func (w *world) onlyMigrationsAreTheOwner() {
	w.Helper()
	roles := map[string]int{}
	for _, status := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		listed, err := w.account.ECS.ListTasks(w.Context(), &ecs.ListTasksInput{Cluster: aws.String(stack), Family: aws.String(service), DesiredStatus: status})
		if err != nil {
			w.Fatal(err)
		}
		if len(listed.TaskArns) == 0 {
			continue
		}
		out, err := w.account.ECS.DescribeTasks(w.Context(), &ecs.DescribeTasksInput{Cluster: aws.String(stack), Tasks: listed.TaskArns})
		if err != nil {
			w.Fatal(err)
		}
		for _, task := range out.Tasks {
			kind := "serving"
			if len(task.Overrides.ContainerOverrides[0].Command) > 0 {
				kind = "migration"
			}
			roles[kind+" "+aws.ToString(task.Overrides.TaskRoleArn)]++
		}
	}
	if want := map[string]int{"serving ": 2, "migration arn:aws:iam::" + sim.DefaultAccount + ":role/" + stack + "-migration": 1}; !maps.Equal(roles, want) {
		w.Errorf("tasks by role are %v, want %v", roles, want)
	}
	def, err := w.account.ECS.DescribeTaskDefinition(w.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: w.service().TaskDefinition})
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range def.TaskDefinition.ContainerDefinitions[0].Secrets {
		if strings.HasPrefix(*s.Name, "MIGRATE_") || strings.Contains(*s.ValueFrom, "db-owner") {
			w.Errorf("every serving task gets %s from %s", *s.Name, *s.ValueFrom)
		}
	}
}

// updateStack updates the stack as CloudFormation would now: the service with the revision that the parameter names, and without
// a count. It changes nothing, and the controller has nothing to put right.
func (w *world) updateStack(base, main sim.Template, parameter string) {
	w.Helper()
	base.Body = bytes.ReplaceAll(base.Body, []byte(`"Value": "`+stack+`-template"`), []byte(`"Value": "`+parameter+`"`))
	now, err := sim.ReadTemplates(base, main)
	if err != nil {
		w.Fatal(err)
	}
	i := slices.IndexFunc(now.Seed.Services, func(s map[string]any) bool { return s["serviceName"] == service })
	sent := now.Seed.Services[i]
	if _, counted := sent["desiredCount"]; counted || sent["taskDefinition"] != parameter {
		w.Fatalf("the stack would send %v", sent)
	}
	before, writes := w.service(), w.account.Calls.Count("ecs", "UpdateService")
	if err := w.account.CFN.Update(w.Context(), w.account.ECS, stack, &ecs.UpdateServiceInput{Cluster: aws.String(stack), Service: aws.String(service), TaskDefinition: &parameter}); err != nil {
		w.Fatal(err)
	}
	time.Sleep(10 * time.Minute)
	after := w.service()
	if *after.TaskDefinition != *before.TaskDefinition || after.DesiredCount != 2 || after.RunningCount != 2 || w.account.Calls.Count("ecs", "UpdateService") != writes {
		w.Errorf("after the stack's update %d tasks of %s run, and the controller rolled %d times", after.RunningCount, *after.TaskDefinition, w.account.Calls.Count("ecs", "UpdateService")-writes)
	}
}
