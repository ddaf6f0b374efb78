// Deploys with the AWS SDK for JavaScript v3 against AWS_ENDPOINT_URL, and fails where anything is not as AWS has it.
import assert from "node:assert/strict";
import { CloudWatchClient, DescribeAlarmsCommand, PutMetricAlarmCommand } from "@aws-sdk/client-cloudwatch";
import { CreateRepositoryCommand, ECRClient } from "@aws-sdk/client-ecr";
import {
  CreateClusterCommand, CreateServiceCommand, ECSClient, paginateListTasks, paginateListTaskDefinitions, RegisterTaskDefinitionCommand,
  RunTaskCommand, StopTaskCommand, UpdateServiceCommand, waitUntilServicesStable, waitUntilTasksStopped,
} from "@aws-sdk/client-ecs";
import {
  CreateListenerCommand, CreateLoadBalancerCommand, CreateTargetGroupCommand, ElasticLoadBalancingV2Client, waitUntilTargetInService,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from "@aws-sdk/client-eventbridge";
import { CreateSecretCommand, GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";

// A queue's URL names AWS's host; only an endpoint that is set in code keeps the SDK from following it.
const ecs = new ECSClient(), elb = new ElasticLoadBalancingV2Client(), sqs = new SQSClient({ endpoint: process.env.AWS_ENDPOINT_URL }), watch = new CloudWatchClient();
const patient = { client: ecs, maxWaitTime: 60, minDelay: 1, maxDelay: 2 };

await ecs.send(new CreateClusterCommand({ clusterName: "c" }));
for (let i = 0; i < 3; i++) {
  await ecs.send(new RegisterTaskDefinitionCommand({
    family: "f", networkMode: "awsvpc", requiresCompatibilities: ["FARGATE"], cpu: "256", memory: "512",
    containerDefinitions: [{ name: "app", image: "public.ecr.aws/docker/library/busybox:1", essential: true, portMappings: [{ containerPort: 8080 }] }],
  }));
}
const group = (await elb.send(new CreateTargetGroupCommand({ Name: "g", Port: 8080, Protocol: "HTTP", TargetType: "ip", VpcId: "vpc-00000000" }))).TargetGroups[0].TargetGroupArn;
const balancer = (await elb.send(new CreateLoadBalancerCommand({ Name: "front", Subnets: ["subnet-0a"] }))).LoadBalancers[0].LoadBalancerArn;
await elb.send(new CreateListenerCommand({ LoadBalancerArn: balancer, Port: 80, Protocol: "HTTP", DefaultActions: [{ Type: "forward", TargetGroupArn: group }] }));
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

let tasks = 0, definitions = 0;
for await (const page of paginateListTasks({ client: ecs, pageSize: 1 }, { cluster: "c" })) tasks += page.taskArns.length;
for await (const page of paginateListTaskDefinitions({ client: ecs, pageSize: 1 }, { familyPrefix: "f" })) definitions += page.taskDefinitionArns.length;
assert.deepEqual([tasks, definitions], [2, 3]);

const run = (await ecs.send(new RunTaskCommand({ cluster: "c", taskDefinition: "f", launchType: "FARGATE", networkConfiguration }))).tasks[0].taskArn;
await ecs.send(new StopTaskCommand({ cluster: "c", task: run, reason: "test" }));
assert.equal((await waitUntilTasksStopped(patient, { cluster: "c", tasks: [run] })).state, "SUCCESS");

await watch.send(new PutMetricAlarmCommand({ AlarmName: "a", MetricName: "m", Namespace: "n", Statistic: "Sum", Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: "GreaterThanThreshold" }));
const alarm = (await watch.send(new DescribeAlarmsCommand({ AlarmNames: ["a"] }))).MetricAlarms[0];
assert.equal(alarm.StateValue, "INSUFFICIENT_DATA");
assert.ok(alarm.StateUpdatedTimestamp instanceof Date);

await sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: "hello" })); // the SDK checks its MD5
assert.equal((await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue, WaitTimeSeconds: 1 }))).Messages[0].Body, "hello");
await assert.rejects(sqs.send(new SendMessageCommand({ QueueUrl: queue + "none", MessageBody: "x" })), { name: "QueueDoesNotExist" });
await new ECRClient().send(new CreateRepositoryCommand({ repositoryName: "orders" }));
const secrets = new SecretsManagerClient();
await secrets.send(new CreateSecretCommand({ Name: "x", SecretString: "y" }));
assert.equal((await secrets.send(new GetSecretValueCommand({ SecretId: "x" }))).SecretString, "y");
await assert.rejects(ecs.send(new UpdateServiceCommand({ cluster: "c", service: "none" })), { name: "ServiceNotFoundException" });
