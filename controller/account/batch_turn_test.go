package account

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Workers that look at one service after the other, while requests take turns, fill their requests: what comes while one waits is
// joined, whatever the requests before it had in them.
func TestRequestsThatTakeTurnsAreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, looks = 64, 20
		turn := make(chan struct{}, 1)
		requests := 0
		b := newBatcher(10, DefaultBatchWait, func(_ context.Context, _ string, names []string) (map[string]int, error) {
			turn <- struct{}{}
			time.Sleep(125 * time.Millisecond) // eight a second
			requests++
			<-turn
			return map[string]int{}, nil
		})
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				time.Sleep(time.Duration(w) * 3 * DefaultBatchWait) // so that they begin with requests of one name
				for i := range looks {
					if _, err := b.ask(t.Context(), "c", fmt.Sprintf("s%d-%d", w, i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if most := workers * looks / 10 * 5 / 4; requests > most {
			t.Errorf("%d requests for %d looks, want %d at most", requests, workers*looks, most)
		}
	})
}

// A request that has no answer holds the next one up for a second, no longer.
func TestARequestThatHangsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		b := newBatcher(10, DefaultBatchWait, func(_ context.Context, _ string, names []string) (map[string]int, error) {
			if names[0] == "hangs" {
				<-hung
			}
			return map[string]int{}, nil
		})
		go func() { _, _ = b.ask(t.Context(), "c", "hangs") }()
		time.Sleep(2 * DefaultBatchWait)
		start := time.Now()
		if _, err := b.ask(t.Context(), "c", "other"); err != nil || time.Since(start) > time.Second {
			t.Errorf("answered after %s: %v", time.Since(start), err)
		}
		close(hung)
	})
}
