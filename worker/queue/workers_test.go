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
		k, most := busyKitchen()
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

const kitchenTakes = 10 * time.Millisecond

// busyKitchen takes its time for each event, and knows how many it worked on at once at most.
func busyKitchen() (k *kitchen, most *atomic.Int64) {
	most = new(atomic.Int64)
	var now atomic.Int64
	return &kitchen{first: func(order.Event) error {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(kitchenTakes)
		now.Add(-1)
		return nil
	}}, most
}

// Of a FIFO queue each receives many events of one school, which are worked on one after the other: all who work have something to do
// only where as many receive: with two of them this takes 521 ms.
func TestAsManySchoolsAreWorkedOnAtOnceAsThereAreWorkers(t *testing.T) {
	const workers = 5
	bubble(t, true, func(t *testing.T, w *world) {
		var events []order.Event
		for i := range 200 {
			events = append(events, placed(i, "school-"+string(rune('a'+i%10))))
		}
		if _, err := w.queue.Send(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		k, _ := busyKitchen()
		start := time.Now()
		_, stop := w.consumeBy(t, k, 0, workers)
		for len(k.list()) < len(events) && time.Since(start) < time.Minute {
			time.Sleep(time.Millisecond)
		}
		took := time.Since(start)
		if err, _ := stop(); err != nil {
			t.Error(err)
		}
		if n, least := len(k.list()), time.Duration(len(events)/workers)*kitchenTakes; n != len(events) || took > least*9/8 {
			t.Errorf("%d of %d events are done after %s, by %d workers who need %s", n, len(events), took, workers, least)
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

// What comes while all who receive are about to stop is given back once, and not from one of them to the next: each time counts as a try,
// and an order that nobody has looked at would be with the dead letters.
func TestWhatComesDuringAStopIsNotPassedAround(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		bubble(t, fifo, func(t *testing.T, w *world) {
			k := &kitchen{}
			_, stop := w.consume(t, k, 3*tries)
			time.Sleep(time.Second)
			ended := make(chan error, 1)
			go func() {
				err, _ := stop()
				ended <- err
			}()
			time.Sleep(pollGrace / 10)
			w.sendPlaced(t, 1)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if left, dead := w.counts(t, w.queue.url), w.counts(t, w.dead); left != "1+0" || dead != "0+0" || len(k.list()) != 0 {
				t.Errorf("fifo=%t: %s left and %s with the dead letters, %d applied; want what came to be had by others", fifo, left, dead, len(k.list()))
			}
		})
	}
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
