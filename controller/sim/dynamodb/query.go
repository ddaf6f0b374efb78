package dynamodb

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

// Query answers the items of one hash key in order of their sort keys, at most 1 MB or Limit items in a page.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
func (e *Engine) Query(_ context.Context, in *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	if err := wire.Refuse(in, "TableName", "KeyConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues",
		"ConsistentRead", "ScanIndexForward", "Limit", "ExclusiveStartKey", "ProjectionExpression"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t, err := e.table(in.TableName)
	if err != nil {
		return nil, err
	}
	x := newExpressions(in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	hash, err := x.keyCondition(aws.ToString(in.KeyConditionExpression), t.HashKey)
	if err != nil {
		return nil, err
	}
	shown, err := x.projection(in.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	if err := x.allUsed(); err != nil {
		return nil, err
	}
	keys := t.sorted(hash)
	if in.ScanIndexForward != nil && !*in.ScanIndexForward {
		slices.Reverse(keys)
	}
	if in.ExclusiveStartKey != nil {
		from, err := t.keyOf(in.ExclusiveStartKey)
		if err != nil {
			return nil, err
		}
		keys = keys[slices.Index(keys, from)+1:]
	}
	return t.page(keys, in, shown), nil
}

func (t *table) page(keys []key, in *dynamodb.QueryInput, shown []string) *dynamodb.QueryOutput {
	out, size := &dynamodb.QueryOutput{Items: []map[string]types.AttributeValue{}}, 0
	for i, k := range keys {
		full := t.see(k, aws.ToBool(in.ConsistentRead))
		if full == nil {
			continue
		}
		out.Items = append(out.Items, project(full, shown))
		if size += sizeOf(full); (size >= maxPage || in.Limit != nil && len(out.Items) == int(*in.Limit)) && i < len(keys)-1 {
			out.LastEvaluatedKey = t.attributes(k)
			break
		}
	}
	out.Count, out.ScannedCount = int32(len(out.Items)), int32(len(out.Items))
	return out
}

func project(full item, shown []string) item {
	if len(shown) == 0 {
		return maps.Clone(full)
	}
	out := item{}
	for _, name := range shown {
		if v, ok := full[name]; ok {
			out[name] = v
		}
	}
	return out
}

// sorted are the keys of one hash key, those of items that are gone included: a stale read may still show them.
func (t *table) sorted(hash string) []key {
	var keys []key
	for k := range t.items {
		if k.hash == hash {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Compare(a.sort, b.sort) })
	return keys
}
