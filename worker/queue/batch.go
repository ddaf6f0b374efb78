package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/zap"
)

// batch is what one answer of SQS gave: at most ten messages, each of which is held, done or given back.
type batch struct {
	queue *Queue

	mu    sync.Mutex
	held  []types.Message
	gone  []types.Message         // done: to be deleted
	given map[string]returnedItem // by message id, with when it may come again
}

type returnedItem struct {
	message types.Message
	after   time.Duration
}

func newBatch(q *Queue, messages []types.Message) *batch {
	return &batch{queue: q, held: slices.Clone(messages), given: map[string]returnedItem{}}
}

func (b *batch) done(m types.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(m)
	b.gone = append(b.gone, m)
}

// release gives messages back, to come again after that time.
func (b *batch) release(after time.Duration, messages ...types.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range messages {
		b.drop(m)
		b.given[aws.ToString(m.MessageId)] = returnedItem{m, after}
	}
}

func (b *batch) drop(m types.Message) {
	b.held = slices.DeleteFunc(b.held, func(h types.Message) bool { return aws.ToString(h.MessageId) == aws.ToString(m.MessageId) })
}

// renew keeps messages invisible until stop is called: those in work, and those that wait for the batch's end, which another
// consumer would otherwise work on for the second time.
func (b *batch) renew(ctx context.Context, visibility time.Duration, log *zap.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(visibility / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			b.mu.Lock()
			keep := slices.Concat(b.held, b.gone)
			for _, g := range b.given {
				keep = append(keep, g.message)
			}
			b.mu.Unlock()
			if err := b.setVisibility(ctx, keep, func(types.Message) time.Duration { return visibility }); err != nil && ctx.Err() == nil {
				log.Warn("messages may come again while they are worked on", zap.Error(err))
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// finish deletes what is done and gives the rest back.
func (b *batch) finish(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var back []types.Message
	for _, g := range b.given {
		back = append(back, g.message)
	}
	return errors.Join(b.delete(ctx), b.setVisibility(ctx, back, func(m types.Message) time.Duration {
		return b.given[aws.ToString(m.MessageId)].after
	}))
}

func (b *batch) delete(ctx context.Context) error {
	if len(b.gone) == 0 {
		return nil
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &b.queue.url}
	for i, m := range b.gone {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	out, err := b.queue.client.DeleteMessageBatch(ctx, in)
	if err != nil {
		return fmt.Errorf("delete %d messages: %w", len(b.gone), err)
	}
	return refused("delete", out.Failed)
}

func (b *batch) setVisibility(ctx context.Context, messages []types.Message, of func(types.Message) time.Duration) error {
	if len(messages) == 0 {
		return nil
	}
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &b.queue.url}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)),
			ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: int32(of(m) / time.Second)})
	}
	out, err := b.queue.client.ChangeMessageVisibilityBatch(ctx, in)
	if err != nil {
		return fmt.Errorf("change the visibility of %d messages: %w", len(messages), err)
	}
	return refused("change the visibility of", out.Failed)
}

func refused(deed string, failed []types.BatchResultErrorEntry) error {
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%s %d messages: %s", deed, len(failed), aws.ToString(failed[0].Code))
}

// againMax is the longest time until a message that failed comes again.
const againMax = 5 * time.Minute

// later is when a message that failed so often shall come again: after 1 s, 2 s, 4 s …
func later(tries int) time.Duration {
	return min(time.Second<<min(max(tries, 1)-1, 20), againMax)
}

// receiveCount is how often SQS has given the message out, this time included.
func receiveCount(m types.Message) int {
	n, err := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	if err != nil || n < 1 {
		return 1
	}
	return n
}
