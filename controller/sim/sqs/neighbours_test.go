package sqs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

func TestTags(t *testing.T) {
	b := newBench(t, t.Context(), "q", nil)
	tag := func(tags map[string]string) error {
		_, err := b.TagQueue(t.Context(), &awssqs.TagQueueInput{QueueUrl: b.url, Tags: tags})
		return err
	}
	if err := tag(map[string]string{"team": "a", "cost": "1"}); err != nil {
		t.Error(err)
	}
	if err := tag(map[string]string{"team": "b"}); err != nil {
		t.Error(err)
	}
	if _, err := b.UntagQueue(t.Context(), &awssqs.UntagQueueInput{QueueUrl: b.url, TagKeys: []string{"cost", "never"}}); err != nil {
		t.Error(err)
	}
	many := map[string]string{}
	for i := range 50 {
		many[fmt.Sprint(i)] = "x"
	}
	for name, tags := range map[string]map[string]string{
		"the 51st": many, "a long key": {strings.Repeat("k", 129): ""}, "a long value": {"k": strings.Repeat("v", 257)}, "no key": {"": "v"},
	} {
		if got := code(tag(tags)); got != "InvalidParameterValue" {
			t.Errorf("%s: %s", name, got)
		}
	}
	out, err := b.ListQueueTags(t.Context(), &awssqs.ListQueueTagsInput{QueueUrl: b.url})
	if err != nil || !cmp.Equal(out.Tags, map[string]string{"team": "b"}) {
		t.Errorf("what was refused left nothing behind: %v, %v", out, err)
	}
}

func TestSourcesOfDeadLetters(t *testing.T) {
	b := newBench(t, t.Context(), "dead", nil)
	dead := b.url
	for _, name := range []string{"a", "b", "c"} {
		b.create(name, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:000000000000:dead","maxReceiveCount":3}`})
	}
	b.create("other", nil)
	var all []string
	for in := (&awssqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead, MaxResults: aws.Int32(2)}); ; {
		out, err := b.ListDeadLetterSourceQueues(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.QueueUrls...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	const at = "https://sqs.eu-central-1.amazonaws.com/000000000000/"
	want(t, "sources", []string{at + "a", at + "b", at + "c"}, all)
	for name, in := range map[string]*awssqs.ListDeadLetterSourceQueuesInput{
		"size": {QueueUrl: dead, MaxResults: aws.Int32(1001)}, "token": {QueueUrl: dead, MaxResults: aws.Int32(1), NextToken: aws.String("!")},
	} {
		if _, err := b.ListDeadLetterSourceQueues(t.Context(), in); code(err) != "InvalidParameterValue" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
func TestMessagesInFlightAreLimited(t *testing.T) {
	b := newBench(t, t.Context(), "q", nil)
	b.MaxInFlight = 3
	for i := range 5 {
		b.send(fmt.Sprint(i))
	}
	first := b.receive(b.url, 2, 0)
	want(t, "two", []string{"0", "1"}, bodies(first))
	want(t, "one more has room", []string{"2"}, bodies(b.receive(b.url, 10, 0)))
	if _, err := b.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: b.url}); code(err) != "OverLimit" {
		t.Errorf("a short poll: %v", err)
	}
	want(t, "a long poll is told nothing", nil, bodies(b.receive(b.url, 1, 1)))
	if _, err := b.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: b.url, ReceiptHandle: first[0].ReceiptHandle}); err != nil {
		t.Error(err)
	}
	want(t, "room again", []string{"3"}, bodies(b.receive(b.url, 10, 0)))
}
