// Deploys with the AWS SDK for JavaScript v3 against AWS_ENDPOINT_URL, and fails where anything is not as AWS has it.
import assert from "node:assert/strict";
import { CloudWatchClient, DescribeAlarmsCommand, paginateDescribeAlarms, PutCompositeAlarmCommand, PutMetricAlarmCommand, waitUntilCompositeAlarmExists } from "@aws-sdk/client-cloudwatch";
import { CreateRepositoryCommand, ECRClient, paginateListImages, PutImageCommand } from "@aws-sdk/client-ecr";
import {
  CreateClusterCommand, CreateServiceCommand, DeleteClusterCommand, DeleteServiceCommand, ECSClient, paginateListServices, paginateListTasks,
  paginateListTaskDefinitions, RegisterTaskDefinitionCommand, RunTaskCommand, StopTaskCommand, UpdateServiceCommand, waitUntilServicesInactive,
  waitUntilServicesStable, waitUntilTasksRunning, waitUntilTasksStopped,
} from "@aws-sdk/client-ecs";
import {
  CreateListenerCommand, CreateLoadBalancerCommand, CreateRuleCommand, CreateTargetGroupCommand, ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand, paginateDescribeRules, waitUntilLoadBalancerAvailable, waitUntilTargetInService,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import { CreateSecretCommand, GetSecretValueCommand, paginateListSecrets, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { CreateQueueCommand, GetQueueAttributesCommand, paginateListQueues, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";

// A queue's URL names AWS's host; only an endpoint that is set in code keeps the SDK from following it.
const ecs = new ECSClient(), elb = new ElasticLoadBalancingV2Client(), sqs = new SQSClient({ endpoint: process.env.AWS_ENDPOINT_URL }), watch = new CloudWatchClient();
const patient = { client: ecs, maxWaitTime: 60, minDelay: 1, maxDelay: 2 };

// gather is the entries of all pages.
async function gather(pages, member) {
  const all = [];
  for await (const page of pages) all.push(...(page[member] ?? []));
  return all;
}

await ecs.send(new CreateClusterCommand({ clusterName: "c" }));
for (let i = 0; i < 3; i++) {
  await ecs.send(new RegisterTaskDefinitionCommand({
    family: "f", networkMode: "awsvpc", requiresCompatibilities: ["FARGATE"], cpu: "256", memory: "512",
    containerDefinitions: [{ name: "app", image: "public.ecr.aws/docker/library/busybox:1", essential: true, portMappings: [{ containerPort: 8080 }] }],
  }));
}
const group = (await elb.send(new CreateTargetGroupCommand({ Name: "g", Port: 8080, Protocol: "HTTP", TargetType: "ip", VpcId: "vpc-00000000" }))).TargetGroups[0].TargetGroupArn;
const balancer = (await elb.send(new CreateLoadBalancerCommand({ Name: "front", Subnets: ["subnet-0a"] }))).LoadBalancers[0].LoadBalancerArn;
await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: group, Attributes: [{ Key: "deregistration_delay.timeout_seconds", Value: "0" }] }));
assert.equal((await waitUntilLoadBalancerAvailable({ ...patient, client: elb }, { LoadBalancerArns: [balancer] })).state, "SUCCESS");
const forward = [{ Type: "forward", TargetGroupArn: group }];
const listener = (await elb.send(new CreateListenerCommand({ LoadBalancerArn: balancer, Port: 80, Protocol: "HTTP", DefaultActions: forward }))).Listeners[0].ListenerArn;
await elb.send(new CreateRuleCommand({ ListenerArn: listener, Priority: 5, Conditions: [{ Field: "path-pattern", PathPatternConfig: { Values: ["/api/*"] } }], Actions: forward }));
assert.deepEqual((await gather(paginateDescribeRules({ client: elb, pageSize: 1 }, { ListenerArn: listener }), "Rules")).map((r) => r.Priority), ["5", "default"]);
const networkConfiguration = { awsvpcConfiguration: { subnets: ["subnet-0a"], securityGroups: ["sg-0a"] } };

const queue = (await sqs.send(new CreateQueueCommand({ QueueName: "q" }))).QueueUrl;
const queueArn = (await sqs.send(new GetQueueAttributesCommand({ QueueUrl: queue, AttributeNames: ["QueueArn"] }))).Attributes.QueueArn;
const events = new EventBridgeClient();
await events.send(new PutRuleCommand({ Name: "r", EventPattern: JSON.stringify({ source: ["aws.ecs"] }) }));
await events.send(new PutTargetsCommand({ Rule: "r", Targets: [{ Id: "1", Arn: queueArn }] }));

await ecs.send(new CreateServiceCommand({
  cluster: "c", serviceName: "s", taskDefinition: "f", desiredCount: 2, launchType: "FARGATE", networkConfiguration,
  loadBalancers: [{ targetGroupArn: group, containerName: "app", containerPort: 8080 }],
}));
assert.equal((await waitUntilServicesStable(patient, { cluster: "c", services: ["s"] })).state, "SUCCESS");
assert.equal((await waitUntilTargetInService({ ...patient, client: elb }, { TargetGroupArn: group })).state, "SUCCESS");

assert.equal((await gather(paginateListTasks({ client: ecs, pageSize: 1 }, { cluster: "c" }), "taskArns")).length, 2);
assert.equal((await gather(paginateListTaskDefinitions({ client: ecs, pageSize: 1 }, { familyPrefix: "f" }), "taskDefinitionArns")).length, 3);
assert.equal((await gather(paginateListServices({ client: ecs, pageSize: 1 }, { cluster: "c" }), "serviceArns")).length, 1);

const run = (await ecs.send(new RunTaskCommand({ cluster: "c", taskDefinition: "f", launchType: "FARGATE", networkConfiguration }))).tasks[0].taskArn;
assert.equal((await waitUntilTasksRunning(patient, { cluster: "c", tasks: [run] })).state, "SUCCESS");
await ecs.send(new StopTaskCommand({ cluster: "c", task: run, reason: "test" }));
assert.equal((await waitUntilTasksStopped(patient, { cluster: "c", tasks: [run] })).state, "SUCCESS");

await watch.send(new PutMetricAlarmCommand({ AlarmName: "a", MetricName: "m", Namespace: "n", Statistic: "Sum", Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: "GreaterThanThreshold" }));
const alarm = (await watch.send(new DescribeAlarmsCommand({ AlarmNames: ["a"] }))).MetricAlarms[0];
assert.equal(alarm.StateValue, "INSUFFICIENT_DATA");
assert.ok(alarm.StateUpdatedTimestamp instanceof Date);
await watch.send(new PutCompositeAlarmCommand({ AlarmName: "any", AlarmRule: 'ALARM("a")' }));
assert.equal((await waitUntilCompositeAlarmExists({ ...patient, client: watch }, { AlarmNames: ["any"], AlarmTypes: ["CompositeAlarm"] })).state, "SUCCESS");
assert.equal((await gather(paginateDescribeAlarms({ client: watch, pageSize: 1 }, {}), "MetricAlarms")).length, 1);

await sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: "hello" })); // the SDK checks its MD5
assert.equal((await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue, WaitTimeSeconds: 1 }))).Messages[0].Body, "hello");
await assert.rejects(sqs.send(new SendMessageCommand({ QueueUrl: queue + "none", MessageBody: "x" })), { name: "QueueDoesNotExist" });
for (const name of ["q2", "q3"]) await sqs.send(new CreateQueueCommand({ QueueName: name }));
assert.equal((await gather(paginateListQueues({ client: sqs, pageSize: 2 }, { QueueNamePrefix: "q" }), "QueueUrls")).length, 3);

const ecr = new ECRClient();
await ecr.send(new CreateRepositoryCommand({ repositoryName: "orders" }));
for (const tag of ["v1", "v2", "v3"]) {
  await ecr.send(new PutImageCommand({ repositoryName: "orders", imageTag: tag, imageManifest: JSON.stringify({ schemaVersion: 2, annotations: { tag } }) }));
}
assert.equal((await gather(paginateListImages({ client: ecr, pageSize: 1 }, { repositoryName: "orders" }), "imageIds")).length, 3);
const secrets = new SecretsManagerClient();
await secrets.send(new CreateSecretCommand({ Name: "x", SecretString: "y" }));
await secrets.send(new CreateSecretCommand({ Name: "x2", SecretString: "y" }));
assert.equal((await gather(paginateListSecrets({ client: secrets, pageSize: 1 }, {}), "SecretList")).length, 2);
await assert.rejects(secrets.send(new CreateSecretCommand({})), { name: "InvalidParameterException" }); // this SDK checks nothing before it sends
assert.equal((await secrets.send(new GetSecretValueCommand({ SecretId: "x" }))).SecretString, "y");
await assert.rejects(ecs.send(new UpdateServiceCommand({ cluster: "c", service: "none" })), { name: "ServiceNotFoundException" });

await ecs.send(new UpdateServiceCommand({ cluster: "c", service: "s", desiredCount: 0 }));
assert.equal((await waitUntilServicesStable(patient, { cluster: "c", services: ["s"] })).state, "SUCCESS");
await ecs.send(new DeleteServiceCommand({ cluster: "c", service: "s" }));
assert.equal((await waitUntilServicesInactive(patient, { cluster: "c", services: ["s"] })).state, "SUCCESS");
await ecs.send(new DeleteClusterCommand({ cluster: "c" }));
