package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// policy is the queue's own word about messages that nobody can handle.
type policy struct {
	tries   int    // how often a message is received before SQS moves it
	deadURL string // of the dead-letter queue
}

// policy reads the redrive policy. ErrNoDeadLetters is for good; another error may be gone at the next call.
func (q *Queue) policy(ctx context.Context) (policy, error) {
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameRedrivePolicy}})
	if err != nil {
		return policy{}, fmt.Errorf("look at the queue: %w", err)
	}
	text := out.Attributes[string(types.QueueAttributeNameRedrivePolicy)]
	if text == "" {
		return policy{}, ErrNoDeadLetters
	}
	arn, tries, err := parseRedrive(text)
	if err != nil {
		return policy{}, err
	}
	// arn:aws:sqs:region:account:name
	parts := strings.Split(arn, ":")
	if len(parts) != 6 {
		return policy{}, fmt.Errorf("the queue's dead-letter queue %q is no ARN", arn)
	}
	dead, err := q.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &parts[5], QueueOwnerAWSAccountId: &parts[4]})
	if err != nil {
		return policy{}, fmt.Errorf("find the dead-letter queue: %w", err)
	}
	return policy{tries: tries, deadURL: aws.ToString(dead.QueueUrl)}, nil
}

// parseRedrive reads what SQS says: maxReceiveCount is a number, or the same in quotes, as whoever set it wrote it.
func parseRedrive(text string) (arn string, tries int, err error) {
	var said struct {
		Target string `json:"deadLetterTargetArn"`
		Max    any    `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		return "", 0, fmt.Errorf("read the queue's redrive policy: %w", err)
	}
	tries, err = strconv.Atoi(fmt.Sprint(said.Max))
	if err != nil || tries < 1 {
		return "", 0, errors.New("the queue's redrive policy has no maxReceiveCount")
	}
	return said.Target, tries, nil
}

// bury moves a message of a FIFO queue to the dead letters. Left to SQS, the innocent messages behind it in its group would
// be received, and counted, each time together with it, and end there too. A crash in between buries it twice; the dead-letter
// queue drops the second within five minutes.
func (q *Queue) bury(ctx context.Context, to policy, m types.Message) error {
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &to.deadURL, MessageBody: m.Body,
		MessageGroupId:         aws.String(m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)]),
		MessageDeduplicationId: m.MessageId})
	if err != nil {
		return fmt.Errorf("move message %s to the dead letters: %w", aws.ToString(m.MessageId), err)
	}
	return nil
}
