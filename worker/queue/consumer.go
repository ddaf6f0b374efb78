package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/canteen/deploy/worker/order"
	"github.com/cenkalti/backoff/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
)

const (
	// pollWait is SQS's longest: fewer empty answers, and a message still comes at once.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
	pollWait = 20 * time.Second
	// pollGrace is what the last poll may take after the stop began: its answer would otherwise be lost, and its messages
	// stay invisible until their time is over.
	pollGrace = time.Second
	// applyTimeout is what one attempt at an event has.
	applyTimeout = 5 * time.Second
	// finishTimeout bounds the requests after the work: deleting and releasing.
	finishTimeout = 3 * time.Second
)

// Config is what a Consumer is made of.
type Config struct {
	Queue *Queue
	// Apply does what an event asks, once in effect. An error that wraps order.ErrUnavailable is tried again here, for as long
	// as it takes, with the message kept. After any other one the message is tried as often as the queue's redrive policy
	// says, then it is with the dead letters.
	Apply    func(context.Context, order.Event) (applied bool, err error)
	Log      *zap.Logger
	Registry prometheus.Registerer
	// Pollers is how many ask SQS at once; ten messages for each, and ten more, are held at most. 0 is for two, and of a FIFO queue for as
	// many as Workers: SQS gives one of them as many of one group's messages as it can, so that about so many groups are worked on side
	// by side. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
	Pollers int
	// Workers is how many work on messages at once, those of FIFO groups that failed and are tried again not counted: as many as the
	// database has connections for it. More would wait for one another, fewer leave some of them idle.
	Workers int
	// Visibility is how long a message stays with a process that died; one that works renews it. 2 s or more.
	Visibility time.Duration
}

// Consumer works on the messages of a queue. Make one with NewConsumer.
type Consumer struct {
	Config
	policy   policy
	messages *prometheus.CounterVec
	duration prometheus.Histogram
}

// NewConsumer registers the consumer's metrics.
func NewConsumer(c Config) *Consumer {
	if c.Pollers == 0 {
		c.Pollers = 2
		if c.Queue.fifo {
			c.Pollers = c.Workers
		}
	}
	made := &Consumer{Config: c,
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orders_queue_messages_total",
			Help: "Messages by what became of them: applied, repeated (without effect), again (failed, comes again), poison (the same, and nobody can handle it), buried (moved to the dead letters by us), released (by a stop)."}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "orders_queue_apply_seconds",
			Help:    "Time that one message took, waiting for the database included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 30}}),
	}
	for _, r := range []string{"applied", "repeated", "again", "poison", "buried", "released"} {
		made.messages.WithLabelValues(r)
	}
	c.Registry.MustRegister(made.messages, made.duration)
	return made
}

// Run works until ctx ends. Then it receives nothing more, ends what it has begun, gives back what it has not begun, deletes
// what is done, and returns nil. ErrNoDeadLetters is its only error.
func (c *Consumer) Run(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff(backoff.WithMaxInterval(10*time.Second), backoff.WithMaxElapsedTime(0))
	err := backoff.RetryNotify(func() error {
		policy, err := c.Queue.policy(ctx)
		if errors.Is(err, ErrNoDeadLetters) {
			return backoff.Permanent(err)
		}
		c.policy = policy
		return err
	}, backoff.WithContext(wait, ctx), func(err error, next time.Duration) {
		c.Log.Warn("queue not available yet", zap.Error(err), zap.Duration("again_in", next))
	})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	c.Log.Info("receiving", zap.Int("pollers", c.Pollers), zap.Int("workers", c.Workers), zap.Bool("fifo", c.Queue.fifo))
	c.consume(ctx)
	return nil
}

// consume is Run, once the queue is known.
func (c *Consumer) consume(ctx context.Context) {
	// Whoever asks SQS has room for what it may answer. There is room for a batch more, so that a few slow messages keep nobody
	// from asking.
	held := (c.Pollers + 1) * batchMax
	room := semaphore.NewWeighted(int64(held))
	groups := make(chan []types.Message, held) // nobody waits to put something there
	acks := newAcks(c.Queue, c.Visibility, c.Log, room.Release)
	telling, stopTelling := context.WithCancel(context.WithoutCancel(ctx))
	var polls, work, told sync.WaitGroup
	told.Go(func() { acks.run(telling) })
	for range c.Pollers {
		polls.Go(func() { c.poll(ctx, room, acks, groups) })
	}
	handle := func() {
		for messages := range groups {
			c.group(ctx, acks, &work, messages, 0)
		}
	}
	for range c.Workers {
		work.Go(handle)
	}
	polls.Wait()
	close(acks.polled)
	close(groups)
	handle() // what is left is given back now, also where all who work wait for the database
	work.Wait()
	stopTelling()
	told.Wait()
}

// poll receives as long as there is room, and does not wait for the work.
func (c *Consumer) poll(ctx context.Context, room *semaphore.Weighted, acks *acks, groups chan<- []types.Message) {
	failing := backoff.NewExponentialBackOff(backoff.WithMaxInterval(10*time.Second), backoff.WithMaxElapsedTime(0))
	for room.Acquire(ctx, batchMax) == nil {
		messages, err := c.receive(ctx)
		room.Release(batchMax - int64(len(messages)))
		if err == nil {
			failing.Reset()
			acks.hold(messages)
			for _, group := range c.groups(messages) {
				groups <- group
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		wait := failing.NextBackOff()
		c.Log.Warn("queue not available", zap.Error(err), zap.Duration("again_in", wait))
		sleep(ctx, wait)
	}
}

// receive waits for messages. When ctx ends it waits a moment longer, see pollGrace.
func (c *Consumer) receive(ctx context.Context) ([]types.Message, error) {
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(pollGrace, cancel) })
	defer stop()
	out, err := c.Queue.client.ReceiveMessage(asking, &sqs.ReceiveMessageInput{
		QueueUrl: &c.Queue.url, MaxNumberOfMessages: batchMax, WaitTimeSeconds: int32(pollWait / time.Second),
		VisibilityTimeout: int32(c.Visibility / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameMessageGroupId},
	})
	if err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}
	return out.Messages, nil
}

// group handles messages of one group, of which the first was tried here so often already. One that fails holds up those behind it,
// on a FIFO queue, until it succeeds or is buried; on another one it is alone.
func (c *Consumer) group(ctx context.Context, acks *acks, work *sync.WaitGroup, messages []types.Message, tried int) {
	for i, m := range messages {
		tries := receiveCount(m) + tried
		result := "released"
		if ctx.Err() == nil {
			start := time.Now()
			result = c.one(ctx, m)
			c.duration.Observe(time.Since(start).Seconds())
		}
		if result == "released" {
			c.messages.WithLabelValues(result).Add(float64(len(messages) - i))
			acks.giveBack(messages[i:]...)
			return
		}
		c.messages.WithLabelValues(result).Inc()
		switch {
		case result == "applied" || result == "repeated":
			acks.done(m)
		case !c.Queue.fifo:
			acks.release(later(tries), m)
		case tries >= c.policy.tries && c.buried(ctx, m):
			acks.done(m)
		default:
			work.Go(func() { // whoever works has other groups to work on meanwhile
				sleep(ctx, later(tries))
				c.group(ctx, acks, work, messages[i:], tried+1)
			})
			return
		}
		tried = 0
	}
}

// buried tells whether the message is with the dead letters now.
func (c *Consumer) buried(ctx context.Context, m types.Message) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := c.Queue.bury(ctx, c.policy, m); err != nil {
		c.Log.Error("poison message stays", zap.Error(err))
		return false
	}
	c.Log.Error("message moved to the dead letters", zap.String("message_id", aws.ToString(m.MessageId)))
	c.messages.WithLabelValues("buried").Inc()
	return true
}

// one handles one message and tells what became of it.
func (c *Consumer) one(ctx context.Context, m types.Message) string {
	about := []zap.Field{zap.String("message_id", aws.ToString(m.MessageId)), zap.String("receive_count", m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])}
	e, err := order.ParseEvent([]byte(aws.ToString(m.Body)))
	if err != nil {
		c.Log.Error("poison message", append(about, zap.Error(err))...)
		return "poison"
	}
	about = append(about, zap.String("order_id", e.OrderID), zap.String("event", e.Type))
	waiting := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		applied, err := c.attempt(ctx, e)
		switch {
		case err == nil && applied:
			c.Log.Info("event applied", about...)
			return "applied"
		case err == nil:
			c.Log.Info("event repeated", about...)
			return "repeated"
		case errors.Is(err, order.ErrUnavailable):
			// Not given back: each time that would count as a try, and a database that is away for minutes would send every
			// order to the dead letters.
			wait := waiting.NextBackOff()
			c.Log.Warn("store unavailable", append(about, zap.Error(err), zap.Duration("again_in", wait))...)
			if sleep(ctx, wait); ctx.Err() != nil {
				return "released"
			}
		case errors.Is(err, order.ErrNotFound):
			c.Log.Error("poison message", append(about, zap.Error(err))...)
			return "poison"
		default:
			c.Log.Warn("event failed", append(about, zap.Error(err))...)
			return "again"
		}
	}
}

// attempt ends what it has begun also when ctx ends meanwhile.
func (c *Consumer) attempt(ctx context.Context, e order.Event) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	return c.Apply(ctx, e)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
