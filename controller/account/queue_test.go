package account_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/wire"
)

const hintsURL = "https://sqs." + sim.DefaultRegion + ".amazonaws.com/" + sim.DefaultAccount + "/hints"

func (w *world) hints(n int) {
	w.Helper()
	must(w.sim.SQS.CreateQueue(w.Context(), &sqs.CreateQueueInput{QueueName: aws.String("hints")}))
	for i := range n {
		must(w.sim.SQS.SendMessage(w.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(hintsURL), MessageBody: aws.String(fmt.Sprint(i))}))
	}
}

// A poll waits for twenty seconds at AWS, which is longer than any other request may take.
func TestReceiveWaits(t *testing.T) {
	bubble(t, sim.Config{Seed: 1}, func(w *world) {
		w.hints(0)
		from := time.Now()
		got, err := w.account.Receive(w.Context(), hintsURL, time.Minute)
		if took := time.Since(from); err != nil || len(got) != 0 || took != 20*time.Second {
			t.Errorf("%d messages after %s, %v", len(got), took, err)
		}
	})
}

func TestReceiveAndDelete(t *testing.T) {
	bubble(t, sim.Config{Seed: 1}, func(w *world) {
		sent := time.Now()
		w.hints(25)
		time.Sleep(time.Second)
		var receipts []string
		for len(receipts) < 25 {
			got, err := w.account.Receive(w.Context(), hintsURL, time.Minute)
			if err != nil || len(got) == 0 {
				t.Fatalf("%d messages after %d, %v", len(got), len(receipts), err)
			}
			for _, m := range got {
				if m.Body == "" || !m.SentAt.Equal(sent) {
					t.Errorf("received %+v", m)
				}
				receipts = append(receipts, m.Receipt)
			}
		}
		if err := w.account.Delete(w.Context(), hintsURL, receipts[:24]); err != nil { // in three requests
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		got, err := w.account.Receive(w.Context(), hintsURL, time.Minute)
		if err != nil || len(got) != 1 {
			t.Errorf("%d messages come again, %v; want the one that was not deleted", len(got), err)
		}
	})
}

func TestQueueTrouble(t *testing.T) {
	bubble(t, sim.Config{Seed: 1}, func(w *world) {
		if _, err := w.account.Receive(w.Context(), hintsURL, time.Minute); fault.KindOf(err) != fault.Blocked {
			t.Errorf("a queue that does not exist: %v is %q", err, fault.KindOf(err))
		}
		w.hints(1)
		w.sim.Faults.Add(wire.Fault{Operation: "DeleteMessageBatch", Times: 1, Before: &wire.StatusError{Status: 400, Code: "AccessDenied", Message: "no"}})
		got, err := w.account.Receive(w.Context(), hintsURL, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.account.Delete(w.Context(), hintsURL, []string{got[0].Receipt}); fault.KindOf(err) != fault.Blocked {
			t.Errorf("a deletion that is denied: %v is %q", err, fault.KindOf(err))
		}
		// An answer that is lost is no reason to stop reading: the message comes again.
		w.sim.Faults.Add(wire.Fault{Operation: "ReceiveMessage", Times: 1, After: wire.ErrResponseLost})
		time.Sleep(61 * time.Second)
		if got, err = w.account.Receive(w.Context(), hintsURL, time.Minute); err != nil || len(got) != 0 {
			t.Errorf("after an answer that was lost: %d messages, %v", len(got), err)
		}
		time.Sleep(61 * time.Second)
		if got, err = w.account.Receive(w.Context(), hintsURL, time.Minute); err != nil || len(got) != 1 {
			t.Errorf("once it is visible again: %d messages, %v", len(got), err)
		}
	})
}
