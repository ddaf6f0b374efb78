package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/sim/sqs"
)

type fataler interface {
	Helper()
	Fatal(...any)
}

// bench is an engine with a queue.
type bench struct {
	*sqs.Engine
	t   fataler
	ctx context.Context
	url *string
}

func newBench(t fataler, ctx context.Context, name string, attributes map[string]string) *bench {
	t.Helper()
	b := &bench{Engine: sqs.New("000000000000", "eu-central-1"), t: t, ctx: ctx}
	b.url = b.create(name, attributes)
	return b
}

func (b *bench) create(name string, attributes map[string]string) *string {
	b.t.Helper()
	out, err := b.CreateQueue(b.ctx, &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.QueueUrl
}

func (b *bench) send(body string, change ...func(*awssqs.SendMessageInput)) *awssqs.SendMessageOutput {
	b.t.Helper()
	in := &awssqs.SendMessageInput{QueueUrl: b.url, MessageBody: &body}
	for _, c := range change {
		c(in)
	}
	out, err := b.SendMessage(b.ctx, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func group(g, dedup string) func(*awssqs.SendMessageInput) {
	return func(in *awssqs.SendMessageInput) { in.MessageGroupId, in.MessageDeduplicationId = &g, &dedup }
}

func (b *bench) receive(url *string, most, wait int32) []types.Message {
	b.t.Helper()
	out, err := b.ReceiveMessage(b.ctx, &awssqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: most, WaitTimeSeconds: wait, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Messages
}

func bodies(m []types.Message) []string {
	var out []string
	for _, v := range m {
		out = append(out, *v.Body)
	}
	return out
}

func want(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestVisibilityAndDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context(), "q", map[string]string{"VisibilityTimeout": "10"})
		b.send("a")
		first := b.receive(b.url, 10, 0)
		want(t, "received", []string{"a"}, bodies(first))
		want(t, "hidden", nil, bodies(b.receive(b.url, 10, 0)))
		time.Sleep(10 * time.Second)
		again := b.receive(b.url, 10, 0)
		if len(again) != 1 || again[0].Attributes["ApproximateReceiveCount"] != "2" || again[0].Attributes["SentTimestamp"] == "" {
			t.Fatalf("again: %+v", again)
		}
		remove := func(handle *string) error {
			_, err := b.DeleteMessage(b.ctx, &awssqs.DeleteMessageInput{QueueUrl: b.url, ReceiptHandle: handle})
			return err
		}
		if err := remove(first[0].ReceiptHandle); err != nil {
			t.Errorf("an old handle is answered yes: %v", err)
		}
		hide := func(handle *string, seconds int32) error {
			_, err := b.ChangeMessageVisibility(b.ctx, &awssqs.ChangeMessageVisibilityInput{QueueUrl: b.url, ReceiptHandle: handle, VisibilityTimeout: seconds})
			return err
		}
		if err := hide(again[0].ReceiptHandle, 60); err != nil {
			t.Error(err)
		}
		time.Sleep(59 * time.Second)
		want(t, "hidden for longer", nil, bodies(b.receive(b.url, 10, 0)))
		if err := hide(again[0].ReceiptHandle, 0); err != nil {
			t.Error(err)
		}
		if got := code(hide(again[0].ReceiptHandle, 5)); got != "AWS.SimpleQueueService.MessageNotInflight" {
			t.Errorf("not in flight: %s", got)
		}
		last := b.receive(b.url, 10, 0)
		if err := remove(last[0].ReceiptHandle); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		want(t, "deleted", nil, bodies(b.receive(b.url, 10, 0)))
		if got := code(remove(aws.String("x"))); got != "ReceiptHandleIsInvalid" {
			t.Errorf("foreign handle: %s", got)
		}
	})
}

func TestLongPollingEndsWithTheFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context(), "q", map[string]string{"ReceiveMessageWaitTimeSeconds": "5"})
		began := time.Now()
		want(t, "the queue's wait", nil, bodies(b.receive(b.url, 1, 0)))
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("waited %s", took)
		}
		time.AfterFunc(3*time.Second, func() { b.send("late") })
		began = time.Now()
		want(t, "sent meanwhile", []string{"late"}, bodies(b.receive(b.url, 1, 20)))
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("waited %s", took)
		}
		b.send("delayed", func(in *awssqs.SendMessageInput) { in.DelaySeconds = 7 })
		began = time.Now()
		want(t, "becomes visible meanwhile", []string{"delayed"}, bodies(b.receive(b.url, 1, 20)))
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("waited %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: b.url, WaitTimeSeconds: 20}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the client went away: %v", err)
		}
	})
}

func TestDeadLettersAndRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context(), "dead", nil)
		dead := b.url
		b.url = b.create("q", map[string]string{
			"VisibilityTimeout": "1", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:000000000000:dead","maxReceiveCount":"2"}`,
		})
		b.send("poison")
		for range 2 {
			want(t, "tried", []string{"poison"}, bodies(b.receive(b.url, 1, 0)))
			time.Sleep(time.Second)
		}
		want(t, "no third time", nil, bodies(b.receive(b.url, 1, 0)))
		got := b.receive(dead, 1, 0)
		if len(got) != 1 || got[0].Attributes["DeadLetterQueueSourceArn"] != "arn:aws:sqs:eu-central-1:000000000000:q" {
			t.Errorf("dead letter: %+v", got)
		}
		time.Sleep(96*time.Hour + time.Second)
		want(t, "after four days", nil, bodies(b.receive(dead, 1, 0)))
	})
}

func TestFIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context(), "q.fifo", map[string]string{"FifoQueue": "true", "VisibilityTimeout": "10"})
		one := b.send("a1", group("a", "1"))
		if twice := b.send("a1 again", group("a", "1")); *twice.MessageId != *one.MessageId || *twice.SequenceNumber != *one.SequenceNumber {
			t.Errorf("the same deduplication id: %+v and %+v", one, twice)
		}
		b.send("a2", group("a", "2"))
		b.send("b1", group("b", "3"))
		first := b.receive(b.url, 1, 0)
		want(t, "first", []string{"a1"}, bodies(first))
		want(t, "group a waits for a1", []string{"b1"}, bodies(b.receive(b.url, 10, 0)))
		if _, err := b.DeleteMessage(b.ctx, &awssqs.DeleteMessageInput{QueueUrl: b.url, ReceiptHandle: first[0].ReceiptHandle}); err != nil {
			t.Error(err)
		}
		second := b.receive(b.url, 10, 0)
		want(t, "then a2", []string{"a2"}, bodies(second))
		time.Sleep(10 * time.Second)
		if _, err := b.DeleteMessage(b.ctx, &awssqs.DeleteMessageInput{QueueUrl: b.url, ReceiptHandle: second[0].ReceiptHandle}); code(err) != "InvalidParameterValue" {
			t.Errorf("expired handle: %v", err)
		}
		time.Sleep(5 * time.Minute)
		b.send("a1 anew", group("a", "1"))
		want(t, "after the deduplication interval, one group after the other", []string{"a2", "a1 anew", "b1"}, bodies(b.receive(b.url, 10, 0)))
		for name, in := range map[string]*awssqs.SendMessageInput{
			"no group":         {QueueUrl: b.url, MessageBody: aws.String("x"), MessageDeduplicationId: aws.String("x")},
			"no deduplication": {QueueUrl: b.url, MessageBody: aws.String("x"), MessageGroupId: aws.String("x")},
		} {
			if _, err := b.SendMessage(b.ctx, in); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}

// Whatever is sent, received, deleted and forgotten in whatever order: nothing is lost before it is deleted,
// nothing comes after it was, and within a FIFO group nothing overtakes.
func TestFIFONeitherLosesNorOvertakes(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, ctx, "q.fifo", map[string]string{"FifoQueue": "true"})
		pending := map[string][]string{}
		n := 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "send") {
				g := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "group")
				n++
				body := fmt.Sprint(g, n)
				b.send(body, group(g, body))
				pending[g] = append(pending[g], body)
				continue
			}
			for i, m := range b.receive(b.url, int32(rapid.IntRange(1, 10).Draw(t, "most")), 0) {
				g := m.Attributes["MessageGroupId"]
				if len(pending[g]) == 0 || pending[g][0] != *m.Body {
					t.Fatalf("message %d is %s, its group's next are %v", i, *m.Body, pending[g])
				}
				pending[g] = pending[g][1:]
				if _, err := b.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: b.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for {
			got := b.receive(b.url, 10, 0)
			if len(got) == 0 {
				break
			}
			for _, m := range got {
				g := m.Attributes["MessageGroupId"]
				if len(pending[g]) == 0 || pending[g][0] != *m.Body {
					t.Fatalf("at the end %s, its group's next are %v", *m.Body, pending[g])
				}
				pending[g] = pending[g][1:]
				if _, err := b.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: b.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for g, left := range pending {
			if len(left) > 0 {
				t.Fatalf("group %s: %v never came", g, left)
			}
		}
	})
}

func TestQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context(), "q", map[string]string{"VisibilityTimeout": "60"})
		if again := b.create("q", map[string]string{"VisibilityTimeout": "60"}); *again != *b.url {
			t.Errorf("the same again: %s", *again)
		}
		create := func(name string, a map[string]string) error {
			_, err := b.CreateQueue(b.ctx, &awssqs.CreateQueueInput{QueueName: &name, Attributes: a})
			return err
		}
		for _, c := range []struct {
			name, queue string
			attributes  map[string]string
			want        string
		}{
			{"other attributes", "q", map[string]string{"VisibilityTimeout": "61"}, "QueueAlreadyExists"},
			{"name", "q q", nil, "InvalidParameterValue"},
			{"fifo without suffix", "f", map[string]string{"FifoQueue": "true"}, "InvalidParameterValue"},
			{"range", "r", map[string]string{"DelaySeconds": "901"}, "InvalidAttributeValue"},
			{"unknown", "r", map[string]string{"Colour": "red"}, "InvalidAttributeName"},
			{"not modelled", "r", map[string]string{"KmsMasterKeyId": "k"}, "InvalidAttributeName"},
			{"no dead-letter queue", "r", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:000000000000:none","maxReceiveCount":2}`}, "InvalidAttributeValue"},
		} {
			if got := code(create(c.queue, c.attributes)); got != c.want {
				t.Errorf("%s: got %s, want %s", c.name, got, c.want)
			}
		}
		b.send("a")
		b.send("b", func(in *awssqs.SendMessageInput) { in.DelaySeconds = 5 })
		b.receive(b.url, 1, 0)
		b.send("c")
		out, err := b.GetQueueAttributes(b.ctx, &awssqs.GetQueueAttributesInput{QueueUrl: b.url, AttributeNames: []types.QueueAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		a := out.Attributes
		if a["ApproximateNumberOfMessages"]+a["ApproximateNumberOfMessagesNotVisible"]+a["ApproximateNumberOfMessagesDelayed"] != "111" ||
			a["VisibilityTimeout"] != "60" || a["QueueArn"] != "arn:aws:sqs:eu-central-1:000000000000:q" {
			t.Errorf("attributes %v", a)
		}
		purge := func() error {
			_, err := b.PurgeQueue(b.ctx, &awssqs.PurgeQueueInput{QueueUrl: b.url})
			return err
		}
		if err := purge(); err != nil {
			t.Error(err)
		}
		time.Sleep(59 * time.Second)
		want(t, "purged", nil, bodies(b.receive(b.url, 10, 0)))
		if got := code(purge()); got != "AWS.SimpleQueueService.PurgeQueueInProgress" {
			t.Errorf("purge within a minute: %s", got)
		}
		if _, err := b.DeleteQueue(b.ctx, &awssqs.DeleteQueueInput{QueueUrl: b.url}); err != nil {
			t.Error(err)
		}
		if _, err := b.ReceiveMessage(b.ctx, &awssqs.ReceiveMessageInput{QueueUrl: b.url}); code(err) != "AWS.SimpleQueueService.NonExistentQueue" {
			t.Errorf("deleted: %v", err)
		}
		if got := code(create("q", nil)); got != "AWS.SimpleQueueService.QueueDeletedRecently" {
			t.Errorf("anew at once: %s", got)
		}
		time.Sleep(time.Minute)
		if err := create("q", nil); err != nil {
			t.Errorf("anew after a minute: %v", err)
		}
	})
}

func TestBatches(t *testing.T) {
	b := newBench(t, t.Context(), "q", map[string]string{"MaximumMessageSize": "1024"})
	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	out, err := b.SendMessageBatch(t.Context(), &awssqs.SendMessageBatchInput{QueueUrl: b.url, Entries: []types.SendMessageBatchRequestEntry{entry("1", "x"), entry("2", fmt.Sprintf("%1025d", 1))}})
	if err != nil || len(out.Successful) != 1 || len(out.Failed) != 1 || *out.Failed[0].Id != "2" || !out.Failed[0].SenderFault {
		t.Errorf("one of two: %+v, %v", out, err)
	}
	got := b.receive(b.url, 10, 0)
	removed, err := b.DeleteMessageBatch(t.Context(), &awssqs.DeleteMessageBatchInput{QueueUrl: b.url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("1"), ReceiptHandle: got[0].ReceiptHandle}, {Id: aws.String("2"), ReceiptHandle: aws.String("x")},
	}})
	if err != nil || len(removed.Successful) != 1 || len(removed.Failed) != 1 {
		t.Errorf("one of two: %+v, %v", removed, err)
	}
	many := make([]types.SendMessageBatchRequestEntry, 11)
	for i := range many {
		many[i] = entry(fmt.Sprint(i), "x")
	}
	for want, entries := range map[string][]types.SendMessageBatchRequestEntry{
		"EmptyBatchRequest": {}, "TooManyEntriesInBatchRequest": many,
		"BatchEntryIdsNotDistinct": {entry("1", "x"), entry("1", "y")}, "InvalidBatchEntryId": {entry("!", "x")},
	} {
		_, err := b.SendMessageBatch(t.Context(), &awssqs.SendMessageBatchInput{QueueUrl: b.url, Entries: entries})
		if got := code(err); got != "AWS.SimpleQueueService."+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestServicesSendOnlyWhereThePolicyAllowsIt(t *testing.T) {
	const queueARN, rule = "arn:aws:sqs:eu-central-1:000000000000:q", "arn:aws:events:eu-central-1:000000000000:rule/deploy"
	statement := func(effect, principal, resource, condition string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q,"Principal":%s,"Action":"sqs:SendMessage","Resource":%q%s}]}`, effect, principal, resource, condition)
	}
	events := `{"Service":"events.amazonaws.com"}`
	for _, c := range []struct {
		name, policy string
		allowed      bool
	}{
		{"none", "", false},
		{"this rule", statement("Allow", events, queueARN, `,"Condition":{"ArnEquals":{"aws:SourceArn":"`+rule+`"}}`), true},
		{"rules by pattern", statement("Allow", events, "*", `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:*:*:rule/dep*"}}`), true},
		{"another rule", statement("Allow", events, queueARN, `,"Condition":{"ArnEquals":{"aws:SourceArn":"`+rule+`2"}}`), false},
		{"another service", statement("Allow", `{"Service":"sns.amazonaws.com"}`, queueARN, ""), false},
		{"another queue", statement("Allow", events, queueARN+"2", ""), false},
		{"denied", statement("Deny", `"*"`, queueARN, ""), false},
		{"a condition that nobody meets", statement("Allow", events, queueARN, `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			attributes := map[string]string{}
			if c.policy != "" {
				attributes["Policy"] = c.policy
			}
			b := newBench(t, t.Context(), "q", attributes)
			err := b.Send(queueARN, "events.amazonaws.com", rule, "x", "")
			if c.allowed != (err == nil) || (err != nil && !errors.Is(err, sqs.ErrNotAllowed)) {
				t.Errorf("got %v, allowed must be %v", err, c.allowed)
			}
		})
	}
}
