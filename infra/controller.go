package main

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
)

// controllerParts are what others refer to.
type controllerParts struct{ balancer elb.CfnLoadBalancer }

// newController makes the controller's own service: one task, stopped before the next one starts. It is rolled by these stacks
// and never by itself, so that a broken controller can be replaced.
func newController(stack awscdk.Stack, s Settings, n network) controllerParts {
	s.newLedger(stack)
	newLogGroup(stack, s, "ControllerLogs", "controller")
	token := s.arn("secretsmanager", "secret:"+s.secret("git-token"))
	newRole(stack, "ControllerExecutionRole", s.named("controller-execution"), "Starts the controller: image, logs and its token for git", s.tasksMayAssume(), append(s.pull(controllerRepository),
		s.writeLogs(s.logGroup("controller")),
		// Made by hand, before this stack: the six characters at the end of its ARN are unknown here.
		statement{sid: "ReadToken", actions: []string{"secretsmanager:GetSecretValue"}, resources: []string{token + "-??????"}},
	))
	newRole(stack, "ControllerRole", s.named("controller"), "The controller: looks at and changes the service of this stack", s.tasksMayAssume(), s.controllerPolicy())
	definition := s.newControllerTask(stack, token)
	balancer, targets := s.newGate(stack, n)
	made := awsecs.NewCfnService(stack, text("ControllerService"), &awsecs.CfnServiceProps{
		Cluster: text(s.stackName()), ServiceName: text("controller"), LaunchType: text("FARGATE"), TaskDefinition: definition.Ref(), DesiredCount: number(1),
		DeploymentConfiguration: &awsecs.CfnService_DeploymentConfigurationProperty{
			// One at a time. Two would do no harm, since a lease lets one of them act, but the second has nothing to do.
			MinimumHealthyPercent: number(0), MaximumPercent: number(100),
			DeploymentCircuitBreaker: &awsecs.CfnService_DeploymentCircuitBreakerProperty{Enable: true, Rollback: true},
		},
		NetworkConfiguration: &awsecs.CfnService_NetworkConfigurationProperty{AwsvpcConfiguration: &awsecs.CfnService_AwsVpcConfigurationProperty{
			Subnets: n.ids(n.controllers), SecurityGroups: &[]*string{n.controllerTasks.SecurityGroupId()}, AssignPublicIp: text("DISABLED"),
		}},
		LoadBalancers:                 []any{&awsecs.CfnService_LoadBalancerProperty{ContainerName: text("controller"), ContainerPort: number(port), TargetGroupArn: targets.Ref()}},
		HealthCheckGracePeriodSeconds: number(60), EnableEcsManagedTags: true,
	})
	after(stack, definition, "ControllerExecutionRole", "ControllerRole")
	after(stack, made, "Cluster", "GateListener", "Ledger")
	return controllerParts{balancer: balancer}
}

// newLedger makes the table of the controller's memory. Read is by keys, so there is one price: what is asked.
func (s Settings) newLedger(stack awscdk.Stack) {
	awsdynamodb.NewCfnTable(stack, text("Ledger"), &awsdynamodb.CfnTableProps{
		TableName: text(s.named("ledger")), BillingMode: text("PAY_PER_REQUEST"),
		KeySchema: []any{
			&awsdynamodb.CfnTable_KeySchemaProperty{AttributeName: text("pk"), KeyType: text("HASH")},
			&awsdynamodb.CfnTable_KeySchemaProperty{AttributeName: text("sk"), KeyType: text("RANGE")},
		},
		AttributeDefinitions: []any{
			&awsdynamodb.CfnTable_AttributeDefinitionProperty{AttributeName: text("pk"), AttributeType: text("S")},
			&awsdynamodb.CfnTable_AttributeDefinitionProperty{AttributeName: text("sk"), AttributeType: text("S")},
		},
		TimeToLiveSpecification:          &awsdynamodb.CfnTable_TimeToLiveSpecificationProperty{AttributeName: text("expires"), Enabled: true},
		PointInTimeRecoverySpecification: &awsdynamodb.CfnTable_PointInTimeRecoverySpecificationProperty{PointInTimeRecoveryEnabled: true},
		SseSpecification:                 &awsdynamodb.CfnTable_SSESpecificationProperty{SseEnabled: true},
		DeletionProtectionEnabled:        &s.Database.DeletionProtection,
	}).ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
}

// newControllerTask says how the controller is run.
func (s Settings) newControllerTask(stack awscdk.Stack, token string) awsecs.CfnTaskDefinition {
	image := s.repositoryURI(controllerRepository) + ":" + s.Controller.Image
	if strings.HasPrefix(s.Controller.Image, "sha256:") {
		image = s.repositoryURI(controllerRepository) + "@" + s.Controller.Image
	}
	return awsecs.NewCfnTaskDefinition(stack, text("ControllerTask"), &awsecs.CfnTaskDefinitionProps{
		Family: text(s.named("controller")), RequiresCompatibilities: texts("FARGATE"), NetworkMode: text("awsvpc"),
		Cpu: text(fmt.Sprint(s.Controller.Cpu)), Memory: text(fmt.Sprint(s.Controller.Memory)),
		ExecutionRoleArn: text(s.role("controller-execution")), TaskRoleArn: text(s.role("controller")),
		RuntimePlatform: &awsecs.CfnTaskDefinition_RuntimePlatformProperty{CpuArchitecture: text("X86_64"), OperatingSystemFamily: text("LINUX")},
		ContainerDefinitions: []any{&awsecs.CfnTaskDefinition_ContainerDefinitionProperty{
			Name: text("controller"), Image: &image, Essential: true, ReadonlyRootFilesystem: true, StopTimeout: number(30),
			Command: texts(s.controllerArgs()...),
			HealthCheck: &awsecs.CfnTaskDefinition_HealthCheckProperty{
				Command: texts("CMD", "/controller", "health"), Interval: number(30), Timeout: number(5), Retries: number(3), StartPeriod: number(30),
			},
			PortMappings:     []any{&awsecs.CfnTaskDefinition_PortMappingProperty{ContainerPort: number(port), Protocol: text("tcp")}},
			Environment:      s.controllerVariables(),
			Secrets:          []any{&awsecs.CfnTaskDefinition_SecretProperty{Name: text("GIT_TOKEN"), ValueFrom: &token}},
			LogConfiguration: s.logsTo("controller", "controller"),
		}},
	})
}

// controllerArgs are how the controller is called. It tells GitHub with the token that it reads git with, where that may write.
func (s Settings) controllerArgs() []string {
	args := []string{"run", "--env", s.Folder, "--source", s.Source, "--branch", s.Branch, "--git-token-env", "GIT_TOKEN",
		"--ledger", "dynamodb:" + s.named("ledger"), "--events", s.eventsURL(), "--listen", fmt.Sprintf("0.0.0.0:%d", port)}
	if s.Controller.Tells {
		args = append(args, "--github-token-env", "GIT_TOKEN", "--page-url", "https://"+s.Controller.Host)
	}
	if s.Controller.Notify != nil {
		args = append(args, "--notify", "env:"+notifyVariable)
	}
	if s.Controller.Otlp != "" {
		args = append(args, "--otlp", s.Controller.Otlp)
	}
	return args
}

// notifyVariable has who is told of what: the task has no file system of its own to put a file in.
const notifyVariable = "DEPLOY_NOTIFY"

func (s Settings) controllerVariables() []any {
	out := []any{variable("AWS_REGION", s.Region)}
	if s.Controller.Notify != nil {
		out = append(out, variable(notifyVariable, s.Controller.Notify.argument()))
	}
	return out
}

// newGate makes what people reach the controller's page by: from inside the network, and after a login. The page itself asks
// nobody, and shows nothing that could be pressed.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
func (s Settings) newGate(stack awscdk.Stack, n network) (elb.CfnLoadBalancer, elb.CfnTargetGroup) {
	balancer := newBalancer(stack, "Gate", s.named("deploy"), "internal", n.ids(n.controllers), n.gate.SecurityGroupId())
	targets := newTargets(stack, "ControllerTargets", s.named("deploy"), "/healthz", n)
	o := s.Controller.Oidc
	newSecureListener(stack, s, "GateListener", balancer,
		&elb.CfnListener_ActionProperty{Type: text("authenticate-oidc"), Order: number(1), AuthenticateOidcConfig: &elb.CfnListener_AuthenticateOidcConfigProperty{
			Issuer: &o.Issuer, AuthorizationEndpoint: &o.Authorization, TokenEndpoint: &o.Token, UserInfoEndpoint: &o.UserInfo, ClientId: &o.ClientID,
			ClientSecret:             text("{{resolve:secretsmanager:" + s.secret("oidc") + ":SecretString:client_secret}}"),
			OnUnauthenticatedRequest: text("authenticate"), Scope: text("openid email"), SessionTimeout: text("28800"),
		}},
		&elb.CfnListener_ActionProperty{Type: text("forward"), Order: number(2), TargetGroupArn: targets.Ref()},
	)
	return balancer, targets
}

// eventsURL is the queue's, by its name: so the task definition does not wait for the queue.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
func (s Settings) eventsURL() string {
	return fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", s.Region, s.Account, s.named("events"))
}

// newEvents brings what ECS tells of the cluster, and CloudWatch of the stack's alarms, into a queue. Messages are hints that
// something is worth a look, but for the end of a migration's task, which nobody else tells an hour later: they stay as long as SQS
// keeps any. There are no dead letters, since the controller deletes what it cannot read, and keeps what it needs.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html
func newEvents(stack awscdk.Stack, s Settings) {
	events := awssqs.NewQueue(stack, text("Events"), &awssqs.QueueProps{
		QueueName: text(s.named("events")), RetentionPeriod: awscdk.Duration_Days(number(14)), VisibilityTimeout: awscdk.Duration_Seconds(number(30)),
		ReceiveMessageWaitTime: awscdk.Duration_Seconds(number(20)), Encryption: awssqs.QueueEncryption_SQS_MANAGED,
	})
	rule := awsevents.NewCfnRule(stack, text("EventsRule"), &awsevents.CfnRuleProps{
		Name: text(s.named("events")), Description: text("What ECS tells of this cluster and CloudWatch of its alarms, for the controller"), State: text("ENABLED"),
		EventPattern: map[string]any{
			"source":      []string{"aws.ecs", "aws.cloudwatch"},
			"detail-type": []string{"ECS Task State Change", "ECS Deployment State Change", "ECS Service Action", "CloudWatch Alarm State Change"},
			"account":     []string{s.Account},
			// A task's event names the cluster in its detail, a service's only in its resources, as an alarm's names the alarm.
			"$or": []any{
				map[string]any{"detail": map[string]any{"clusterArn": []string{s.arn("ecs", "cluster/"+s.stackName())}}},
				map[string]any{"resources": []any{map[string]any{"prefix": s.arn("ecs", "service/"+s.stackName()+"/")}}},
				map[string]any{"resources": []any{map[string]any{"prefix": s.arn("cloudwatch", "alarm:"+s.named(""))}}},
			},
		},
		Targets: []any{&awsevents.CfnRule_TargetProperty{Id: text("queue"), Arn: events.QueueArn()}},
	})
	awssqs.NewCfnQueuePolicy(stack, text("EventsPolicy"), &awssqs.CfnQueuePolicyProps{
		Queues: &[]*string{events.QueueUrl()},
		PolicyDocument: map[string]any{"Version": "2012-10-17", "Statement": []any{
			map[string]any{"Sid": "Rule", "Effect": "Allow", "Principal": map[string]any{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": *events.QueueArn(),
				"Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": *rule.AttrArn()}}},
			map[string]any{"Sid": "Encrypted", "Effect": "Deny", "Principal": map[string]any{"AWS": "*"}, "Action": "sqs:*", "Resource": *events.QueueArn(),
				"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}}},
		}},
	})
	output(stack, "EventsQueueUrl", *events.QueueUrl(), "What ECS tells of this cluster")
}
