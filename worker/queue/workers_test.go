package queue

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/canteen/deploy/worker/order"
)

// As many messages are worked on at once as there are workers, however many are held.
func TestNoMoreIsWorkedOnAtOnceThanThereAreWorkers(t *testing.T) {
	bubble(t, false, func(t *testing.T, w *world) {
		w.sendPlaced(t, 50)
		var now, most atomic.Int64
		k := &kitchen{first: func(order.Event) error {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(10 * time.Millisecond)
			now.Add(-1)
			return nil
		}}
		_, stop := w.consume(t, k, 4)
		time.Sleep(time.Minute)
		if err, _ := stop(); err != nil {
			t.Error(err)
		}
		if n := len(k.list()); n != 50 || most.Load() != 2 {
			t.Errorf("%d of 50 events are done, %d at once by 2 workers", n, most.Load())
		}
	})
}

// A stop gives back at once what nobody has begun, also while all who work are busy for longer than that.
func TestStopWhileAllWorkGivesTheRestBack(t *testing.T) {
	bubble(t, false, func(t *testing.T, w *world) {
		w.sendPlaced(t, 10)
		k := &kitchen{first: func(order.Event) error { time.Sleep(4 * time.Second); return nil }}
		_, stop := w.consume(t, k, 1)
		time.Sleep(time.Second)
		ended := make(chan error, 1)
		go func() {
			err, _ := stop()
			ended <- err
		}()
		time.Sleep(2 * pollGrace)
		if left := w.counts(t, w.queue.url); left != "8+2" {
			t.Errorf("%s left while two are worked on, want 8 to be had", left)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left := w.counts(t, w.queue.url); len(k.list()) != 2 || left != "8+0" {
			t.Errorf("applied %v, %s left", k.list(), left)
		}
	})
}

// Schools whose events fail wait until those are tried again, and take nobody who works away from the others meanwhile.
func TestFailingSchoolsTakeNobodyWhoWorksAway(t *testing.T) {
	bubble(t, true, func(t *testing.T, w *world) {
		for _, school := range []string{"north", "east", "west"} {
			w.send(t, school, "not an event")
		}
		w.send(t, "south", `{"type":"order.placed","orderId":"`+id(1)+`","school":"south"}`)
		k := &kitchen{}
		_, stop := w.consume(t, k, 1)
		time.Sleep(500 * time.Millisecond)
		if n := len(k.list()); n != 1 {
			t.Error("an event waits behind those that failed in three other schools")
		}
		if err, _ := stop(); err != nil {
			t.Error(err)
		}
		if left := w.counts(t, w.queue.url); left != "3+0" {
			t.Errorf("%s left, want what failed to be had", left)
		}
	})
}
