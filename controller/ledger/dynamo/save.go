package dynamo

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/retry"
	"github.com/canteen/deploy/controller/rollout"
)

// DynamoDB's limits: an item has at most 400 KB, a transaction 100 actions.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const (
	itemMax    = 390 << 10 // of a record or an entry; the rest is for keys and what stands beside it
	actionsMax = 100
)

// Fenced is the table for whoever holds the lease under one fencing number. Once the lease was taken by somebody else, all
// its writes are a fault.Conflict with ledger.CodeFenced.
type Fenced struct {
	*Table
	fence uint64
}

// Fenced gives the right to write under a fencing number.
func (t *Table) Fenced(fence uint64) *Fenced { return &Fenced{t, fence} }

// Save does what ledger.File's does, and checks the fencing number in the same transaction. Saves of one process take
// turns, as transactions that check the same item disturb each other; it may be repeated after any error but a Conflict.
func (f *Fenced) Save(ctx context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error) {
	stored, err := f.save(ctx, next, history)
	if err != nil {
		return rollout.Record{}, fmt.Errorf("save the record of %s in %s: %w", next.Service, f, err)
	}
	return stored, nil
}

func (f *Fenced) save(ctx context.Context, next rollout.Record, history []rollout.Entry) (rollout.Record, error) {
	if err := ctx.Err(); err != nil {
		return next, err
	}
	if err := ledger.Check(next); err != nil {
		return next, err
	}
	if err := f.take(ctx); err != nil {
		return next, err
	}
	defer f.giveUp()
	before, err := f.before(ctx, next)
	if err != nil {
		return next, err
	}
	stored := next
	stored.Version++
	w := writes{Fenced: f, service: next.Service}
	w.check()
	after, err := w.record(before, stored)
	if err != nil {
		return next, err
	}
	w.moveLock(before.lock, after.lock)
	if after.entries, err = w.remember(before.entries, history); err != nil {
		return next, err
	}
	w.carry(after)
	if err := w.commit(ctx, before.version); err != nil {
		return next, err
	}
	f.learn(next.Service, after)
	return stored, nil
}

func (t *Table) take(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Table) giveUp() { <-t.turn }

// before answers what the version that next builds on carries. Whoever decides has loaded it, so that it is rarely read.
func (f *Fenced) before(ctx context.Context, next rollout.Record) (meta, error) {
	f.mu.Lock()
	m, ok := f.known[next.Service]
	f.mu.Unlock()
	if ok && m.version == next.Version {
		return m, nil
	}
	i, err := f.get(ctx, f.recordKey(next.Service))
	if err != nil {
		return m, err
	}
	return metaOf(i), standsFor(i, next.Version)
}

// standsFor refuses an item that a save at the version must not replace.
func standsFor(i item, version uint64) error {
	if i != nil {
		if err := ledger.CheckSchema(schemaOf(i)); err != nil {
			return err
		}
	}
	if stored := numberOf(i, attrVersion); stored != version {
		return ledger.Overtaken(version, stored)
	}
	return nil
}

// writes is one transaction as it is put together. explain has, for each action, what it means that its condition failed.
type writes struct {
	*Fenced
	service string
	actions []types.TransactWriteItem
	explain []func(found item, version uint64) error
}

func (w *writes) add(a types.TransactWriteItem, explain func(found item, version uint64) error) {
	w.actions, w.explain = append(w.actions, a), append(w.explain, explain)
}

// check is the condition that the fencing number is still the holder's.
func (w *writes) check() {
	fence := w.fence
	w.add(types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
		TableName: &w.opts.Table, Key: w.fenceKey(), ConditionExpression: aws.String("#fence = :fence"),
		ExpressionAttributeNames: map[string]string{"#fence": attrFence}, ExpressionAttributeValues: item{":fence": number(fence)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}, func(found item, _ uint64) error {
		return fault.New(fault.Conflict, ledger.CodeFenced, fmt.Errorf("the lease is held under number %d by now, and this controller held it under %d", numberOf(found, attrFence), fence))
	})
}

// record writes the record where its version, and no newer schema, stands.
func (w *writes) record(before meta, stored rollout.Record) (meta, error) {
	data, err := json.Marshal(stored)
	if err != nil {
		return meta{}, err
	}
	if len(data) > itemMax {
		return meta{}, fault.New(fault.Terminal, ledger.CodeTooLarge, fmt.Errorf("it has %d KB and an item of DynamoDB at most 400: shorten what git asks of the service", len(data)>>10))
	}
	put := &types.Put{
		TableName: &w.opts.Table, ConditionExpression: aws.String("attribute_not_exists(#version)"),
		ExpressionAttributeNames:            map[string]string{"#version": attrVersion},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if before.version > 0 {
		put.ConditionExpression = aws.String("#version = :version AND #schema <= :schema")
		put.ExpressionAttributeNames["#schema"] = attrSchema
		put.ExpressionAttributeValues = item{":version": number(before.version), ":schema": number(rollout.Schema)}
	}
	put.Item = w.recordKey(stored.Service)
	put.Item[attrData], put.Item[attrSchema] = text(string(data)), number(uint64(stored.Schema))
	w.add(types.TransactWriteItem{Put: put}, standsFor)
	return meta{version: stored.Version, lock: stored.HoldsLock()}, nil
}

// carry writes beside the record what its next save has to know.
func (w *writes) carry(after meta) {
	i := w.actions[1].Put.Item
	i[attrVersion], i[attrEntries] = number(after.version), number(after.entries)
	if after.lock != "" {
		i[attrLock] = text(after.lock)
	}
}

// moveLock makes lock, "" for none, the only one that the service holds.
func (w *writes) moveLock(held, lock string) {
	names, values := map[string]string{"#service": attrService}, item{":service": text(w.service)}
	const mine = "attribute_not_exists(#service) OR #service = :service"
	explain := func(lock string) func(item, uint64) error {
		return func(found item, _ uint64) error { return ledger.LockHeld(lock, textOf(found, attrService)) }
	}
	if lock != "" && lock != held {
		put := &types.Put{
			TableName: &w.opts.Table, Item: w.lockKey(lock), ConditionExpression: aws.String(mine), ExpressionAttributeNames: names,
			ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}
		put.Item[attrService] = text(w.service)
		w.add(types.TransactWriteItem{Put: put}, explain(lock))
	}
	if held != "" && held != lock {
		w.add(types.TransactWriteItem{Delete: &types.Delete{
			TableName: &w.opts.Table, Key: w.lockKey(held), ConditionExpression: aws.String(mine), ExpressionAttributeNames: names,
			ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}}, explain(held))
	}
}

// remember appends entries to the service's history, of which n were written before, and drops those beyond the bound.
func (w *writes) remember(n uint64, entries []rollout.Entry) (uint64, error) {
	for _, e := range entries {
		data, err := json.Marshal(e)
		if err != nil {
			return n, err
		}
		if len(data) > itemMax {
			return n, fault.New(fault.Terminal, ledger.CodeTooLarge, fmt.Errorf("entry %d of its history has %d KB and an item of DynamoDB at most 400", e.Number, len(data)>>10))
		}
		n++
		put := &types.Put{TableName: &w.opts.Table, Item: w.entryKey(n)}
		put.Item[attrData], put.Item[attrExpires] = text(string(data)), number(uint64(time.Now().Add(historyFor).Unix()))
		w.add(types.TransactWriteItem{Put: put}, nil)
		if err := w.tell(e); err != nil {
			return n, err
		}
		if n > ledger.HistoryMax {
			w.add(types.TransactWriteItem{Delete: &types.Delete{TableName: &w.opts.Table, Key: w.entryKey(n - ledger.HistoryMax)}}, nil)
		}
	}
	if len(w.actions) > actionsMax {
		return n, fault.New(fault.Terminal, ledger.CodeTooLarge, fmt.Errorf("%d entries of its history are more than one transaction of DynamoDB takes", len(entries)))
	}
	return n, nil
}

// tell writes an entry's line in the history of all services. What only the rollout's own page shows is left out there, so that a
// page of the activity costs little to read.
func (w *writes) tell(e rollout.Entry) error {
	e.Evidence, e.Readings, e.Output, e.Spans, e.Digests, e.Built = nil, nil, nil, nil, nil, nil
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	put := &types.Put{TableName: &w.opts.Table, Item: w.key(activityKind, fmt.Sprintf("%s/%s/%010d", e.EndedAt.UTC().Format(sortableTime), e.Service, e.Number))}
	put.Item[attrData], put.Item[attrExpires] = text(string(data)), number(uint64(time.Now().Add(historyFor).Unix()))
	w.add(types.TransactWriteItem{Put: put}, nil)
	return nil
}

// sortableTime sorts as time does.
const sortableTime = "2006-01-02T15:04:05.000Z"

// entryKey sorts as numbers do.
func (w *writes) entryKey(n uint64) item {
	digits := strconv.FormatUint(n, 10)
	return w.key("history/"+w.service, "00000000000000000000"[len(digits):]+digits)
}

// busyFor bounds how long a transaction is repeated that another one disturbs.
const busyFor = 2 * time.Second

// commit carries the transaction out. One that another transaction disturbed is sent again, as a new one.
func (w *writes) commit(ctx context.Context, version uint64) error {
	pace := retry.Policy{Initial: 20 * time.Millisecond, Max: 200 * time.Millisecond, Elapsed: busyFor}
	return retry.Do(ctx, pace, func(ctx context.Context) error {
		err := w.send(ctx, version)
		if err != nil && fault.CodeOf(err) != codeBusy {
			return retry.Permanent(err)
		}
		return err
	})
}

func (w *writes) send(ctx context.Context, version uint64) error {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	_, err := w.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: w.actions})
	if err == nil {
		return nil
	}
	reasons := cancellation(err)
	for i, r := range reasons {
		if aws.ToString(r.Code) != "ConditionalCheckFailed" || i >= len(w.explain) || w.explain[i] == nil {
			continue
		}
		if why := w.explain[i](r.Item, version); why != nil {
			return why
		}
		return fmt.Errorf("a condition failed that holds: %w", err)
	}
	if reasons != nil {
		return w.busy(reasons, err)
	}
	return w.classify(err)
}

// KeepEnvironment keeps the newest valid environment, under the fencing number as every write.
func (f *Fenced) KeepEnvironment(ctx context.Context, env *desired.Environment) error {
	if err := f.keep(ctx, env); err != nil {
		return fmt.Errorf("keep the environment in %s: %w", f, err)
	}
	return nil
}

func (f *Fenced) keep(ctx context.Context, env *desired.Environment) error {
	data, err := json.Marshal(env)
	if err == nil {
		err = f.take(ctx)
	}
	if err != nil {
		return err
	}
	defer f.giveUp()
	w := writes{Fenced: f}
	w.check()
	put := &types.Put{TableName: &f.opts.Table, Item: f.environmentKey()}
	put.Item[attrData] = text(string(data))
	w.add(types.TransactWriteItem{Put: put}, nil)
	return w.commit(ctx, 0)
}
