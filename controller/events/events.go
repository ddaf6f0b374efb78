// Package events reads what ECS and CloudWatch tell through EventBridge, from an SQS queue. An event is a hint: it wakes its
// service, and says never that something is good. Lost, late, doubled and unordered ones do no harm, since passes look at the
// account and decide from that. One fact is taken from events themselves, because nobody else has it an hour later: how a
// migration's task ended (Listener.Ended).
//
// A message is deleted after its effect. One that tells the end of a migration's task stays in the queue until that migration's
// record does not need it any more: a controller that is killed in between gets it again.
package events

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/observed"
)

const (
	// hideFor is how long a message that was received is hidden from everybody: longer than one round takes, so that it does
	// not come again before it is deleted, and short, since a controller that starts after a kill waits as long.
	hideFor = time.Minute
	// youngFor is how long the end of a task that bears our mark, and that no record knows, is left in the queue: the record
	// may be about to be saved.
	youngFor = 5 * time.Minute
	// unreadFor is how long the queue may not have been read before events are not relied on any more.
	unreadFor = 2 * time.Minute
	// drainFor is how long, without a sign of life from the queue, the end of a migration is waited for that it may tell.
	drainFor = 10 * time.Minute
	// caughtUp is how long everything that is received must have been new until it is believed that nothing older is left, where a
	// busy queue is never empty: a standard queue has no order, but nearly.
	caughtUp = 5 * time.Minute
	// lateBy is how late the event of a change may come that a look has found already.
	lateBy = 2 * time.Minute
	// distrustFor is how long the sweep keeps its ordinary pace once an event did not come at all.
	distrustFor = time.Hour
	// slower is how many times the ordinary pace the sweep takes while events can be relied on.
	slower = 5
	// keptMax is how many receipts are kept for one task: a message that is kept comes again every minute, with a new one.
	keptMax = 100
	// gap is the least time between two wakes of one service. Events come in bursts, and one look sees all of it.
	gap = time.Second
)

// Queue is the queue as the listener needs it. Both may be retried; errors carry a fault kind.
type Queue interface {
	// Receive waits up to 20 s for messages and hides those that it answers for so long.
	Receive(ctx context.Context, queueURL string, hide time.Duration) ([]observed.Message, error)
	// Delete deletes messages by their receipts. What cannot be deleted comes again.
	Delete(ctx context.Context, queueURL string, receipts []string) error
}

// Known is what must be known of a service to tell which events are about it.
type Known struct {
	Place Place  // zero while it is not known
	Mark  string // on the task of the migration in flight (rollout.TaskMark); empty for none
	Task  string // ARN of that task, once it is known
	// Sign stands for what events tell of the service: another one without an event means that an event is missing. Empty
	// where nobody could look.
	Sign string
}

// Listener is the controller's ear. Its methods are safe for concurrent use.
type Listener struct {
	url string
	log *zap.Logger

	mu     sync.Mutex
	known  map[string]noted
	places map[Place]map[string]bool // services by place, and by place without cluster
	marks  map[string]string         // services by mark and by ARN of the migration's task
	ended  map[string]observed.EndedTask
	kept   map[string][]string // receipts of messages that are still needed, by task
	done   []string            // receipts of messages that are not needed any more

	heard     map[string]time.Time // when the newest event of a service was read
	woken     map[string]time.Time // for when a service was woken last
	suspected map[string]time.Time // services that changed without an event, and when that was found
	distrust  time.Time            // until when events are not relied on
	useful    bool                 // an event of one of our services has come
	slow      bool                 // the sweep has its slow pace

	began   time.Time // zero while nobody listens
	readAt  time.Time // newest answer of the queue
	drained bool      // nothing older is in the queue
	newest  time.Time // since when everything that was received was new
	err     string
	tally   tally
}

type noted struct {
	Known
	at time.Time
}

// New returns a listener that does not listen yet. The URL is one that CheckURL has no objection to.
func New(queueURL string, log *zap.Logger) *Listener {
	l := &Listener{url: queueURL, log: log, tally: newTally()}
	l.reset(time.Time{})
	return l
}

// reset is called with the lock held, or before anybody else knows the listener.
func (l *Listener) reset(now time.Time) {
	l.known, l.places, l.marks = map[string]noted{}, map[Place]map[string]bool{}, map[string]string{}
	l.ended, l.kept, l.done = map[string]observed.EndedTask{}, map[string][]string{}, nil
	l.heard, l.woken, l.suspected = map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}
	l.distrust, l.useful, l.slow = time.Time{}, false, false
	l.began, l.readAt, l.newest, l.drained, l.err = now, time.Time{}, now, false, ""
}

// Begin forgets what was known and takes over what the records say. It stands before the first pass: from here on Ended does not
// call lost what the queue may still tell.
func (l *Listener) Begin(services map[string]Known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.reset(now)
	for service, k := range services {
		l.note(service, k, now)
	}
}

// End says that this controller does not listen any more.
func (l *Listener) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset(time.Time{})
}

// Note takes over what a pass over a service found and left in its record. It is called after the record was saved: the end of a
// migration's task that the record named before, and names no more, is not needed any longer.
func (l *Listener) Note(service string, k Known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(service, k, time.Now())
}

func (l *Listener) note(service string, k Known, now time.Time) {
	old := l.known[service]
	if k.Place == (Place{}) {
		k.Place = old.Place
	}
	if k.Sign == "" {
		k.Sign = old.Sign
	} else if old.Sign != "" && old.Sign != k.Sign && l.heard[service].Before(old.at.Add(-lateBy)) && l.suspected[service].IsZero() {
		l.suspected[service] = now
	}
	if k.Place != old.Place {
		l.place(service, old.Place, false)
		l.place(service, k.Place, true)
	}
	for _, name := range []string{old.Mark, old.Task} {
		if name != "" && name != k.Mark && name != k.Task {
			delete(l.marks, name)
		}
	}
	for _, name := range []string{k.Mark, k.Task} {
		if name != "" {
			l.marks[name] = service
		}
	}
	l.known[service] = noted{k, now}
	for task, e := range l.ended {
		if !l.needs(e.Task) {
			l.done = append(l.done, l.kept[task]...)
			delete(l.kept, task)
			delete(l.ended, task)
		}
	}
}

// needs reports whether a record has the task's migration in flight.
func (l *Listener) needs(t observed.Task) bool {
	return l.marks[t.Deployment] != "" || l.marks[t.ARN] != ""
}

func (l *Listener) place(service string, p Place, add bool) {
	if p == (Place{}) {
		return
	}
	for _, key := range []Place{p, {Service: p.Service}} {
		if add {
			if l.places[key] == nil {
				l.places[key] = map[string]bool{}
			}
			l.places[key][service] = true
		} else if delete(l.places[key], service); len(l.places[key]) == 0 {
			delete(l.places, key)
		}
	}
}

// Ended answers how a migration's task ended, as an event told it; nil where none did. An error says that one still may: the queue
// was not read to its end since the controller began, and was alive within the last ten minutes.
func (l *Listener) Ended(task string) (*observed.EndedTask, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.ended[task]; ok {
		return &e, nil
	}
	sign := l.readAt
	if sign.Before(l.began) {
		sign = l.began
	}
	if l.began.IsZero() || l.drained || time.Since(sign) > drainFor {
		return nil, nil
	}
	return nil, fmt.Errorf("ECS does not show it, and the queue of events, which may tell how it ended, was not read to its end since the start")
}

// Sweep is the time between two looks at a settled service, by the ordinary one: longer while events can be relied on.
func (l *Listener) Sweep(service string, idle time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.reliable(now) || !l.suspected[service].IsZero() || now.Sub(l.heard[service]) < idle {
		return idle // what an event told a moment ago may not show yet
	}
	return slower * idle
}

// reliable is called with the lock held. An event must have come before their absence says anything.
func (l *Listener) reliable(now time.Time) bool {
	return l.useful && now.Sub(l.readAt) < unreadFor && !now.Before(l.distrust)
}
