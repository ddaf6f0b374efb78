package story

import (
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
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// poll is the time between two looks at git: production's, and a little more, so that it does not meet the other rhythms.
const poll = app.DefaultPoll + 37*time.Millisecond

// life is one process of the controller, from its start to its end.
type life struct {
	app  *app.App
	gate *gate
	done chan struct{}
	err  error // of Run, once done is closed

	killedAt time.Time // zero while it was not
	stop     context.CancelFunc
}

// Start starts the controller on the ledger that it had.
func (w *World) Start() error {
	if w.life != nil {
		return errors.New("the controller runs already")
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &life{done: make(chan struct{}), stop: stop}
	l.gate = &gate{meter: &w.meter, next: w.account.RoundTripper(), kill: sync.OnceFunc(func() {
		l.killedAt = time.Now()
		w.journal.add("kill", "the controller is killed")
		stop()
	})}
	registry := prometheus.NewRegistry()
	w.starts++
	jitter := rand.New(rand.NewPCG(w.opts.Seed, uint64(w.starts)))
	aws := w.account.AWSConfig()
	aws.HTTPClient = &http.Client{Transport: l.gate}
	a, err := app.New(app.Config{
		Env: "dev", Git: gitrepo.Config{Source: w.repo.source, Folder: folder}, Ledger: w.ledgerPath(),
		Poll: poll, Pace: rollout.Pace{Watch: app.DefaultWatch, Idle: app.DefaultIdle}, Workers: 1,
		Build: status.Build{Version: "story"}, Registry: registry, Log: zap.New(core{journal: w.journal}),
		Connect: func(_ context.Context, env desired.EnvironmentSpec) (app.Account, error) {
			options := client.Options{Jitter: jitter.Float64, Registerer: registry}
			return account.New(client.New(aws, options), account.Options{Account: env.Account, Region: env.Region}), nil
		},
		Between: func(inner reconcile.Ledger) reconcile.Ledger { return ledger{inner, l.gate, w.saved} },
	})
	if err != nil {
		stop()
		return fmt.Errorf("start the controller: %w", err)
	}
	l.app = a
	w.life = l
	w.repo.alive(true)
	w.journal.add("start", "the controller starts")
	go func() {
		l.err = a.Run(ctx)
		close(l.done)
	}()
	return nil
}

// StartAnew starts the controller with an empty ledger: the file was lost.
func (w *World) StartAnew() error {
	w.ledgers++
	return w.Start()
}

func (w *World) ledgerPath() string {
	return filepath.Join(w.dir, fmt.Sprintf("ledger-%d.db", w.ledgers))
}

// Crash ends the controller as kill -9 does: from this instant nothing of it reaches AWS or the ledger.
func (w *World) Crash() error {
	if w.life == nil {
		return errors.New("the controller does not run")
	}
	w.life.gate.close()
	w.bury()
	return nil
}

// Stop ends the controller in order, and answers what Run returned.
func (w *World) Stop() error {
	if w.life == nil {
		return errors.New("the controller does not run")
	}
	w.life.stop()
	err := w.bury()
	w.journal.add("stop", "the controller has stopped: %v", err)
	return err
}

// bury waits until nothing of a life is left.
func (w *World) bury() error {
	<-w.life.done
	err := w.life.err
	w.life = nil
	w.repo.alive(false)
	return err
}

// tend starts a controller again that was killed at the planned moment.
func (w *World) tend() error {
	l := w.life
	if l == nil || !l.gate.closed() || !w.meter.again(time.Since(l.killedAt)) {
		return nil
	}
	w.bury()
	return w.Start()
}
