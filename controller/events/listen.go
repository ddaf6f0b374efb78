package events

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/rollout"
)

// Office is what the listener works for while this controller acts.
type Office struct {
	Account, Region string           // events of others are ignored
	Clock           func() time.Time // the account's time, which messages and tasks bear; nil: time.Now
	Idle            time.Duration
	Queue           Queue
	Wake            func(service string, at time.Time)
	Notice          func(Place)                 // told before a wake: what is kept of the service's last look is old
	Watching        func(alarm string) []string // services whose files name the alarm
}

func (o Office) clock() time.Time {
	if o.Clock == nil {
		return time.Now()
	}
	return o.Clock()
}

// Listen reads the queue until ctx ends. A queue that cannot be read is told (State, log) and tried again, 2 s later and after
// growing pauses.
func (l *Listener) Listen(ctx context.Context, o Office) {
	for failures := 0; ; {
		err := l.round(ctx, o)
		if ctx.Err() != nil {
			return
		}
		l.trouble(err)
		l.judge(o, time.Now())
		if err == nil {
			failures = 0
			continue
		}
		failures++
		select {
		case <-ctx.Done():
			return
		case <-time.After(rollout.Backoff(failures)):
		}
	}
}

// round receives once, gives each message its effect, and deletes what is needed no more.
func (l *Listener) round(ctx context.Context, o Office) error {
	from := time.Now()
	batch, err := o.Queue.Receive(ctx, l.url, hideFor)
	if err != nil {
		return err
	}
	now := time.Now()
	l.mu.Lock()
	l.readAt, l.tally.behind = now, 0
	l.mu.Unlock()
	old, there := false, o.clock()
	for _, m := range batch {
		event, bad := Read(m.Body)
		outcome, done := OutcomeUnreadable, true
		if bad == nil {
			outcome, done = l.take(o, event, m.Receipt, now)
		}
		l.count(event.Kind, outcome, there.Sub(m.SentAt), there, bad)
		old = old || done && there.Sub(m.SentAt) > hideFor
		if done {
			l.mu.Lock()
			l.done = append(l.done, m.Receipt)
			l.mu.Unlock()
		}
	}
	l.drain(from, now, len(batch) == 0, old)
	return l.delete(ctx, o)
}

// drain notes that nothing is left of the time before, not even what another controller had received when it was killed: nothing
// came, or for long nothing but what was new.
func (l *Listener) drain(from, now time.Time, nothing, old bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old {
		l.newest = now
	}
	if nothing && from.Sub(l.began) >= hideFor || now.Sub(l.newest) >= caughtUp {
		l.drained = true
	}
}

// delete deletes what is needed no more. What could not be deleted comes again, and is deleted then.
func (l *Listener) delete(ctx context.Context, o Office) error {
	l.mu.Lock()
	done := l.done
	l.done = nil
	l.mu.Unlock()
	if len(done) == 0 {
		return nil
	}
	return o.Queue.Delete(ctx, l.url, done)
}

// trouble keeps why the queue cannot be read, and writes one line where that changes.
func (l *Listener) trouble(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	l.mu.Lock()
	before := l.err
	l.err = text
	l.mu.Unlock()
	switch {
	case text != "" && before == "":
		l.log.Warn("queue of events cannot be read", zap.Error(err))
	case text == "" && before != "":
		l.log.Info("queue of events is read again")
	}
}

// judge looks whether events can still be relied on. Where they cannot any more, services that would be looked at much later are
// woken at the ordinary pace, spread over one idle time.
func (l *Listener) judge(o Office, now time.Time) {
	l.mu.Lock()
	for _, service := range slices.Sorted(maps.Keys(l.suspected)) {
		if now.Sub(l.suspected[service]) < lateBy {
			continue
		}
		delete(l.suspected, service)
		if !l.drained || now.Sub(l.readAt) >= unreadFor {
			continue // it may well be in the queue
		}
		l.tally.missed++
		l.distrust = now.Add(distrustFor)
		l.log.Warn("no event came of a change that was found by looking", zap.String("service", service), zap.Time("ordinary pace until", l.distrust))
	}
	was := l.slow
	l.slow = l.reliable(now)
	var wake []string
	if was && !l.slow {
		wake = slices.Sorted(maps.Keys(l.known))
	}
	l.mu.Unlock()
	for i, service := range wake {
		o.Wake(service, now.Add(o.Idle*time.Duration(i+1)/time.Duration(len(wake))))
	}
}
