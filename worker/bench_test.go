package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/pgtest"
	"github.com/canteen/deploy/worker/queue"
	"github.com/canteen/deploy/worker/store"
	"github.com/canteen/deploy/worker/web"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// connections is how many both sides of a comparison have.
const connections = store.PoolDefault

// durable is a server that writes through to the disk, with the schema, and a store on it.
func durable(b testing.TB) (string, *store.Store) {
	collectLess(os.Getenv) // pgx alone, in the same process, as well
	server := pgtest.Start(b)
	server.Restart("-h", "") // fsync and synchronous_commit as they are in earnest
	source := store.Postgres(server.URL)
	if _, err := source.Up(context.Background()); err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(source, store.Options{PoolMax: connections})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return server.URL, s
}

// bare is pgx alone, with the service's limits of a session: the server pays for them with each statement.
func bare(b testing.TB, url string) *pgxpool.Pool {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	cfg.MaxConns = connections
	for name, value := range map[string]string{"statement_timeout": "4s", "lock_timeout": "4s", "idle_in_transaction_session_timeout": "10s"} {
		cfg.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// rate is how many times a second work is done by so many at once, over n times.
func rate(n, at int, work func(i int) error) (float64, error) {
	var next atomic.Int64
	var all errgroup.Group
	start := time.Now()
	for range at {
		all.Go(func() error {
			for {
				i := int(next.Add(1))
				if i > n {
					return nil
				}
				if err := work(i); err != nil {
					return fmt.Errorf("%d: %w", i, err)
				}
			}
		})
	}
	err := all.Wait()
	return float64(n) / time.Since(start).Seconds(), err
}

// timed is rate for a benchmark, which ends where the work fails.
func timed(b *testing.B, n, at int, work func(i int) error) float64 {
	b.Helper()
	r, err := rate(n, at, work)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkHTTP measures orders a second through HTTP, and as a ratio to pgx alone: the same statements in the same
// transactions, over as many connections, on the same server with fsync and synchronous_commit.
//
// All share the machine. What the clients cost counts against neither side: while pgx alone is measured they spend as much.
func BenchmarkHTTP(b *testing.B) {
	url, s := durable(b)
	server := httptest.NewServer(web.New(web.Config{Orders: s, Log: quiet(b), Registry: prometheus.NewRegistry(), InFlightMax: 256}).Handler())
	defer server.Close()
	outside := besides(b, "clients "+server.Listener.Addr().String())
	pool := bare(b, url)
	compare(b, 1000, func(n int) float64 {
		runtime.GC()
		outside.must(b, "begin")
		start := time.Now()
		outside.must(b, fmt.Sprint("place ", n))
		took := time.Since(start)
		outside.must(b, fmt.Sprint("end ", n))
		return float64(n) / took.Seconds()
	}, func(n int) float64 {
		return outside.spending(b, n, func() float64 { return timed(b, n, connections, placeBare(pool)) })
	})
}

// quiet is the service's own logger, which writes each line, to nowhere.
func quiet(b testing.TB) *zap.Logger {
	log, err := newLogger("info", io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	return log
}

// rounds is how often both sides are measured, one right after the other and each for a fraction of a second only: a machine
// that others use, too, changes its pace.
const rounds = 25

// compare tells the medians, that of the ratio being of rounds, each of n in turn, the one that begins changing.
func compare(b *testing.B, n int, ours, theirs func(n int) float64) {
	ours(n / 2) // connections and caches
	theirs(n / 2)
	for b.Loop() {
		var us, them, ratios []float64
		for i := range rounds {
			var a, z float64
			if i%2 == 0 {
				a, z = ours(n), theirs(n)
			} else {
				z, a = theirs(n), ours(n)
			}
			us, them, ratios = append(us, a), append(them, z), append(ratios, a/z)
		}
		for unit, all := range map[string][]float64{"orders/s": us, "pgx-orders/s": them, "ratio": ratios} {
			slices.Sort(all)
			b.ReportMetric(all[rounds/2], unit)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkQueue measures events a second through a queue of the local account's, until the last order is accepted, and as a
// ratio to pgx alone. Sending them is not in it: receiving, deleting, and the work are. The account is a process of its own, as
// the clients of BenchmarkHTTP are, and counts against neither side, either.
func BenchmarkQueue(b *testing.B) {
	for _, fifo := range []bool{false, true} {
		b.Run(fmt.Sprint("fifo=", fifo), func(b *testing.B) {
			url, s := durable(b)
			q, outside := outsideQueue(b, fifo)
			pool := bare(b, url)
			place := func(n int) []string {
				ids := make([]string, n)
				for i := range ids {
					ids[i] = rand.Text()
				}
				timed(b, n, connections, func(i int) error { return placeAs(pool, ids[i-1]) })
				return ids
			}
			through := newConveyor(b, q, s)
			compare(b, 1000, func(n int) float64 { return through.rate(b, outside, place(n)) }, func(n int) float64 {
				work := acceptBare(pool, place(n))
				return outside.spending(b, n, func() float64 { return timed(b, n, connections, work) })
			})
		})
	}
}

// outsideQueue is a queue of another process's, which the worker's own way finds.
func outsideQueue(b *testing.B, fifo bool) (*queue.Queue, *world) {
	b.Helper()
	as := "queue"
	if fifo {
		as = "queue.fifo"
	}
	outside := besides(b, as)
	where, err := outside.ask("")
	if err != nil {
		b.Fatal(err)
	}
	endpoint, url, _ := strings.Cut(where, " ")
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": sim.DefaultRegion,
		"AWS_ACCESS_KEY_ID": "AKIALOCALACCOUNT", "AWS_SECRET_ACCESS_KEY": "local"} {
		b.Setenv(name, value)
	}
	q, err := queue.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	return q, outside
}

// conveyor is a consumer that works through rounds of events. It runs from one to the next, as it does in earnest; while it is told
// to wait it holds what it received.
type conveyor struct {
	queue *queue.Queue
	gate  atomic.Pointer[chan struct{}]
	left  atomic.Int64
	done  chan time.Time // when the last event of a round was applied
}

func newConveyor(b *testing.B, q *queue.Queue, s *store.Store) *conveyor {
	b.Helper()
	l := &conveyor{queue: q, done: make(chan time.Time, 1)}
	l.hold()
	consumer := queue.NewConsumer(queue.Config{Queue: q, Log: quiet(b), Registry: prometheus.NewRegistry(), Workers: connections, Visibility: 30 * time.Second,
		Apply: func(ctx context.Context, e order.Event) (bool, error) {
			<-*l.gate.Load()
			ok, err := s.Apply(ctx, e)
			if err == nil && l.left.Add(-1) == 0 {
				l.done <- time.Now()
			}
			return ok, err
		}})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return l
}

func (l *conveyor) hold() {
	gate := make(chan struct{})
	l.gate.Store(&gate)
}

// rate sends the events of these orders, of twenty schools, and then measures how fast they are worked on.
func (l *conveyor) rate(b *testing.B, outside *world, ids []string) float64 {
	b.Helper()
	events := make([]order.Event, len(ids))
	for i, id := range ids {
		events[i] = order.Event{Type: order.EventPlaced, OrderID: id, School: fmt.Sprint("school-", i%20)}
	}
	l.left.Store(int64(len(ids)))
	done, err := l.queue.Send(context.Background(), events)
	if err != nil || slices.Contains(done, false) {
		b.Fatal(err)
	}
	runtime.GC()
	outside.must(b, "begin")
	start := time.Now()
	close(*l.gate.Load())
	end := <-l.done
	outside.must(b, fmt.Sprint("end ", len(ids)))
	l.hold()
	return float64(len(ids)) / end.Sub(start).Seconds()
}
