package story

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/app"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/ledger/dynamo"
	"github.com/canteen/deploy/controller/ledger/lease"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// poll is the time between two looks at git: production's, and a little more, so that it does not meet the other rhythms.
const poll = app.DefaultPoll + 37*time.Millisecond

// life is one process of the controller, from its start to its end.
type life struct {
	name     string // "one" or "two", where there are two
	app      *app.App
	registry *prometheus.Registry
	gate     *gate
	done     chan struct{}
	err      error // of Run, once done is closed

	killedAt time.Time // zero while it was not
	stop     context.CancelFunc
}

// Start starts the controller on the ledger that it had; where there are two, each that does not run.
func (w *World) Start() error {
	if w.opts.Two {
		return w.startBoth()
	}
	if w.life != nil {
		return errors.New("the controller runs already")
	}
	l, err := w.begin("")
	w.life = l
	return err
}

// dice are numbers in [0, 1) for whoever asks, several at once.
func dice(source rand.Source) func() float64 {
	var one sync.Mutex
	rng := rand.New(source)
	return func() float64 {
		one.Lock()
		defer one.Unlock()
		return rng.Float64()
	}
}

// begin starts one process.
func (w *World) begin(name string) (*life, error) {
	ctx, stop := context.WithCancel(context.Background())
	l := &life{name: name, done: make(chan struct{}), stop: stop}
	l.gate = &gate{meter: &w.meter, next: w.account.RoundTripper(), sender: name, kill: sync.OnceFunc(func() {
		l.killedAt = time.Now()
		w.journal.add("kill", "%s is killed", l)
		stop()
	})}
	registry := prometheus.NewRegistry()
	w.starts++
	jitter := dice(rand.NewPCG(w.opts.Seed, uint64(w.starts)))
	aws := w.account.AWSConfig()
	aws.HTTPClient = &http.Client{Transport: l.gate}
	log := zap.New(core{journal: w.journal, who: name})
	clock := client.NewClock(w.clock)
	options := client.Options{Jitter: jitter, Registerer: registry, Clock: clock}
	if w.opts.WholeLimits {
		options.BurstShare, options.RefillShare = 1, 1
	}
	var shared *app.Shared
	if w.opts.Two {
		table := dynamo.New(aws, dynamo.Options{Table: sharedTable, Environment: "dev", Jitter: jitter})
		shared = &app.Shared{Table: table, Lease: lease.New(table, fmt.Sprintf("%s-%d", name, w.starts), log)}
		options.MayWrite = shared.Lease.MayWrite
	}
	listener, told := w.listener(log)
	notifier, tracer, err := w.tellers(l.gate, clock.Now, registry, log)
	if err != nil {
		stop()
		return nil, err
	}
	a, err := app.New(app.Config{
		Env: "dev", Git: gitrepo.Config{Source: w.repo.source, Folder: folder}, Ledger: w.ledgerPath(), Unsynced: true, Shared: shared,
		Poll: poll, Pace: rollout.Pace{Watch: cmp.Or(w.opts.Watch, app.DefaultWatch), Idle: app.DefaultIdle}, Workers: max(w.opts.Workers, 1), Clock: clock.Now,
		Build: status.Build{Version: "story"}, Registry: registry, Log: log, Events: listener, Notify: notifier, Trace: tracer,
		Connect: func(_ context.Context, env desired.EnvironmentSpec) (app.Account, error) {
			return account.New(client.New(aws, options), account.Options{Account: env.Account, Region: env.Region, Clock: clock.Now, Told: told, BatchWait: w.batchWait()}), nil
		},
		Between: func(inner app.Ledger) app.Ledger { return ledger{inner, l.gate, w.opts.Two, w.saved} },
	})
	if err != nil {
		stop()
		return nil, fmt.Errorf("start the controller: %w", err)
	}
	l.app, l.registry = a, registry
	w.repo.alive(true)
	w.journal.add("start", "%s starts", l)
	go func() {
		l.err = a.Run(ctx)
		close(l.done)
	}()
	return l, nil
}

// String names the process in the journal.
func (l *life) String() string {
	if l.name == "" {
		return "the controller"
	}
	return "controller " + l.name
}

// StartAnew starts the controller with an empty ledger: the file was lost.
func (w *World) StartAnew() error {
	w.ledgers++
	return w.Start()
}

func (w *World) ledgerPath() string {
	return filepath.Join(cmp.Or(w.disk, w.dir), fmt.Sprintf("ledger-%d.db", w.ledgers))
}

// Crash ends the controller as kill -9 does: from this instant nothing of it reaches AWS or the ledger.
func (w *World) Crash() error {
	if w.life == nil {
		return errors.New("the controller does not run")
	}
	w.life.gate.close()
	w.bury(w.life)
	return nil
}

// Stop ends the controller in order, and answers what Run returned.
func (w *World) Stop() error {
	if w.life == nil {
		return errors.New("the controller does not run")
	}
	l := w.life
	l.stop()
	err := w.bury(l)
	w.journal.add("stop", "%s has stopped: %v", l, err)
	return err
}

// bury waits until nothing of a life is left.
func (w *World) bury(l *life) error {
	<-l.done
	delete(w.two, l.name)
	if w.life == l {
		w.life = nil
		w.follow()
	}
	if len(w.lives()) == 0 {
		w.repo.alive(false)
	}
	return l.err
}

// tend ends faults whose time is over, and starts a controller again that was killed at the planned moment.
func (w *World) tend() error {
	w.pass()
	w.follow()
	for _, l := range w.lives() {
		if !l.gate.closed() || !w.meter.again(time.Since(l.killedAt)) {
			continue
		}
		w.bury(l)
		if err := w.Start(); err != nil {
			return err
		}
	}
	return nil
}

// batchWait is how long a look waits for others: production's, where there can be others.
func (w *World) batchWait() time.Duration {
	if w.opts.Workers > 1 {
		return account.DefaultBatchWait
	}
	return 0
}
