package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/canteen/deploy/worker/order"
)

// Send sends events and tells which of them SQS has; the others may be sent again, and those it has may come twice. On a FIFO
// queue a school is a message group: its events keep their order, also when some of them fail, and an event that is sent
// again within five minutes is dropped by SQS.
func (q *Queue) Send(ctx context.Context, events []order.Event) (done []bool, err error) {
	done = make([]bool, len(events))
	held := map[string]bool{} // schools of which an event failed: the later ones must not overtake it
	for rest := indexes(len(events)); len(rest) > 0; {
		var batch []int
		batch, rest = q.nextBatch(events, rest, held)
		if len(batch) == 0 {
			break
		}
		failed, sendErr := q.sendBatch(ctx, events, batch)
		if sendErr != nil {
			return done, sendErr
		}
		for _, i := range batch {
			if reason, ok := failed[i]; ok {
				held[events[i].School] = true
				err = fmt.Errorf("send %s of order %s: %s", events[i].Type, events[i].OrderID, reason)
				continue
			}
			done[i] = true
		}
	}
	return done, err
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// nextBatch takes up to ten events. Of a FIFO queue's school it takes one at a time: entries of one batch succeed and fail
// each by itself.
func (q *Queue) nextBatch(events []order.Event, from []int, held map[string]bool) (batch, rest []int) {
	taken := map[string]bool{}
	for _, i := range from {
		school := events[i].School
		switch {
		case q.fifo && held[school]:
		case len(batch) == batchMax || q.fifo && taken[school]:
			rest = append(rest, i)
		default:
			batch, taken[school] = append(batch, i), true
		}
	}
	return batch, rest
}

// sendBatch returns why which events failed.
func (q *Queue) sendBatch(ctx context.Context, events []order.Event, batch []int) (failed map[int]string, err error) {
	in := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
	for _, i := range batch {
		body, err := json.Marshal(events[i])
		if err != nil {
			return nil, fmt.Errorf("write %s of order %s: %w", events[i].Type, events[i].OrderID, err)
		}
		entry := types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body))}
		if q.fifo {
			entry.MessageGroupId, entry.MessageDeduplicationId = aws.String(events[i].School), aws.String(events[i].ID())
		}
		in.Entries = append(in.Entries, entry)
	}
	out, err := q.client.SendMessageBatch(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("send %d events: %w", len(batch), err)
	}
	failed = map[int]string{}
	for _, f := range out.Failed {
		i, err := strconv.Atoi(aws.ToString(f.Id))
		if err != nil {
			return nil, fmt.Errorf("send %d events: SQS answers for an entry %q", len(batch), aws.ToString(f.Id))
		}
		failed[i] = aws.ToString(f.Code)
	}
	return failed, nil
}
