package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/pgtest"
	"github.com/canteen/deploy/worker/queue"
	"github.com/canteen/deploy/worker/store"
	"github.com/canteen/deploy/worker/web"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// connections is how many both sides of a comparison have.
const connections = store.PoolDefault

// durable is a server that writes through to the disk, with the schema, and a store on it.
func durable(b testing.TB) (string, *store.Store) {
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

func bare(b testing.TB, url string) *pgxpool.Pool {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	cfg.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// rate is how many times a second work is done by so many at once, over n times.
func rate(b testing.TB, n, clients int, work func(i int) error) float64 {
	b.Helper()
	runtime.GC()
	var next, failed atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range clients {
		all.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n {
					return
				}
				if err := work(i); err != nil {
					if failed.Add(1) == 1 {
						b.Errorf("%d: %v", i, err)
					}
					return
				}
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(start).Seconds()
}

// wire is a client that costs next to nothing: it writes a request that was made before and reads the answer.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

func (w *wire) place(i int) error {
	body := `{"school":"north","date":"2099-12-01","lines":[{"item":"soup","quantity":3}]}`
	var out bytes.Buffer
	fmt.Fprintf(&out, "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: bench-%s\r\nContent-Length: %d\r\n\r\n%s", rand.Text(), len(body), body)
	if _, err := w.conn.Write(out.Bytes()); err != nil {
		return err
	}
	status, err := w.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 201") {
		return fmt.Errorf("answer %q: %w", status, err)
	}
	length := 0
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if _, value, ok := bytes.Cut(line, []byte("Content-Length: ")); ok {
			if _, err := fmt.Sscan(string(value), &length); err != nil {
				return err
			}
		}
	}
	_, err = io.CopyN(io.Discard, w.in, int64(length))
	return err
}

// BenchmarkHTTP measures orders a second through HTTP, and as a ratio to pgx alone: the same statements in the same
// transactions, over as many connections, on the same server with fsync and synchronous_commit.
func BenchmarkHTTP(b *testing.B) {
	url, s := durable(b)
	server := httptest.NewServer(web.New(web.Config{Orders: s, Log: quiet(b), Registry: prometheus.NewRegistry(), InFlightMax: 256}).Handler())
	defer server.Close()
	const clients = 32
	ready := make(chan *wire, clients)
	for range clients {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		ready <- &wire{conn, bufio.NewReader(conn)}
	}
	through := func(i int) error {
		w := <-ready
		defer func() { ready <- w }()
		return w.place(i)
	}
	pool := bare(b, url)
	compare(b, 1000, func(n int) float64 { return rate(b, n, clients, through) },
		func(n int) float64 { return rate(b, n, connections, placeBare(pool)) })
}

// quiet is the service's own logger, which writes each line, to nowhere.
func quiet(b testing.TB) *zap.Logger {
	log, err := newLogger("info", io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	return log
}

// rounds is how often both sides are measured, one right after the other: a machine that others use, too, changes its pace.
const rounds = 9

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
// ratio to pgx alone. Sending them is not in it: receiving, deleting, and the work are.
func BenchmarkQueue(b *testing.B) {
	for _, fifo := range []bool{false, true} {
		b.Run(fmt.Sprint("fifo=", fifo), func(b *testing.B) {
			url, s := durable(b)
			account, err := sim.New(sim.Config{Seed: 1, Unthrottled: true})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = account.Close() }()
			queueURL := benchQueue(b, account, fifo)
			pool := bare(b, url)
			place := func(n int) []string {
				ids := make([]string, n)
				for i := range ids {
					ids[i] = rand.Text()
				}
				rate(b, n, connections, func(i int) error { return placeAs(pool, ids[i-1]) })
				return ids
			}
			compare(b, 1000, func(n int) float64 { return throughQueue(b, queue.New(account.AWSConfig(), queueURL), s, place(n)) },
				func(n int) float64 { return rate(b, n, connections, acceptBare(pool, place(n))) })
		})
	}
}

func benchQueue(b *testing.B, account *sim.Account, fifo bool) (url string) {
	b.Helper()
	client := sqs.NewFromConfig(account.AWSConfig())
	suffix, attributes := "", map[string]string{}
	if fifo {
		suffix, attributes["FifoQueue"] = ".fifo", "true"
	}
	for _, name := range []string{"dead" + suffix, "orders" + suffix} {
		out, err := client.CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			b.Fatal(err)
		}
		url = *out.QueueUrl
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:%s:%s","maxReceiveCount":5}`, sim.DefaultRegion, sim.DefaultAccount, name)
	}
	return url
}

// throughQueue sends the events of these orders, of twenty schools, and then measures how fast they are worked on.
func throughQueue(b *testing.B, q *queue.Queue, s *store.Store, ids []string) float64 {
	b.Helper()
	events := make([]order.Event, len(ids))
	for i, id := range ids {
		events[i] = order.Event{Type: order.EventPlaced, OrderID: id, School: fmt.Sprint("school-", i%20)}
	}
	runtime.GC()
	done, err := q.Send(context.Background(), events)
	if err != nil || slices.Contains(done, false) {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var applied atomic.Int64
	var took atomic.Int64 // nanoseconds until the last was applied; the stop afterwards waits for the last poll
	start := time.Now()
	consumer := queue.NewConsumer(queue.Config{Queue: q, Log: quiet(b), Registry: prometheus.NewRegistry(), Pollers: 4, Visibility: 30 * time.Second,
		Apply: func(ctx context.Context, e order.Event) (bool, error) {
			ok, err := s.Apply(ctx, e)
			if err == nil && applied.Add(1) == int64(len(ids)) {
				took.Store(int64(time.Since(start)))
				stop()
			}
			return ok, err
		}})
	if err := consumer.Run(ctx); err != nil {
		b.Fatal(err)
	}
	return float64(len(ids)) / time.Duration(took.Load()).Seconds()
}
