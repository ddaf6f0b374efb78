package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/pgtest"
	"github.com/canteen/deploy/worker/store"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
)

// account is an AWS account over HTTP with a queue of orders and its dead letters; env lets a worker find it.
func account(t *testing.T, fifo bool) (env []string, queues map[string]string, client *sqs.Client) {
	t.Helper()
	a, err := sim.New(sim.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := sim.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("local account: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("local account: %v", err)
		}
	})
	client = sqs.NewFromConfig(a.AWSConfig())
	suffix, attributes := "", map[string]string{}
	if fifo {
		suffix, attributes["FifoQueue"] = ".fifo", "true"
	}
	queues = map[string]string{}
	for _, name := range []string{"dead", "orders"} {
		out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name + suffix), Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		queues[name] = aws.ToString(out.QueueUrl)
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:%s:dead%s","maxReceiveCount":5}`, sim.DefaultRegion, sim.DefaultAccount, suffix)
	}
	return []string{"QUEUE_URL=" + queues["orders"], "QUEUE_VISIBILITY=3s", "AWS_ENDPOINT_URL=http://" + l.Addr().String(), "AWS_REGION=" + sim.DefaultRegion,
		"AWS_ACCESS_KEY_ID=AKIALOCALACCOUNT", "AWS_SECRET_ACCESS_KEY=local"}, queues, client
}

// database opens what a source is, past the worker.
func database(t *testing.T, driver, at string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Killed without a word, twice, in the middle of a thousand orders under load: each order that was answered is there once, was
// accepted once and took its stock once.
func TestKillUnderLoadLosesAndDoublesNothing(t *testing.T) {
	t.Run("postgres and a FIFO queue", func(t *testing.T) {
		url := pgtest.URL(t)
		env, queues, client := account(t, true)
		killUnderLoad(t, append(env, "DATABASE_URL="+url), store.Postgres(url), func() *sql.DB { return database(t, "pgx", url) })
		for name, url := range queues {
			out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
			if err != nil || out.Attributes["ApproximateNumberOfMessages"] != "0" || out.Attributes["ApproximateNumberOfMessagesNotVisible"] != "0" {
				t.Errorf("%s: error %v, messages left: %v", name, err, out.Attributes)
			}
		}
	})
	t.Run("postgres and a standard queue", func(t *testing.T) {
		url := pgtest.URL(t)
		env, _, _ := account(t, false)
		killUnderLoad(t, append(env, "DATABASE_URL="+url), store.Postgres(url), func() *sql.DB { return database(t, "pgx", url) })
	})
	t.Run("sqlite alone", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "orders.db")
		killUnderLoad(t, []string{"SQLITE_PATH=" + path}, store.SQLite(path), func() *sql.DB { return database(t, "sqlite", path) })
	})
}

func killUnderLoad(t *testing.T, env []string, source store.Source, open func() *sql.DB) {
	if code, lines := runToEnd(t, env, "migrate"); code != 0 {
		t.Fatalf("migrate: %+v", lines)
	}
	db := open()
	if _, err := db.ExecContext(t.Context(), `UPDATE menu_items SET stock = 1000000 WHERE id = 'soup'`); err != nil {
		t.Fatal(err)
	}
	const orders, clients = 1000, 8
	var url atomic.Value
	s := start(t, env)
	url.Store(s.url)
	var answered, repeated atomic.Int64
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for k := c; k < orders; k += clients {
				status := placeUntilAnswered(t, &url, fmt.Sprint("key-", k))
				answered.Add(1)
				if status == http.StatusOK {
					repeated.Add(1)
				}
			}
		})
	}
	for _, moment := range []int64{300, 650} {
		for answered.Load() < moment && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = s.cmd.Wait() // killed: an error by design
		s = start(t, env)
		url.Store(s.url)
	}
	all.Wait()
	var byStatus string
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		statuses := statuses(t, source)
		byStatus = fmt.Sprint(statuses)
		if statuses[order.StatusPlaced] == 0 || time.Now().After(end) {
			break
		}
	}
	if want := fmt.Sprint(map[order.Status]int{order.StatusAccepted: orders}); byStatus != want {
		t.Errorf("orders are %s, want %s", byStatus, want)
	}
	var stock, keys int
	if err := db.QueryRowContext(t.Context(), `SELECT COALESCE(SUM(reserved), 0) FROM stock`).Scan(&stock); err != nil || stock != 3*orders {
		t.Errorf("stock of %d taken, error %v, want %d", stock, err, 3*orders)
	}
	if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM idempotency_keys k JOIN orders o ON o.id = k.order_id`).Scan(&keys); err != nil || keys != orders {
		t.Errorf("%d keys with an order, error %v, want %d", keys, err, orders)
	}
	s.terminate(t)
	t.Logf("%d answered, %d of them to a repeated request", answered.Load(), repeated.Load())
}

// placeUntilAnswered does what a client should: the same request with the same key, until it knows.
func placeUntilAnswered(t *testing.T, url *atomic.Value, key string) int {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		status, err := place(t.Context(), http.DefaultClient, url.Load().(string), key)
		if err == nil && (status == http.StatusCreated || status == http.StatusOK) {
			return status
		}
		if err == nil && status < 500 {
			t.Errorf("%s: %d", key, status)
			return status
		}
	}
	t.Errorf("%s was never answered", key)
	return 0
}

func statuses(t *testing.T, source store.Source) map[order.Status]int {
	t.Helper()
	s, err := store.Open(source, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, after := map[order.Status]int{}, ""
	for more := true; more; {
		var page []order.Order
		if page, more, err = s.List(t.Context(), "north", "2099-12-01", after, 1000); err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			all[o.Status]++
			after = o.ID
		}
	}
	return all
}

// A password that was changed ends the process, with the reason, so that the next one reads the new one. Requests that had a
// connection are answered until then.
func TestRotatedPasswordEndsTheProcess(t *testing.T) {
	server := pgtest.Start(t)
	_, certificate, key := pgtest.Authority(t)
	port := server.Secure(certificate, key)
	admin, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	execute := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	execute(`CREATE ROLE app LOGIN PASSWORD 'first'`)
	execute(`CREATE DATABASE canteen OWNER app`)
	env := []string{"DB_HOST=127.0.0.1", fmt.Sprint("DB_PORT=", port), "DB_NAME=canteen", "DB_USER=app"}
	if code, lines := runToEnd(t, append(env, "DB_PASSWORD=first"), "migrate"); code != 0 {
		t.Fatalf("migrate: %+v", lines)
	}
	s := start(t, append(env, "DB_PASSWORD=first"))
	if status, err := place(t.Context(), http.DefaultClient, s.url, "before"); err != nil || status != http.StatusCreated {
		t.Fatalf("before: %d, %v", status, err)
	}
	execute(`ALTER ROLE app PASSWORD 'second'`)
	execute(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`)
	ended := make(chan line, 1)
	go func() {
		var last line
		for l := range s.lines {
			last = l
		}
		ended <- last
	}()
	select {
	case last := <-ended:
		if err := s.cmd.Wait(); err == nil || s.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(last.Error, "refuses our credentials") {
			t.Errorf("ended with %v; last line %+v", err, last)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the process goes on with a password that is refused")
	}
	if code, lines := runToEnd(t, append(env, "DB_PASSWORD=first"), "serve"); code != 1 || !strings.Contains(lines[len(lines)-1].Error, "password authentication failed") {
		t.Errorf("start with the old password: exit %d, %+v", code, lines)
	}
	s = start(t, append(env, "DB_PASSWORD=second"))
	if status, err := place(t.Context(), http.DefaultClient, s.url, "before"); err != nil || status != http.StatusOK {
		t.Errorf("after: %d, %v", status, err)
	}
	s.terminate(t)
}

func TestQueueWithoutDeadLettersEndsTheProcess(t *testing.T) {
	url := pgtest.URL(t)
	env, queues, _ := account(t, true)
	env = append(env, "DATABASE_URL="+url, "QUEUE_URL="+queues["dead"])
	if code, lines := runToEnd(t, env, "migrate"); code != 0 {
		t.Fatalf("migrate: %+v", lines)
	}
	code, lines := runToEnd(t, env, "serve")
	if code != 1 || !strings.Contains(lines[len(lines)-1].Error, "RedrivePolicy") {
		t.Errorf("exit %d, %+v", code, lines)
	}
}
