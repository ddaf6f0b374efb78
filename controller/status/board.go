package status

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
)

// Board holds what is told of every service. All its methods may be called from any goroutine and none of them waits for
// a reader.
type Board struct {
	env     string
	build   Build
	metrics *metrics
	// families are the metrics of services, which are no part of the registry.
	families []family

	delivery delivery // guarded by mu

	mu       sync.Mutex
	services []*View // in order of name
	shared   bool    // services was handed out: copy it before it is changed
	repo     RepoView
	lease    *Lease // nil where there is only one controller; replaced, never changed
	ledger   *bool  // whether its last write reached the disk; nil where nobody tells
	alike    alike
	activity activity
	counted  map[string]int    // by service: number of the newest rollout that was counted
	causes   map[string]string // by service: why its newest failed rollout failed
	started  time.Time
	queue    func() queue.Stats
	paused   func() *rollout.Pause
	events   func() events.State // nil where no queue of events is read
}

// New returns an empty board for one environment and registers its metrics; it panics where they are registered already. Those of its
// services are not registered: a scrape reads them by Visit, and who has few services may register the Board itself.
func New(reg prometheus.Registerer, env string, build Build, log *zap.Logger) *Board {
	now := time.Now()
	b := &Board{
		env: env, build: build, started: now,
		metrics: newMetrics(reg, env, build),
		counted: map[string]int{}, causes: map[string]string{},
		activity: activity{epoch: strconv.FormatInt(now.UnixNano(), 36), subs: map[*subscriber]struct{}{}, log: log},
	}
	b.delivery = newDelivery(b.metrics.lead, b.metrics.restore)
	b.families = families(b)
	reg.MustRegister(newCollector(b))
	return b
}

// Publish replaces what is told of one service, named by v.Record.Service. Publishing the same again tells nobody anything.
func (b *Board) Publish(v View) {
	name := v.Record.Service
	v.Status.Service = name
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := find(b.services, name)
	var old *View
	if ok {
		old = b.services[i]
	}
	v.keepLook(old)
	b.alike.share(&v.Status)
	b.own()
	if ok {
		b.services[i] = &v
	} else {
		b.services = slices.Insert(b.services, i, &v)
		b.metrics.known(name)
	}
	b.metrics.judged(old, &v)
	b.metrics.waited(old, &v)
	b.delivery.settled(&v)
	if b.foundDrift(old, &v) {
		b.metrics.drift.inc(name, "reported")
	}
	if changed(old, &v) {
		e := Event{At: time.Now(), Kind: EventService, Service: name, Phase: v.Status.Phase, Message: v.Status.Words(), Commit: v.Status.Wanted.Commit}
		if old != nil {
			e.Before = old.Status.Phase
		}
		b.activity.tell(e)
	}
}

// Remove forgets a service together with its metrics. A service that is not known is no error.
func (b *Board) Remove(service string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.metrics.forget(service)
	delete(b.counted, service)
	delete(b.causes, service)
	b.delivery.forget(service)
	i, ok := find(b.services, service)
	if !ok {
		return
	}
	b.own()
	b.services = slices.Delete(b.services, i, i+1)
	b.activity.tell(Event{At: time.Now(), Kind: EventRemoved, Service: service, Message: service + " is told no more"})
}

// Repo tells what one fetch found and counts it; call it once after each. Invalid is nil when the files were not read
// again, and empty when all are valid: nil keeps what was told before. So does, after a fetch that failed, everything that
// is not set. Credentials in Source and Error are taken out.
func (b *Board) Repo(v RepoView) {
	v.Source, v.Error = withoutCredentials(v.Source), stripUserinfo(v.Error)
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.repo
	v.Source = cmp.Or(v.Source, old.Source)
	if v.Invalid == nil {
		v.Invalid = old.Invalid
	}
	result := "ok"
	if v.Error != "" {
		result = "error"
		v.Head = cmp.Or(v.Head, old.Head)
		v.FetchedAt = cmp.Or(v.FetchedAt, old.FetchedAt)
	}
	b.metrics.fetches.WithLabelValues(result).Inc()
	b.metrics.fetchTime.Observe(v.Took.Seconds())
	if old.Head.SHA != "" && v.Head.SHA != old.Head.SHA {
		b.metrics.detectTime.Observe(max(0, v.FetchedAt.Sub(v.Head.At).Seconds()))
	}
	v.Took = 0
	b.repo = v
	if v.Head.SHA != old.Head.SHA || v.Error != old.Error || !maps.EqualFunc(v.Invalid, old.Invalid, slices.Equal) {
		b.activity.tell(Event{At: time.Now(), Kind: EventRepository, Commit: v.Head.Short(), Message: repoMessage(v)})
	}
}

// Finished counts a rollout that ended. Call it after the entry was saved; the same entry told again is not counted again.
func (b *Board) Finished(e rollout.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Number <= b.counted[e.Service] {
		return
	}
	b.counted[e.Service] = e.Number
	if e.Evidence != nil && e.Kind != rollout.KindRevert {
		b.causes[e.Service] = causeOf(e.Evidence.Check, e.Evidence.Reason)
	}
	b.metrics.finished(e, b.revertCause(e))
	var before *View
	if i, ok := find(b.services, e.Service); ok {
		before = b.services[i]
	}
	b.delivery.ended(e, before)
	b.activity.tell(Event{
		At: e.EndedAt, Kind: EventRollout, Service: e.Service, Message: e.Message, Commit: e.Commit.Short(),
		Rollout: e.Kind, Number: e.Number, Result: e.Result,
	})
}

// LedgerWritten tells how the last write to the ledger ended, nil for well. Events tell where that changes.
func (b *Board) LedgerWritten(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	well := err == nil
	old := b.ledger
	b.ledger = &well
	message := "the ledger can be written again"
	if !well {
		b.metrics.unwritten.Inc()
		message = "the ledger cannot be written, and nothing is begun until it can: " + err.Error()
	}
	if old != nil && *old != well {
		b.activity.tell(Event{At: time.Now(), Kind: EventLedger, Message: message})
	}
}

// Queue names who is asked for the queue's numbers at each scrape.
func (b *Board) Queue(stats func() queue.Stats) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = stats
}

// Paused names who is asked at each scrape why nothing new is begun; it answers nil where that is not so.
func (b *Board) Paused(why func() *rollout.Pause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paused = why
}

// Events names who is asked for what the queue of events tells.
func (b *Board) Events(state func() events.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = state
}

// Snapshot returns what is told of everything now.
func (b *Board) Snapshot() Snapshot {
	b.mu.Lock()
	b.shared = true
	out := Snapshot{Environment: b.env, Build: b.build, At: time.Now(), Repo: b.repo, Lease: b.lease, LedgerWritten: b.ledger, Services: b.services}
	ask := b.events
	b.mu.Unlock()
	if ask != nil { // outside the lock: the listener has its own
		state := ask()
		out.Events = &state
	}
	return out
}

// Service returns what is told of one service, nil when there is nothing. It must not be changed.
func (b *Board) Service(name string) *View {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := find(b.services, name); ok {
		return b.services[i]
	}
	return nil
}

// own makes the list of services safe to change. Copying only what was handed out keeps a sweep over many services
// from copying the list for each of them.
func (b *Board) own() {
	if b.shared {
		b.services, b.shared = slices.Clone(b.services), false
	}
}

// foundDrift reports whether the view tells of drift that was not told before. Drift that began before this process did
// was counted by the one before it.
func (b *Board) foundDrift(old, v *View) bool {
	d := v.Record.Drift
	switch {
	case d == nil:
		return false
	case old == nil:
		return !d.Since.Before(b.started)
	default:
		return old.Record.Drift == nil || old.Record.Drift.Deployment != d.Deployment
	}
}

func changed(old, v *View) bool {
	return old == nil || old.Status.Phase != v.Status.Phase || old.Status.Why != v.Status.Why ||
		old.Status.Wanted.Ask != v.Status.Wanted.Ask || old.Status.Wanted.Commit != v.Status.Wanted.Commit ||
		old.Status.Running.Ask != v.Status.Running.Ask || old.Status.Running.Revision != v.Status.Running.Revision
}

func find(views []*View, name string) (int, bool) {
	return slices.BinarySearchFunc(views, name, func(v *View, name string) int { return strings.Compare(v.Record.Service, name) })
}

func repoMessage(v RepoView) string {
	switch {
	case v.Error != "":
		return "git cannot be fetched: " + v.Error
	case len(v.Invalid) == 1:
		return "one file is invalid"
	case len(v.Invalid) > 1:
		return fmt.Sprintf("%d files are invalid", len(v.Invalid))
	default:
		return v.Head.Subject
	}
}

var userinfo = regexp.MustCompile(`://[^/\s@]+@`)

// stripUserinfo takes the user and password out of every URL in a text.
func stripUserinfo(text string) string { return userinfo.ReplaceAllString(text, "://") }

// withoutCredentials takes out of a repository's address what may let somebody in: user, password and query. The user of
// an scp-like address (git@host:path) is no secret and stays.
func withoutCredentials(source string) string {
	u, err := url.Parse(source)
	if err != nil || u.Scheme == "" {
		return stripUserinfo(source)
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
