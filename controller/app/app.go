// Package app is the wiring of a running controller: what production starts, the tests and the demo start too.
package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/githost"
	"github.com/canteen/deploy/controller/gitrepo"
	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/notify"
	"github.com/canteen/deploy/controller/origin"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/reconcile"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
	"github.com/canteen/deploy/controller/status"
	"github.com/canteen/deploy/controller/strategy"
	"github.com/canteen/deploy/controller/trace"
)

// Account is the account as the wiring needs it.
type Account interface {
	reconcile.Account
	origin.Account
	// CheckIdentity returns an error unless the credentials belong to the environment's account.
	CheckIdentity(context.Context) error
	// Forget drops what is kept of earlier answers.
	Forget()
	// Notice drops what is kept of the last moment of one service, which an event was about.
	Notice(cluster, service string)
	events.Queue
}

// Config is everything that a controller is started with.
type Config struct {
	Env           string // the folder below desired/
	Git           gitrepo.Config
	Ledger        string        // path of the embedded ledger's file
	Unsynced      bool          // of that file, for simulations only: a machine that fails may lose it
	Shared        *Shared       // the ledger of several controllers, in place of the file; nil for none
	Poll          time.Duration // between two questions to git
	Pace          rollout.Pace
	Workers       int
	WebhookSecret string
	Peers         []server.Peer // controllers of other environments, for the page
	Build         status.Build
	Events        *events.Listener // hints from a queue; nil for none. The account that Connect opens must be told by it (account.Options)
	Notify        *notify.Notifier // nil tells nobody
	Trace         *trace.Tracer    // tells a collector how rollouts went; nil for none

	GitHost *githost.Speaker // tells the git host what became of each commit; nil for none

	// Connect opens the account that the environment names. It is called once, after the environment was read. With a
	// shared ledger its writes must ask Shared.Lease.MayWrite.
	Connect func(context.Context, desired.EnvironmentSpec) (Account, error)
	// Between, where set, stands between whoever acts and the ledger: tests cut a controller off with it.
	Between  func(Ledger) Ledger
	Listener net.Listener // nil serves nothing; Handler still answers
	Registry *prometheus.Registry
	Log      *zap.Logger
	Clock    func() time.Time // the time that is decided by, the account's; nil: time.Now
}

// The defaults.
const (
	DefaultPoll    = 30 * time.Second
	DefaultWatch   = 4 * time.Second
	DefaultIdle    = time.Minute
	DefaultWorkers = 64 // most of a pass is waiting, and ten of them share one question to ECS
)

// graceFor is how long passes under way may take once the controller is asked to stop; with the saving of an outcome it
// stays within five seconds.
const graceFor = 3 * time.Second

// App is one controller.
type App struct {
	cfg     Config
	memory  memory
	writes  writes
	repo    *gitrepo.Repo
	loader  *desired.Loader // used by follow alone
	asked   *reconcile.Asked
	queue   *queue.Queue
	account atomic.Pointer[Account]         // nil while this controller does not act
	fleet   atomic.Pointer[reconcile.Fleet] // of the newest term in which this controller acted
	board   *status.Board
	origins *origin.Origins
	kick    chan struct{}
	ready   *readiness
	handler http.Handler
}

// New opens the ledger and prepares everything; it asks neither git nor the account yet. Close it with Close, or by Run.
func New(cfg Config) (*App, error) {
	repo, err := gitrepo.Open(cfg.Git)
	if err != nil {
		return nil, err
	}
	asked := reconcile.NewAsked()
	memory, err := remember(cfg, asked.Says)
	if err != nil {
		return nil, err
	}
	a := &App{
		cfg: cfg, memory: memory, repo: repo, loader: desired.NewLoader(Kinds()),
		asked: asked, queue: queue.New(), kick: make(chan struct{}, 1), ready: newReadiness(cfg.Shared != nil),
		board: status.New(cfg.Registry, cfg.Env, cfg.Build, cfg.Log), origins: origin.New(cfg.Log, cfg.Registry),
	}
	a.asked.Clock = cfg.Clock
	a.board.Queue(a.queueStats)
	a.board.Paused(a.paused)
	a.board.Commits(repo.CommitTime)
	if cfg.Events != nil {
		a.board.Events(cfg.Events.State)
	}
	a.handler = server.New(server.Config{
		Board: a.board, Gatherer: cfg.Registry, History: memory.History, Recent: memory.HistoryAll, Look: a.look, WebhookSecret: cfg.WebhookSecret,
		Wake: a.Kick, Ready: a.ready.reasons, Environment: a.asked.Environment, Peers: cfg.Peers, Version: cfg.Build.Version,
	})
	return a, nil
}

// Handler answers the page, the API and the metrics.
func (a *App) Handler() http.Handler { return a.handler }

// Board is the live snapshot.
func (a *App) Board() *status.Board { return a.board }

// Kick asks git now instead of at the next poll.
func (a *App) Kick() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// Close releases the ledger. Run does so itself.
func (a *App) Close() error { return a.memory.Close() }

// Run works until ctx ends, then lets the passes under way finish within a few seconds. It returns nil after an orderly
// end, and an error when it could not work at all: a foreign account, a port that is taken.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.memory.Close()) }()
	defer a.trace()()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(graceFor, stop)
		context.AfterFunc(hard, func() { timer.Stop() })
	})

	parts := []func() error{
		func() error { return a.follow(ctx) },
		func() error { return a.work(ctx, hard) },
	}
	if a.cfg.Listener != nil {
		parts = append(parts, func() error { return server.Serve(ctx, a.cfg.Listener, a.handler) })
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part() }()
	}
	var first error
	for range parts {
		if err := <-ended; err != nil && first == nil && !errors.Is(err, context.Canceled) {
			first = err
		}
		cancel(first)
	}
	return first
}

// work waits for the environment, connects to its account and runs passes.
func (a *App) work(ctx, hard context.Context) error {
	if a.cfg.Shared != nil {
		return a.share(ctx, hard)
	}
	account, err := a.reach(ctx)
	if account == nil {
		return err
	}
	_, err = a.office(ctx, hard, account, a.memory.(Ledger))
	return err
}

// office is the work of the one controller that acts, until ctx ends. clean says that no pass was cut off by hard.
func (a *App) office(ctx, hard context.Context, account Account, l Ledger) (clean bool, err error) {
	env := a.asked.Environment()
	services, known, err := a.remembered(ctx, l)
	if err != nil || ctx.Err() != nil {
		return true, err
	}
	l = a.watch(ctx, l)
	fleet := reconcile.NewFleet(known...)
	a.fleet.Store(fleet)
	a.account.Store(&account)
	defer a.account.Store(nil)
	a.asked.Begin(known)
	a.tellMassChange()
	a.writes.begin(l)
	defer a.writes.end()
	a.keep(ctx, env)
	if a.cfg.Between != nil {
		l = a.cfg.Between(l)
	}
	tell := &teller{board: a.board, log: a.cfg.Log, origins: a.origins, events: a.cfg.Events, host: a.cfg.GitHost, notify: a.cfg.Notify, trace: a.cfg.Trace}
	if keeps, is := a.memory.(interface{ Share(*rollout.Record) }); is {
		tell.share = keeps.Share
	}
	r := &reconcile.Reconciler{
		Account: account, Ledger: l, Asked: a.asked, Fleet: fleet, Teller: tell,
		Built: a.origins.Of, Pace: a.cfg.Pace, Log: a.cfg.Log, Clock: a.cfg.Clock,
	}
	defer a.listen(ctx, account, env.Spec, r, known)()
	defer a.findOrigins(ctx, account)()
	defer a.speak(ctx, env.Metadata.Name, known)()
	defer a.notify(ctx, l, known)()
	for _, name := range services {
		a.queue.WakeAt(name, time.Now())
	}
	a.cfg.Log.Info("working", zap.String("environment", env.Metadata.Name), zap.String("account", env.Spec.Account), zap.Int("remembered", len(services)))
	r.Run(ctx, hard, a.queue, a.cfg.Workers)
	return hard.Err() == nil, nil
}

// Kinds are the checks and strategies that this controller knows.
func Kinds() desired.Kinds {
	return desired.Kinds{Checks: health.Kinds(), Strategies: strategy.Kinds()}
}
