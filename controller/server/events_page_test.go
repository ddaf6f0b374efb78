package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/events"
)

// The page and the API tell of the queue of events where there is one, of the controller that reads it.
func TestQueueOfEvents(t *testing.T) {
	for name, c := range map[string]struct {
		state *events.State
		page  []string
		not   []string
		api   string
	}{
		"none":       {nil, nil, []string{"queue of events", "No event has come yet"}, ""},
		"a standby":  {&events.State{}, nil, []string{"queue of events", "No event has come yet"}, `"events":{"listens":false,"slow":false}`},
		"no event":   {&events.State{Listens: true}, []string{"No event has come yet", "ordinary pace"}, []string{"cannot be read"}, `"events":{"listens":true,"slow":false}`},
		"slow":       {&events.State{Listens: true, Slow: true, LastAt: time.Now()}, []string{"Newest event", "less often"}, []string{"cannot be read"}, `"slow":true`},
		"unreadable": {&events.State{Listens: true, Error: hostile}, []string{"The queue of events cannot be read", "&lt;script&gt;"}, []string{hostile}, `"error":"`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			if c.state != nil {
				h.board.Events(func() events.State { return *c.state })
			}
			page := h.get("/").Body.String()
			for _, want := range c.page {
				if !strings.Contains(page, want) {
					t.Errorf("the page does not say %q", want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(page, not) {
					t.Errorf("the page says %q", not)
				}
			}
			compact := strings.Join(strings.Fields(h.get("/api/v1/services").Body.String()), "")
			if has := strings.Contains(compact, `"events":`); has != (c.state != nil) || !strings.Contains(compact, c.api) {
				t.Errorf("the API says %s, want %q", compact[:min(len(compact), 600)], c.api)
			}
			if w := h.get("/readyz"); w.Code != 200 {
				t.Errorf("/readyz answers %d", w.Code)
			}
		})
	}
}
