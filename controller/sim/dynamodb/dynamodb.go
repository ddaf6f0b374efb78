// Package dynamodb is the key-value store of the local account: items, conditions and transactions, as far as a ledger
// needs them. Tables are made by AddTable; expressions know what expression.go says, and everything else is refused by
// name.
package dynamodb

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"golang.org/x/time/rate"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Limits of https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const (
	maxItem    = 400 << 10
	maxPage    = 1 << 20
	maxActions = 100
	maxRequest = 4 << 20 // of one transaction
)

// Table says what a table is like. Both keys are strings.
type Table struct {
	Name          string
	HashKey       string
	SortKey       string
	StaleMax      time.Duration // how long a read that is not consistent may show the state before a write; it does so all the while
	RequestsASec  float64       // beyond so many requests a second the table throttles; 0: on demand, never
	RequestsBurst int
}

// Engine holds the tables of one account and region.
type Engine struct {
	mu     sync.Mutex
	tables map[string]*table
	tokens map[string]*sent // transactions by their client token
}

type table struct {
	Table
	limit *rate.Limiter
	items map[key]*stored
}

type key struct{ hash, sort string }

type item = map[string]types.AttributeValue

// stored is an item, and what it was before its newest write; nil where it is, or was, not there.
type stored struct {
	now, before item
	at          time.Time
}

// New makes an account without tables.
func New() *Engine { return &Engine{tables: map[string]*table{}, tokens: map[string]*sent{}} }

// AddTable makes an empty table, in place of one of the same name.
func (e *Engine) AddTable(t Table) {
	e.mu.Lock()
	defer e.mu.Unlock()
	one := &table{Table: t, items: map[key]*stored{}}
	if t.RequestsASec > 0 {
		one.limit = rate.NewLimiter(rate.Limit(t.RequestsASec), max(1, t.RequestsBurst))
	}
	e.tables[t.Name] = one
}

// GetItem answers one item, no item where there is none.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
func (e *Engine) GetItem(_ context.Context, in *dynamodb.GetItemInput) (*dynamodb.GetItemOutput, error) {
	if err := wire.Refuse(in, "TableName", "Key", "ConsistentRead"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t, err := e.table(in.TableName)
	if err != nil {
		return nil, err
	}
	k, err := t.keyOf(in.Key)
	if err != nil {
		return nil, err
	}
	return &dynamodb.GetItemOutput{Item: maps.Clone(t.see(k, aws.ToBool(in.ConsistentRead)))}, nil
}

// PutItem writes one item in place of any other of its key.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html
func (e *Engine) PutItem(_ context.Context, in *dynamodb.PutItemInput) (*dynamodb.PutItemOutput, error) {
	if err := wire.Refuse(in, "TableName", "Item", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "ReturnValuesOnConditionCheckFailure"); err != nil {
		return nil, err
	}
	err := e.one(in.TableName, change{
		item: in.Item, put: true, condition: in.ConditionExpression,
		names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues, old: in.ReturnValuesOnConditionCheckFailure,
	})
	if err != nil {
		return nil, err
	}
	return &dynamodb.PutItemOutput{}, nil
}

// UpdateItem changes some attributes of one item, and makes it where there is none.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
func (e *Engine) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
	if err := wire.Refuse(in, "TableName", "Key", "UpdateExpression", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "ReturnValuesOnConditionCheckFailure"); err != nil {
		return nil, err
	}
	err := e.one(in.TableName, change{
		key: in.Key, update: in.UpdateExpression, condition: in.ConditionExpression,
		names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues, old: in.ReturnValuesOnConditionCheckFailure,
	})
	if err != nil {
		return nil, err
	}
	return &dynamodb.UpdateItemOutput{}, nil
}

// DeleteItem removes one item; that there is none is no error.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteItem.html
func (e *Engine) DeleteItem(_ context.Context, in *dynamodb.DeleteItemInput) (*dynamodb.DeleteItemOutput, error) {
	if err := wire.Refuse(in, "TableName", "Key", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "ReturnValuesOnConditionCheckFailure"); err != nil {
		return nil, err
	}
	err := e.one(in.TableName, change{
		key: in.Key, remove: true, condition: in.ConditionExpression,
		names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues, old: in.ReturnValuesOnConditionCheckFailure,
	})
	if err != nil {
		return nil, err
	}
	return &dynamodb.DeleteItemOutput{}, nil
}

// one carries out a change that stands alone.
func (e *Engine) one(name *string, c change) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	t, err := e.table(name)
	if err != nil {
		return err
	}
	p, err := t.prepare(c)
	if err != nil {
		return err
	}
	if !p.holds {
		return &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed"), Item: p.shown()}
	}
	if p.tooLarge() {
		return validation("Item size has exceeded the maximum allowed size")
	}
	t.commit(p)
	return nil
}

func (e *Engine) table(name *string) (*table, error) {
	t := e.tables[aws.ToString(name)]
	if t == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Requested resource not found")}
	}
	if t.limit != nil && !t.limit.Allow() {
		return nil, &types.ProvisionedThroughputExceededException{Message: aws.String("The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.")}
	}
	return t, nil
}

// see answers the item as a read shows it.
func (t *table) see(k key, consistent bool) item {
	s := t.items[k]
	switch {
	case s == nil:
		return nil
	case !consistent && time.Since(s.at) < t.StaleMax:
		return s.before
	}
	return s.now
}

// keyOf reads a key: both attributes, strings that are not empty, and nothing else.
func (t *table) keyOf(attributes item) (key, error) {
	if len(attributes) != 2 {
		return key{}, validation("The provided key element does not match the schema")
	}
	return t.keyIn(attributes)
}

func (t *table) keyIn(attributes item) (key, error) {
	hash, isString := attributes[t.HashKey].(*types.AttributeValueMemberS)
	sort, too := attributes[t.SortKey].(*types.AttributeValueMemberS)
	if !isString || !too {
		return key{}, validation("The provided key element does not match the schema")
	}
	if hash.Value == "" || sort.Value == "" {
		return key{}, validation("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value.")
	}
	return key{hash.Value, sort.Value}, nil
}

func (t *table) attributes(k key) item {
	return item{t.HashKey: &types.AttributeValueMemberS{Value: k.hash}, t.SortKey: &types.AttributeValueMemberS{Value: k.sort}}
}

// sizeOf is an item's size by the rules of
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func sizeOf(i item) int {
	n := 0
	for name, v := range i {
		n += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			n += len(strings.Trim(v.Value, "-0."))/2 + 2
		case *types.AttributeValueMemberB:
			n += len(v.Value)
		default:
			n++
		}
	}
	return n
}

func validation(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
