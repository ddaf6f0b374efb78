package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
)

// lookers is a house whose pages may look at the account; answer says what they see.
func lookers(t *testing.T, answer func(service string) (status.Observed, error)) (*house, *atomic.Int64) {
	h, asked := newHouse(t), new(atomic.Int64)
	h.config.Look = func(_ context.Context, service string) (status.Observed, error) {
		asked.Add(1)
		return answer(service)
	}
	h.Handler = server.New(h.config)
	return h, asked
}

func running(service string) (status.Observed, error) {
	return status.Observed{
		At: time.Now(), Desired: 1, Running: 1, Tasks: []status.Task{{ID: "task-of-" + service, LastStatus: "RUNNING"}},
		Targets: []status.Target{{ID: "10.0.0.7", Port: 8080, State: "healthy"}},
	}, nil
}

// Whoever opens the page of a settled service sees its tasks and targets, and all who come in the same moment see the same.
func TestASettledServicesPageHasItsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, asked := lookers(t, running)
		for range 10 {
			page := text(parsed(t, h, "/services/menu"))
			for _, want := range []string{"Newest tasks", "task-of-menu", "10.0.0.7:8080 healthy", "1 of 1 running"} {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q: %s", want, page)
				}
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%d looks for readers of one moment", n)
		}
		time.Sleep(20 * time.Second)
		parsed(t, h, "/services/menu")
		if n := asked.Load(); n != 2 {
			t.Errorf("%d looks, want another after 20 s", n)
		}
		parsed(t, h, "/services/orders") // rolls: its passes look
		if n := asked.Load(); n != 2 {
			t.Errorf("%d looks, one at a service that rolls", n)
		}
	})
}

// However many pages are opened, the account is asked now and then only.
func TestReadersTakeNoRequestsFromRollouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, asked := lookers(t, running)
		const services, minutes = 20, 3
		for i := range services {
			h.board.Publish(status.View{Record: rollout.Record{Service: fmt.Sprint("s", i)}, Status: condition.Status{Phase: condition.PhaseHealthy}})
		}
		for range minutes * 12 {
			for i := range services {
				if w := h.get(fmt.Sprint("/services/s", i)); w.Code != 200 {
					t.Fatalf("a page answers %d", w.Code)
				}
			}
			time.Sleep(5 * time.Second)
		}
		if n := asked.Load(); n < minutes*10 || n > minutes*15+3 {
			t.Errorf("%d looks in %d minutes, want one each 4 s", n, minutes)
		}
	})
}

// A page waits for a look a second at most; whoever comes back has it, and while the next one takes its time the one before.
func TestAPageDoesNotWaitForAWearyAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := lookers(t, func(service string) (status.Observed, error) {
			time.Sleep(2 * time.Second)
			return running(service)
		})
		open := func() (string, time.Duration) {
			start := time.Now()
			return text(parsed(t, h, "/services/menu")), time.Since(start)
		}
		if page, took := open(); took > time.Second || strings.Contains(page, "task-of-menu") {
			t.Errorf("a page took %s: %s", took, page)
		}
		time.Sleep(5 * time.Second)
		if page, took := open(); took > 0 || !strings.Contains(page, "task-of-menu") {
			t.Errorf("the next took %s: %s", took, page)
		}
		time.Sleep(20 * time.Second)
		if page, took := open(); took > time.Second || !strings.Contains(page, "task-of-menu") {
			t.Errorf("while the look is taken anew it took %s: %s", took, page)
		}
		time.Sleep(3 * time.Second)
	})
}

func TestALookThatFailsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := lookers(t, func(string) (status.Observed, error) { return status.Observed{}, errors.New("not authorized") })
		if page := text(parsed(t, h, "/services/menu")); !strings.Contains(page, "tasks and targets could not be read: not authorized") {
			t.Errorf("the page says %s", page)
		}
	})
}

// Many read one look at the same time, each beside what its own pass could not see. The race detector holds them apart.
func TestReadersShareALook(t *testing.T) {
	missing := append(make([]status.Missing, 0, 8), status.Missing{Fact: "targets", Message: "denied"})
	h, _ := lookers(t, func(string) (status.Observed, error) { return status.Observed{At: time.Now(), Missing: missing}, nil })
	h.board.Publish(status.View{Record: rollout.Record{Service: "menu"}, Status: condition.Status{Phase: condition.PhaseHealthy},
		Observed: &status.Observed{At: noon, Missing: []status.Missing{{Fact: "template", Message: "gone"}, {Fact: "targets", Message: "an older word"}}}})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			page := h.get("/services/menu").Body.String()
			if !strings.Contains(page, "template could not be read: gone") || !strings.Contains(page, "targets could not be read: denied") || strings.Contains(page, "an older word") {
				t.Errorf("the page says %s", page)
			}
		})
	}
	all.Wait()
}
