package story

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/dynamodb"
	"github.com/canteen/deploy/controller/sim/ecs"
	"github.com/canteen/deploy/controller/sim/script"
	"github.com/canteen/deploy/controller/sim/wire"
	"github.com/canteen/deploy/controller/status"
)

//go:embed base/account.yaml
var baseAccount []byte

//go:embed base/service.yaml
var baseService []byte

//go:embed base/environment.yaml
var baseEnvironment []byte

// planted is the secret value of base/account.yaml, which must come to light nowhere.
const planted = "a-planted-secret-value"

// Options say what a world is like.
type Options struct {
	Services    []string // none: orders
	Seed        uint64
	Timing      ecs.Timing // zero: AWS's own, nearly
	Doubts      ecs.Doubts
	Kill        *Kill           // kill the controller there, and start it again
	Wanders     bool            // the story does not tell how its rollouts end
	Two         bool            // two controllers on one ledger
	WholeLimits bool            // the controller takes all that AWS allows, not its share
	Workers     int             // passes in the same moment; zero: one, so that a story repeats itself
	SmallDisk   bool            // the ledger has a disk of its own, of 4 MiB; takes root
	Events      bool            // a queue with the account's events
	Told        bool            // receivers of messages
	Traced      bool            // a collector of traces
	Trouble     Trouble         // with these events
	Outermost   wire.Middleware // where set, changes what everybody is told
	Watch       time.Duration   // zero: production's
	// Infra, where set, makes another infrastructure of base/account.yaml.
	Infra func(base string) string
}

// World is an account, a repository and a controller. Its methods are called from one goroutine, inside a bubble.
type World struct {
	opts    Options
	dir     string
	account *sim.Account
	faults  *wire.Faults
	repo    *repository
	images  map[string]image // by service:tag
	book    script.Book      // how they behave
	journal *journal

	Observer *Observer

	ears    *ears
	meter   meter
	closers []func()         // end what goes on beside the story
	life    *life            // the controller, or of two the one that leads or led last
	two     map[string]*life // both that run, by name
	before  *life            // the one that led when something was done to the leader
	late    []func()         // requests that were held up for good, and arrive when the story says so
	starts  int
	ledgers int
	disk    string // where the ledger is, where it has a disk of its own
	filling string // the file that fills it

	skew     atomic.Int64 // of the controller's clock against the account's, in nanoseconds
	jumped   atomic.Bool  // it ever did
	mu       sync.Mutex
	endings  []rollout.Entry           // of all services, as they were saved
	records  map[string]rollout.Record // newest saved
	verdicts map[string]int            // endings that were expected already, by service
	noted    map[string]string         // deployments to compare with
	said     map[string]string         // what git was told in answer to the controller, each thing once
	moments  map[string]time.Time      // of what was done by hand
	deleted  map[string]*types.Service // services as they were before they were deleted by hand
	passing  []passing                 // faults that end by themselves
	updates  map[string]*stackUpdate   // the newest, by service
	read     map[string]*status.View   // the newest whose words were looked at, by service
}

// timing is AWS's own with a scheduler's rhythm that meets no other one.
func timing() ecs.Timing {
	t := ecs.DefaultTiming()
	t.Tick = ecs.Range{Min: 10*time.Second + 13*time.Millisecond + 171, Max: 10*time.Second + 13*time.Millisecond + 171}
	return t
}

// quick is an account that is about ten times as fast, for stories that are told hundreds of times.
func quick() ecs.Timing {
	t := ecs.FastTiming()
	t.Tick = ecs.Range{Min: 503*time.Millisecond + 171, Max: 503*time.Millisecond + 171}
	return t
}

// New makes a world in dir, an empty folder, with nothing deployed. Close must be called before the bubble ends.
func New(dir string, opts Options) (*World, error) {
	if len(opts.Services) == 0 {
		opts.Services = []string{"orders"}
	}
	if opts.Timing == (ecs.Timing{}) {
		opts.Timing = timing()
	}
	w := &World{
		opts: opts, dir: dir, faults: &wire.Faults{}, images: map[string]image{}, journal: &journal{began: time.Now(), hide: dir},
		records: map[string]rollout.Record{}, verdicts: map[string]int{}, noted: map[string]string{}, said: map[string]string{}, moments: map[string]time.Time{},
		two: map[string]*life{}, deleted: map[string]*types.Service{}, updates: map[string]*stackUpdate{}, read: map[string]*status.View{},
	}
	w.ears = newEars(w.journal)
	w.meter.kill(opts.Kill)
	err := w.smallDisk()
	if err != nil {
		return nil, err
	}
	if w.repo, err = newRepository(filepath.Join(dir, "git"), opts.Services); err != nil {
		return nil, err
	}
	w.Observer = newObserver(w)
	guard, err := w.newGuard()
	if err != nil {
		return nil, err
	}
	w.account, err = sim.New(sim.Config{
		Seed: opts.Seed, Timing: opts.Timing, Doubts: opts.Doubts, Observe: w.Observer.event,
		Middleware: slices.Concat(outermost(opts), []wire.Middleware{w.Observer.heard(), guard.Middleware(), w.faults.Middleware(), w.Observer.middleware()}),
	})
	if err != nil {
		return nil, err
	}
	if opts.Two {
		w.account.DynamoDB.AddTable(dynamodb.Table{Name: sharedTable, HashKey: "pk", SortKey: "sk", StaleMax: 900 * time.Millisecond})
	}
	// The queue is there before the services: what their beginning tells must be in it in each run.
	if err := errors.Join(w.listens(), w.plant()); err != nil {
		return nil, errors.Join(err, w.account.Close())
	}
	return w, nil
}

func outermost(opts Options) []wire.Middleware {
	if opts.Outermost == nil {
		return nil
	}
	return []wire.Middleware{opts.Outermost}
}

// plant makes the infrastructure of each service.
func (w *World) plant() error {
	ctx := context.Background()
	if err := w.account.Plant(ctx, &sim.Seed{Clusters: []string{"main"}}); err != nil {
		return err
	}
	if _, err := w.account.ECS.PutClusterCapacityProviders(ctx, &awsecs.PutClusterCapacityProvidersInput{
		Cluster: aws.String("main"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{},
	}); err != nil {
		return err
	}
	base := baseAccount
	if w.opts.Infra != nil {
		base = []byte(w.opts.Infra(string(base)))
	}
	for _, name := range w.opts.Services {
		seed, err := sim.ReadSeed(forService(base, name), "")
		if err == nil {
			err = w.account.Plant(ctx, seed)
		}
		if err != nil {
			return fmt.Errorf("infrastructure of %s: %w", name, err)
		}
	}
	return nil
}

// Close ends everything.
func (w *World) Close() error {
	lives := w.lives()
	for _, l := range lives {
		l.gate.close()
	}
	for _, l := range lives {
		w.bury(l)
	}
	for _, end := range w.closers {
		end()
	}
	return w.account.Close()
}

// Journal is everything that happened, for people.
func (w *World) Journal() string { return w.journal.String() }

// saved is told of every save of the ledger.
func (w *World) saved(rec rollout.Record, history []rollout.Entry) {
	w.mu.Lock()
	w.records[rec.Service] = rec
	w.endings = append(w.endings, history...)
	w.mu.Unlock()
	w.Observer.origins(history)
}

// record is what was saved last of a service.
func (w *World) record(service string) rollout.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[service]
}

// ended are the finished rollouts of a service, oldest first.
func (w *World) ended(service string) []rollout.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []rollout.Entry
	for i := range w.endings {
		if e := &w.endings[i]; e.Service == service {
			out = append(out, *e)
		}
	}
	return out
}

// view is what the controller tells of a service now, nil while it tells nothing.
func (w *World) view(service string) *status.View {
	if w.life == nil {
		return nil
	}
	return w.life.app.Board().Service(service)
}

// closed holds what is told to the closed words: no condition has a reason that condition.Reasons does not list.
func (w *World) closed() error {
	var err error
	for _, name := range w.opts.Services {
		v := w.view(name)
		if v == nil || v == w.read[name] {
			continue
		}
		w.read[name] = v
		for _, c := range v.Status.Conditions {
			if _, known := slices.BinarySearch(reasons, c.Reason); !known || c.Reason == condition.ReasonOther {
				err = errors.Join(err, fmt.Errorf("condition %s has the reason %q, which nobody knows", c.Type, c.Reason))
			}
		}
	}
	return err
}

var reasons = condition.Reasons()

// glance is the time between two looks of the story at the world.
const glance = 500 * time.Millisecond

// Advance lets virtual time pass. It fails as soon as the Observer saw what must not be.
func (w *World) Advance(d time.Duration) error {
	return w.during(d, func() error { return nil })
}

// during lets time pass and holds the condition all the while.
func (w *World) during(d time.Duration, holds func() error) error {
	for end := time.Now().Add(d); ; {
		synctest.Wait()
		w.follow()
		if err := errors.Join(w.Observer.Err(), w.closed(), holds()); err != nil {
			return err
		}
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		time.Sleep(min(left, glance))
		if err := w.tend(); err != nil {
			return err
		}
	}
}

// Await lets time pass until there is nothing left to say against the condition, and returns what was said last where that
// takes longer than the limit.
func (w *World) Await(limit time.Duration, missing func() error) error {
	for end := time.Now().Add(limit); ; {
		synctest.Wait()
		w.follow()
		if err := errors.Join(w.Observer.Err(), w.closed()); err != nil {
			return err
		}
		err := missing()
		if err == nil {
			return nil
		}
		if !time.Now().Before(end) {
			return fmt.Errorf("not within %s: %w", limit, err)
		}
		time.Sleep(glance)
		if err := w.tend(); err != nil {
			return err
		}
	}
}
