package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
)

// The templates are these, to the byte. Whoever changes one sees in the diff what is done to every environment.
func TestGolden(t *testing.T) {
	for _, env := range all(t) {
		got := templates(t, env)
		s := settingsOf(t, env)
		for name, template := range map[string]object{s.baseStackName(): got.base, s.stackName(): got.main} {
			path, text := golden(env, name), write(t, template)
			if *update {
				if err := errorsOf(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(text, want) {
				t.Errorf("%s is not what is synthesized now; look at what changes and write it anew: go test . -run TestGolden -update", path)
			}
		}
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// The built program, as pipelines run it, makes the same of nothing but the environment's name.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "infra"), ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := func(env string) ([]byte, error) {
		cmd := exec.Command(filepath.Join(dir, "infra"))
		cmd.Dir = dir // nothing of this folder is read
		cmd.Env = append(os.Environ(), "CDK_OUTDIR="+filepath.Join(dir, "out"), `CDK_CONTEXT_JSON={"env":"`+env+`"}`)
		return cmd.CombinedOutput()
	}
	if out, err := run("production"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "out", "order-processing-production.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var template object
	if err := json.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(golden("production", "order-processing-production"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSettings(func(key string) any { return map[string]any{"env": "production"}[key] })
	if err != nil {
		t.Fatal(err)
	}
	image := "deploy-controller:"
	if !bytes.Equal(bytes.ReplaceAll(write(t, template), []byte(image+s.Controller.Image), []byte(image+anImage)), want) {
		t.Error("the program synthesizes another template than testdata has")
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "out", "manifest.json"))
	if err != nil || bytes.Contains(manifest, []byte(`"missing"`)) {
		t.Errorf("the synthesis has to ask an account for something (%v)", err)
	}
	out, err := run("prod")
	if err == nil || !strings.Contains(string(out), `environment "prod" is not among`) || !strings.Contains(string(out), "dev, production, qa, staging") {
		t.Errorf("an unknown environment: %v\n%s", err, out)
	}
}

// What CloudFormation would refuse is refused here: the CDK's rules are on, and errors.
func TestTemplatesAreValidated(t *testing.T) {
	app := newApp(nil, t.TempDir())
	stack := awscdk.NewStack(app, text("wrong"), nil)
	awsec2.NewCfnSecurityGroup(stack, text("Group"), &awsec2.CfnSecurityGroupProps{GroupDescription: text("it isn't allowed")})
	var refused any
	func() {
		defer func() { refused = recover() }()
		app.Synth(nil)
	}()
	if refused == nil || !strings.Contains(fmt.Sprint(refused), "alidat") {
		t.Errorf("a description that CloudFormation refuses is synthesized: %v", refused)
	}
}

// notLinted are cfn-lint's rules that do not hold here, each with the reason.
var notLinted = map[string]string{
	"W3010": "zones are written out: a template must not depend on who synthesizes it",
}

// cfn-lint has nothing to say of the templates, where it is installed.
func TestLint(t *testing.T) {
	program, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("cfn-lint is not installed; the CDK's own rules held the templates")
	}
	args := []string{"--non-zero-exit-code", "warning"}
	for rule := range notLinted {
		args = append(args, "--ignore-checks", rule)
	}
	files, err := filepath.Glob("testdata/*/*.template.json")
	if err != nil || len(files) != 2*len(all(t)) {
		t.Fatalf("there are %d templates: %v", len(files), err)
	}
	if out, err := exec.Command(program, append(append(args, "--"), files...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The outputs that the controller reads are those of package account.
func TestOutputsAreTheControllers(t *testing.T) {
	source, err := os.ReadFile("../controller/account/stack.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`Output\w+\s+= "(\w+)"`).FindAllSubmatch(source, -1)
	if len(names) < 7 {
		t.Fatalf("found only %d outputs in the controller's source", len(names))
	}
	outputs := templates(t, "dev").main["Outputs"].(object)
	for _, n := range names {
		if outputs[string(n[1])] == nil {
			t.Errorf("the stack has no output %s, which the controller reads", n[1])
		}
	}
}

// What was asked of the resources, by the CDK's own assertions.
func TestResources(t *testing.T) {
	app := newApp(nil, t.TempDir())
	made := build(app, settingsOf(t, "production"))
	base, main := assertions.Template_FromStack(made.base, nil), assertions.Template_FromStack(made.main, nil)
	like := func(o object) any { return assertions.Match_ObjectLike(&o) }
	for _, r := range []struct {
		in    assertions.Template
		kind  string
		props object
	}{
		{base, "AWS::ECR::Repository", object{"RepositoryName": "order-processing", "ImageTagMutability": "IMMUTABLE", "ImageScanningConfiguration": object{"ScanOnPush": true}}},
		{base, "AWS::SSM::Parameter", object{"Name": "/order-processing-production/task-definition", "Value": "order-processing-production-template"}},
		{base, "AWS::IAM::OIDCProvider", object{"Url": "https://token.actions.githubusercontent.com", "ClientIdList": []any{"sts.amazonaws.com"}}},
		{base, "AWS::IAM::Role", object{"RoleName": "cicd-deploy-role", "AssumeRolePolicyDocument": like(object{"Statement": []any{like(object{"Condition": object{"StringEquals": object{
			"token.actions.githubusercontent.com:aud": "sts.amazonaws.com", "token.actions.githubusercontent.com:sub": "repo:canteen/deploy:environment:production"}}})}})}},
		{main, "AWS::ECS::Service", object{"ServiceName": "controller", "DesiredCount": 1, "DeploymentConfiguration": like(object{"MinimumHealthyPercent": 0, "MaximumPercent": 100})}},
		{main, "AWS::ElasticLoadBalancingV2::LoadBalancer", object{"Name": "order-processing-production-deploy", "Scheme": "internal"}},
		{main, "AWS::ElasticLoadBalancingV2::TargetGroup", object{"Name": "order-processing-production", "HealthCheckPath": "/health", "TargetType": "ip",
			// A new version that is never able is found within 20 s; that a failover lasts longer, /health knows (decision 023).
			"HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2}},
		{main, "AWS::RDS::DBInstance", object{"Engine": "postgres", "MultiAZ": true, "StorageEncrypted": true, "PubliclyAccessible": false, "DeletionProtection": true}},
		{main, "AWS::DynamoDB::Table", object{"KeySchema": []any{object{"AttributeName": "pk", "KeyType": "HASH"}, object{"AttributeName": "sk", "KeyType": "RANGE"}},
			"TimeToLiveSpecification": object{"AttributeName": "expires", "Enabled": true}}},
		{main, "AWS::SQS::Queue", object{"QueueName": "order-processing-production-orders.fifo", "FifoQueue": true, "ContentBasedDeduplication": true, "RedrivePolicy": like(object{"maxReceiveCount": 5})}},
		{main, "AWS::SQS::Queue", object{"QueueName": "order-processing-production-dead-letters.fifo", "FifoQueue": true}},
		{main, "AWS::Logs::LogGroup", object{"LogGroupName": "/ecs/order-processing-production", "RetentionInDays": 90}},
		{main, "AWS::ECS::TaskDefinition", object{"Family": "order-processing-production-template", "Cpu": "512", "Memory": "1024",
			"ContainerDefinitions": []any{like(object{"HealthCheck": like(object{"Command": []any{"CMD", "/worker", "health"}})})}}},
	} {
		r.in.HasResourceProperties(&r.kind, r.props)
	}
	rotations := "AWS::SecretsManager::RotationSchedule"
	main.ResourceCountIs(&rotations, number(3))
}

// The service's page asks nobody: without a login nobody reaches it.
func TestPageNeedsALogin(t *testing.T) {
	main := templates(t, "dev").main
	for id, l := range resources(main, "AWS::ElasticLoadBalancingV2::Listener") {
		p := l["Properties"].(object)
		first := p["DefaultActions"].([]any)[0].(object)
		if has(p["LoadBalancerArn"], `"Gate"`) && first["Type"] != "authenticate-oidc" {
			t.Errorf("listener %s of the controller begins with %v", id, first["Type"])
		}
		if p["Protocol"] != "HTTPS" && first["Type"] != "redirect" {
			t.Errorf("listener %s speaks %v and does not lead on", id, p["Protocol"])
		}
	}
}

// TestControllerTellsGitHub: the flags come with the setting alone.
func TestControllerTellsGitHub(t *testing.T) {
	s := settingsOf(t, "dev")
	quiet := strings.Join(s.controllerArgs(), " ")
	s.Controller.Tells = true
	if want := quiet + " --github-token-env GIT_TOKEN --page-url https://" + s.Controller.Host; strings.Contains(quiet, "github-token") || strings.Join(s.controllerArgs(), " ") != want {
		t.Errorf("%s\n%s", quiet, strings.Join(s.controllerArgs(), " "))
	}
}

// Of what was pushed with a tag nothing ever expires: last good revisions, here and in other accounts, are named by digests of it.
func TestTaggedImagesNeverExpire(t *testing.T) {
	for _, env := range all(t) {
		for id, r := range resources(templates(t, env).base, "AWS::ECR::Repository") {
			p := r["Properties"].(object)
			var policy struct {
				Rules []struct{ Selection struct{ TagStatus string } }
			}
			if err := json.Unmarshal([]byte(p["LifecyclePolicy"].(object)["LifecyclePolicyText"].(string)), &policy); err != nil {
				t.Fatal(err)
			}
			for _, rule := range policy.Rules {
				if rule.Selection.TagStatus != "untagged" {
					t.Errorf("%s %s: a rule expires images that are %s", env, id, rule.Selection.TagStatus)
				}
			}
			if len(policy.Rules) == 0 || p["ImageTagMutability"] != "IMMUTABLE" || r["DeletionPolicy"] != "Retain" {
				t.Errorf("%s %s: %d rules, tags %v, deletion %v", env, id, len(policy.Rules), p["ImageTagMutability"], r["DeletionPolicy"])
			}
		}
	}
}
