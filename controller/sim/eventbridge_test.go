package sim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/sim"
)

type event struct {
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Resources  []string `json:"resources"`
	Detail     struct {
		EventType, EventName, DeploymentID   string
		LastStatus, TaskArn, StopCode, Group string
		CreatedAt, UpdatedAt                 string
		Version                              int
		AlarmName                            string
		State, PreviousState                 struct{ Value, Reason string }
		Containers                           []struct{ Name, HealthStatus, LastStatus string }
	} `json:"detail"`
}

// listen makes a queue and a rule that sends to it.
func listen(t *testing.T, a *sim.Account, pattern string) (queueURL *string) {
	t.Helper()
	queues, rules := sqs.NewFromConfig(a.AWSConfig()), eventbridge.NewFromConfig(a.AWSConfig())
	rule := ok(t, rules.PutRule, &eventbridge.PutRuleInput{Name: aws.String("hints"), EventPattern: &pattern})
	const arn = "arn:aws:sqs:eu-central-1:000000000000:hints"
	policy := fmt.Sprintf(`{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, *rule.RuleArn)
	url := ok(t, queues.CreateQueue, &sqs.CreateQueueInput{QueueName: aws.String("hints"), Attributes: map[string]string{"Policy": policy}}).QueueUrl
	ok(t, rules.PutTargets, &eventbridge.PutTargetsInput{Rule: aws.String("hints"), Targets: []ebtypes.Target{{Id: aws.String("1"), Arn: aws.String(arn)}}})
	return url
}

// heard takes everything out of the queue.
func heard(t *testing.T, a *sim.Account, url *string) []event {
	t.Helper()
	client := sqs.NewFromConfig(a.AWSConfig())
	var out []event
	for {
		got := ok(t, client.ReceiveMessage, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}).Messages
		if len(got) == 0 {
			return out
		}
		for _, m := range got {
			var e event
			if err := json.Unmarshal([]byte(*m.Body), &e); err != nil {
				t.Fatalf("%v: %s", err, *m.Body)
			}
			out = append(out, e)
			ok(t, client.DeleteMessage, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
		}
	}
}

func TestEventsOfARollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1, Unthrottled: true}, exampleSeed(t))
		until(t, "first deployment", 10*time.Minute, func() bool { return completed(service(t, a)) })
		url := listen(t, a, `{"source":["aws.ecs"]}`)
		client := ecs.NewFromConfig(a.AWSConfig())
		revision := register(t, client, service(t, a), "good002")
		ok(t, client.UpdateService, &ecs.UpdateServiceInput{Cluster: aws.String("orders-dev"), Service: aws.String("orders"), TaskDefinition: &revision})
		time.Sleep(time.Minute)
		until(t, "second deployment", 10*time.Minute, func() bool { return completed(service(t, a)) })
		time.Sleep(time.Minute)
		got := heard(t, a, url)

		var names, steps []string
		task, versions := "", 0
		for _, e := range got {
			switch e.DetailType {
			case "ECS Task State Change":
				if task == "" {
					task = e.Detail.TaskArn
				}
				if e.Detail.TaskArn != task {
					continue
				}
				if len(steps) == 0 || steps[len(steps)-1] != e.Detail.LastStatus {
					steps = append(steps, e.Detail.LastStatus)
				}
				if e.Detail.Version <= versions || e.Resources[0] != task || e.Detail.Containers[0].HealthStatus != "" {
					t.Errorf("version %d after %d, of %v: %+v", e.Detail.Version, versions, e.Resources, e.Detail)
				}
				versions = e.Detail.Version
				if _, err := time.Parse(time.RFC3339, e.Detail.CreatedAt); err != nil {
					t.Errorf("created: %v", err)
				}
			case "ECS Deployment State Change", "ECS Service Action":
				names = append(names, e.Detail.EventType+" "+e.Detail.EventName)
				if !strings.HasSuffix(e.Resources[0], ":service/orders-dev/orders") {
					t.Errorf("%s of %v", e.Detail.EventName, e.Resources)
				}
			default:
				t.Errorf("event %q", e.DetailType)
			}
		}
		if diff := cmp.Diff([]string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"}, steps); diff != "" {
			t.Errorf("task (-want +got):\n%s", diff)
		}
		for _, want := range []string{"INFO SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO SERVICE_DEPLOYMENT_COMPLETED", "INFO SERVICE_STEADY_STATE"} {
			if !slices.Contains(names, want) {
				t.Errorf("%s is not among %v", want, names)
			}
		}
	})
}

func TestEventsOfAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1}, "alarms: [{name: red}]")
		url := listen(t, a, `{"source":["aws.cloudwatch"],"detail":{"state":{"value":["ALARM"]}}}`)
		set := func(v cwtypes.StateValue) {
			ok(t, cloudwatch.NewFromConfig(a.AWSConfig()).SetAlarmState, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("red"), StateValue: v, StateReason: aws.String("test")})
		}
		set("ALARM")
		set("OK")
		time.Sleep(time.Minute)
		got := heard(t, a, url)
		if len(got) != 1 || got[0].Detail.AlarmName != "red" || got[0].Detail.State.Value != "ALARM" || got[0].Detail.State.Reason != "test" || got[0].Detail.PreviousState.Value != "OK" {
			t.Errorf("heard %+v", got)
		}
	})
}

// Without a policy that allows it nothing arrives, and nobody is told.
func TestEventsNeedTheQueuesPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, sim.Config{Seed: 1}, "alarms: [{name: red}]")
		url := listen(t, a, `{"source":["aws.cloudwatch"]}`)
		ok(t, sqs.NewFromConfig(a.AWSConfig()).SetQueueAttributes, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"Policy": ""}})
		ok(t, cloudwatch.NewFromConfig(a.AWSConfig()).SetAlarmState, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("red"), StateValue: "ALARM", StateReason: aws.String("test")})
		time.Sleep(time.Hour)
		if got := heard(t, a, url); len(got) != 0 || a.Events.Failed() != 1 {
			t.Errorf("heard %v, failed %d", got, a.Events.Failed())
		}
	})
}
