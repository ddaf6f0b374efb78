package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/worker/order"
)

const tries = 3 // of the queues' redrive policy

// world is an account with a queue and its dead letters, in a bubble's time.
type world struct {
	account *sim.Account
	client  *sqs.Client
	queue   *Queue
	dead    string
}

// bubble runs a test in virtual time: minutes of waiting pass at once.
func bubble(t *testing.T, fifo bool, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		account, err := sim.New(sim.Config{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer account.Close()
		w := &world{account: account, client: sqs.NewFromConfig(account.AWSConfig())}
		w.dead, _ = w.create(t, "dead", fifo, nil)
		arn := w.attributes(t, w.dead)["QueueArn"]
		url, _ := w.create(t, "orders", fifo, map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, tries)})
		w.queue = New(account.AWSConfig(), url)
		test(t, w)
	})
}

func (w *world) create(t *testing.T, name string, fifo bool, attributes map[string]string) (string, error) {
	t.Helper()
	all := map[string]string{}
	for k, v := range attributes {
		all[k] = v
	}
	if fifo {
		name, all["FifoQueue"] = name+".fifo", "true"
	}
	out, err := w.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: all})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.QueueUrl), nil
}

func (w *world) attributes(t *testing.T, url string) map[string]string {
	t.Helper()
	out, err := w.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes
}

// counts is how many messages are to be had, and how many are with somebody.
func (w *world) counts(t *testing.T, url string) string {
	t.Helper()
	a := w.attributes(t, url)
	return a["ApproximateNumberOfMessages"] + "+" + a["ApproximateNumberOfMessagesNotVisible"]
}

func (w *world) send(t *testing.T, school, body string) {
	t.Helper()
	in := &sqs.SendMessageInput{QueueUrl: &w.queue.url, MessageBody: &body}
	if w.queue.fifo {
		in.MessageGroupId, in.MessageDeduplicationId = &school, aws.String(fmt.Sprint(time.Now().UnixNano()))
		time.Sleep(time.Millisecond) // of the bubble
	}
	if _, err := w.client.SendMessage(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// sendPlaced sends the events of so many orders that were placed in one school.
func (w *world) sendPlaced(t *testing.T, n int) []order.Event {
	t.Helper()
	var events []order.Event
	for i := range n {
		events = append(events, placed(i, "north"))
	}
	if _, err := w.queue.Send(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	return events
}

// kitchen notes what is applied.
type kitchen struct {
	mu      sync.Mutex
	applied []string
	// first is asked before an event is applied; nil lets it pass.
	first func(order.Event) error
}

func (k *kitchen) apply(_ context.Context, e order.Event) (bool, error) {
	if k.first != nil {
		if err := k.first(e); err != nil {
			return false, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Contains(k.applied, e.ID()) {
		return false, nil
	}
	k.applied = append(k.applied, e.ID())
	return true, nil
}

func (k *kitchen) list() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.applied)
}

// consume is consumeBy of two workers.
func (w *world) consume(t *testing.T, k *kitchen, pollers int) (c *Consumer, stop func() (error, time.Duration)) {
	t.Helper()
	return w.consumeBy(t, k, pollers, 2)
}

// consumeBy starts a consumer; stop ends it and returns what Run did, and how long it took.
func (w *world) consumeBy(t *testing.T, k *kitchen, pollers, workers int) (c *Consumer, stop func() (error, time.Duration)) {
	t.Helper()
	c = NewConsumer(Config{Queue: w.queue, Apply: k.apply, Log: zap.NewNop(), Registry: prometheus.NewRegistry(), Pollers: pollers, Workers: workers, Visibility: 30 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return c, func() (error, time.Duration) {
		start := time.Now()
		cancel()
		err := <-ended
		return err, time.Since(start)
	}
}

func id(n int) string {
	return strings.Repeat("A", 24) + string(rune('A'+n/26)) + string(rune('A'+n%26))
}

func placed(n int, school string) order.Event {
	return order.Event{Type: order.EventPlaced, OrderID: id(n), School: school}
}

func ids(events []order.Event, school string) (all []string) {
	for _, e := range events {
		if school == "" || e.School == school {
			all = append(all, e.ID())
		}
	}
	return all
}
