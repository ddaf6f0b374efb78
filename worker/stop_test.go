package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/canteen/deploy/worker/order"
	"github.com/canteen/deploy/worker/pgtest"
	"github.com/canteen/deploy/worker/store"
)

// SIGTERM in the middle of a long poll with nothing to do, and in the middle of work on a database that is slow or does not
// answer: the process exits 0 in time (terminate holds that), what it had begun is done where the database lets it, and what is
// not done is to be had from the queue at once.
func TestSIGTERMWhileTheQueueIsWorkedOn(t *testing.T) {
	url := pgtest.URL(t)
	env, queues, client := account(t, true)
	// Longer than the test, so that only what is given back is to be had.
	env = append(env, "DATABASE_URL="+url, "QUEUE_VISIBILITY=60s")
	if code, lines := runToEnd(t, env, "migrate"); code != 0 {
		t.Fatalf("migrate: %+v", lines)
	}
	db := database(t, "pgx", url)
	if _, err := db.ExecContext(t.Context(), `UPDATE menu_items SET stock = 1000000 WHERE id = 'soup'`); err != nil {
		t.Fatal(err)
	}
	left := func() string {
		out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: aws.String(queues["orders"]), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
	}
	t.Run("long poll", func(t *testing.T) {
		s := start(t, env)
		time.Sleep(time.Second) // the poll is underway: there is nothing else to do
		began := time.Now()
		s.terminate(t)
		if took := time.Since(began); took > 15*time.Second { // a poll takes 20
			t.Errorf("an idle process took %s to stop", took)
		}
	})
	for i, tc := range []struct {
		name string
		slow time.Duration // from SIGTERM until the database goes on; 0 is never
		left string        // messages to be had, and with somebody
		want map[order.Status]int
	}{
		{"slow database", 1500 * time.Millisecond, "0+0", map[order.Status]int{order.StatusAccepted: 1}},
		{"database that does not answer", 0, "1+0", map[order.Status]int{order.StatusAccepted: 1, order.StatusPlaced: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, env)
			hold, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = hold.Rollback() }()
			// Whoever takes from the stock waits; whoever places an order does not.
			if _, err := hold.ExecContext(t.Context(), `LOCK TABLE stock IN SHARE MODE`); err != nil {
				t.Fatal(err)
			}
			if status, err := place(t.Context(), http.DefaultClient, s.url, fmt.Sprint("order-", i)); err != nil || status != http.StatusCreated {
				t.Fatalf("place: %d, %v", status, err)
			}
			for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
				var waiting int
				if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pg_locks WHERE NOT granted`).Scan(&waiting); err != nil {
					t.Fatal(err)
				}
				if waiting > 0 {
					break
				}
				if time.Now().After(end) {
					t.Fatal("nobody works on the order")
				}
			}
			if tc.slow > 0 {
				time.AfterFunc(tc.slow, func() { _ = hold.Rollback() })
			}
			s.terminate(t)
			if got := left(); got != tc.left {
				t.Errorf("%s messages left, want %s", got, tc.left)
			}
			if got := statuses(t, store.Postgres(url)); fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("orders are %v, want %v", got, tc.want)
			}
		})
	}
}
