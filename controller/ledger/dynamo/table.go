// Package dynamo is the ledger in a DynamoDB table, for controllers without a disk of their own and for several of them on
// one ledger. It keeps the same things as ledger.File under the same rules, and the lease that says which controller may
// save: every save is one transaction that also checks the fencing number.
//
// The table belongs to the infrastructure: two keys, pk and sk, both strings, and, so that what is left of services that
// are gone goes one day, time to live on the attribute expires. Several environments may share it.
package dynamo

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
)

// tableSchema is the version of the table's own layout; rollout.Schema is that of the records in it.
const tableSchema = 1

// Options say which table, and how patiently it is asked.
type Options struct {
	Table       string
	Environment string         // whose ledger: part of every key
	Jitter      func() float64 // in [0, 1), for the pause between two attempts, of several requests at once; nil: random
}

// Table is the ledger as everybody may read it. Fenced gives the right to write. It is safe for concurrent use.
type Table struct {
	client *dynamodb.Client
	opts   Options

	turn  chan struct{} // holds one token: whoever has it saves
	mu    sync.Mutex
	known map[string]meta // by service: what its newest version that was seen carries
}

// meta is what an item says beside its record. It belongs to one version and never changes with it.
type meta struct {
	version uint64
	lock    string // the migration lock that the service holds
	entries uint64 // how many entries its history ever had
}

// Connect opens the table with credentials, region and endpoint as every AWS tool finds them; the region must be known. It
// asks nobody anything yet.
func Connect(ctx context.Context, opts Options) (*Table, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return nil, fault.New(fault.Blocked, "region_missing", fmt.Errorf("the ledger in table %s needs a region: set AWS_REGION", opts.Table))
	}
	return New(cfg, opts), nil
}

// New opens the table by cfg, whose retryer is replaced.
func New(cfg aws.Config, opts Options) *Table {
	cfg = cfg.Copy()
	cfg.RetryMaxAttempts = 0
	cfg.Retryer = func() aws.Retryer { return newRetryer(opts) }
	cfg.APIOptions = append(cfg.APIOptions, attempts)
	return &Table{client: dynamodb.NewFromConfig(cfg), opts: opts, turn: make(chan struct{}, 1), known: map[string]meta{}}
}

// Close implements the ledger's; there is nothing to let go of.
func (t *Table) Close() error { return nil }

// String names the ledger in errors and logs.
func (t *Table) String() string { return "table " + t.opts.Table }

// The attributes. All are named by placeholders in expressions, since many words are reserved there.
const (
	attrHash    = "pk"
	attrSort    = "sk"
	attrData    = "data"
	attrVersion = "version"
	attrSchema  = "schema"
	attrLock    = "lock"
	attrEntries = "entries"
	attrService = "service"
	attrExpires = "expires"
	attrOwner   = "owner"
	attrFence   = "fence"
	attrBeat    = "beat"
	attrTerm    = "term"
	attrFree    = "released"
	attrSince   = "since"
)

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}

func textOf(i item, attribute string) string {
	if s, ok := i[attribute].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// numberOf is a whole number, 0 where there is none.
func numberOf(i item, attribute string) uint64 {
	if v, ok := i[attribute].(*types.AttributeValueMemberN); ok {
		if n, err := strconv.ParseUint(v.Value, 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// schemaOf is the layout that an item was written in. One that is no number is none that this controller knows.
func schemaOf(i item) int {
	n := numberOf(i, attrSchema)
	if v, ok := i[attrSchema].(*types.AttributeValueMemberN); ok && n == 0 && v.Value != "0" {
		return math.MaxInt
	}
	return int(min(n, math.MaxInt))
}

func (t *Table) key(kind, sort string) item {
	return item{attrHash: text(t.opts.Environment + "/" + kind), attrSort: text(sort)}
}

func (t *Table) recordKey(service string) item { return t.key("records", service) }
func (t *Table) lockKey(lock string) item      { return t.key("locks", lock) }
func (t *Table) leaseKey() item                { return t.key("meta", "lease") }
func (t *Table) fenceKey() item                { return t.key("meta", "fence") }
func (t *Table) environmentKey() item          { return t.key("meta", "environment") }

// get reads one item, consistently; nil where there is none.
func (t *Table) get(ctx context.Context, key item) (item, error) {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.opts.Table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, t.classify(err)
	}
	return out.Item, nil
}

// Load returns the service's record, and a zero one where there is none. A record of a newer schema is a terminal error.
func (t *Table) Load(ctx context.Context, service string) (rollout.Record, error) {
	i, err := t.get(ctx, t.recordKey(service))
	if err != nil {
		return rollout.Record{}, t.unloaded(service, err)
	}
	if i == nil {
		t.learn(service, meta{})
		return rollout.Record{}, nil
	}
	return t.read(service, i)
}

// read decodes an item and remembers what it carries beside the record.
func (t *Table) read(service string, i item) (rollout.Record, error) {
	rec, err := ledger.Decode([]byte(textOf(i, attrData)), service)
	if err == nil {
		err = agrees(i, rec)
	}
	if err != nil {
		return rollout.Record{}, t.unloaded(service, err)
	}
	t.learn(service, metaOf(i))
	return rec, nil
}

// agrees refuses an item whose version is not its record's: each save writes both, and saves build on the one beside the record.
func agrees(i item, rec rollout.Record) error {
	if beside := numberOf(i, attrVersion); beside != rec.Version {
		return fault.New(fault.Terminal, ledger.CodeDamaged, fmt.Errorf("it is of version %d and says that it is of version %d", beside, rec.Version))
	}
	return nil
}

func metaOf(i item) meta {
	return meta{version: numberOf(i, attrVersion), lock: textOf(i, attrLock), entries: numberOf(i, attrEntries)}
}

func (t *Table) learn(service string, m meta) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[service] = m
}

func (t *Table) unloaded(service string, err error) error {
	return fmt.Errorf("load the record of %s from %s: %w", service, t, err)
}

// Services returns the names of all services that have a record, sorted.
func (t *Table) Services(ctx context.Context) ([]string, error) {
	var names []string
	err := t.query(ctx, query{kind: "records", consistent: true, only: attrSort}, func(i item) error {
		names = append(names, textOf(i, attrSort))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the services in %s: %w", t, err)
	}
	return names, nil
}

// Records shows visit every record in order of service; err is that of one record that cannot be read, as Load words it.
func (t *Table) Records(ctx context.Context, visit func(service string, rec rollout.Record, err error)) error {
	return t.records(ctx, true, visit)
}

// Glance is Records at half the price, for whoever only tells: it may show a state of a moment ago.
func (t *Table) Glance(ctx context.Context, visit func(service string, rec rollout.Record, err error)) error {
	return t.records(ctx, false, visit)
}

func (t *Table) records(ctx context.Context, consistent bool, visit func(service string, rec rollout.Record, err error)) error {
	err := t.query(ctx, query{kind: "records", consistent: consistent}, func(i item) error {
		service := textOf(i, attrSort)
		rec, err := ledger.Decode([]byte(textOf(i, attrData)), service)
		if err == nil {
			err = agrees(i, rec)
		}
		if err != nil {
			rec, err = rollout.Record{}, t.unloaded(service, err)
		} else if consistent {
			t.learn(service, metaOf(i))
		}
		visit(service, rec, err)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the records in %s: %w", t, err)
	}
	return nil
}

// Environment returns the environment that was kept last, nil where there is none.
func (t *Table) Environment(ctx context.Context) (*desired.Environment, error) {
	i, err := t.get(ctx, t.environmentKey())
	if err == nil && i == nil {
		return nil, nil
	}
	var env *desired.Environment
	if err == nil {
		env, err = ledger.DecodeEnvironment([]byte(textOf(i, attrData)))
	}
	if err != nil {
		return nil, fmt.Errorf("read the environment in %s: %w", t, err)
	}
	return env, nil
}

// LockHolder returns the service that holds a migration lock, empty where none does.
func (t *Table) LockHolder(ctx context.Context, lock string) (string, error) {
	i, err := t.get(ctx, t.lockKey(lock))
	if err != nil {
		return "", fmt.Errorf("read the holder of lock %s from %s: %w", lock, t, err)
	}
	return textOf(i, attrService), nil
}

// query is one question about all items of a kind.
type query struct {
	kind       string
	consistent bool
	newest     bool   // in descending order
	limit      int    // 0: all
	only       string // the one attribute that is asked for; empty: all
}

// query shows visit the items page by page.
func (t *Table) query(ctx context.Context, q query, visit func(item) error) error {
	in := &dynamodb.QueryInput{
		TableName: &t.opts.Table, ConsistentRead: &q.consistent, ScanIndexForward: aws.Bool(!q.newest),
		KeyConditionExpression:    aws.String("#pk = :pk"),
		ExpressionAttributeNames:  map[string]string{"#pk": attrHash},
		ExpressionAttributeValues: item{":pk": text(t.opts.Environment + "/" + q.kind)},
	}
	if q.only != "" {
		in.ProjectionExpression = aws.String("#only")
		in.ExpressionAttributeNames["#only"] = q.only
	}
	for seen := 0; ; {
		if q.limit > 0 {
			in.Limit = aws.Int32(int32(q.limit - seen))
		}
		out, err := t.page(ctx, in)
		if err != nil {
			return err
		}
		for _, i := range out.Items {
			if err := visit(i); err != nil {
				return err
			}
		}
		seen += len(out.Items)
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil || q.limit > 0 && seen >= q.limit {
			return nil
		}
	}
}

func (t *Table) page(ctx context.Context, in *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	out, err := t.client.Query(ctx, in)
	if err != nil {
		return nil, t.classify(err)
	}
	return out, nil
}

// activityKind is the kind of the lines of the history of all services.
const activityKind = "activity"

// historyFor is how long an entry of the history stays at least, where the table removes what has expired.
const historyFor = 400 * 24 * time.Hour

// History returns the service's finished rollouts, newest first: at most limit of them, all that are kept (200) where
// limit is 0.
func (t *Table) History(ctx context.Context, service string, limit int) ([]rollout.Entry, error) {
	var entries []rollout.Entry
	err := t.query(ctx, query{kind: "history/" + service, consistent: true, newest: true, limit: limit}, func(i item) error {
		e, err := ledger.DecodeEntry([]byte(textOf(i, attrData)))
		if err == nil {
			entries = append(entries, e)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("history of %s in %s: %w", service, t, err)
	}
	return entries, nil
}

// HistoryAll returns the finished rollouts of all services in the order in which they ended, newest first and without their evidence:
// at most limit of them, all that are kept where limit is 0. It lacks those that were saved by a controller which did not keep it yet.
func (t *Table) HistoryAll(ctx context.Context, limit int) ([]rollout.Entry, error) {
	var entries []rollout.Entry
	err := t.query(ctx, query{kind: activityKind, consistent: true, newest: true, limit: limit}, func(i item) error {
		e, err := ledger.DecodeEntry([]byte(textOf(i, attrData)))
		if err == nil {
			entries = append(entries, e)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("history in %s: %w", t, err)
	}
	return entries, nil
}
