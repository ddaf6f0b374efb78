package sqs

import (
	"context"
	"encoding/base64"
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
		full := e.room(q, now) <= 0
		out := show(got, in)
		e.mu.Unlock()
		left := wait - now.Sub(began)
		if len(got) == 0 && full && wait == 0 && !q.fifo {
			return nil, &types.OverLimit{Message: aws.String("Too many messages in flight: the maximum is " + strconv.Itoa(e.MaxInFlight) + ".")}
		}
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

// room is how many messages more may be in flight: received, not deleted, and not visible again.
func (e *Engine) room(q *queue, now time.Time) int {
	room := e.MaxInFlight
	if len(q.messages) < room {
		return room // where it cannot be reached, nothing is counted
	}
	for _, m := range q.messages {
		if m.receives > 0 && m.visible.After(now) {
			room--
		}
	}
	return room
}

// take hides what it answers. next is when something may become visible without a change. A message that was
// received too often goes to the dead-letter queue instead. Of a FIFO group nothing comes while one of its
// messages is hidden, and as many of one group come as there are before one of another does.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
func (e *Engine) take(q *queue, most int, visibility int32, now time.Time) (got []*message, next time.Duration) {
	q.expire(now)
	next = 24 * time.Hour
	hidden := q.duration(types.QueueAttributeNameVisibilityTimeout)
	if visibility > 0 {
		hidden = time.Duration(visibility) * time.Second
	}
	policy, redriven := q.redrive()
	blocked, room := map[string]bool{}, e.room(q, now)
	for _, m := range q.inTurn() {
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
		if room--; room < 0 {
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

// inTurn are the messages in the order in which they are given out: those of a FIFO queue group by group, that of the oldest first.
func (q *queue) inTurn() []*message {
	all := slices.Clone(q.messages)
	if !q.fifo {
		return all
	}
	first := map[string]int{}
	for i, m := range all {
		if _, known := first[m.group]; !known {
			first[m.group] = i
		}
	}
	slices.SortStableFunc(all, func(a, b *message) int { return first[a.group] - first[b.group] })
	return all
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
