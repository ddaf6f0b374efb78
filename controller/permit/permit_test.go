package permit_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/permit"
	"github.com/canteen/deploy/controller/sim/iam"
)

// The clients refuse every operation that is not in their table (account/client/budget.go). So the table has every call of
// every test, and the policy must have the action of each, and no other.
func TestPolicyHasTheActionsOfTheClients(t *testing.T) {
	source, err := os.ReadFile("../account/client/budget.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(source), "func calls() ")
	services := map[string]string{"ECS": "ecs", "ELB": "elasticloadbalancing", "Logs": "logs", "ECR": "ecr", "CloudFormation": "cloudformation",
		"CloudWatch": "cloudwatch", "SSM": "ssm", "STS": "sts", "Secrets": "secretsmanager", "SQS": "sqs"}
	want := []string{
		"iam:PassRole", // of roles that RegisterTaskDefinition and RunTask name
		// The ledger's client has no such table; package story holds it to the policy.
		"dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
	}
	service := ""
	for _, m := range regexp.MustCompile(`service(\w+):|"(\w+)":\s+\{bucket: Bucket`).FindAllStringSubmatch(table, -1) {
		if m[1] != "" {
			service = services[m[1]]
			continue
		}
		switch action := service + ":" + m[2]; action {
		case "sts:GetCallerIdentity": // which needs no permission
		case "sqs:DeleteMessageBatch": // authorized as what is in it
			want = append(want, "sqs:DeleteMessage")
		default:
			want = append(want, action)
		}
	}
	p, err := permit.Policy()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, use := range p.Uses() {
		got = append(got, use.Action)
	}
	slices.Sort(want)
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) || len(want) < 25 {
		t.Errorf("the policy has\n%v\nand the controller calls\n%v", got, want)
	}
}

// Whoever may ask for a parameter sees no value of a SecureString: the key that AWS manages lets every principal of the account decrypt,
// which is played here by a statement of its own. The controller's receivers have their secrets in Secrets Manager, which it reads.
func TestNoParameterIsDecrypted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		policy  func() (iam.Policy, error)
		allowed map[string]bool // by the service that asks for the key
	}{
		{"the controller", permit.Policy, map[string]bool{"ssm.eu-central-1.amazonaws.com": false, "secretsmanager.eu-central-1.amazonaws.com": true}},
		{"a desk", permit.Look, map[string]bool{"ssm.eu-central-1.amazonaws.com": false, "secretsmanager.us-east-1.amazonaws.com": false, "s3.us-east-1.amazonaws.com": true}},
	} {
		p, err := tt.policy()
		if err != nil {
			t.Fatal(err)
		}
		p.Statements = append(p.Statements, iam.Statement{Sid: "Key", Effect: "Allow", Actions: []string{"kms:Decrypt"}, Resources: []string{"*"}})
		for service, allowed := range tt.allowed {
			if _, ok := p.Allows(iam.Request{Action: "kms:Decrypt", Resource: "arn:aws:kms:r:1:key/k", Context: map[string][]string{"kms:ViaService": {service}}}); ok != allowed {
				t.Errorf("%s decrypts through %s: %t", tt.name, service, ok)
			}
		}
	}
}

// Under other names the policy is the same: as many statements, each about those names alone.
func TestFor(t *testing.T) {
	p, err := permit.For(permit.Names{Stack: "s-dev", Cluster: "c", Service: "s", LogGroup: "/l", Secrets: "x", Parameters: "p", Execution: "e", Task: "t", Migration: "m", Table: "b", Queue: "q"})
	if err != nil {
		t.Fatal(err)
	}
	real, err := permit.Policy()
	if err != nil || len(real.Statements) != len(p.Statements) {
		t.Fatalf("%d statements of %d: %v", len(p.Statements), len(real.Statements), err)
	}
	for _, s := range p.Statements {
		for _, arn := range s.Resources {
			if strings.Contains(arn, "order-processing") {
				t.Errorf("statement %s is still about %s", s.Sid, arn)
			}
		}
	}
	for resource, allowed := range map[string]bool{"service/c/s": true, "service/c/other": false, "service/other/s": false} {
		if _, ok := p.Allows(iam.Request{Action: "ecs:UpdateService", Resource: "arn:aws:ecs:eu-central-1:000000000000:" + resource}); ok != allowed {
			t.Errorf("UpdateService of %s: allowed %t", resource, ok)
		}
	}
}
