package sqs

import (
	"context"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// Limits of https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
const (
	maxBatch      = 10
	maxBatchBytes = 1 << 20
)

var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// DeleteMessage removes what a receipt handle names. With an older handle than the newest a standard queue
// says yes and keeps the message; a FIFO queue refuses a handle that expired.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
func (e *Engine) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput) (*sqs.DeleteMessageOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := q.delete(aws.ToString(in.ReceiptHandle)); err != nil {
		return nil, err
	}
	return &sqs.DeleteMessageOutput{}, nil
}

func (q *queue) delete(handle string) error {
	m, newest, err := q.received(handle)
	if err != nil || m == nil {
		return err
	}
	if q.fifo && (!newest || !m.visible.After(time.Now())) {
		return invalidValue("Value %s for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", handle)
	}
	if newest {
		q.remove(m)
		q.wake() // the next of its FIFO group may come
	}
	return nil
}

// received finds the message of a handle: nil where it is gone; newest where it was not received again since.
func (q *queue) received(handle string) (m *message, newest bool, err error) {
	b, decodeErr := base64.StdEncoding.DecodeString(handle)
	id, times, ok := strings.Cut(string(b), " ")
	n, convErr := strconv.Atoi(times)
	if decodeErr != nil || !ok || convErr != nil {
		return nil, false, &types.ReceiptHandleIsInvalid{Message: aws.String("The input receipt handle \"" + handle + "\" is not a valid receipt handle.")}
	}
	i := slices.IndexFunc(q.messages, func(m *message) bool { return m.id == id })
	if i < 0 {
		return nil, false, nil
	}
	return q.messages[i], q.messages[i].receives == n, nil
}

// ChangeMessageVisibility hides a received message from now on for so long; 0 gives it back.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
func (e *Engine) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput) (*sqs.ChangeMessageVisibilityOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := q.hide(aws.ToString(in.ReceiptHandle), in.VisibilityTimeout); err != nil {
		return nil, err
	}
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (q *queue) hide(handle string, seconds int32) error {
	if seconds < 0 || seconds > 43_200 {
		return invalidValue("Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200.", seconds)
	}
	m, newest, err := q.received(handle)
	if err != nil {
		return err
	}
	now := time.Now()
	if m == nil || !newest || !m.visible.After(now) {
		return &types.MessageNotInflight{ErrorCodeOverride: aws.String("AWS.SimpleQueueService.MessageNotInflight"),
			Message: aws.String("Message does not exist or is not available for visibility timeout change.")}
	}
	m.visible = now.Add(time.Duration(seconds) * time.Second)
	q.wake()
	return nil
}

// SendMessageBatch sends up to ten messages; each may fail by itself.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
func (e *Engine) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
	size, ids := 0, []string{}
	for _, v := range in.Entries {
		size += len(aws.ToString(v.MessageBody))
		ids = append(ids, aws.ToString(v.Id))
	}
	if err := e.checkBatch(in.QueueUrl, ids); err != nil {
		return nil, err
	}
	if size > maxBatchBytes {
		return nil, &types.BatchRequestTooLong{ErrorCodeOverride: aws.String("AWS.SimpleQueueService.BatchRequestTooLong"),
			Message: aws.String("Batch requests cannot be longer than 1048576 bytes. You have sent " + strconv.Itoa(size) + " bytes.")}
	}
	out := &sqs.SendMessageBatchOutput{Successful: []types.SendMessageBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	for _, v := range in.Entries {
		sent, err := e.SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl: in.QueueUrl, MessageBody: v.MessageBody, DelaySeconds: v.DelaySeconds, MessageAttributes: v.MessageAttributes,
			MessageDeduplicationId: v.MessageDeduplicationId, MessageGroupId: v.MessageGroupId, MessageSystemAttributes: v.MessageSystemAttributes,
		})
		if err != nil {
			out.Failed = append(out.Failed, failed(v.Id, err))
			continue
		}
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{
			Id: v.Id, MessageId: sent.MessageId, MD5OfMessageBody: sent.MD5OfMessageBody,
			MD5OfMessageAttributes: sent.MD5OfMessageAttributes, SequenceNumber: sent.SequenceNumber,
		})
	}
	return out, nil
}

// DeleteMessageBatch deletes up to ten messages; each may fail by itself.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html
func (e *Engine) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
	ids := []string{}
	for _, v := range in.Entries {
		ids = append(ids, aws.ToString(v.Id))
	}
	if err := e.checkBatch(in.QueueUrl, ids); err != nil {
		return nil, err
	}
	out := &sqs.DeleteMessageBatchOutput{Successful: []types.DeleteMessageBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	for _, v := range in.Entries {
		if _, err := e.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: in.QueueUrl, ReceiptHandle: v.ReceiptHandle}); err != nil {
			out.Failed = append(out.Failed, failed(v.Id, err))
			continue
		}
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: v.Id})
	}
	return out, nil
}

// ChangeMessageVisibilityBatch changes up to ten messages; each may fail by itself.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html
func (e *Engine) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	ids := []string{}
	for _, v := range in.Entries {
		ids = append(ids, aws.ToString(v.Id))
	}
	if err := e.checkBatch(in.QueueUrl, ids); err != nil {
		return nil, err
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{Successful: []types.ChangeMessageVisibilityBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	for _, v := range in.Entries {
		if _, err := e.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
			QueueUrl: in.QueueUrl, ReceiptHandle: v.ReceiptHandle, VisibilityTimeout: v.VisibilityTimeout,
		}); err != nil {
			out.Failed = append(out.Failed, failed(v.Id, err))
			continue
		}
		out.Successful = append(out.Successful, types.ChangeMessageVisibilityBatchResultEntry{Id: v.Id})
	}
	return out, nil
}

// checkBatch refuses what makes a batch fail as a whole.
func (e *Engine) checkBatch(queueURL *string, ids []string) error {
	e.mu.Lock()
	_, err := e.queue(queueURL)
	e.mu.Unlock()
	const prefix = "AWS.SimpleQueueService."
	switch {
	case err != nil:
		return err
	case len(ids) == 0:
		return &types.EmptyBatchRequest{ErrorCodeOverride: aws.String(prefix + "EmptyBatchRequest"),
			Message: aws.String("There should be at least one entry in the request.")}
	case len(ids) > maxBatch:
		return &types.TooManyEntriesInBatchRequest{ErrorCodeOverride: aws.String(prefix + "TooManyEntriesInBatchRequest"),
			Message: aws.String("Maximum number of entries per request are 10. You have sent " + strconv.Itoa(len(ids)) + ".")}
	}
	for i, id := range ids {
		if !validID.MatchString(id) {
			return &types.InvalidBatchEntryId{ErrorCodeOverride: aws.String(prefix + "InvalidBatchEntryId"),
				Message: aws.String("A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")}
		}
		if slices.Contains(ids[:i], id) {
			return &types.BatchEntryIdsNotDistinct{ErrorCodeOverride: aws.String(prefix + "BatchEntryIdsNotDistinct"),
				Message: aws.String("Id " + id + " repeated.")}
		}
	}
	return nil
}

func failed(id *string, err error) types.BatchResultErrorEntry {
	out := types.BatchResultErrorEntry{Id: id, Code: aws.String("InternalFailure"), Message: aws.String(err.Error())}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		out.Code, out.Message = aws.String(api.ErrorCode()), aws.String(api.ErrorMessage())
		out.SenderFault = api.ErrorFault() != smithy.FaultServer
	}
	return out
}
