package main

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
)

// statement is one of a policy. What each action is authorized on is told by the Service Authorization
// Reference, https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html.
type statement struct {
	sid       string
	actions   []string
	resources []string
	when      map[string]any // conditions, by operator and key
	why       string         // must be given where everything is allowed of the resource *; goes into the role's metadata
	deny      bool           // it forbids, whatever another statement allows
}

// The controller may look at and change its own stack's service, and nothing else. Package controller/permit holds this
// against every call that its tests make.

// controllerReads is what looking takes.
func (s Settings) controllerReads() []statement {
	cluster, name := s.stackName(), service
	return []statement{
		{sid: "SeeStack", actions: []string{"cloudformation:DescribeStacks"}, resources: []string{s.arn("cloudformation", "stack/"+s.stackName()+"/*")}},
		{sid: "SeeService", actions: []string{"ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:DescribeServiceDeployments"},
			resources: []string{s.arn("ecs", "service/"+cluster+"/"+name), s.arn("ecs", "service-deployment/"+cluster+"/"+name+"/*")}},
		{sid: "SeeTaskDefinitions", actions: []string{"ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions"}, resources: []string{"*"},
			why: "ECS authorizes neither on a resource"},
		{sid: "SeeTasks", actions: []string{"ecs:DescribeTasks"}, resources: []string{s.arn("ecs", "task/"+cluster+"/*")}},
		{sid: "ListTasks", actions: []string{"ecs:ListTasks"}, resources: []string{"*"},
			when: map[string]any{"ArnEquals": map[string]any{"ecs:cluster": s.arn("ecs", "cluster/"+cluster)}},
			why:  "ECS authorizes it on a container instance, and Fargate has none; the condition binds it to the cluster"},
		{sid: "SeeTargets", actions: []string{"elasticloadbalancing:DescribeTargetHealth"}, resources: []string{"*"},
			why: "Elastic Load Balancing authorizes no Describe operation on a resource"},
		{sid: "SeeAlarms", actions: []string{"cloudwatch:DescribeAlarms"}, resources: []string{"*"},
			why: "with a narrower scope CloudWatch leaves composite alarms out of its answer without a word"},
		{sid: "SeeImages", actions: []string{"ecr:DescribeImages"}, resources: []string{s.arn("ecr", "repository/"+workerRepository)}},
		// The last good revision, and parameters that git refers to: whether they are there, never their values in the clear.
		{sid: "ReadParameters", actions: []string{"ssm:GetParameter"}, resources: []string{s.arn("ssm", "parameter/"+s.secret("*"))}},
		// A secret's ARN ends in six characters that nobody knows before; of a secret that is missing there is the name alone.
		{sid: "SeeSecrets", actions: []string{"secretsmanager:DescribeSecret"}, resources: []string{s.arn("secretsmanager", "secret:"+s.secret("*"))}},
	}
}

// planPolicy is what `controller plan` may do on a pull request, which anybody who may push a branch can write.
func (s Settings) planPolicy() []statement {
	return append(s.controllerReads(), s.neverDecrypts("ssm", "secretsmanager"))
}

// neverDecrypts keeps values from a role that may ask a service for what they are kept in: the keys that AWS manages let every
// principal of the account decrypt through their service, and GetParameter is one action with and without decryption.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
func (s Settings) neverDecrypts(services ...string) statement {
	var via []string
	for _, name := range services {
		via = append(via, name+"."+s.Region+".amazonaws.com")
	}
	return statement{sid: "NeverDecrypt", deny: true, actions: []string{"kms:Decrypt"}, resources: []string{"*"},
		when: map[string]any{"StringEquals": map[string]any{"kms:ViaService": via}}}
}

// controllerPolicy is all that the controller may do.
func (s Settings) controllerPolicy() []statement {
	cluster, name := s.stackName(), service
	serviceARN := s.arn("ecs", "service/"+cluster+"/"+name)
	revisions := s.arn("ecs", "task-definition/"+name+":*")
	reads := s.controllerReads()
	if secrets := s.Controller.Notify.secrets(); len(secrets) > 0 {
		reads = append(reads, statement{sid: "ReadReceivers", actions: []string{"secretsmanager:GetSecretValue"}, resources: secrets})
	}
	return append(reads, []statement{
		s.neverDecrypts("ssm"), // its receivers' secrets it does read
		// Only what is rolled out is looked for in the logs, and a plan rolls nothing out.
		{sid: "ReadLogs", actions: []string{"logs:FilterLogEvents", "logs:GetLogEvents"}, resources: []string{s.arn("logs", "log-group:"+s.logGroup("")+":*")}},
		// Which commit an image was built of, for lead times. Without it they go by the tag, and nothing else is missing.
		{sid: "ReadLabels", actions: []string{"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}, resources: []string{s.arn("ecr", "repository/"+workerRepository)}},
		{sid: "Register", actions: []string{"ecs:RegisterTaskDefinition"}, resources: []string{revisions}},
		{sid: "TagRevision", actions: []string{"ecs:TagResource"}, resources: []string{revisions},
			when: map[string]any{"StringEquals": map[string]any{"ecs:CreateAction": "RegisterTaskDefinition"}}},
		{sid: "Roll", actions: []string{"ecs:UpdateService"}, resources: []string{serviceARN}},
		{sid: "TagService", actions: []string{"ecs:TagResource"}, resources: []string{serviceARN},
			when: map[string]any{"ForAllValues:StringLike": map[string]any{"aws:TagKeys": []string{"deploy:*"}}}},
		{sid: "Migrate", actions: []string{"ecs:RunTask"}, resources: []string{revisions},
			when: map[string]any{"ArnEquals": map[string]any{"ecs:cluster": s.arn("ecs", "cluster/"+cluster)}}},
		{sid: "StopMigration", actions: []string{"ecs:StopTask"}, resources: []string{s.arn("ecs", "task/"+cluster+"/*")}},
		{sid: "PassRoles", actions: []string{"iam:PassRole"}, resources: []string{s.role("execution"), s.role("task"), s.role("migration")},
			when: map[string]any{"StringEquals": map[string]any{"iam:PassedToService": "ecs-tasks.amazonaws.com"}}},
		{sid: "KeepParameter", actions: []string{"ssm:PutParameter"}, resources: []string{s.arn("ssm", "parameter"+s.parameter())}},
		// TransactWriteItems is authorized as what is in it.
		{sid: "KeepLedger", actions: []string{"dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"},
			resources: []string{s.arn("dynamodb", "table/"+s.named("ledger"))}},
		{sid: "ReadEvents", actions: []string{"sqs:ReceiveMessage", "sqs:DeleteMessage"}, resources: []string{s.arn("sqs", s.named("events"))}},
	}...)
}

// pull is what starting a task of a repository's image takes.
func (s Settings) pull(repository string) []statement {
	return []statement{
		{sid: "LogIn", actions: []string{"ecr:GetAuthorizationToken"}, resources: []string{"*"}, why: "ECR's token is the registry's, and authorized on no resource"},
		{sid: "Pull", actions: []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"},
			resources: []string{s.arn("ecr", "repository/"+repository)}},
	}
}

func (s Settings) writeLogs(group string) statement {
	return statement{sid: "WriteLogs", actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"}, resources: []string{s.arn("logs", "log-group:"+group+":*")}}
}

// document is the policy as IAM reads it.
func document(statements []statement) map[string]any {
	var list []any
	for _, st := range statements {
		one := map[string]any{"Sid": st.sid, "Effect": "Allow", "Action": st.actions, "Resource": st.resources}
		if st.deny {
			one["Effect"] = "Deny"
		}
		if st.when != nil {
			one["Condition"] = st.when
		}
		list = append(list, one)
	}
	return map[string]any{"Version": "2012-10-17", "Statement": list}
}

// newRole makes a role with one inline policy. Reasons for a * go into its metadata, where a test looks for them.
func newRole(stack awscdk.Stack, id, name, description string, trust map[string]any, statements []statement) awsiam.CfnRole {
	role := awsiam.NewCfnRole(stack, &id, &awsiam.CfnRoleProps{
		RoleName: &name, Description: &description, AssumeRolePolicyDocument: trust,
		Policies: []any{&awsiam.CfnRole_PolicyProperty{PolicyName: text("own"), PolicyDocument: document(statements)}},
	})
	reasons := map[string]any{}
	for _, st := range statements {
		if st.why != "" {
			reasons[st.sid] = st.why
		}
	}
	if len(reasons) > 0 {
		role.CfnOptions().SetMetadata(&map[string]any{"WhyEverything": reasons})
	}
	return role
}

// tasksMayAssume is the trust of a role for ECS tasks of this account, and not of a stranger's who knows its name.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
func (s Settings) tasksMayAssume() map[string]any {
	return map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"Service": "ecs-tasks.amazonaws.com"},
		"Condition": map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": s.Account},
			"ArnLike":      map[string]any{"aws:SourceArn": s.arn("ecs", "*")},
		},
	}}}
}

// workflowsMayAssume is the trust of a role for GitHub's workflows: of one repository, and of what claim says of the run.
// https://docs.github.com/en/actions/reference/security/oidc
func (s Settings) workflowsMayAssume(claim string) map[string]any {
	host := strings.TrimPrefix(githubIssuer, "https://")
	return map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
		"Principal": map[string]any{"Federated": "arn:aws:iam::" + s.Account + ":oidc-provider/" + host},
		"Condition": map[string]any{"StringEquals": map[string]any{
			host + ":aud": "sts.amazonaws.com",
			host + ":sub": "repo:" + s.repository() + ":" + claim,
		}},
	}}}
}

// repository is how the subject of GitHub's tokens names it. With ids the form without them is not trusted as well: whoever is given the
// name after this repository could be given tokens of that form.
func (s Settings) repository() string {
	if s.GitHubIDs == (GitHubIDs{}) {
		return s.GitHub
	}
	owner, name, _ := strings.Cut(s.GitHub, "/")
	return fmt.Sprintf("%s@%d/%s@%d", owner, s.GitHubIDs.Owner, name, s.GitHubIDs.Repository)
}
