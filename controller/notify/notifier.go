package notify

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/rollout"
)

// Ledger is what the notifier needs of a ledger. Marks are kept under keys of its own; a controller that does not hold the ledger any
// more keeps none.
type Ledger interface {
	History(ctx context.Context, service string, limit int) ([]rollout.Entry, error)
	Marks(ctx context.Context, visit func(key string, data []byte)) error
	KeepMark(ctx context.Context, key string, data []byte) error
}

// Options are what a notifier is made with.
type Options struct {
	Environment string
	Config      *Config
	Secrets     Secrets           // nil: references to Secrets Manager fail
	Transport   http.RoundTripper // nil: http.DefaultTransport
	Clock       func() time.Time  // the time that records are written by; nil: time.Now
	Registry    prometheus.Registerer
	Log         *zap.Logger
}

// Office is one tenure of a controller that acts.
type Office struct {
	Ledger Ledger
	// MayTell answers until when a request that begins now must have ended, or an error where none may begin. nil: at any time.
	MayTell func() (time.Time, error)
}

// Notifier tells receivers what becomes of services. Its methods are safe for concurrent use, and none but Run waits for anything.
type Notifier struct {
	opts    Options
	metrics *metrics

	mu       sync.Mutex
	services map[string]noted // by name
	history  map[string]kept
	whole    Whole
	began    time.Time // the present tenure
	lanes    []*lane   // of the present tenure
}

// noted is the newest that is known of a service.
type noted struct {
	record    rollout.Record
	invalid   *string
	invalidAt time.Time // since when it is invalid, or is not
}

type kept struct {
	version uint64
	from    int // all rollouts from this number on are in entries
	entries []rollout.Entry
}

// New makes a notifier of a file's configuration.
func New(o Options) *Notifier {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	n := &Notifier{opts: o, metrics: newMetrics(o.Registry, o.Environment, slices.Sorted(maps.Keys(o.Config.Receivers))),
		services: map[string]noted{}, history: map[string]kept{}}
	n.whole = Whole{Environment: o.Environment, Page: o.Config.Page, Settings: o.Config.Settings()}
	return n
}

// Note takes a record that was saved, and why git's newest file of the service is invalid. It never waits.
func (n *Notifier) Note(rec rollout.Record, invalid string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	old, ok := n.services[rec.Service]
	if ok && old.record.Version > rec.Version {
		return
	}
	s := noted{rec, &invalid, old.invalidAt}
	switch {
	case ok && old.invalid == nil:
		s.invalidAt = n.began // it was so when this tenure began to look, and may have been told before
	case !ok || (*old.invalid == "") != (invalid == ""):
		s.invalidAt = n.opts.Clock()
	}
	n.services[rec.Service] = s
	if ok && old.record.Version == rec.Version && old.invalid != nil && *old.invalid == invalid {
		return
	}
	n.wake(rec.Service)
}

// Git takes how the last look at git ended: why it failed, empty where it did not, and why environment.yaml is invalid, empty where
// it is valid, nil where that was not looked at. It never waits.
func (n *Notifier) Git(failed string, file *string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.opts.Clock()
	if failed != "" && n.whole.GitError == "" {
		n.whole.GitSince = now
	}
	n.whole.GitKnown, n.whole.GitError = true, failed
	if file != nil {
		if *file != "" && (n.whole.File == nil || *n.whole.File == "") {
			n.whole.FileAt = now
		}
		n.whole.File = file
	}
	n.wake("")
}

// wake tells all lanes of a service, or of the environment; n.mu is held.
func (n *Notifier) wake(service string) {
	for _, l := range n.lanes {
		l.dirty[service] = true
		select {
		case l.woken <- struct{}{}:
		default:
		}
	}
}

// Begin takes the records that a tenure begins with, before anything happens in it: a receiver that nobody knew before is told of what
// begins from here on. What earlier tenures knew is forgotten.
func (n *Notifier) Begin(records []rollout.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.began = n.opts.Clock()
	n.history, n.services = map[string]kept{}, map[string]noted{}
	for _, rec := range records {
		n.services[rec.Service] = noted{record: rec}
	}
}

// Run tells until ctx ends, for the tenure that Begin began. It begins with what the one before has kept, and returns when no request
// of it is under way.
func (n *Notifier) Run(ctx context.Context, o Office) {
	var marks map[string]map[string]Mark
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		var err error
		if marks, err = n.read(ctx, o.Ledger); err == nil {
			break
		}
		n.opts.Log.Warn("what was told to whom cannot be read; nothing is told until it can", zap.Error(err))
		if !pause(ctx, wait, nil) {
			return
		}
	}
	var working sync.WaitGroup
	n.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(n.opts.Config.Receivers)) {
		l := newLane(n, name, o, n.began, marks[name])
		for service := range n.services {
			l.dirty[service] = true
		}
		n.lanes = append(n.lanes, l)
		working.Go(func() { l.run(ctx) })
	}
	n.mu.Unlock()
	working.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lanes = nil
}

// read answers the marks by receiver and service. One that cannot be read is told, and is as if its receiver was told nothing yet.
func (n *Notifier) read(ctx context.Context, l Ledger) (map[string]map[string]Mark, error) {
	out := map[string]map[string]Mark{}
	err := l.Marks(ctx, func(key string, data []byte) {
		name, service, ok := strings.Cut(strings.TrimPrefix(key, markPrefix), "/")
		if !ok || !strings.HasPrefix(key, markPrefix) {
			return
		}
		m, err := decodeMark(data)
		if err != nil {
			n.opts.Log.Error("a mark cannot be read", zap.String("mark", key), zap.Error(err))
			return
		}
		if out[name] == nil {
			out[name] = map[string]Mark{}
		}
		out[name][service] = m
	})
	return out, err
}

// markPrefix begins the keys of marks in the ledger; receiver and service follow, with a slash between. The environment's has no
// service.
const markPrefix = "notify/"

func markKey(receiver, service string) string { return markPrefix + receiver + "/" + service }

// newReceiver makes what talks to one of the configuration's receivers.
func newReceiver(name string, o Options) receiver {
	spec := o.Config.Receivers[name]
	v := &vault{secrets: o.Secrets, kept: map[string]keptSecret{}}
	client := newClient(o.Transport)
	switch {
	case spec.Slack != nil:
		blind := sync.OnceFunc(func() {
			o.Log.Warn("Slack does not let the token read the channel, so a message whose answer was lost may be posted twice; give it channels:history",
				zap.String("receiver", name))
		})
		return slackAPI{spec: *spec.Slack, vault: v, client: client, blind: blind}
	case spec.SlackWebhook != nil:
		return slackWebhook{spec: *spec.SlackWebhook, vault: v, client: client}
	}
	return webhook{spec: *spec.Webhook, vault: v, client: client, now: time.Now}
}

// Try sends one message to a receiver, once.
func Try(ctx context.Context, name string, o Options) error {
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if _, err := newReceiver(name, o).take(ctx, post{Message: testMessage(o.Environment, o.Config.Page, time.Now().UTC())}); err != nil {
		return fmt.Errorf("receiver %s does not take the message: %w", name, err)
	}
	return nil
}

func testMessage(environment, page string, now time.Time) Message {
	key := fmt.Sprintf("%s//test-%d", environment, now.UnixNano())
	return Message{Schema: Schema, Key: key, Thread: key, Event: Test, Severity: severities[Test], At: now, Environment: environment, Evidence: page,
		Summary: "this is a test", Why: "Somebody tries whether messages of the controller arrive.", Next: "Nothing."}
}

// entries answers a service's history from a rollout's number on, and a few before, as it was when the record was saved.
func (n *Notifier) entries(ctx context.Context, l Ledger, rec rollout.Record, from int, since time.Time) ([]rollout.Entry, error) {
	n.mu.Lock()
	k, ok := n.history[rec.Service]
	n.mu.Unlock()
	if ok && k.version == rec.Version && k.from <= from {
		return k.entries, nil
	}
	few := min(max(rec.Generation-from, 0)+entriesMore, entriesFew)
	entries, err := l.History(ctx, rec.Service, few)
	if err == nil && len(entries) == few && entries[few-1].Number > from && (from > 0 || entries[few-1].EndedAt.After(since)) {
		entries, err = l.History(ctx, rec.Service, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("read what ended of %s: %w", rec.Service, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.history) >= historiesMax {
		clear(n.history)
	}
	n.history[rec.Service] = kept{rec.Version, from, entries}
	return entries, nil
}

// How much history is read at once, and kept for the other receivers.
const (
	entriesMore  = 4
	entriesFew   = 20
	historiesMax = 200
)
