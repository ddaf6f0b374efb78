package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/ledger/conformance"
	"github.com/canteen/deploy/controller/ledger/dynamo"
	"github.com/canteen/deploy/controller/ledger/lease"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/sim"
	simdb "github.com/canteen/deploy/controller/sim/dynamodb"
	"github.com/canteen/deploy/controller/sim/wire"
)

const tableName = "deploy-ledger"

// account is a local account with the table.
func account(t testing.TB, table simdb.Table) *sim.Account {
	t.Helper()
	a, err := sim.New(sim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	table.Name, table.HashKey, table.SortKey = tableName, "pk", "sk"
	a.DynamoDB.AddTable(table)
	return a
}

// place is the ledger of one environment in a table that cfg reaches.
type place struct {
	cfg         aws.Config
	environment string
	opened      int
}

func (p *place) table() *dynamo.Table {
	return dynamo.New(p.cfg, dynamo.Options{Table: tableName, Environment: p.environment})
}

// Open takes the lease as the next process would that starts after the one before has ended.
func (p *place) Open() (conformance.Ledger, error) {
	t := p.table()
	p.opened++
	seen, err := t.Look(context.Background())
	if err != nil {
		return nil, err
	}
	held, err := t.Take(context.Background(), seen, fmt.Sprint("process ", p.opened), time.Second)
	if err != nil {
		return nil, err
	}
	return t.Fenced(held.Fence), nil
}

func (p *place) Plant(service, record string) error {
	var head struct {
		Schema  int `json:"schema"`
		Version any `json:"version"`
	}
	_ = json.Unmarshal([]byte(record), &head) // what cannot be read has neither
	version := "1"
	if n, ok := head.Version.(float64); ok {
		version = fmt.Sprint(n)
	}
	_, err := dynamodb.NewFromConfig(p.cfg).PutItem(context.Background(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: p.environment + "/records"}, "sk": &types.AttributeValueMemberS{Value: service},
		"data": &types.AttributeValueMemberS{Value: record}, "version": &types.AttributeValueMemberN{Value: version}, "schema": &types.AttributeValueMemberN{Value: fmt.Sprint(head.Schema)},
	}})
	return err
}

var environments atomic.Int64

func TestConformance(t *testing.T) {
	a := account(t, simdb.Table{StaleMax: time.Hour})
	conformance.Run(t, func(testing.TB) conformance.Place {
		return &place{cfg: a.AWSConfig(), environment: fmt.Sprint("env-", environments.Add(1))}
	})
}

func open(t *testing.T, p *place) conformance.Ledger {
	t.Helper()
	l, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Environments that share a table see nothing of each other.
func TestEnvironmentsAreApart(t *testing.T) {
	a := account(t, simdb.Table{})
	dev, prod := open(t, &place{cfg: a.AWSConfig(), environment: "dev"}), open(t, &place{cfg: a.AWSConfig(), environment: "prod"})
	if _, err := dev.Save(t.Context(), conformance.Locked(conformance.Record("orders"), "db"), []rollout.Entry{{Number: 1}}); err != nil {
		t.Fatal(err)
	}
	rec, err := prod.Load(t.Context(), "orders")
	entries, err2 := prod.History(t.Context(), "orders", 0)
	holder, err3 := prod.LockHolder(t.Context(), "db")
	if err := errors.Join(err, err2, err3); err != nil || rec.Version != 0 || len(entries) != 0 || holder != "" {
		t.Errorf("prod sees version %d, %d entries, holder %q: %v", rec.Version, len(entries), holder, err)
	}
}

// Whoever has lost the lease saves nothing, and reads on.
func TestFencing(t *testing.T) {
	fencing(t, &place{cfg: account(t, simdb.Table{}).AWSConfig(), environment: "dev"})
}

func fencing(t *testing.T, p *place) {
	old := open(t, p)
	saved, err := old.Save(t.Context(), conformance.Record("orders"), nil)
	if err != nil {
		t.Fatal(err)
	}
	new := open(t, p)
	next := conformance.Locked(saved, "db")
	_, err = old.Save(t.Context(), next, []rollout.Entry{{Number: 1}})
	conformance.Refused(t, err, fault.Conflict, ledger.CodeFenced, "held under number 2 by now, and this controller held it under 1")
	_, err = old.Save(t.Context(), conformance.Record("billing"), nil)
	conformance.Refused(t, err, fault.Conflict, ledger.CodeFenced, "held under number 2")
	err = old.KeepEnvironment(t.Context(), nil)
	conformance.Refused(t, err, fault.Conflict, ledger.CodeFenced, "held under number 2")
	conformance.Refused(t, old.KeepMark(t.Context(), "ops/orders", nil), fault.Conflict, ledger.CodeFenced, "held under number 2")
	if rec, err := old.Load(t.Context(), "orders"); err != nil || rec.Version != 1 {
		t.Errorf("version %d, %v", rec.Version, err)
	}
	if _, err := new.Save(t.Context(), next, nil); err != nil {
		t.Errorf("the new holder: %v", err)
	}
	if entries, err := new.History(t.Context(), "orders", 0); err != nil || len(entries) != 0 {
		t.Errorf("the old holder wrote %d entries, %v", len(entries), err)
	}
}

func TestLeaseIsACompareAndSwap(t *testing.T) {
	leaseIsACompareAndSwap(t, &place{cfg: account(t, simdb.Table{StaleMax: time.Hour}).AWSConfig(), environment: "dev"})
}

func leaseIsACompareAndSwap(t *testing.T, p *place) {
	var store lease.Store = p.table()
	ctx := t.Context()
	none, err := store.Look(ctx)
	if err != nil || none != (lease.Lease{}) {
		t.Fatalf("%+v, %v where nobody ever took it", none, err)
	}
	first, err := store.Take(ctx, none, "a", 12*time.Second)
	if err != nil || first.Fence != 1 || first.Owner != "a" {
		t.Fatalf("%+v, %v", first, err)
	}
	_, err = store.Take(ctx, none, "b", 12*time.Second)
	conformance.Refused(t, err, fault.Conflict, ledger.CodeFenced, "another controller has it")
	seen, err := store.Look(ctx)
	if err != nil || seen.Owner != "a" || seen.Fence != 1 || seen.Term != 12*time.Second || seen.Released || seen.Since.IsZero() {
		t.Errorf("%+v, %v", seen, err)
	}
	if err := store.Renew(ctx, first); err != nil {
		t.Fatal(err)
	}
	_, err = store.Take(ctx, seen, "b", 12*time.Second)
	conformance.Refused(t, err, fault.Conflict, ledger.CodeFenced, "another controller has it")
	if seen, err = store.Look(ctx); err != nil || seen.Beat != 2 {
		t.Errorf("%+v, %v", seen, err)
	}
	second, err := store.Take(ctx, seen, "b", 9*time.Second)
	if err != nil || second.Fence != 2 {
		t.Fatalf("%+v, %v", second, err)
	}
	conformance.Refused(t, store.Renew(ctx, first), fault.Conflict, ledger.CodeFenced, "another controller has it")
	conformance.Refused(t, store.Release(ctx, first), fault.Conflict, ledger.CodeFenced, "another controller has it")
	if err := store.Release(ctx, second); err != nil {
		t.Fatal(err)
	}
	if seen, err = store.Look(ctx); err != nil || !seen.Released || seen.Owner != "b" || seen.Fence != 2 {
		t.Errorf("%+v, %v", seen, err)
	}
	third, err := store.Take(ctx, seen, "a", 12*time.Second)
	if err != nil || third.Fence != 3 {
		t.Errorf("%+v, %v", third, err)
	}
	if seen, err = store.Look(ctx); err != nil || seen.Released {
		t.Errorf("%+v, %v", seen, err)
	}
}

// A lease that somebody removed by hand gives no number twice.
func TestARemovedLeaseGoesOn(t *testing.T) {
	a := account(t, simdb.Table{})
	p := &place{cfg: a.AWSConfig(), environment: "dev"}
	old := open(t, p)
	_, err := dynamodb.NewFromConfig(p.cfg).DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(tableName), Key: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "dev/meta"}, "sk": &types.AttributeValueMemberS{Value: "lease"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.table().Take(t.Context(), lease.Lease{}, "hasty", time.Second)
	conformance.Refused(t, err, fault.Conflict, ledger.CodeFenced, "another controller has it")
	new := open(t, p)
	if _, err := new.Save(t.Context(), conformance.Record("orders"), nil); err != nil {
		t.Error(err)
	}
	_, err = old.Save(t.Context(), conformance.Record("billing"), nil)
	conformance.Refused(t, err, fault.Conflict, ledger.CodeFenced, "held under number 2")
}

// Two that know the same version, and that both believe to be the holder: what they know is not what is believed.
func TestWhatIsKnownIsChecked(t *testing.T) {
	a := account(t, simdb.Table{})
	p := &place{cfg: a.AWSConfig(), environment: "dev"}
	one := open(t, p)
	rec, err := one.Save(t.Context(), conformance.Locked(conformance.Record("orders"), "db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	other := p.table().Fenced(1)
	if _, err := other.Load(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Save(t.Context(), conformance.Locked(rec, ""), nil); err != nil {
		t.Fatal(err)
	}
	_, err = other.Save(t.Context(), rec, []rollout.Entry{{Number: 1}})
	conformance.Refused(t, err, fault.Conflict, ledger.CodeVersion, "builds on version 1 and the stored one is 2")
	if entries, err := other.History(t.Context(), "orders", 0); err != nil || len(entries) != 0 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	rec.Version = 2
	if _, err := other.Load(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if err := p.Plant("orders", `{"schema":2,"service":"orders","version":2}`); err != nil {
		t.Fatal(err)
	}
	_, err = other.Save(t.Context(), rec, nil)
	conformance.Refused(t, err, fault.Terminal, ledger.CodeSchema, "schema 2 and this controller knows up to 1")
}

func TestTooLarge(t *testing.T) {
	a := account(t, simdb.Table{})
	l := open(t, &place{cfg: a.AWSConfig(), environment: "dev"})
	rec := conformance.Record("orders")
	rec.Why = strings.Repeat("x", 389<<10)
	rec, err := l.Save(t.Context(), rec, nil)
	if err != nil {
		t.Fatalf("one that is large, but not too large: %v", err)
	}
	large := rec
	large.Why = strings.Repeat("x", 400<<10)
	_, err = l.Save(t.Context(), large, nil)
	conformance.Refused(t, err, fault.Terminal, ledger.CodeTooLarge, "save the record of orders in table deploy-ledger: it has 400 KB and an item of DynamoDB at most 400")
	_, err = l.Save(t.Context(), rec, []rollout.Entry{{Number: 3, Message: large.Why}})
	conformance.Refused(t, err, fault.Terminal, ledger.CodeTooLarge, "entry 3 of its history has 400 KB")
	_, err = l.Save(t.Context(), rec, make([]rollout.Entry, 101))
	conformance.Refused(t, err, fault.Terminal, ledger.CodeTooLarge, "101 entries")
	if rec, err := l.Load(t.Context(), "orders"); err != nil || rec.Version != 1 {
		t.Errorf("version %d, %v", rec.Version, err)
	}
}

// What the table has against a save is told by its kind.
func TestTroubleOfTheTable(t *testing.T) {
	a := account(t, simdb.Table{})
	p := &place{cfg: a.AWSConfig(), environment: "dev"}
	l := open(t, p)
	rec, err := l.Save(t.Context(), conformance.Record("orders"), nil)
	if err != nil {
		t.Fatal(err)
	}
	reasons := func(code string) error {
		return &types.TransactionCanceledException{Message: aws.String("cancelled"), CancellationReasons: []types.CancellationReason{{Code: aws.String("None")}, {Code: aws.String(code)}}}
	}
	for name, tt := range map[string]struct {
		err  error
		kind fault.Kind
		code string
	}{
		"throttled":        {&types.ProvisionedThroughputExceededException{}, fault.Throttled, "ProvisionedThroughputExceededException"},
		"throttled inside": {reasons("ThrottlingError"), fault.Throttled, "ThrottlingError"},
		"disturbed":        {reasons("TransactionConflict"), fault.Throttled, "TransactionConflict"},
		"too large inside": {reasons("ValidationError"), fault.Terminal, "ValidationError"},
		"no table":         {&types.ResourceNotFoundException{}, fault.Blocked, dynamo.CodeTable},
		"denied":           {&wire.StatusError{Status: http.StatusBadRequest, Code: "AccessDeniedException", Message: "no"}, fault.Blocked, dynamo.CodeDenied},
		"other keys":       {&wire.StatusError{Status: http.StatusBadRequest, Code: "ValidationException", Message: "keys"}, fault.Blocked, dynamo.CodeTable},
		"AWS's own":        {&wire.StatusError{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: "sorry"}, fault.Unknown, "InternalServerError"},
	} {
		t.Run(name, func(t *testing.T) {
			a.Faults.Add(wire.Fault{Service: "dynamodb", Operation: "TransactWriteItems", Before: tt.err})
			defer a.Faults.Clear()
			_, err := l.Save(t.Context(), rec, nil)
			conformance.Refused(t, err, tt.kind, tt.code, "save the record of orders in table deploy-ledger")
		})
	}
	// A disturbance that passes, an answer that was lost, a throttle that ends: the save comes true, once.
	for _, f := range []wire.Fault{
		{Operation: "TransactWriteItems", Times: 2, Before: reasons("TransactionConflict")},
		{Operation: "TransactWriteItems", Times: 1, After: wire.ErrResponseLost},
		{Operation: "TransactWriteItems", Times: 2, Before: &types.ProvisionedThroughputExceededException{}},
	} {
		a.Faults.Add(f)
		version := rec.Version
		if rec, err = l.Save(t.Context(), rec, []rollout.Entry{{Number: 1}}); err != nil || rec.Version != version+1 {
			t.Fatalf("version %d, %v", rec.Version, err)
		}
		a.Faults.Clear()
	}
	if entries, err := l.History(t.Context(), "orders", 0); err != nil || len(entries) != 3 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// Deciding reads the record anyway: saving it then reads nothing.
func TestASaveIsOneRequest(t *testing.T) {
	a := account(t, simdb.Table{})
	l := open(t, &place{cfg: a.AWSConfig(), environment: "dev"})
	rec, err := l.Load(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	a.Calls.Reset()
	rec.Service = "orders"
	for range 3 {
		if rec, err = l.Save(t.Context(), rec, []rollout.Entry{{Number: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(a.Calls.Counts()); got != "map[dynamodb.TransactWriteItems:3]" {
		t.Errorf("%s", got)
	}
}
