package queue

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/sim/wire"
	"github.com/canteen/deploy/worker/order"
)

// What is sent is applied, once each; on a FIFO queue in the order of its school. A lost answer makes the sender send again.
func TestSentEventsAreAppliedInTheirSchoolsOrder(t *testing.T) {
	for _, fifo := range []bool{true, false} {
		t.Run(fmt.Sprint("fifo=", fifo), func(t *testing.T) {
			bubble(t, fifo, func(t *testing.T, w *world) {
				var events []order.Event
				for i := range 60 {
					events = append(events, placed(i, []string{"north", "south", "east"}[i%3]))
				}
				w.account.Faults.Add(wire.Fault{Operation: "SendMessageBatch", From: 3, Times: 1, After: wire.ErrResponseLost})
				for rest := events; len(rest) > 0; {
					done, err := w.queue.Send(t.Context(), rest)
					if err != nil {
						t.Logf("sent again: %v", err)
					}
					var left []order.Event
					for i, e := range rest {
						if !done[i] {
							left = append(left, e)
						}
					}
					rest = left
				}
				k := &kitchen{}
				c, stop := w.consume(t, k, 3)
				time.Sleep(time.Minute)
				if err, _ := stop(); err != nil {
					t.Error(err)
				}
				got := k.list()
				if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, ids(events, "")) {
					t.Errorf("applied %d of 60: %v", len(got), sorted)
				}
				if fifo {
					for _, school := range []string{"north", "south", "east"} {
						want := ids(events, school)
						ofSchool := slices.DeleteFunc(slices.Clone(got), func(e string) bool { return !slices.Contains(want, e) })
						if !slices.Equal(ofSchool, want) {
							t.Errorf("%s: %v, want %v", school, ofSchool, want)
						}
					}
					if n := testutil.ToFloat64(c.messages.WithLabelValues("repeated")); n != 0 {
						t.Errorf("%v came twice although SQS drops duplicates", n)
					}
				}
				if left := w.counts(t, w.queue.url); left != "0+0" {
					t.Errorf("%s messages left", left)
				}
			})
		})
	}
}

// A message that nobody can handle comes so often as the queue's policy says, then it is with the dead letters; its group
// goes on after it, other groups at once.
func TestPoisonEndsWithTheDeadLetters(t *testing.T) {
	for _, fifo := range []bool{true, false} {
		t.Run(fmt.Sprint("fifo=", fifo), func(t *testing.T) {
			bubble(t, fifo, func(t *testing.T, w *world) {
				w.send(t, "north", "not an event")
				w.send(t, "north", `{"type":"order.placed","orderId":"`+id(1)+`","school":"north"}`)
				w.send(t, "south", `{"type":"order.placed","orderId":"`+id(2)+`","school":"south"}`)
				w.send(t, "east", `{"type":"order.placed","orderId":"`+id(3)+`","school":"east"}`)
				k := &kitchen{first: func(e order.Event) error {
					if e.OrderID == id(3) {
						return fmt.Errorf("no such order: %w", order.ErrNotFound)
					}
					return nil
				}}
				c, stop := w.consume(t, k, 2)
				time.Sleep(500 * time.Millisecond)
				if got := k.list(); !slices.Contains(got, placed(2, "").ID()) {
					t.Errorf("another school waits for the poison: %v", got)
				}
				time.Sleep(2 * time.Minute)
				if err, _ := stop(); err != nil {
					t.Error(err)
				}
				got := slices.Sorted(slices.Values(k.list()))
				if want := []string{placed(1, "").ID(), placed(2, "").ID()}; !slices.Equal(got, want) {
					t.Errorf("applied %v, want %v", got, want)
				}
				if n := testutil.ToFloat64(c.messages.WithLabelValues("poison")); n != 2*tries {
					t.Errorf("poison was tried %v times, want %d", n, 2*tries)
				}
				if main, dead := w.counts(t, w.queue.url), w.counts(t, w.dead); main != "0+0" || dead != "2+0" {
					t.Errorf("%s in the queue, %s dead letters; want 0+0, 2+0", main, dead)
				}
			})
		})
	}
}

// Work that takes longer than a message's time keeps the message: nobody else gets it meanwhile.
func TestLongWorkKeepsItsMessage(t *testing.T) {
	bubble(t, false, func(t *testing.T, w *world) {
		calls := 0
		k := &kitchen{}
		k.first = func(order.Event) error {
			k.mu.Lock()
			calls++
			k.mu.Unlock()
			time.Sleep(3 * time.Minute)
			return nil
		}
		if _, err := w.queue.Send(t.Context(), []order.Event{placed(1, "north"), placed(2, "north")}); err != nil {
			t.Fatal(err)
		}
		_, stop := w.consume(t, k, 4)
		time.Sleep(10 * time.Minute)
		if err, _ := stop(); err != nil {
			t.Error(err)
		}
		if calls != 2 || len(k.list()) != 2 || w.counts(t, w.queue.url) != "0+0" {
			t.Errorf("2 messages were begun %d times, %v, %s left", calls, k.list(), w.counts(t, w.queue.url))
		}
	})
}

// An event that takes long holds up its own school only, even where a single one asks the queue; and what is done is deleted
// meanwhile, many at a time.
func TestSlowWorkHoldsUpNobodyElse(t *testing.T) {
	bubble(t, true, func(t *testing.T, w *world) {
		end := make(chan struct{})
		k := &kitchen{first: func(e order.Event) error {
			if e.School == "north" {
				<-end
			}
			time.Sleep(time.Millisecond)
			return nil
		}}
		events := []order.Event{placed(0, "north")}
		for i := 1; i <= 60; i++ {
			events = append(events, placed(i, []string{"south", "east", "west"}[i%3]))
		}
		if _, err := w.queue.Send(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		_, stop := w.consume(t, k, 1)
		time.Sleep(5 * time.Second)
		if n := len(k.list()); n != 60 {
			t.Errorf("%d of 60 events of other schools are done beside a slow one", n)
		}
		if left := w.counts(t, w.queue.url); left != "0+1" {
			t.Errorf("%s messages left, want the slow one alone", left)
		}
		if n := w.account.Calls.Count("sqs", "DeleteMessageBatch"); n > 12 {
			t.Errorf("60 messages were deleted with %d requests", n)
		}
		close(end)
		if err, _ := stop(); err != nil {
			t.Error(err)
		}
		if n, left := len(k.list()), w.counts(t, w.queue.url); n != 61 || left != "0+0" {
			t.Errorf("%d events are done, %s messages left", n, left)
		}
	})
}

// A queue that does not answer keeps nobody from stopping: what is not deleted then comes again, and has no effect.
func TestStopBesideAQueueThatDoesNotAnswer(t *testing.T) {
	bubble(t, false, func(t *testing.T, w *world) {
		w.sendPlaced(t, 100)
		w.account.Faults.Add(wire.Fault{Service: "sqs", Operation: "DeleteMessageBatch", Delay: time.Hour})
		k := &kitchen{}
		_, stop := w.consume(t, k, 8)
		time.Sleep(time.Second)
		if err, took := stop(); err != nil || took > 2*finishTimeout+pollGrace {
			t.Errorf("Run = %v after %s", err, took)
		}
		if n := len(k.list()); n < 80 {
			t.Errorf("%d events were worked on", n)
		}
	})
}

// A database that is away for longer than all tries together costs no try.
func TestAbsentDatabaseCostsNoTry(t *testing.T) {
	bubble(t, true, func(t *testing.T, w *world) {
		back := time.Now().Add(20 * time.Minute)
		k := &kitchen{first: func(order.Event) error {
			if time.Now().Before(back) {
				return fmt.Errorf("connect: %w", order.ErrUnavailable)
			}
			return nil
		}}
		events := []order.Event{placed(1, "north"), placed(2, "north"), placed(3, "south")}
		if _, err := w.queue.Send(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		_, stop := w.consume(t, k, 2)
		time.Sleep(30 * time.Minute)
		if err, _ := stop(); err != nil {
			t.Error(err)
		}
		if len(k.list()) != 3 || w.counts(t, w.dead) != "0+0" || w.counts(t, w.queue.url) != "0+0" {
			t.Errorf("applied %v, %s left, %s dead", k.list(), w.counts(t, w.queue.url), w.counts(t, w.dead))
		}
	})
}

// On a stop what is begun ends, what is not begun is to be had at once by another process, and nothing is lost.
func TestStopGivesBackWhatIsNotBegun(t *testing.T) {
	bubble(t, true, func(t *testing.T, w *world) {
		events := w.sendPlaced(t, 10)
		k := &kitchen{first: func(order.Event) error { time.Sleep(2 * time.Second); return nil }}
		c, stop := w.consume(t, k, 1)
		time.Sleep(3 * time.Second) // in the middle of the second
		err, took := stop()
		if err != nil || took > 5*time.Second {
			t.Errorf("Run = %v after %s", err, took)
		}
		if got := k.list(); !slices.Equal(got, ids(events[:2], "")) {
			t.Errorf("applied %v, want the first two", got)
		}
		if left := w.counts(t, w.queue.url); left != "8+0" {
			t.Errorf("%s left, want 8 to be had", left)
		}
		if n := testutil.ToFloat64(c.messages.WithLabelValues("released")); n != 8 {
			t.Errorf("%v released, want 8", n)
		}
		_, stop = w.consume(t, k, 1)
		time.Sleep(time.Minute)
		if err, _ := stop(); err != nil {
			t.Error(err)
		}
		if got := k.list(); !slices.Equal(got, ids(events, "")) {
			t.Errorf("applied %v, want all in their order", got)
		}
	})
}

// A stop while nothing is to be done does not wait for the poll's 20 s.
func TestIdleConsumerStopsSoon(t *testing.T) {
	bubble(t, true, func(t *testing.T, w *world) {
		_, stop := w.consume(t, &kitchen{}, 2)
		time.Sleep(5 * time.Second)
		if err, took := stop(); err != nil || took > 2*pollGrace {
			t.Errorf("Run = %v after %s", err, took)
		}
	})
}

func TestQueueWithoutDeadLettersIsRefused(t *testing.T) {
	bubble(t, true, func(t *testing.T, w *world) {
		w.queue = New(w.account.AWSConfig(), w.dead)
		c := NewConsumer(Config{Queue: w.queue, Apply: (&kitchen{}).apply, Log: zap.NewNop(), Registry: prometheus.NewRegistry(), Pollers: 1, Workers: 1, Visibility: time.Minute})
		if err := c.Run(t.Context()); !errors.Is(err, ErrNoDeadLetters) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestLater(t *testing.T) {
	for count, want := range map[string]time.Duration{"1": time.Second, "2": 2 * time.Second, "5": 16 * time.Second, "40": againMax, "": time.Second, "-3": time.Second} {
		m := types.Message{Attributes: map[string]string{"ApproximateReceiveCount": count}}
		if got := later(receiveCount(m)); got != want {
			t.Errorf("after %s receives: %s, want %s", count, got, want)
		}
	}
}

func TestParseRedrive(t *testing.T) {
	for text, want := range map[string]int{
		`{"deadLetterTargetArn":"arn","maxReceiveCount":5}`: 5, `{"deadLetterTargetArn":"arn","maxReceiveCount":"7"}`: 7,
		`{"deadLetterTargetArn":"arn"}`: 0, `{"deadLetterTargetArn":"arn","maxReceiveCount":0}`: 0, `5`: 0,
	} {
		if _, got, err := parseRedrive(text); (err == nil) != (want > 0) || err == nil && got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}
