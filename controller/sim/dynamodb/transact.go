package dynamodb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// tokenFor is how long a client token stands for its transaction.
const tokenFor = 10 * time.Minute

// sent is a transaction that took effect.
type sent struct {
	request string
	at      time.Time
}

// change is one write, or none but a condition.
type change struct {
	key, item    item // one of both
	put, remove  bool
	update       *string
	condition    *string
	names        map[string]string
	values       map[string]types.AttributeValue
	old          types.ReturnValuesOnConditionCheckFailure
	checkedAlone bool
}

// prepared is a change whose condition was looked at and that has had no effect yet.
type prepared struct {
	change
	table  *table
	key    key
	holds  bool
	before item
	after  item // nil: none
}

// prepare reads a change; an error is one of the request's form.
func (t *table) prepare(c change) (prepared, error) {
	p := prepared{change: c, table: t}
	var err error
	if c.put {
		p.key, err = t.keyIn(c.item)
	} else {
		p.key, err = t.keyOf(c.key)
	}
	if err != nil {
		return p, err
	}
	p.before = t.see(p.key, true)
	x := newExpressions(c.names, c.values)
	if p.holds, err = x.condition(c.condition, p.before); err != nil {
		return p, err
	}
	switch {
	case c.put:
		p.after = maps.Clone(c.item)
	case c.remove:
	case c.checkedAlone:
		p.after = p.before
	default:
		base := p.before
		if base == nil {
			base = t.attributes(p.key)
		}
		if p.after, err = x.update(c.update, base); err != nil && p.holds {
			return p, err
		}
		if t.touchesKey(p) {
			return p, validation("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", t.HashKey)
		}
	}
	return p, x.allUsed()
}

func (t *table) touchesKey(p prepared) bool {
	if p.after == nil {
		return false
	}
	k, err := t.keyIn(p.after)
	return err != nil || k != p.key
}

// shown is the item that failed a condition, where the request asks for it.
func (p prepared) shown() item {
	if p.old != types.ReturnValuesOnConditionCheckFailureAllOld {
		return nil
	}
	return maps.Clone(p.before)
}

func (p prepared) tooLarge() bool { return p.after != nil && sizeOf(p.after) > maxItem }

func (t *table) commit(p prepared) {
	if !p.checkedAlone {
		t.items[p.key] = &stored{now: p.after, before: p.before, at: time.Now()}
	}
}

// TransactWriteItems carries all its changes out or none. A request with a client token that took effect within the last
// ten minutes takes no second one.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func (e *Engine) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput) (*dynamodb.TransactWriteItemsOutput, error) {
	if err := wire.Refuse(in, "TransactItems", "ClientRequestToken"); err != nil {
		return nil, err
	}
	if n := len(in.TransactItems); n == 0 || n > maxActions {
		return nil, validation("1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length between 1 and %d, found %d", maxActions, n)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	request, err := json.Marshal(in.TransactItems)
	if err != nil {
		return nil, err
	}
	if done := e.tokens[aws.ToString(in.ClientRequestToken)]; done != nil && time.Since(done.at) < tokenFor {
		if done.request != string(request) {
			return nil, &types.IdempotentParameterMismatchException{Message: aws.String("The request uses the same client token as a previous, but non-identical request.")}
		}
		return &dynamodb.TransactWriteItemsOutput{}, nil
	}
	all, err := e.prepareAll(in.TransactItems)
	if err != nil {
		return nil, err
	}
	if err := cancelled(all); err != nil {
		return nil, err
	}
	for _, p := range all {
		p.table.commit(p)
	}
	if token := aws.ToString(in.ClientRequestToken); token != "" {
		maps.DeleteFunc(e.tokens, func(_ string, s *sent) bool { return time.Since(s.at) >= tokenFor })
		e.tokens[token] = &sent{string(request), time.Now()}
	}
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

func (e *Engine) prepareAll(items []types.TransactWriteItem) ([]prepared, error) {
	var all []prepared
	seen, size := map[string]bool{}, 0
	for _, i := range items {
		table, c, err := changeOf(i)
		if err != nil {
			return nil, err
		}
		t, err := e.table(table)
		if err != nil {
			return nil, err
		}
		p, err := t.prepare(c)
		if err != nil {
			return nil, err
		}
		id := fmt.Sprintf("%s %q %q", t.Name, p.key.hash, p.key.sort)
		if seen[id] {
			return nil, validation("Transaction request cannot include multiple operations on one item")
		}
		seen[id] = true
		size += sizeOf(p.after)
		all = append(all, p)
	}
	if size > maxRequest {
		return nil, validation("Collective size of items in the transaction exceeds the limit of %d bytes", maxRequest)
	}
	return all, nil
}

// changeOf reads one action, of which there must be exactly one.
func changeOf(i types.TransactWriteItem) (table *string, c change, err error) {
	n := 0
	if a := i.ConditionCheck; a != nil {
		n++
		table, c = a.TableName, change{key: a.Key, condition: a.ConditionExpression, names: a.ExpressionAttributeNames, values: a.ExpressionAttributeValues, old: a.ReturnValuesOnConditionCheckFailure, checkedAlone: true}
	}
	if a := i.Put; a != nil {
		n++
		table, c = a.TableName, change{item: a.Item, put: true, condition: a.ConditionExpression, names: a.ExpressionAttributeNames, values: a.ExpressionAttributeValues, old: a.ReturnValuesOnConditionCheckFailure}
	}
	if a := i.Update; a != nil {
		n++
		table, c = a.TableName, change{key: a.Key, update: a.UpdateExpression, condition: a.ConditionExpression, names: a.ExpressionAttributeNames, values: a.ExpressionAttributeValues, old: a.ReturnValuesOnConditionCheckFailure}
	}
	if a := i.Delete; a != nil {
		n++
		table, c = a.TableName, change{key: a.Key, remove: true, condition: a.ConditionExpression, names: a.ExpressionAttributeNames, values: a.ExpressionAttributeValues, old: a.ReturnValuesOnConditionCheckFailure}
	}
	if n != 1 {
		return nil, c, validation("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	if c.checkedAlone && c.condition == nil {
		return nil, c, validation("The expression can not be empty; a ConditionCheck needs one")
	}
	return table, c, nil
}

// cancelled is the error of a transaction of which a condition fails or an item is too large, with a reason for each of its
// items in their order; nil where nothing is against it.
func cancelled(all []prepared) error {
	reasons, codes, any := []types.CancellationReason{}, []string{}, false
	for _, p := range all {
		r := types.CancellationReason{Code: aws.String("None")}
		switch {
		case !p.holds:
			r = types.CancellationReason{Code: aws.String("ConditionalCheckFailed"), Message: aws.String("The conditional request failed"), Item: p.shown()}
		case p.tooLarge():
			r = types.CancellationReason{Code: aws.String("ValidationError"), Message: aws.String("Item size has exceeded the maximum allowed size")}
		}
		any = any || *r.Code != "None"
		reasons, codes = append(reasons, r), append(codes, *r.Code)
	}
	if !any {
		return nil
	}
	return &types.TransactionCanceledException{
		Message:             aws.String("Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"),
		CancellationReasons: reasons,
	}
}
