package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/ledger/lease"
)

// The lease is two items. One changes with every renewal; the other has the fencing number alone, which every save checks
// and only a taking changes: so that renewals and saves, which are transactions, do not disturb each other.

// Table is a lease.Store. Requests about the lease get one attempt each: whoever keeps it decides about the next.
var _ lease.Store = (*Table)(nil)

func once(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }

// Look reads the lease, consistently.
func (t *Table) Look(ctx context.Context) (lease.Lease, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.opts.Table, Key: t.leaseKey(), ConsistentRead: aws.Bool(true)}, once)
	if err != nil {
		return lease.Lease{}, fmt.Errorf("read the lease in %s: %w", t, t.classify(err))
	}
	if schema := schemaOf(out.Item); schema > tableSchema {
		return lease.Lease{}, fault.New(fault.Terminal, ledger.CodeSchema, fmt.Errorf("%s has schema %d and this controller knows up to %d: run the controller that wrote it, or a newer one", t, schema, tableSchema))
	}
	if out.Item != nil {
		return leaseOf(out.Item), nil
	}
	// Nobody ever had it, or somebody removed the item: numbers go on where they were.
	fence, err := t.get(ctx, t.fenceKey())
	if err != nil {
		return lease.Lease{}, fmt.Errorf("read the fencing number in %s: %w", t, err)
	}
	return lease.Lease{Fence: numberOf(fence, attrFence)}, nil
}

// termMax is longer than any term, in milliseconds. An absurd number must not become a negative time, which would end the lease.
const termMax = uint64(24 * time.Hour / time.Millisecond)

func leaseOf(i item) lease.Lease {
	free, _ := i[attrFree].(*types.AttributeValueMemberBOOL)
	since, _ := time.Parse(time.RFC3339Nano, textOf(i, attrSince)) // for people: one that cannot be read is left out
	return lease.Lease{
		Owner: textOf(i, attrOwner), Fence: numberOf(i, attrFence), Beat: numberOf(i, attrBeat),
		Term:     time.Duration(min(numberOf(i, attrTerm), termMax)) * time.Millisecond,
		Released: free != nil && free.Value, Since: since,
	}
}

// Take makes owner the owner. From its effect on nobody else's save takes effect any more.
func (t *Table) Take(ctx context.Context, seen lease.Lease, owner string, term time.Duration) (lease.Lease, error) {
	next := lease.Lease{Owner: owner, Fence: seen.Fence + 1, Beat: seen.Beat + 1, Term: term, Since: time.Now().UTC()}
	put := &types.Put{
		TableName: &t.opts.Table, Item: t.leaseKey(), ConditionExpression: aws.String("attribute_not_exists(#fence)"),
		ExpressionAttributeNames: map[string]string{"#fence": attrFence},
	}
	if seen.Owner != "" {
		put.ConditionExpression = aws.String("#fence = :fence AND #beat = :beat AND #owner = :owner")
		put.ExpressionAttributeNames["#beat"], put.ExpressionAttributeNames["#owner"] = attrBeat, attrOwner
		put.ExpressionAttributeValues = item{":fence": number(seen.Fence), ":beat": number(seen.Beat), ":owner": text(seen.Owner)}
	}
	put.Item[attrOwner], put.Item[attrFence], put.Item[attrBeat] = text(owner), number(next.Fence), number(next.Beat)
	put.Item[attrTerm], put.Item[attrSchema] = number(uint64(term.Milliseconds())), number(tableSchema)
	put.Item[attrSince] = text(next.Since.Format(time.RFC3339Nano))
	fence := &types.Put{
		TableName: &t.opts.Table, Item: t.fenceKey(), ConditionExpression: aws.String("attribute_not_exists(#fence) OR #fence < :next"),
		ExpressionAttributeNames: map[string]string{"#fence": attrFence}, ExpressionAttributeValues: item{":next": number(next.Fence)},
	}
	fence.Item[attrFence] = number(next.Fence)
	_, err := t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{Put: put}, {Put: fence}}}, once)
	if err != nil {
		return seen, fmt.Errorf("take the lease in %s: %w", t, t.changed(err))
	}
	return next, nil
}

// changed tells apart that somebody else was faster.
func (t *Table) changed(err error) error {
	reasons := cancellation(err)
	for _, r := range reasons {
		if aws.ToString(r.Code) == "ConditionalCheckFailed" {
			return fault.New(fault.Conflict, ledger.CodeFenced, fmt.Errorf("another controller has it by now: %w", err))
		}
	}
	if reasons != nil {
		return t.busy(reasons, err)
	}
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return fault.New(fault.Conflict, ledger.CodeFenced, fmt.Errorf("another controller has it by now: %w", err))
	}
	return t.classify(err)
}

// Renew changes the beat, whatever it is: an answer that was lost must not cost the lease.
func (t *Table) Renew(ctx context.Context, held lease.Lease) error {
	return t.update(ctx, held, "renew", "SET #beat = #beat + :one", nil)
}

// Release marks the lease as given back.
func (t *Table) Release(ctx context.Context, held lease.Lease) error {
	return t.update(ctx, held, "release", "SET #beat = #beat + :one, #free = :free", &types.AttributeValueMemberBOOL{Value: true})
}

func (t *Table) update(ctx context.Context, held lease.Lease, deed, set string, free types.AttributeValue) error {
	in := &dynamodb.UpdateItemInput{
		TableName: &t.opts.Table, Key: t.leaseKey(), UpdateExpression: &set,
		ConditionExpression:       aws.String("#owner = :owner AND #fence = :fence"),
		ExpressionAttributeNames:  map[string]string{"#owner": attrOwner, "#fence": attrFence, "#beat": attrBeat},
		ExpressionAttributeValues: item{":owner": text(held.Owner), ":fence": number(held.Fence), ":one": number(1)},
	}
	if free != nil {
		in.ExpressionAttributeNames["#free"], in.ExpressionAttributeValues[":free"] = attrFree, free
	}
	if _, err := t.client.UpdateItem(ctx, in, once); err != nil {
		return fmt.Errorf("%s the lease in %s: %w", deed, t, t.changed(err))
	}
	return nil
}
