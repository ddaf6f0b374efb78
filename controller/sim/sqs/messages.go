package sqs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

type message struct {
	id, body, sequence string
	attributes         map[string]types.MessageAttributeValue
	group, dedup       string
	sent, visible      time.Time
	receives           int
	first              time.Time // received for the first time
	source             string    // ARN of the queue that it was moved from as a dead letter
}

// SendMessage adds one message.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func (e *Engine) SendMessage(_ context.Context, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
	if err := wire.Refuse(in, "DelaySeconds", "MessageAttributes", "MessageBody", "MessageDeduplicationId", "MessageGroupId", "QueueUrl"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	q, err := e.queue(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	m := &message{
		body: aws.ToString(in.MessageBody), attributes: in.MessageAttributes,
		group: aws.ToString(in.MessageGroupId), dedup: aws.ToString(in.MessageDeduplicationId),
	}
	if err := e.send(q, m, in.DelaySeconds); err != nil {
		return nil, err
	}
	out := &sqs.SendMessageOutput{MessageId: &m.id, MD5OfMessageBody: aws.String(sum(m.body)), MD5OfMessageAttributes: sumOfAttributes(m.attributes)}
	if q.fifo {
		out.SequenceNumber = &m.sequence
	}
	return out, nil
}

// Send lets a service of the account put a message into a queue, where the queue's policy allows it.
// ErrNotAllowed says that it does not; sourceARN is what aws:SourceArn is compared with.
func (e *Engine) Send(queueARN, service, sourceARN, body, group string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.byARN(queueARN)
	if q == nil {
		return noQueue()
	}
	if !q.allows(service, sourceARN, e.account) {
		return fmt.Errorf("send for %s to %s: %w", service, queueARN, ErrNotAllowed)
	}
	m := &message{body: body, group: group}
	if q.fifo {
		m.dedup = fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
	}
	return e.send(q, m, 0)
}

// send is called with the lock held.
func (e *Engine) send(q *queue, m *message, delaySeconds int32) error {
	if err := q.check(m, delaySeconds); err != nil {
		return err
	}
	now := time.Now()
	if q.fifo {
		if m.dedup == "" {
			m.dedup = fmt.Sprintf("%x", sha256.Sum256([]byte(m.body)))
		}
		if old := q.deduplicated[m.dedup]; old != nil && now.Before(old.until) {
			m.id, m.sequence = old.id, old.sequence
			return nil
		}
	}
	e.sent++
	m.id = fmt.Sprintf("%08x-0000-4000-8000-%012x", e.sent>>48, e.sent&(1<<48-1))
	m.sequence = fmt.Sprintf("1%019d", e.sent)
	m.sent, m.visible = now, now.Add(time.Duration(delaySeconds)*time.Second)
	if delaySeconds == 0 {
		m.visible = now.Add(q.duration(types.QueueAttributeNameDelaySeconds))
	}
	if q.fifo {
		maps.DeleteFunc(q.deduplicated, func(_ string, v *echo) bool { return !now.Before(v.until) })
		q.deduplicated[m.dedup] = &echo{until: now.Add(dedupFor), id: m.id, sequence: m.sequence}
	}
	q.messages = append(q.messages, m)
	q.wake()
	return nil
}

func (q *queue) check(m *message, delay int32) error {
	size := len(m.body)
	for k, a := range m.attributes {
		size += len(k) + len(aws.ToString(a.DataType)) + len(aws.ToString(a.StringValue)) + len(a.BinaryValue)
	}
	limit, _ := strconv.Atoi(q.attributes[types.QueueAttributeNameMaximumMessageSize]) // checked when it was set
	switch {
	case m.body == "":
		return &wire.StatusError{Status: 400, Code: "MissingParameter", Message: "The request must contain the parameter MessageBody."}
	case size > limit:
		return invalidValue("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", limit)
	case delay < 0 || delay > 900:
		return invalidValue("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", delay)
	case q.fifo && delay != 0:
		return invalidValue("Value %d for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.", delay)
	case q.fifo && m.group == "":
		return &wire.StatusError{Status: 400, Code: "MissingParameter", Message: "The request must contain the parameter MessageGroupId."}
	case q.fifo && m.dedup == "" && q.attributes[types.QueueAttributeNameContentBasedDeduplication] != "true":
		return invalidValue("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case !q.fifo && m.dedup != "":
		return invalidValue("Value %s for parameter MessageDeduplicationId is invalid. Reason: The request include parameter that is not valid for this queue type.", m.dedup)
	}
	return nil
}
