package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	elb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// buildMain makes everything but the base.
func buildMain(stack awscdk.Stack, s Settings) {
	n := newNetwork(stack, s)
	d := newDatabase(stack, s, n)
	q := newQueues(stack, s)
	awsecs.NewCfnCluster(stack, text("Cluster"), &awsecs.CfnClusterProps{
		ClusterName: text(s.stackName()), CapacityProviders: &[]any{"FARGATE", "FARGATE_SPOT"},
		ClusterSettings: []any{&awsecs.CfnCluster_ClusterSettingsProperty{Name: text("containerInsights"), Value: text("enabled")}},
	})
	f := newFront(stack, s, n)
	newTemplate(stack, s, d, q)
	nothing := newService(stack, s, n, f)
	c := newController(stack, s, n)
	newAlarms(stack, s, q, f, nothing)
	newEvents(stack, s)

	output(stack, "RepoUri", s.repositoryURI(workerRepository), "The worker's images")
	output(stack, "ClusterName", s.stackName(), "Where the service runs")
	output(stack, "ServiceName", service, "The service, and the family of its revisions")
	output(stack, "AppSubnetIds", *awscdk.Fn_Join(text(","), n.ids(n.apps)), "Subnets of tasks, migrations too")
	output(stack, "EcsSecurityGroupId", *n.appTasks.SecurityGroupId(), "Security group of tasks, migrations too")
	output(stack, "TaskTemplate", s.templateFamily(), "Task definition that no service runs; its newest revision counts")
	output(stack, "MigrationTaskRoleArn", s.role("migration"), "Role of migrations' tasks, in place of the template's")
	output(stack, "TaskDefinitionParameter", s.parameter(), "Kept by the controller at the last good revision")
	output(stack, "Endpoint", *f.balancer.AttrDnsName(), "Where orders are taken")
	output(stack, "OrdersQueueUrl", *q.orders.QueueUrl(), "Where orders come from")
	output(stack, "ControllerEndpoint", *c.balancer.AttrDnsName(), "What "+s.Controller.Host+" must lead to, from inside")
	output(stack, "LedgerTable", s.named("ledger"), "What the controller remembers")
	output(stack, "BootstrapTask", s.named("bootstrap"), "Task definition that makes the database's first user; run once")
}

// queues are the orders to be processed, and those that could not be.
type queues struct{ orders, dead awssqs.Queue }

// fifo is how the names of such queues end, those of its dead letters too: "The dead-letter queue of a FIFO queue must also be a
// FIFO queue", https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
const fifo = ".fifo"

// newQueues makes both FIFO: events of a school, its message group, are worked on in their order. The worker names each event
// itself; the content does for whoever sends without a name, as the kitchen's tools may.
func newQueues(stack awscdk.Stack, s Settings) queues {
	dead := awssqs.NewQueue(stack, text("DeadLetters"), &awssqs.QueueProps{
		QueueName: text(s.named("dead-letters") + fifo), Fifo: jsii.Bool(true), RetentionPeriod: awscdk.Duration_Days(number(14)), EnforceSSL: jsii.Bool(true), Encryption: awssqs.QueueEncryption_SQS_MANAGED,
	})
	return queues{dead: dead, orders: awssqs.NewQueue(stack, text("Orders"), &awssqs.QueueProps{
		QueueName: text(s.named("orders") + fifo), Fifo: jsii.Bool(true), ContentBasedDeduplication: jsii.Bool(true), RetentionPeriod: awscdk.Duration_Days(number(4)), EnforceSSL: jsii.Bool(true), Encryption: awssqs.QueueEncryption_SQS_MANAGED,
		VisibilityTimeout: awscdk.Duration_Seconds(number(s.Queue.VisibilitySeconds)), ReceiveMessageWaitTime: awscdk.Duration_Seconds(number(20)),
		DeadLetterQueue: &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: number(s.Queue.Attempts)},
	})}
}

// front is what the world reaches.
type front struct {
	balancer elb.CfnLoadBalancer
	targets  elb.CfnTargetGroup
	rule     elb.CfnListenerRule
}

// newFront makes the load balancer and the target group of the service. Only /orders is forwarded: health and metrics are not
// for the public.
func newFront(stack awscdk.Stack, s Settings, n network) front {
	f := front{
		balancer: newBalancer(stack, "Front", s.stackName(), "internet-facing", n.ids(n.public), n.front.SecurityGroupId()),
		targets:  newTargets(stack, "Targets", s.stackName(), "/health", n),
	}
	f.balancer.Node().AddDependency(n.vpc.InternetConnectivityEstablished())
	elb.NewCfnListener(stack, text("FrontRedirect"), &elb.CfnListenerProps{
		LoadBalancerArn: f.balancer.Ref(), Port: number(80), Protocol: text("HTTP"),
		DefaultActions: []any{&elb.CfnListener_ActionProperty{Type: text("redirect"), RedirectConfig: &elb.CfnListener_RedirectConfigProperty{
			StatusCode: text("HTTP_301"), Protocol: text("HTTPS"), Port: text("443"),
		}}},
	})
	listener := newSecureListener(stack, s, "FrontListener", f.balancer, &elb.CfnListener_ActionProperty{
		Type: text("fixed-response"), FixedResponseConfig: &elb.CfnListener_FixedResponseConfigProperty{StatusCode: text("404"), ContentType: text("text/plain"), MessageBody: text("not found")},
	})
	f.rule = elb.NewCfnListenerRule(stack, text("FrontRule"), &elb.CfnListenerRuleProps{
		ListenerArn: listener.Ref(), Priority: number(10),
		Conditions: []any{&elb.CfnListenerRule_RuleConditionProperty{
			Field: text("path-pattern"), PathPatternConfig: &elb.CfnListenerRule_PathPatternConfigProperty{Values: texts("/orders", "/orders/*")},
		}},
		Actions: []any{&elb.CfnListenerRule_ActionProperty{Type: text("forward"), TargetGroupArn: f.targets.Ref()}},
	})
	return f
}

func newBalancer(stack awscdk.Stack, id, name, scheme string, subnets *[]*string, group *string) elb.CfnLoadBalancer {
	attribute := func(key, value string) *elb.CfnLoadBalancer_LoadBalancerAttributeProperty {
		return &elb.CfnLoadBalancer_LoadBalancerAttributeProperty{Key: &key, Value: &value}
	}
	return elb.NewCfnLoadBalancer(stack, &id, &elb.CfnLoadBalancerProps{
		Name: &name, Type: text("application"), Scheme: &scheme, Subnets: anys(subnets), SecurityGroups: &[]any{group},
		LoadBalancerAttributes: []any{attribute("routing.http.drop_invalid_header_fields.enabled", "true"), attribute("routing.http.desync_mitigation_mode", "defensive")},
	})
}

// newTargets makes a target group of tasks. Two checks of 10 s each turn a target, and ECS replaces a task whose target is unhealthy: so what
// the path answers must outlast a failover of the database by itself (docs/decisions/023). A task that ends gets its requests done within 30 s.
func newTargets(stack awscdk.Stack, id, name, path string, n network) elb.CfnTargetGroup {
	return elb.NewCfnTargetGroup(stack, &id, &elb.CfnTargetGroupProps{
		Name: &name, Port: number(port), Protocol: text("HTTP"), TargetType: text("ip"), VpcId: n.vpc.VpcId(),
		HealthCheckPath: &path, HealthCheckProtocol: text("HTTP"), HealthCheckIntervalSeconds: number(10), HealthCheckTimeoutSeconds: number(5),
		HealthyThresholdCount: number(2), UnhealthyThresholdCount: number(2), Matcher: &elb.CfnTargetGroup_MatcherProperty{HttpCode: text("200")},
		TargetGroupAttributes: []any{&elb.CfnTargetGroup_TargetGroupAttributeProperty{Key: text("deregistration_delay.timeout_seconds"), Value: text("30")}},
	})
}

func newSecureListener(stack awscdk.Stack, s Settings, id string, balancer elb.CfnLoadBalancer, actions ...any) elb.CfnListener {
	return elb.NewCfnListener(stack, &id, &elb.CfnListenerProps{
		LoadBalancerArn: balancer.Ref(), Port: number(443), Protocol: text("HTTPS"), SslPolicy: text("ELBSecurityPolicy-TLS13-1-2-2021-06"),
		Certificates: []any{&elb.CfnListener_CertificateProperty{CertificateArn: &s.Certificate}}, DefaultActions: actions,
	})
}

// newTemplate makes the task definition that no service runs. The controller puts image, env and secrets of git's onto it
// and registers the result in the service's family; everything else about a task is here.
func newTemplate(stack awscdk.Stack, s Settings, d database, q queues) {
	newLogGroup(stack, s, "Logs", "")
	secret, ddl := *d.app.SecretArn(), *d.owner.SecretArn()
	// Secrets are read by the role that starts the task, before the program runs: the task's own role cannot read any.
	newRole(stack, "ExecutionRole", s.named("execution"), "Starts the tasks of the service: image, logs and the secrets that are named here", s.tasksMayAssume(), append(append(s.pull(workerRepository),
		s.writeLogs(s.logGroup("")),
		s.readSecrets(secret, s.readAuthorities()),
	), s.readParameters()...))
	newRole(stack, "TaskRole", s.named("task"), "What the service itself calls", s.tasksMayAssume(), []statement{
		// Batches are authorized as what is in them.
		{sid: "TakeOrders", actions: []string{"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"}, resources: []string{*q.orders.QueueArn()}},
		// It finds the dead letters by the orders' redrive policy, and moves a FIFO queue's poison there itself.
		{sid: "BuryPoison", actions: []string{"sqs:SendMessage", "sqs:GetQueueUrl"}, resources: []string{*q.dead.QueueArn()}},
	})
	// What is in the definition every task has. So the owner's password is not: the controller starts migrations with this role, and
	// the program reads it.
	newRole(stack, "MigrationRole", s.named("migration"), "What the tasks of migrations call, in place of the service's role", s.tasksMayAssume(), []statement{
		{sid: "ReadOwner", actions: []string{"secretsmanager:GetSecretValue"}, resources: []string{ddl}},
	})
	template := awsecs.NewCfnTaskDefinition(stack, text("Template"), &awsecs.CfnTaskDefinitionProps{
		Family: text(s.templateFamily()), RequiresCompatibilities: texts("FARGATE"), NetworkMode: text("awsvpc"),
		Cpu: text(fmt.Sprint(s.Template.Cpu)), Memory: text(fmt.Sprint(s.Template.Memory)),
		ExecutionRoleArn: text(s.role("execution")), TaskRoleArn: text(s.role("task")),
		RuntimePlatform: &awsecs.CfnTaskDefinition_RuntimePlatformProperty{CpuArchitecture: text("X86_64"), OperatingSystemFamily: text("LINUX")},
		ContainerDefinitions: []any{&awsecs.CfnTaskDefinition_ContainerDefinitionProperty{
			Name: text(container), Image: text(s.repositoryURI(workerRepository) + ":template"), // nobody starts it: git names the image
			Essential: true, Command: texts("/worker", "serve"), StopTimeout: number(30), ReadonlyRootFilesystem: true,
			PortMappings: []any{&awsecs.CfnTaskDefinition_PortMappingProperty{ContainerPort: number(port), Protocol: text("tcp")}},
			// Whether it lives, and nothing of the database: ECS kills for it.
			HealthCheck: &awsecs.CfnTaskDefinition_HealthCheckProperty{
				Command: texts("CMD", "/worker", "health"), Interval: number(10), Timeout: number(5), Retries: number(3), StartPeriod: number(30),
			},
			Environment: []any{
				variable("DB_HOST", *d.instance.DbInstanceEndpointAddress()), variable("DB_NAME", databaseName), variable("DB_PORT", fmt.Sprint(databasePort)),
				variable("DB_SSLMODE", "verify-full"),
				// The two users of the rotation take turns: what migrations make is for the first, which the other one is a member of.
				variable("MIGRATE_GRANT_TO", appUser), variable("MIGRATE_DB_SECRET", ddl),
				variable("QUEUE_URL", *q.orders.QueueUrl()),
			},
			// User and password change together, so that both come from one reading of the secret.
			Secrets: []any{
				secretText("DB_USER", secret+":username::"), secretText("DB_PASSWORD", secret+":password::"),
				secretText("DB_CA", s.authorities()),
			},
			LogConfiguration: s.logsTo("", service),
		}},
	})
	after(stack, template, "ExecutionRole", "TaskRole")
}

// readSecrets is what the tasks' secrets take: the database's, and those that the settings name.
func (s Settings) readSecrets(database ...string) statement {
	st := statement{sid: "ReadSecrets", actions: []string{"secretsmanager:GetSecretValue"}, resources: database}
	for _, name := range s.Template.Secrets {
		st.resources = append(st.resources, s.arn("secretsmanager", "secret:"+s.secret(name)+"-??????"))
	}
	return st
}

// readParameters is the same for parameters; none where the settings name none.
func (s Settings) readParameters() []statement {
	st := statement{sid: "ReadParameters", actions: []string{"ssm:GetParameters"}}
	for _, name := range s.Template.Parameters {
		st.resources = append(st.resources, s.arn("ssm", "parameter/"+s.secret(name)))
	}
	if len(st.resources) == 0 {
		return nil
	}
	return []statement{st}
}

// newService makes the ECS service. CloudFormation sends a service's whole resource again whenever anything in it changes, so
// there is nothing in it that somebody else changes: the task definition is what the controller's parameter says, the count is
// 0 until a first revision was good and left out ever after, deployment configuration and circuit breaker go with each of the
// controller's rolls.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecs-service.html
//
// The condition that it answers holds until a first revision was good.
func newService(stack awscdk.Stack, s Settings, n network, f front) awscdk.CfnCondition {
	last := awscdk.NewCfnParameter(stack, text("LastGood"), &awscdk.CfnParameterProps{
		Type: text("AWS::SSM::Parameter::Value<String>"), Default: text(s.parameter()),
		Description: text("The last good revision, as the controller keeps it; the template's family until there is one"),
	})
	nothing := awscdk.NewCfnCondition(stack, text("NothingWasGoodYet"), &awscdk.CfnConditionProps{
		Expression: awscdk.Fn_ConditionEquals(last.ValueAsString(), text(s.templateFamily())),
	})
	made := awsecs.NewCfnService(stack, text("Service"), &awsecs.CfnServiceProps{
		Cluster: text(s.stackName()), ServiceName: text(service), LaunchType: text("FARGATE"), PlatformVersion: text("LATEST"),
		TaskDefinition: text("{{resolve:ssm:" + s.parameter() + "}}"),
		NetworkConfiguration: &awsecs.CfnService_NetworkConfigurationProperty{AwsvpcConfiguration: &awsecs.CfnService_AwsVpcConfigurationProperty{
			Subnets: n.ids(n.apps), SecurityGroups: &[]*string{n.appTasks.SecurityGroupId()}, AssignPublicIp: text("DISABLED"),
		}},
		LoadBalancers:                 []any{&awsecs.CfnService_LoadBalancerProperty{ContainerName: text(container), ContainerPort: number(port), TargetGroupArn: f.targets.Ref()}},
		HealthCheckGracePeriodSeconds: number(60), EnableEcsManagedTags: true,
	})
	made.AddPropertyOverride(text("DesiredCount"), map[string]any{"Fn::If": []any{*nothing.LogicalId(), 0, map[string]any{"Ref": "AWS::NoValue"}}})
	after(stack, made, "Cluster", "FrontRule", "Template")
	return nothing
}

// anys are the same texts as a list of anything.
func anys(list *[]*string) *[]any {
	var out []any
	for _, one := range *list {
		out = append(out, one)
	}
	return &out
}
