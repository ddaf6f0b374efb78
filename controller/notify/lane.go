package notify

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/rollout"
)

// The rhythms of a lane. What may turn out to be an outage is held back for settleFor, so that the others may show.
const (
	settleFor   = 20 * time.Second
	firstRetry  = time.Second
	longRetry   = 5 * time.Minute
	mendRetry   = 30 * time.Second // at least, where a person must mend something
	notHeld     = time.Second      // until the lease is asked again
	ledgerRetry = 5 * time.Second
)

// lane tells one receiver, one message after the other. Lanes know nothing of each other: one whose receiver is slow delays nobody.
type lane struct {
	n      *Notifier
	name   string
	to     receiver
	office Office
	began  time.Time

	dirty map[string]bool // services that changed; n.mu guards it
	woken chan struct{}

	marks    map[string]Mark
	lasting  map[string][]byte // as the ledger has them
	heads    map[string]Due    // what each service has to be told next
	later    map[string]time.Time
	tries    map[string]int  // by key
	unsure   map[string]bool // by key: it may have been taken
	backoff  *backoff.ExponentialBackOff
	resumeAt time.Time
	failing  bool
}

func newLane(n *Notifier, name string, o Office, began time.Time, marks map[string]Mark) *lane {
	l := &lane{n: n, name: name, to: newReceiver(name, n.opts), office: o, began: began,
		dirty: map[string]bool{}, woken: make(chan struct{}, 1), marks: map[string]Mark{}, lasting: map[string][]byte{}, heads: map[string]Due{},
		later: map[string]time.Time{}, tries: map[string]int{}, unsure: map[string]bool{}}
	for service, m := range marks {
		l.marks[service] = m
		l.lasting[service], _ = encodeMark(m)
	}
	l.backoff = backoff.NewExponentialBackOff(backoff.WithInitialInterval(firstRetry), backoff.WithMaxInterval(longRetry), backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.5), backoff.WithMaxElapsedTime(0))
	return l
}

func (l *lane) now() time.Time { return l.n.opts.Clock() }

func (l *lane) log() *zap.Logger { return l.n.opts.Log.With(zap.String("receiver", l.name)) }

// run tells until ctx ends.
func (l *lane) run(ctx context.Context) {
	if _, known := l.lasting[""]; !known {
		l.marks[""] = Mark{From: l.began}
		if !l.keep(ctx, "") {
			return
		}
	}
	for ctx.Err() == nil {
		if wait := time.Until(l.resumeAt); wait > 0 {
			pause(ctx, wait, nil)
			continue
		}
		wait, ok := l.step(ctx)
		if !ok {
			return
		}
		if wait > 0 {
			pause(ctx, wait, l.woken)
		}
	}
}

// idle is how long a lane waits that has nothing to wait for.
const idle = time.Hour

// step looks at what has changed and tells one thing. It answers how long there is nothing to do, and false where nothing may be told
// in this tenure any more.
func (l *lane) step(ctx context.Context) (time.Duration, bool) {
	for _, service := range l.changed() {
		if !l.look(ctx, service) {
			return 0, false
		}
	}
	l.n.metrics.waiting.WithLabelValues(l.name).Set(float64(len(l.heads)))
	whole, services := l.n.environment()
	now := l.now()
	whole.Now = now
	if done, ok := l.tellWhole(ctx, whole); done {
		return 0, ok
	}
	if done, ok := l.tellOutages(ctx, whole, services); done {
		return 0, ok
	}
	service, wait := l.choose(now, services)
	if service == "" {
		return min(wait, l.untilLater(now), whole.wait()), true
	}
	return 0, l.send(ctx, service, l.heads[service])
}

// environment answers what there is to tell of it, and how many services it has.
func (n *Notifier) environment() (Whole, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, s := range n.services {
		if s.record.State != rollout.StateReleased {
			count++
		}
	}
	return n.whole, count
}

// changed are the services to look at, and takes them off the list.
func (l *lane) changed() []string {
	l.n.mu.Lock()
	names := slices.Collect(maps.Keys(l.dirty))
	clear(l.dirty)
	l.n.mu.Unlock()
	now := l.now()
	for service, at := range l.later {
		if !at.After(now) {
			delete(l.later, service)
			names = append(names, service)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (l *lane) untilLater(now time.Time) time.Duration {
	wait := idle
	for _, at := range l.later {
		wait = min(wait, max(at.Sub(now), time.Millisecond))
	}
	return wait
}

// look finds what a service has to be told next, and passes over what its receiver is not told.
func (l *lane) look(ctx context.Context, service string) bool {
	delete(l.heads, service)
	delete(l.later, service)
	l.n.mu.Lock()
	s, ok := l.n.services[service]
	l.n.mu.Unlock()
	if !ok {
		return true
	}
	in := Input{Environment: l.n.opts.Environment, Page: l.n.opts.Config.Page, Record: s.record, Invalid: s.invalid, InvalidAt: s.invalidAt, From: l.marks[""].From, Settings: l.n.opts.Config.Settings()}
	m := l.marks[service]
	if behind(in, m) {
		entries, err := l.n.entries(ctx, l.office.Ledger, s.record, m.Number, in.From)
		if err != nil {
			if ctx.Err() == nil {
				l.log().Warn("what ended cannot be read, and is told later", zap.Error(err))
			}
			l.later[service] = l.now().Add(ledgerRetry)
			return true
		}
		in.Entries = entries
	}
	m = l.head(in, m, service)
	l.marks[service] = m
	if _, waits := l.heads[service]; waits || s.record.Rollout != nil || m.Number == 0 && len(m.Open) == 0 && l.lasting[service] == nil {
		return true // the mark is kept with the message, or says nothing
	}
	return l.keep(ctx, service)
}

// behind reports whether something has begun or ended that the mark does not know.
func behind(in Input, m Mark) bool {
	rec := in.Record
	if m.Number == 0 && rec.Rollout == nil && rec.Since.Before(in.From) {
		return false // nothing since the receiver is known
	}
	return rec.Generation > m.Number || !m.Ended && (rec.Rollout == nil || rec.Rollout.Number != m.Number)
}

// head finds the first message that is due, and moves the mark over what is passed over before it.
func (l *lane) head(in Input, m Mark, service string) Mark {
	now := l.now()
again:
	var early *Due
	for _, d := range Plan(in, m) {
		if d.Message == nil || !l.n.opts.Config.routes(l.name, *d.Message) && !d.answers() {
			m = m.After(d.passed(), "")
			goto again
		}
		switch {
		case d.number > 0 || !d.NotBefore.After(now):
			l.heads[service] = d
			return m
		case d.Cause() != "" && !d.Early.After(now) && early == nil:
			early = &d
			l.later[service] = d.NotBefore
		default:
			at := d.NotBefore
			if d.Cause() != "" && d.Early.After(now) {
				at = d.Early
			}
			if old, ok := l.later[service]; !ok || at.Before(old) {
				l.later[service] = at
			}
		}
	}
	if early != nil {
		l.heads[service] = *early
	}
	return m
}

// answers reports whether the message ends what the receiver was told the beginning of: it is sent whatever the routes say.
func (d Due) answers() bool { return d.closes != "" || d.over != "" }

// choose is the service to tell something next: of those whose message failed least often, the oldest. Otherwise it answers how long
// there is none.
func (l *lane) choose(now time.Time, services int) (string, time.Duration) {
	best, wait := "", idle
	for service, d := range l.heads {
		at := d.NotBefore
		if d.Cause() != "" && services > 1 {
			at = at.Add(settleFor)
		}
		if at.After(now) {
			wait = min(wait, at.Sub(now))
			continue
		}
		if best == "" || l.before(service, best) {
			best = service
		}
	}
	return best, wait
}

func (l *lane) before(a, b string) bool {
	x, y := l.heads[a].Message, l.heads[b].Message
	if l.tries[x.Key] != l.tries[y.Key] {
		return l.tries[x.Key] < l.tries[y.Key]
	}
	if !x.At.Equal(y.At) {
		return x.At.Before(y.At)
	}
	return a < b
}
