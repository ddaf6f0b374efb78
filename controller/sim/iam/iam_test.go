package iam_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/sim/iam"
	"github.com/canteen/deploy/controller/sim/wire"
)

func policy(t *testing.T, statements ...string) iam.Policy {
	t.Helper()
	p, err := iam.ReadPolicy([]byte(`{"Version": "2012-10-17", "Statement": [` + strings.Join(statements, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEvaluation(t *testing.T) {
	const allow = `{"Sid": "A", "Effect": "Allow", "Action": ["ecs:RunTask", "ecs:Describe*"], "Resource": "arn:aws:ecs:r:1:task-definition/orders:*",
		"Condition": {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:r:1:cluster/main"}}}`
	const deny = `{"Effect": "Deny", "Action": "ecs:*", "Resource": "*", "Condition": {"StringEquals": {"aws:TagKeys": ["locked"]}}}`
	const tags = `{"Sid": "T", "Effect": "Allow", "Action": "ecs:TagResource", "Resource": "*", "Condition": {"ForAllValues:StringLike": {"aws:TagKeys": ["deploy:*"]}}}`
	in := map[string][]string{"ecs:cluster": {"arn:aws:ecs:r:1:cluster/main"}}
	orders := "arn:aws:ecs:r:1:task-definition/orders:7"
	for _, tt := range []struct {
		name string
		r    iam.Request
		by   string // empty: refused
	}{
		{"what is given", iam.Request{Action: "ecs:RunTask", Resource: orders, Context: in}, "A"},
		{"actions have no case", iam.Request{Action: "ECS:runtask", Resource: orders, Context: in}, "A"},
		{"an action by wildcard", iam.Request{Action: "ecs:DescribeTasks", Resource: orders, Context: in}, "A"},
		{"another action", iam.Request{Action: "ecs:StopTask", Resource: orders, Context: in}, ""},
		{"another resource", iam.Request{Action: "ecs:RunTask", Resource: "arn:aws:ecs:r:1:task-definition/menus:7", Context: in}, ""},
		{"everything", iam.Request{Action: "ecs:RunTask", Resource: "*", Context: in}, ""},
		{"another cluster", iam.Request{Action: "ecs:RunTask", Resource: orders, Context: map[string][]string{"ecs:cluster": {"arn:aws:ecs:r:1:cluster/other"}}}, ""},
		{"no cluster", iam.Request{Action: "ecs:RunTask", Resource: orders}, ""},
		{"denied after all", iam.Request{Action: "ecs:RunTask", Resource: orders, Context: map[string][]string{"ecs:cluster": in["ecs:cluster"], "aws:TagKeys": {"locked"}}}, ""},
		{"every tag matches", iam.Request{Action: "ecs:TagResource", Resource: "x", Context: map[string][]string{"aws:TagKeys": {"deploy:good", "deploy:ask"}}}, "T"},
		{"one tag does not", iam.Request{Action: "ecs:TagResource", Resource: "x", Context: map[string][]string{"aws:TagKeys": {"deploy:good", "team"}}}, ""},
		{"no tags at all", iam.Request{Action: "ecs:TagResource", Resource: "x"}, "T"},
	} {
		by, ok := policy(t, allow, deny, tags).Allows(tt.r)
		if ok != (tt.by != "") || by.Sid != tt.by {
			t.Errorf("%s: allowed %t by %q, want %q", tt.name, ok, by.Sid, tt.by)
		}
	}
	if got := policy(t, deny, tags).Uses(); !slices.Equal(got, []iam.Use{{Sid: "T", Action: "ecs:TagResource"}}) {
		t.Errorf("what allows something: %v", got)
	}
	if by, ok := policy(t).Allows(iam.Request{Action: "ecs:RunTask", Resource: orders}); ok {
		t.Errorf("a policy without statements allows by %v", by)
	}
}

// wildcards is what AWS's wildcards are as a regular expression.
func wildcards(flags, pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?` + flags + `)^` + strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern)) + `$`)
}

// Wildcards match as AWS says: * any characters, ? any one.
func TestWildcards(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?:/.")), 0, 8, -1).Draw(r, "pattern")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab:/.*")), 0, 10, -1).Draw(r, "text")
		form := wildcards("s", pattern)
		p := iam.Policy{Statements: []iam.Statement{{Effect: "Allow", Actions: []string{"x"}, Resources: []string{pattern}}}}
		if _, got := p.Allows(iam.Request{Action: "x", Resource: text}); got != form.MatchString(text) {
			r.Errorf("%q matches %q: %t", pattern, text, got)
		}
	})
}

// So do those of actions, which have no case.
func TestWildcardsOfActions(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("aAb:*?")), 0, 5, -1).Draw(r, "pattern")
		action := rapid.StringOfN(rapid.RuneFrom([]rune("aAB:")), 0, 5, -1).Draw(r, "action")
		p := iam.Policy{Statements: []iam.Statement{{Effect: "Allow", Actions: []string{pattern}, Resources: []string{"*"}}}}
		if _, got := p.Allows(iam.Request{Action: action, Resource: "r"}); got != wildcards("si", pattern).MatchString(action) {
			r.Errorf("%q matches %q: %t", pattern, action, got)
		}
	})
}

func TestUnreadablePolicies(t *testing.T) {
	for text, want := range map[string]string{
		`{"Version": "2008-10-17", "Statement": []}`:                                                                                                                          "Version must be 2012-10-17",
		`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": "x", "Resource": "*"}]}`:                                                                    "NotAction",
		`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "x"}]}`:                                                                                        "Action and Resource",
		`{"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps", "Action": "x", "Resource": "*"}]}`:                                                                     "Effect Allow or Deny",
		`{"Version": "2012-10-17", "Statement": [{"Sid": "S", "Effect": "Allow", "Action": "x", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.1"}}}]}`: "statement 0 (S): condition operator IpAddress is not modelled",
	} {
		if _, err := iam.ReadPolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

var here = iam.Place{Account: "111111111111", Region: "eu-west-1"}

// What calls are authorized as, where it is not the operation's own name on the one thing that it names.
func TestRequests(t *testing.T) {
	const ecsARN = "arn:aws:ecs:eu-west-1:111111111111:"
	for _, tt := range []struct {
		service string
		input   any
		want    []string
	}{
		{"ecs", &ecs.DescribeServicesInput{Cluster: aws.String("main"), Services: []string{"a", ecsARN + "service/main/b"}},
			[]string{"ecs:DescribeServices " + ecsARN + "service/main/a", "ecs:DescribeServices " + ecsARN + "service/main/b"}},
		{"ecs", &ecs.RegisterTaskDefinitionInput{Family: aws.String("a"), TaskRoleArn: aws.String("short"), ExecutionRoleArn: aws.String("arn:aws:iam::111111111111:role/e"), Tags: []types.Tag{{Key: aws.String("k")}}},
			[]string{"ecs:RegisterTaskDefinition " + ecsARN + "task-definition/a:*", "ecs:TagResource " + ecsARN + "task-definition/a:*",
				"iam:PassRole arn:aws:iam::111111111111:role/short", "iam:PassRole arn:aws:iam::111111111111:role/e"}},
		{"ecs", &ecs.RunTaskInput{TaskDefinition: aws.String("a"), Overrides: &types.TaskOverride{TaskRoleArn: aws.String("other")}},
			[]string{"ecs:RunTask " + ecsARN + "task-definition/a:*", "iam:PassRole arn:aws:iam::111111111111:role/other"}},
		{"ecs", &ecs.ListTasksInput{Cluster: aws.String(ecsARN + "cluster/main")}, []string{"ecs:ListTasks " + ecsARN + "container-instance/main/*"}},
		{"ecs", &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{ecsARN + "service-deployment/main/a/x1"}},
			[]string{"ecs:DescribeServiceDeployments " + ecsARN + "service-deployment/main/a/x1", "ecs:DescribeServiceDeployments " + ecsARN + "service/main/a"}},
		{"cloudformation", &cloudformation.DescribeStacksInput{}, []string{"cloudformation:DescribeStacks *", "cloudformation:ListStacks *"}},
		{"monitoring", &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"a"}}, []string{"cloudwatch:DescribeAlarms arn:aws:cloudwatch:eu-west-1:111111111111:alarm:a"}},
		{"monitoring", &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"a"}, AlarmTypes: []cwtypes.AlarmType{cwtypes.AlarmTypeCompositeAlarm}}, []string{"cloudwatch:DescribeAlarms *"}},
		{"ssm", &ssm.GetParameterInput{Name: aws.String("/a/b")}, []string{"ssm:GetParameter arn:aws:ssm:eu-west-1:111111111111:parameter/a/b"}},
		{"secretsmanager", &secretsmanager.DescribeSecretInput{SecretId: aws.String("a/b")},
			[]string{"secretsmanager:DescribeSecret arn:aws:secretsmanager:eu-west-1:111111111111:secret:a/b", "secretsmanager:DescribeSecret arn:aws:secretsmanager:eu-west-1:111111111111:secret:a/b-AbCdEf"}},
		{"ecr", &ecr.BatchGetImageInput{RepositoryName: aws.String("a/b"), RegistryId: aws.String("222222222222")}, []string{"ecr:BatchGetImage arn:aws:ecr:eu-west-1:222222222222:repository/a/b"}},
		{"ecr", &ecr.GetDownloadUrlForLayerInput{RepositoryName: aws.String("a")}, []string{"ecr:GetDownloadUrlForLayer arn:aws:ecr:eu-west-1:111111111111:repository/a"}},
		{"sqs", &sqs.ReceiveMessageInput{QueueUrl: aws.String("https://sqs.eu-west-1.amazonaws.com/222222222222/hints")}, []string{"sqs:ReceiveMessage arn:aws:sqs:eu-west-1:222222222222:hints"}},
		{"sqs", &sqs.DeleteMessageBatchInput{QueueUrl: aws.String("http://127.0.0.1:4566/111111111111/hints")}, []string{"sqs:DeleteMessage arn:aws:sqs:eu-west-1:111111111111:hints"}},
		{"dynamodb", &dynamodb.TransactWriteItemsInput{TransactItems: []dbtypes.TransactWriteItem{{Put: &dbtypes.Put{TableName: aws.String("t")}}, {ConditionCheck: &dbtypes.ConditionCheck{TableName: aws.String("t")}}}},
			[]string{"dynamodb:PutItem arn:aws:dynamodb:eu-west-1:111111111111:table/t", "dynamodb:ConditionCheckItem arn:aws:dynamodb:eu-west-1:111111111111:table/t"}},
	} {
		requests, err := here.Requests(&wire.Call{Service: tt.service, Input: tt.input})
		var got []string
		for _, r := range requests {
			got = append(got, r.Action+" "+r.Resource)
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%T: %v, %v; want %v", tt.input, got, err, tt.want)
		}
	}
	if _, err := here.Requests(&wire.Call{Service: "sqs", Operation: "SendMessage", Input: &sqs.SendMessageInput{}}); err == nil {
		t.Error("an operation without a row is answered")
	}
}

func TestGuard(t *testing.T) {
	g := iam.NewGuard(here)
	g.Bind("AKIABOUND", policy(t, `{"Sid": "Read", "Effect": "Allow", "Action": ["ssm:GetParameter", "ssm:PutParameter"], "Resource": "arn:aws:ssm:eu-west-1:111111111111:parameter/mine"}`))
	effects := 0
	call := func(key, name string) error {
		_, err := g.Middleware()(func(context.Context, *wire.Call) (any, error) { effects++; return nil, nil })(t.Context(),
			&wire.Call{Service: "ssm", Operation: "GetParameter", AccessKey: key, Input: &ssm.GetParameterInput{Name: &name}})
		return err
	}
	if err := errors.Join(call("AKIABOUND", "mine"), call("AKIAOTHER", "yours")); err != nil || effects != 2 {
		t.Fatalf("what is allowed: %v, %d effects", err, effects)
	}
	err := call("AKIABOUND", "yours")
	api, ok := errors.AsType[smithy.APIError](err)
	const want = "User: arn:aws:sts::111111111111:assumed-role/AKIABOUND is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:eu-west-1:111111111111:parameter/yours because no identity-based policy allows the ssm:GetParameter action"
	if !ok || api.ErrorCode() != "AccessDeniedException" || api.ErrorMessage() != want || effects != 2 {
		t.Errorf("what is not: %v, %d effects", err, effects)
	}
	if got := fmt.Sprint(g.Used()); got != "[{Read ssm:GetParameter}]" {
		t.Errorf("used: %s", got)
	}
	told := 0
	g.Refused = func(*wire.Call, error) error { told++; return nil }
	if err := call("AKIABOUND", "yours"); err != nil || told != 1 || effects != 3 {
		t.Errorf("looked on: %v, told %d times, %d effects", err, told, effects)
	}
}
