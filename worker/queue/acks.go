package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/zap"
)

// ackWait is how long what is done waits for more to go with: requests are paid for, and take the time of both sides.
const ackWait = 10 * time.Millisecond

// acks holds messages and tells SQS what became of them, beside the work, so that nobody waits for a whole batch: the next message
// of a FIFO queue's group is to be had once the one before it is deleted. One request is underway at a time, so that nothing is
// renewed after it was given back.
type acks struct {
	queue      *Queue
	visibility time.Duration
	log        *zap.Logger
	told       func(n int64) // so many messages are not held any more
	first      chan struct{} // something is to be told
	full       chan struct{} // and it fills a request
	polled     chan struct{} // closed once nobody here receives any more

	mu    sync.Mutex
	held  map[string]types.Message // by receipt handle: in work, or not told yet
	gone  []types.Message          // done: to be deleted
	given []returned
}

type returned struct {
	message types.Message
	after   time.Duration // until it may come again
}

func newAcks(q *Queue, visibility time.Duration, log *zap.Logger, told func(n int64)) *acks {
	return &acks{queue: q, visibility: visibility, log: log, told: told, first: make(chan struct{}, 1), full: make(chan struct{}, 1), polled: make(chan struct{}), held: map[string]types.Message{}}
}

// hold keeps messages invisible from now on, until what became of them is told: another consumer would otherwise work on them
// for the second time.
func (a *acks) hold(messages []types.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range messages {
		a.held[aws.ToString(m.ReceiptHandle)] = m
	}
}

func (a *acks) done(m types.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = append(a.gone, m)
	a.wake(len(a.gone))
}

// release gives messages back, to come again after that time.
func (a *acks) release(after time.Duration, messages ...types.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range messages {
		a.given = append(a.given, returned{m, after})
	}
	a.wake(len(a.given))
}

// giveBack gives messages back that nobody has begun, once nobody here receives any more: whoever of us still does would get them again,
// and each time counts as a try.
func (a *acks) giveBack(messages ...types.Message) {
	<-a.polled
	a.release(0, messages...)
}

func (a *acks) wake(waiting int) {
	signal(a.first)
	if waiting >= batchMax {
		signal(a.full)
	}
}

// signal is taken once, however often it was given.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// run tells until ctx ends, and then what is left, for finishTimeout at most. Between any two requests it may be time to renew.
func (a *acks) run(ctx context.Context) {
	renew := time.NewTicker(a.visibility / 3)
	defer renew.Stop()
	var waited <-chan time.Time
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-renew.C:
			a.renew()
		case <-a.first:
			if waited == nil {
				waited = time.After(ackWait)
			}
		case <-a.full:
			waited = nil
			if left := a.tell(context.WithoutCancel(ctx)); left >= batchMax {
				signal(a.full)
			} else if left > 0 {
				waited = time.After(ackWait)
			}
		case <-waited:
			waited = nil
			if a.tell(context.WithoutCancel(ctx)) > 0 {
				waited = time.After(0)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	for a.tell(ctx) > 0 {
	}
}

// tell makes one request, if there is something to say, and returns how much is left to say.
func (a *acks) tell(ctx context.Context) (left int) {
	a.mu.Lock()
	gone := take(&a.gone)
	var given []returned
	if len(gone) == 0 {
		given = take(&a.given)
	}
	a.mu.Unlock()
	if len(gone)+len(given) == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	if err := errors.Join(a.queue.delete(ctx, gone), a.queue.setVisibility(ctx, given)); err != nil {
		// What was not deleted comes again, and has no effect then.
		a.log.Warn("messages come again", zap.Error(err))
	}
	a.mu.Lock()
	for _, m := range gone {
		delete(a.held, aws.ToString(m.ReceiptHandle))
	}
	for _, r := range given {
		delete(a.held, aws.ToString(r.message.ReceiptHandle))
	}
	left = len(a.gone) + len(a.given)
	a.mu.Unlock()
	a.told(int64(len(gone) + len(given)))
	return left
}

// renew gives everything that is held its whole time again.
func (a *acks) renew() {
	a.mu.Lock()
	var keep []returned
	for _, m := range a.held {
		keep = append(keep, returned{m, a.visibility})
	}
	a.mu.Unlock()
	for len(keep) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
		err := a.queue.setVisibility(ctx, take(&keep))
		cancel()
		if err != nil {
			a.log.Warn("messages may come again while they are worked on", zap.Error(err))
		}
	}
}

// take removes from a list as many as one request may have.
func take[T any](from *[]T) []T {
	n := min(len(*from), batchMax)
	some := (*from)[:n:n]
	*from = (*from)[n:]
	return some
}

func (q *Queue) delete(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &q.url}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	out, err := q.client.DeleteMessageBatch(ctx, in)
	if err != nil {
		return fmt.Errorf("delete %d messages: %w", len(messages), err)
	}
	return refused("delete", out.Failed)
}

func (q *Queue) setVisibility(ctx context.Context, messages []returned) error {
	if len(messages) == 0 {
		return nil
	}
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url}
	for i, m := range messages {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)),
			ReceiptHandle: m.message.ReceiptHandle, VisibilityTimeout: int32(m.after / time.Second)})
	}
	out, err := q.client.ChangeMessageVisibilityBatch(ctx, in)
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
