package status

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
)

// The bounds of what is remembered and of how far a subscriber may fall behind.
const (
	ActivityMax   = 1000
	subscriberMax = 256
)

// EventKind names what an event tells.
type EventKind string

// The kinds of event.
const (
	EventService    EventKind = "service"    // phase, sentence or version of a service changed
	EventRemoved    EventKind = "removed"    // a service is told no more
	EventRollout    EventKind = "rollout"    // a rollout ended
	EventRepository EventKind = "repository" // the head, the list of invalid files or the state of fetching changed
	EventLease      EventKind = "lease"      // another controller acts, or this one does now
	EventLedger     EventKind = "ledger"     // the ledger cannot be written any more, or can again
	EventDropped    EventKind = "dropped"    // this subscriber was too slow and is not told any more; not part of the activity
)

// Event is one thing that changed.
type Event struct {
	// ID orders the events of one Board and differs between any two of its events and from those of an earlier process. It
	// is empty for EventDropped.
	ID      string          `json:"id,omitempty"`
	At      time.Time       `json:"at"`
	Kind    EventKind       `json:"kind"`
	Service string          `json:"service,omitempty"`
	Phase   condition.Phase `json:"phase,omitempty"`
	Before  condition.Phase `json:"before,omitempty"` // phase before
	Message string          `json:"message,omitempty"`
	Commit  string          `json:"commit,omitempty"`

	Rollout rollout.Kind   `json:"rollout,omitempty"` // kind of the rollout that ended
	Number  int            `json:"number,omitempty"`
	Result  rollout.Result `json:"result,omitempty"`
}

// activity is the ring of the last events and those who listen. The Board's lock guards it.
type activity struct {
	epoch string // tells this process's ids from those of an earlier one
	seq   int    // of the newest event
	ring  []Event
	subs  map[*subscriber]struct{}
	log   *zap.Logger
}

type subscriber struct {
	events chan Event
	stop   func() bool
}

func (a *activity) tell(e Event) {
	a.seq++
	e.ID = fmt.Sprintf("%s-%d", a.epoch, a.seq)
	if len(a.ring) < ActivityMax {
		a.ring = append(a.ring, e)
	} else {
		a.ring[(a.seq-1)%ActivityMax] = e
	}
	for s := range a.subs {
		// Only this goroutine sends, so a channel that has room for the event and one more keeps that room: the last
		// place is for the word that nothing follows.
		if len(s.events) < subscriberMax {
			s.events <- e
			continue
		}
		s.events <- Event{At: e.At, Kind: EventDropped, Message: "too slow: events were lost, subscribe again"}
		a.drop(s)
		a.log.Debug("slow subscriber dropped", zap.String("event", e.ID))
	}
}

func (a *activity) drop(s *subscriber) {
	if _, ok := a.subs[s]; !ok {
		return
	}
	delete(a.subs, s)
	s.stop()
	close(s.events)
}

// after returns the remembered events with a sequence number above seq, oldest first.
func (a *activity) after(seq int) []Event {
	first := a.seq - len(a.ring) + 1
	out := make([]Event, 0, max(0, a.seq-max(seq, first-1)))
	for n := max(seq+1, first); n <= a.seq; n++ {
		out = append(out, a.ring[(n-1)%ActivityMax])
	}
	return out
}

// position returns the sequence number that an id stands for, and whether nothing after it was forgotten.
func (a *activity) position(id string) (int, bool) {
	epoch, number, ok := strings.Cut(id, "-")
	seq, err := strconv.Atoi(number)
	if !ok || err != nil || epoch != a.epoch || seq > a.seq || seq < a.seq-len(a.ring) {
		return 0, false
	}
	return seq, true
}

// Subscribe tells every event from now on until ctx ends; then the channel is closed. A subscriber who falls behind is
// told so by a last event of kind EventDropped, and its channel is closed.
func (b *Board) Subscribe(ctx context.Context) <-chan Event {
	_, _, live := b.Resume(ctx, "")
	return live
}

// Resume subscribes as Subscribe does and also returns the events after the one with the given id, so that nothing is
// told twice and nothing is left out in between. It reports false when it cannot know what came after that id: because
// it is another process's or too old. Then, as with an empty id, nothing is missed and the caller must read the snapshot.
func (b *Board) Resume(ctx context.Context, id string) (missed []Event, known bool, live <-chan Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id != "" {
		var seq int
		if seq, known = b.activity.position(id); known {
			missed = b.activity.after(seq)
		}
	}
	s := &subscriber{events: make(chan Event, subscriberMax+1)}
	b.activity.subs[s] = struct{}{}
	s.stop = context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.activity.drop(s)
	})
	return missed, known, s.events
}

// Activity returns up to limit of the last events, newest first.
func (b *Board) Activity(limit int) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.activity.after(b.activity.seq - min(limit, len(b.activity.ring)))
	slices.Reverse(events)
	return events
}
