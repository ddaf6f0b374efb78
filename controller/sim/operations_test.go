package sim_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	aastypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/process"
)

// ok calls an operation, which must succeed.
func ok[I, O, F any](t *testing.T, call func(context.Context, I, ...F) (O, error), in I) O {
	t.Helper()
	out, err := call(t.Context(), in)
	if err != nil {
		t.Errorf("%T: %v", in, err)
	}
	return out
}

var everyCall = []func(*testing.T, aws.Config){callIdentityAndStacks, callECR, callLogs, callAlarms, callSecretsAndParameters, callELB, callQueues, callRules}

// TestEveryOperationAnswersTheSDK calls every operation of the account with the SDK's client and its default
// protocol. An operation that is added without a call here fails the test.
func TestEveryOperationAnswersTheSDK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Unthrottled: true}, exampleSeed(t))
		for _, part := range everyCall {
			part(t, a.AWSConfig())
		}
		callECS(t, a)
		callScaling(t, a.AWSConfig())
		callItems(t, a)
		var missed []string
		for service, operations := range a.Operations() {
			for _, op := range operations {
				if a.Calls.Count(service, op) == 0 {
					missed = append(missed, service+"."+op)
				}
			}
		}
		slices.Sort(missed)
		if diff := cmp.Diff([]string(nil), missed); diff != "" {
			t.Errorf("operations without a call in this test:\n%s", diff)
		}
		for _, c := range a.Calls.Recent() {
			// No deployment of the example waits for anybody, so going on with one is refused by AWS's own code.
			if refused := c.Operation == "ContinueServiceDeployment" && c.Error == "ConflictException"; c.Error != "" && !refused {
				t.Errorf("%s.%s: %s", c.Service, c.Operation, c.Error)
			}
		}
	})
}

func callIdentityAndStacks(t *testing.T, c aws.Config) {
	if out := ok(t, sts.NewFromConfig(c).GetCallerIdentity, &sts.GetCallerIdentityInput{}); *out.Account != sim.DefaultAccount {
		t.Errorf("account %s", *out.Account)
	}
	out := ok(t, cloudformation.NewFromConfig(c).DescribeStacks, &cloudformation.DescribeStacksInput{StackName: aws.String("orders-dev")})
	got := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		got[*o.OutputKey] = *o.OutputValue
	}
	if want := "000000000000.dkr.ecr.eu-central-1.amazonaws.com/orders"; got["RepoUri"] != want || !strings.HasPrefix(got["TargetGroupArn"], "arn:aws:elasticloadbalancing:") {
		t.Errorf("outputs %v", got)
	}
}

func get(t *testing.T, client aws.HTTPClient, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func callECR(t *testing.T, c aws.Config) {
	client, name := ecr.NewFromConfig(c), aws.String("pushed")
	ok(t, client.CreateRepository, &ecr.CreateRepositoryInput{RepositoryName: name})
	config := []byte(`{"config":{"Labels":{"org.opencontainers.image.revision":"1a2b3c4"}}}`)
	layer := fmt.Sprintf("sha256:%x", sha256.Sum256(config))
	upload := ok(t, client.InitiateLayerUpload, &ecr.InitiateLayerUploadInput{RepositoryName: name}).UploadId
	ok(t, client.UploadLayerPart, &ecr.UploadLayerPartInput{RepositoryName: name, UploadId: upload, LayerPartBlob: config, PartFirstByte: aws.Int64(0), PartLastByte: aws.Int64(int64(len(config) - 1))})
	ok(t, client.CompleteLayerUpload, &ecr.CompleteLayerUploadInput{RepositoryName: name, UploadId: upload, LayerDigests: []string{layer}})
	put := ok(t, client.PutImage, &ecr.PutImageInput{RepositoryName: name, ImageTag: aws.String("v1"), ImageManifest: aws.String(fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q}}`, layer))})
	ids := []ecrtypes.ImageIdentifier{{ImageTag: aws.String("v1")}}
	if out := ok(t, client.DescribeImages, &ecr.DescribeImagesInput{RepositoryName: name, ImageIds: ids}); *out.ImageDetails[0].ImageDigest != *put.Image.ImageId.ImageDigest {
		t.Errorf("pushed %v, described %v", put.Image.ImageId, out.ImageDetails[0])
	}
	ok(t, client.BatchGetImage, &ecr.BatchGetImageInput{RepositoryName: name, ImageIds: ids})
	url := *ok(t, client.GetDownloadUrlForLayer, &ecr.GetDownloadUrlForLayerInput{RepositoryName: name, LayerDigest: &layer}).DownloadUrl
	if status, body := get(t, c.HTTPClient, url); status != http.StatusOK || body != string(config) {
		t.Errorf("the layer at %s: %d %s", url, status, body)
	}
	ok(t, client.ListImages, &ecr.ListImagesInput{RepositoryName: name})
	ok(t, client.PutImageTagMutability, &ecr.PutImageTagMutabilityInput{RepositoryName: name, ImageTagMutability: ecrtypes.ImageTagMutabilityImmutable})
	policy := `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":10},"action":{"type":"expire"}}]}`
	ok(t, client.PutLifecyclePolicy, &ecr.PutLifecyclePolicyInput{RepositoryName: name, LifecyclePolicyText: &policy})
	if got := ok(t, client.GetLifecyclePolicy, &ecr.GetLifecyclePolicyInput{RepositoryName: name}); *got.LifecyclePolicyText != policy {
		t.Errorf("policy %s", *got.LifecyclePolicyText)
	}
	ok(t, client.BatchDeleteImage, &ecr.BatchDeleteImageInput{RepositoryName: name, ImageIds: ids})
	if out := ok(t, client.DescribeRepositories, &ecr.DescribeRepositoriesInput{}); len(out.Repositories) != 2 {
		t.Errorf("repositories %v", out.Repositories)
	}
}

func callLogs(t *testing.T, c aws.Config) {
	client, group, stream := cloudwatchlogs.NewFromConfig(c), aws.String("/new"), aws.String("s")
	ok(t, client.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group})
	ok(t, client.CreateLogStream, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
	ok(t, client.PutLogEvents, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []logtypes.InputLogEvent{
		{Timestamp: aws.Int64(time.Now().UnixMilli()), Message: aws.String("line")},
	}})
	if out := ok(t, client.FilterLogEvents, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group}); len(out.Events) != 1 || *out.Events[0].Message != "line" {
		t.Errorf("events %v", out.Events)
	}
	if out := ok(t, client.GetLogEvents, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: stream}); len(out.Events) != 1 {
		t.Errorf("events %v", out.Events)
	}
	ok(t, client.DescribeLogStreams, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group})
	ok(t, client.DescribeLogGroups, &cloudwatchlogs.DescribeLogGroupsInput{})
	ok(t, client.PutRetentionPolicy, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: group, RetentionInDays: aws.Int32(7)})
	ok(t, client.DeleteRetentionPolicy, &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: group})
	ok(t, client.DeleteLogStream, &cloudwatchlogs.DeleteLogStreamInput{LogGroupName: group, LogStreamName: stream})
	ok(t, client.DeleteLogGroup, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: group})
}

func callAlarms(t *testing.T, c aws.Config) {
	client := cloudwatch.NewFromConfig(c)
	ok(t, client.PutMetricData, &cloudwatch.PutMetricDataInput{Namespace: aws.String("Orders"), MetricData: []cwtypes.MetricDatum{{MetricName: aws.String("Errors"), Value: aws.Float64(3)}}})
	data := ok(t, client.GetMetricData, &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(time.Now().Add(-time.Hour)), EndTime: aws.Time(time.Now().Add(time.Hour)),
		MetricDataQueries: []cwtypes.MetricDataQuery{{Id: aws.String("e"), MetricStat: &cwtypes.MetricStat{
			Metric: &cwtypes.Metric{Namespace: aws.String("Orders"), MetricName: aws.String("Errors")}, Period: aws.Int32(60), Stat: aws.String("Sum"),
		}}},
	})
	if diff := cmp.Diff([]float64{3}, data.MetricDataResults[0].Values); diff != "" {
		t.Errorf("metric (-want +got):\n%s", diff)
	}
	ok(t, client.PutMetricAlarm, &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("cpu"), MetricName: aws.String("CPUUtilization"), Namespace: aws.String("AWS/ECS"), Statistic: cwtypes.StatisticAverage, Period: aws.Int32(60), Threshold: aws.Float64(90), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold, EvaluationPeriods: aws.Int32(1),
		Dimensions: []cwtypes.Dimension{{Name: aws.String("ServiceName"), Value: aws.String("orders")}},
	})
	ok(t, client.PutCompositeAlarm, &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String("any"), AlarmRule: aws.String("ALARM(cpu)")})
	ok(t, client.SetAlarmState, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("cpu"), StateValue: cwtypes.StateValueAlarm, StateReason: aws.String("test")})
	out := ok(t, client.DescribeAlarms, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"cpu", "any"}, AlarmTypes: []cwtypes.AlarmType{"MetricAlarm", "CompositeAlarm"}})
	if len(out.MetricAlarms) != 1 || out.MetricAlarms[0].StateValue != cwtypes.StateValueAlarm || len(out.CompositeAlarms) != 1 {
		t.Errorf("alarms %v", out)
	}
	ok(t, client.DeleteAlarms, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"cpu", "any"}})
}

func callSecretsAndParameters(t *testing.T, c aws.Config) {
	s, id := secretsmanager.NewFromConfig(c), aws.String("new")
	ok(t, s.CreateSecret, &secretsmanager.CreateSecretInput{Name: id, SecretString: aws.String("one")})
	ok(t, s.PutSecretValue, &secretsmanager.PutSecretValueInput{SecretId: id, SecretString: aws.String("two")})
	pending := ok(t, s.PutSecretValue, &secretsmanager.PutSecretValueInput{SecretId: id, SecretString: aws.String("three"), VersionStages: []string{"AWSPENDING"}})
	ok(t, s.UpdateSecretVersionStage, &secretsmanager.UpdateSecretVersionStageInput{SecretId: id, VersionStage: aws.String("AWSPENDING"), RemoveFromVersionId: pending.VersionId})
	if got := ok(t, s.ListSecretVersionIds, &secretsmanager.ListSecretVersionIdsInput{SecretId: id}); len(got.Versions) != 2 {
		t.Errorf("versions %v", got.Versions)
	}
	if got := ok(t, s.ListSecrets, &secretsmanager.ListSecretsInput{}); len(got.SecretList) == 0 {
		t.Error("no secret is listed")
	}
	ok(t, s.DescribeSecret, &secretsmanager.DescribeSecretInput{SecretId: id})
	if out := ok(t, s.GetSecretValue, &secretsmanager.GetSecretValueInput{SecretId: id}); *out.SecretString != "two" {
		t.Errorf("secret %s", *out.SecretString)
	}
	ok(t, s.DeleteSecret, &secretsmanager.DeleteSecretInput{SecretId: id})
	ok(t, s.RestoreSecret, &secretsmanager.RestoreSecretInput{SecretId: id})

	p, name := ssm.NewFromConfig(c), aws.String("/new")
	ok(t, p.PutParameter, &ssm.PutParameterInput{Name: name, Value: aws.String("1"), Type: ssmtypes.ParameterTypeString})
	if out := ok(t, p.GetParameter, &ssm.GetParameterInput{Name: name}); *out.Parameter.Value != "1" || out.Parameter.Version != 1 {
		t.Errorf("parameter %v", out.Parameter)
	}
	if got := ok(t, p.GetParametersByPath, &ssm.GetParametersByPathInput{Path: aws.String("/")}); len(got.Parameters) == 0 {
		t.Error("no parameter below /")
	}
	if got := ok(t, p.GetParameterHistory, &ssm.GetParameterHistoryInput{Name: name}); len(got.Parameters) != 1 {
		t.Errorf("history %v", got.Parameters)
	}
	ok(t, p.GetParameters, &ssm.GetParametersInput{Names: []string{"/new"}})
	ok(t, p.DeleteParameter, &ssm.DeleteParameterInput{Name: name})
}

func callQueues(t *testing.T, c aws.Config) {
	client := sqs.NewFromConfig(c)
	url := ok(t, client.CreateQueue, &sqs.CreateQueueInput{QueueName: aws.String("hints"), Tags: map[string]string{"a": "b"}}).QueueUrl
	if got := ok(t, client.GetQueueUrl, &sqs.GetQueueUrlInput{QueueName: aws.String("hints")}); *got.QueueUrl != *url {
		t.Errorf("url %s, made as %s", *got.QueueUrl, *url)
	}
	ok(t, client.ListQueues, &sqs.ListQueuesInput{})
	ok(t, client.TagQueue, &sqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"c": "d"}})
	if got := ok(t, client.ListQueueTags, &sqs.ListQueueTagsInput{QueueUrl: url}); len(got.Tags) != 2 {
		t.Errorf("tags %v", got.Tags)
	}
	ok(t, client.UntagQueue, &sqs.UntagQueueInput{QueueUrl: url, TagKeys: []string{"c"}})
	if got := ok(t, client.ListDeadLetterSourceQueues, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: url}); len(got.QueueUrls) != 0 {
		t.Errorf("sources %v", got.QueueUrls)
	}
	ok(t, client.SetQueueAttributes, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"VisibilityTimeout": "60"}})
	ok(t, client.GetQueueAttributes, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	attributes := map[string]sqstypes.MessageAttributeValue{"trace": {DataType: aws.String("String"), StringValue: aws.String("1")}}
	ok(t, client.SendMessage, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("one"), MessageAttributes: attributes})
	ok(t, client.SendMessageBatch, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []sqstypes.SendMessageBatchRequestEntry{{Id: aws.String("1"), MessageBody: aws.String("two")}}})
	got := ok(t, client.ReceiveMessage, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}}).Messages
	if len(got) != 2 || *got[0].Body != "one" || *got[0].MessageAttributes["trace"].StringValue != "1" {
		t.Fatalf("received %v", got)
	}
	ok(t, client.ChangeMessageVisibility, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: 10})
	ok(t, client.ChangeMessageVisibilityBatch, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: []sqstypes.ChangeMessageVisibilityBatchRequestEntry{{Id: aws.String("1"), ReceiptHandle: got[1].ReceiptHandle, VisibilityTimeout: 10}}})
	ok(t, client.DeleteMessage, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: got[0].ReceiptHandle})
	ok(t, client.DeleteMessageBatch, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []sqstypes.DeleteMessageBatchRequestEntry{{Id: aws.String("1"), ReceiptHandle: got[1].ReceiptHandle}}})
	ok(t, client.PurgeQueue, &sqs.PurgeQueueInput{QueueUrl: url})
	ok(t, client.DeleteQueue, &sqs.DeleteQueueInput{QueueUrl: url})
}

func callRules(t *testing.T, c aws.Config) {
	client, name := eventbridge.NewFromConfig(c), aws.String("deploy")
	pattern := aws.String(`{"source":["test"]}`)
	rule := ok(t, client.PutRule, &eventbridge.PutRuleInput{Name: name, EventPattern: pattern})
	ok(t, client.PutTargets, &eventbridge.PutTargetsInput{Rule: name, Targets: []ebtypes.Target{{Id: aws.String("1"), Arn: aws.String("arn:aws:sqs:eu-central-1:000000000000:hints")}}})
	if got := ok(t, client.DescribeRule, &eventbridge.DescribeRuleInput{Name: name}); *got.Arn != *rule.RuleArn || got.State != ebtypes.RuleStateEnabled {
		t.Errorf("rule %v", got)
	}
	ok(t, client.ListRules, &eventbridge.ListRulesInput{})
	if got := ok(t, client.ListTargetsByRule, &eventbridge.ListTargetsByRuleInput{Rule: name}); len(got.Targets) != 1 {
		t.Errorf("targets %v", got.Targets)
	}
	event := `{"id":"1","account":"000000000000","source":"test","time":"2026-01-01T00:00:00Z","region":"eu-central-1","resources":[],"detail-type":"t","detail":{}}`
	if got := ok(t, client.TestEventPattern, &eventbridge.TestEventPatternInput{EventPattern: pattern, Event: &event}); !got.Result {
		t.Error("the pattern does not match")
	}
	ok(t, client.DisableRule, &eventbridge.DisableRuleInput{Name: name})
	ok(t, client.EnableRule, &eventbridge.EnableRuleInput{Name: name})
	if got := ok(t, client.PutEvents, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{Source: aws.String("test"), DetailType: aws.String("t"), Detail: aws.String("{}")}}}); got.FailedEntryCount != 0 {
		t.Errorf("put %v", got.Entries)
	}
	ok(t, client.RemoveTargets, &eventbridge.RemoveTargetsInput{Rule: name, Ids: []string{"1"}})
	ok(t, client.DeleteRule, &eventbridge.DeleteRuleInput{Name: name})
}

func callScaling(t *testing.T, c aws.Config) {
	client, id := applicationautoscaling.NewFromConfig(c), "service/orders-dev/orders"
	ok(t, client.RegisterScalableTarget, &applicationautoscaling.RegisterScalableTargetInput{
		ResourceId: &id, ServiceNamespace: aastypes.ServiceNamespaceEcs, ScalableDimension: aastypes.ScalableDimensionECSServiceDesiredCount,
		MinCapacity: aws.Int32(1), MaxCapacity: aws.Int32(4),
	})
	got := ok(t, client.DescribeScalableTargets, &applicationautoscaling.DescribeScalableTargetsInput{ServiceNamespace: aastypes.ServiceNamespaceEcs, ResourceIds: []string{id}})
	if len(got.ScalableTargets) != 1 || *got.ScalableTargets[0].MaxCapacity != 4 || got.ScalableTargets[0].CreationTime == nil {
		t.Errorf("targets %v", got.ScalableTargets)
	}
	ok(t, client.DeregisterScalableTarget, &applicationautoscaling.DeregisterScalableTargetInput{
		ResourceId: &id, ServiceNamespace: aastypes.ServiceNamespaceEcs, ScalableDimension: aastypes.ScalableDimensionECSServiceDesiredCount,
	})
}

func callELB(t *testing.T, c aws.Config) {
	client := elbv2.NewFromConfig(c)
	group := ok(t, client.CreateTargetGroup, &elbv2.CreateTargetGroupInput{
		Name: aws.String("new"), Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp, TargetType: elbtypes.TargetTypeEnumIp,
		Matcher: &elbtypes.Matcher{HttpCode: aws.String("200-299")},
	}).TargetGroups[0].TargetGroupArn
	lb := ok(t, client.CreateLoadBalancer, &elbv2.CreateLoadBalancerInput{Name: aws.String("new"), Subnets: []string{"subnet-0a"}}).LoadBalancers[0].LoadBalancerArn
	listener := ok(t, client.CreateListener, &elbv2.CreateListenerInput{
		LoadBalancerArn: lb, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{
			TargetGroups: []elbtypes.TargetGroupTuple{{TargetGroupArn: group, Weight: aws.Int32(100)}},
		}}},
	}).Listeners[0].ListenerArn
	targets := []elbtypes.TargetDescription{{Id: aws.String("10.9.9.9")}}
	ok(t, client.RegisterTargets, &elbv2.RegisterTargetsInput{TargetGroupArn: group, Targets: targets})
	if out := ok(t, client.DescribeTargetHealth, &elbv2.DescribeTargetHealthInput{TargetGroupArn: group}); out.TargetHealthDescriptions[0].TargetHealth.State != elbtypes.TargetHealthStateEnumInitial {
		t.Errorf("health %v", out.TargetHealthDescriptions[0].TargetHealth)
	}
	ok(t, client.DeregisterTargets, &elbv2.DeregisterTargetsInput{TargetGroupArn: group, Targets: targets})
	ok(t, client.ModifyTargetGroupAttributes, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []elbtypes.TargetGroupAttribute{
		{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("5")},
	}})
	ok(t, client.DescribeTargetGroupAttributes, &elbv2.DescribeTargetGroupAttributesInput{TargetGroupArn: group})
	if out := ok(t, client.DescribeTargetGroups, &elbv2.DescribeTargetGroupsInput{LoadBalancerArn: lb}); len(out.TargetGroups) != 1 || *out.TargetGroups[0].HealthCheckTimeoutSeconds != 6 {
		t.Errorf("groups %v", out.TargetGroups)
	}
	ok(t, client.DescribeLoadBalancers, &elbv2.DescribeLoadBalancersInput{})
	ok(t, client.DescribeListeners, &elbv2.DescribeListenersInput{LoadBalancerArn: lb})
	forward := []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group}}
	rule := ok(t, client.CreateRule, &elbv2.CreateRuleInput{
		ListenerArn: listener, Priority: aws.Int32(1), Actions: forward,
		Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/api/*"}}},
	}).Rules[0].RuleArn
	ok(t, client.ModifyRule, &elbv2.ModifyRuleInput{RuleArn: rule, Actions: forward})
	ok(t, client.ModifyListener, &elbv2.ModifyListenerInput{ListenerArn: listener, DefaultActions: forward})
	if out := ok(t, client.DescribeRules, &elbv2.DescribeRulesInput{ListenerArn: listener}); len(out.Rules) != 2 || *out.Rules[0].Conditions[0].Field != "path-pattern" {
		t.Errorf("rules %v", out.Rules)
	}
	ok(t, client.DeleteRule, &elbv2.DeleteRuleInput{RuleArn: rule})
	ok(t, client.DeleteListener, &elbv2.DeleteListenerInput{ListenerArn: listener})
	ok(t, client.DeleteLoadBalancer, &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: lb})
	ok(t, client.DeleteTargetGroup, &elbv2.DeleteTargetGroupInput{TargetGroupArn: group})
}

func callECS(t *testing.T, a *sim.Account) {
	client, cluster, orders := ecs.NewFromConfig(a.AWSConfig()), aws.String("orders-dev"), aws.String("orders")
	ok(t, client.CreateCluster, &ecs.CreateClusterInput{ClusterName: aws.String("other")})
	ok(t, client.DescribeClusters, &ecs.DescribeClustersInput{Clusters: []string{"other"}})
	if out := ok(t, client.ListClusters, &ecs.ListClustersInput{}); len(out.ClusterArns) != 2 {
		t.Errorf("clusters %v", out.ClusterArns)
	}
	ok(t, client.PutClusterCapacityProviders, &ecs.PutClusterCapacityProvidersInput{Cluster: aws.String("other"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderStrategy: []ecstypes.CapacityProviderStrategyItem{}})
	ok(t, client.DescribeCapacityProviders, &ecs.DescribeCapacityProvidersInput{})
	ok(t, client.ListTaskDefinitionFamilies, &ecs.ListTaskDefinitionFamiliesInput{})
	until(t, "first deployment", time.Hour, func() bool { return completed(service(t, a)) })

	s := ok(t, client.DescribeServices, &ecs.DescribeServicesInput{Cluster: cluster, Services: []string{"orders"}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags}}).Services[0]
	ok(t, client.ListServices, &ecs.ListServicesInput{Cluster: cluster})
	ok(t, client.ListTaskDefinitions, &ecs.ListTaskDefinitionsInput{})
	ok(t, client.TagResource, &ecs.TagResourceInput{ResourceArn: s.ServiceArn, Tags: []ecstypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if out := ok(t, client.ListTagsForResource, &ecs.ListTagsForResourceInput{ResourceArn: s.ServiceArn}); len(out.Tags) != 1 {
		t.Errorf("tags %v", out.Tags)
	}
	ok(t, client.UntagResource, &ecs.UntagResourceInput{ResourceArn: s.ServiceArn, TagKeys: []string{"k"}})

	run := ok(t, client.RunTask, &ecs.RunTaskInput{Cluster: cluster, TaskDefinition: s.TaskDefinition, LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: s.NetworkConfiguration})
	ok(t, client.ListTasks, &ecs.ListTasksInput{Cluster: cluster})
	ok(t, client.DescribeTasks, &ecs.DescribeTasksInput{Cluster: cluster, Tasks: []string{*run.Tasks[0].TaskArn}})
	ok(t, client.StopTask, &ecs.StopTaskInput{Cluster: cluster, Task: run.Tasks[0].TaskArn, Reason: aws.String("test")})

	own := ok(t, client.ListTasks, &ecs.ListTasksInput{Cluster: cluster, ServiceName: orders}).TaskArns
	ok(t, client.UpdateTaskProtection, &ecs.UpdateTaskProtectionInput{Cluster: cluster, Tasks: own[:1], ProtectionEnabled: true})
	if out := ok(t, client.GetTaskProtection, &ecs.GetTaskProtectionInput{Cluster: cluster, Tasks: own[:1]}); len(out.ProtectedTasks) != 1 || !out.ProtectedTasks[0].ProtectionEnabled {
		t.Errorf("protection %v", out.ProtectedTasks)
	}
	ok(t, client.UpdateTaskProtection, &ecs.UpdateTaskProtectionInput{Cluster: cluster, Tasks: own[:1], ProtectionEnabled: false})

	revision := register(t, client, s, "good002")
	ok(t, client.UpdateService, &ecs.UpdateServiceInput{Cluster: cluster, Service: orders, TaskDefinition: &revision})
	time.Sleep(20 * time.Second)
	list := ok(t, client.ListServiceDeployments, &ecs.ListServiceDeploymentsInput{Cluster: cluster, Service: orders})
	newest := *list.ServiceDeployments[0].ServiceDeploymentArn
	described := ok(t, client.DescribeServiceDeployments, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{newest}}).ServiceDeployments[0]
	ok(t, client.DescribeServiceRevisions, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*described.TargetServiceRevision.Arn}})
	ok(t, client.StopServiceDeployment, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &newest})
	until(t, "rollback", time.Hour, func() bool { return completed(service(t, a)) })

	var refused smithy.APIError
	if _, err := client.ContinueServiceDeployment(t.Context(), &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: &newest, HookId: aws.String("none")}); !errors.As(err, &refused) {
		t.Errorf("continuing a deployment that waits for nothing answered %v", err)
	}
	ok(t, client.DeregisterTaskDefinition, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &revision})
	ok(t, client.DeleteTaskDefinitions, &ecs.DeleteTaskDefinitionsInput{TaskDefinitions: []string{revision}})
	ok(t, client.CreateService, &ecs.CreateServiceInput{
		Cluster: aws.String("other"), ServiceName: aws.String("none"), TaskDefinition: s.TaskDefinition, DesiredCount: aws.Int32(0),
		LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: s.NetworkConfiguration,
	})
	ok(t, client.DeleteService, &ecs.DeleteServiceInput{Cluster: aws.String("other"), Service: aws.String("none")})
	time.Sleep(time.Minute)
	if out := ok(t, client.DeleteCluster, &ecs.DeleteClusterInput{Cluster: aws.String("other")}); *out.Cluster.Status != "INACTIVE" {
		t.Errorf("deleted cluster %v", out.Cluster)
	}
}

func TestPushedImageCarriesItsProcess(t *testing.T) {
	a := open(t, sim.Config{}, "repositories: [{name: orders}]")
	client := ecr.NewFromConfig(a.AWSConfig())
	push := func(tag, process string) error {
		manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "annotations": map[string]string{sim.ProcessAnnotation: process}})
		if err != nil {
			return err
		}
		_, err = client.PutImage(t.Context(), &ecr.PutImageInput{RepositoryName: aws.String("orders"), ImageTag: &tag, ImageManifest: aws.String(string(manifest))})
		return err
	}
	if err := push("v1", `{"files":{"/app":"/bin/true"},"entrypoint":["/app"]}`); err != nil {
		t.Fatal(err)
	}
	_, spec, err := a.ECR.Resolve(a.ECR.Registry() + "/orders:v1")
	want := &process.Spec{Files: map[string]string{"/app": "/bin/true"}, EntryPoint: []string{"/app"}}
	if diff := cmp.Diff(any(want), spec); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := push("v2", `{"file":{}}`); err == nil || !strings.Contains(err.Error(), `annotation local.account.process: json: unknown field "file"`) {
		t.Errorf("got %v", err)
	}
}

func TestServicesOfTheAccount(t *testing.T) {
	a := open(t, sim.Config{}, "")
	want := []string{"application-autoscaling", "cloudformation", "dynamodb", "ecr", "ecs", "elasticloadbalancing", "events", "logs", "monitoring", "secretsmanager", "sqs", "ssm", "sts"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(a.Operations()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
