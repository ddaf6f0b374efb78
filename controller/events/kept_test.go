package events

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/canteen/deploy/controller/observed"
)

// TestKeptWhileNeeded: in any order of records and of ends that are told, once or more often, the end of a task is known and its
// messages are kept exactly while a record has its migration in flight; no receipt is lost, and none is given up twice.
func TestKeptWhileNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := New("url", zap.NewNop())
		l.Begin(nil)
		o := Office{Account: "a", Region: "r", Wake: func(string, time.Time) {}, Notice: func(Place) {}}
		flight := map[string]int{}       // by service: which of its tasks is in flight, 0 for none
		told := map[string]bool{}        // ends that were told while needed, and are since
		receipts, given := 0, []string{} // handed to the listener, and done by its answer
		now := time.Now()
		name := func(kind, service string, n int) string {
			if n == 0 {
				return ""
			}
			return fmt.Sprintf("%s-%s-%d", kind, service, n)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			service := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "service")
			n := rapid.IntRange(0, 3).Draw(t, "task")
			if rapid.Bool().Draw(t, "note") {
				k := Known{Mark: name("mark", service, n)}
				if rapid.Bool().Draw(t, "named") {
					k.Task = name("task", service, n)
				}
				l.Note(service, k)
				if flight[service] != n {
					delete(told, name("task", service, flight[service]))
				}
				flight[service] = n
			} else if n > 0 {
				receipts++
				receipt := fmt.Sprint(receipts)
				task := observed.Task{ARN: name("task", service, n), Deployment: name("mark", service, n), LastStatus: "STOPPED", StoppedAt: now}
				_, done := l.take(o, Event{Kind: KindTask, Account: "a", Region: "r", Task: &task}, receipt, now)
				if done != (flight[service] != n) {
					t.Fatalf("task %d of %s, with %d in flight: done is %v", n, service, flight[service], done)
				}
				if done {
					given = append(given, receipt)
				} else {
					told[task.ARN] = true
				}
			}
			for _, service := range []string{"x", "y", "z"} {
				for n := 1; n <= 3; n++ {
					ended, _ := l.Ended(name("task", service, n))
					if (ended != nil) != told[name("task", service, n)] {
						t.Fatalf("task %d of %s: known is %v", n, service, ended != nil)
					}
				}
			}
			all := append(slices.Clone(given), l.done...)
			for _, kept := range l.kept {
				all = append(all, kept...)
			}
			slices.Sort(all)
			if len(all) != receipts || len(slices.Compact(all)) != receipts {
				t.Fatalf("%d receipts were handed in, %v are accounted for", receipts, all)
			}
		}
	})
}
