package account

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/observed"
)

// messagesPerCall is the most that SQS answers or deletes at once.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
const messagesPerCall = 10

// Receive answers up to ten messages of a queue and hides them for so long, in whole seconds; it waits 20 s at most for the first.
// SQS asks all its servers then, so no message is what there is. An error has a fault kind, and may be retried.
func (a *Account) Receive(ctx context.Context, queueURL string, hide time.Duration) ([]observed.Message, error) {
	out, err := a.aws.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &queueURL, MaxNumberOfMessages: messagesPerCall,
		WaitTimeSeconds: int32(client.QueueWait / time.Second), VisibilityTimeout: int32(hide / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
	})
	if err != nil {
		return nil, deed(err, "receive messages of queue %s", path.Base(queueURL))
	}
	var messages []observed.Message
	for _, m := range out.Messages {
		to := observed.Message{Body: aws.ToString(m.Body), Receipt: aws.ToString(m.ReceiptHandle)}
		if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
			to.SentAt = time.UnixMilli(ms)
		}
		messages = append(messages, to)
	}
	return messages, nil
}

// Delete deletes messages by their receipts, any number of them. It goes on after one that cannot be deleted, which comes again.
func (a *Account) Delete(ctx context.Context, queueURL string, receipts []string) error {
	var bad error
	for chunk := range slices.Chunk(receipts, messagesPerCall) {
		in := &sqs.DeleteMessageBatchInput{QueueUrl: &queueURL}
		for i, r := range chunk {
			in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &r})
		}
		out, err := a.aws.SQS.DeleteMessageBatch(ctx, in)
		if err != nil {
			return deed(err, "delete messages of queue %s", path.Base(queueURL))
		}
		for _, f := range out.Failed {
			if f.SenderFault { // a receipt that is too old: the message has a newer one by now, or is gone
				continue
			}
			bad = fmt.Errorf("delete a message of queue %s: SQS says %s", path.Base(queueURL), aws.ToString(f.Code))
		}
	}
	return bad
}

// Notice says that something about a service has changed: what DescribeServices said of it a moment ago does not count.
func (a *Account) Notice(cluster, service string) {
	s := stack{cluster: cluster, service: service}
	a.noticed.put(s.key(), true)
}
