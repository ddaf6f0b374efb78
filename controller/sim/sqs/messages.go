package sqs

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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

// ReceiveMessage answers up to ten visible messages and hides them for the visibility timeout. Where there is
// none it waits, at most WaitTimeSeconds or until ctx ends.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
func (e *Engine) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	if err := wire.Refuse(in, "AttributeNames", "MaxNumberOfMessages", "MessageAttributeNames", "MessageSystemAttributeNames", "QueueUrl",
		"VisibilityTimeout", "WaitTimeSeconds"); err != nil {
		return nil, err
	}
	most := int(in.MaxNumberOfMessages)
	if most == 0 {
		most = 1
	}
	if most < 1 || most > maxBatch || in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > 20 || in.VisibilityTimeout < 0 || in.VisibilityTimeout > 43_200 {
		return nil, invalidValue("MaxNumberOfMessages must be 1 to 10, WaitTimeSeconds 0 to 20 and VisibilityTimeout 0 to 43200, found %d, %d and %d",
			most, in.WaitTimeSeconds, in.VisibilityTimeout)
	}
	began := time.Now()
	for {
		e.mu.Lock()
		q, err := e.queue(in.QueueUrl)
		if err != nil {
			e.mu.Unlock()
			return nil, err
		}
		wait := time.Duration(in.WaitTimeSeconds) * time.Second
		if wait == 0 {
			wait = q.duration(types.QueueAttributeNameReceiveMessageWaitTimeSeconds)
		}
		now := time.Now()
		got, next := e.take(q, most, in.VisibilityTimeout, now)
		changed := q.changed
		out := show(got, in)
		e.mu.Unlock()
		left := wait - now.Sub(began)
		if len(got) > 0 || left <= 0 {
			return out, nil
		}
		if err := pause(ctx, min(left, next), changed); err != nil {
			return nil, err
		}
	}
}

// pause ends with the time, with a change or with ctx.
func pause(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take hides what it answers. next is when something may become visible without a change. A message that was
// received too often goes to the dead-letter queue instead. Of a FIFO group nothing comes while one of its
// messages is hidden.
func (e *Engine) take(q *queue, most int, visibility int32, now time.Time) (got []*message, next time.Duration) {
	q.expire(now)
	next = 24 * time.Hour
	hidden := q.duration(types.QueueAttributeNameVisibilityTimeout)
	if visibility > 0 {
		hidden = time.Duration(visibility) * time.Second
	}
	policy, redriven := q.redrive()
	blocked := map[string]bool{}
	for _, m := range slices.Clone(q.messages) {
		if q.fifo && blocked[m.group] {
			continue
		}
		if m.visible.After(now) {
			blocked[m.group] = true
			next = min(next, m.visible.Sub(now))
			continue
		}
		if redriven && m.receives >= int(policy.Max) {
			e.bury(q, m, policy.Target)
			continue
		}
		if len(got) == most {
			break
		}
		m.receives++
		if m.first.IsZero() {
			m.first = now
		}
		m.visible = now.Add(hidden)
		got = append(got, m)
	}
	return got, next
}

// bury moves a message to the dead-letter queue, where its age goes on counting from when it was sent.
func (e *Engine) bury(q *queue, m *message, target string) {
	dead := e.byARN(target)
	if dead == nil {
		return
	}
	q.remove(m)
	m.source, m.receives, m.first = q.arn, 0, time.Time{}
	dead.messages = append(dead.messages, m)
	dead.wake()
}

func (q *queue) expire(now time.Time) {
	oldest := now.Add(-q.duration(types.QueueAttributeNameMessageRetentionPeriod))
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return !m.sent.After(oldest) })
}

func (q *queue) remove(m *message) {
	q.messages = slices.DeleteFunc(q.messages, func(other *message) bool { return other == m })
}

// wake lets those who wait look again.
func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func show(got []*message, in *sqs.ReceiveMessageInput) *sqs.ReceiveMessageOutput {
	out := &sqs.ReceiveMessageOutput{}
	for _, m := range got {
		shown := types.Message{
			MessageId: aws.String(m.id), Body: aws.String(m.body), MD5OfBody: aws.String(sum(m.body)),
			ReceiptHandle: aws.String(m.handle()), Attributes: m.system(in),
		}
		for k, v := range m.attributes {
			if named(in.MessageAttributeNames, k) {
				if shown.MessageAttributes == nil {
					shown.MessageAttributes = map[string]types.MessageAttributeValue{}
				}
				shown.MessageAttributes[k] = v
			}
		}
		shown.MD5OfMessageAttributes = sumOfAttributes(shown.MessageAttributes)
		out.Messages = append(out.Messages, shown)
	}
	return out
}

// named: All and .* stand for every name, and prefix.* for those that begin so.
func named(names []string, k string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		prefix, wild := strings.CutSuffix(n, ".*")
		return n == "All" || n == k || (wild && strings.HasPrefix(k, prefix))
	})
}

func (m *message) system(in *sqs.ReceiveMessageInput) map[string]string {
	all := map[string]string{
		"SenderId":                         "AIDALOCALACCOUNT",
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
	}
	for k, v := range map[string]string{"MessageGroupId": m.group, "MessageDeduplicationId": m.dedup, "DeadLetterQueueSourceArn": m.source} {
		if v != "" {
			all[k] = v
		}
	}
	if m.dedup != "" {
		all["SequenceNumber"] = m.sequence
	}
	var names []string
	for _, n := range in.AttributeNames {
		names = append(names, string(n))
	}
	for _, n := range in.MessageSystemAttributeNames {
		names = append(names, string(n))
	}
	maps.DeleteFunc(all, func(k, _ string) bool { return !named(names, k) })
	if len(all) == 0 {
		return nil
	}
	return all
}

// handle names one receipt of one message.
func (m *message) handle() string {
	return base64.StdEncoding.EncodeToString([]byte(m.id + " " + strconv.Itoa(m.receives)))
}

func sum(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

// sumOfAttributes is the digest of
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation
func sumOfAttributes(attributes map[string]types.MessageAttributeValue) *string {
	if len(attributes) == 0 {
		return nil
	}
	var b []byte
	add := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	for _, k := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[k]
		add(k)
		add(aws.ToString(a.DataType))
		if a.StringValue != nil {
			b = append(b, 1)
			add(*a.StringValue)
		} else {
			b = append(b, 2)
			add(string(a.BinaryValue))
		}
	}
	return aws.String(sum(string(b)))
}
