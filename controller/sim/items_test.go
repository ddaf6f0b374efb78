package sim_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/sim"
	simdb "github.com/canteen/deploy/controller/sim/dynamodb"
)

func callItems(t *testing.T, a *sim.Account) {
	addTable(a)
	client, table := dynamodb.NewFromConfig(a.AWSConfig()), aws.String("items")
	text := func(s string) ddbtypes.AttributeValue { return &ddbtypes.AttributeValueMemberS{Value: s} }
	key := func() map[string]ddbtypes.AttributeValue {
		return map[string]ddbtypes.AttributeValue{"pk": text("a"), "sk": text("1")}
	}
	whole := key()
	whole["n"], whole["on"] = &ddbtypes.AttributeValueMemberN{Value: "4"}, &ddbtypes.AttributeValueMemberBOOL{Value: true}
	ok(t, client.PutItem, &dynamodb.PutItemInput{TableName: table, Item: whole})
	names, one := map[string]string{"#n": "n"}, map[string]ddbtypes.AttributeValue{":one": &ddbtypes.AttributeValueMemberN{Value: "1"}}
	ok(t, client.UpdateItem, &dynamodb.UpdateItemInput{TableName: table, Key: key(), UpdateExpression: aws.String("SET #n = #n + :one"), ExpressionAttributeNames: names, ExpressionAttributeValues: one})
	got := ok(t, client.GetItem, &dynamodb.GetItemInput{TableName: table, Key: key(), ConsistentRead: aws.Bool(true)}).Item
	if n, is := got["n"].(*ddbtypes.AttributeValueMemberN); !is || n.Value != "5" {
		t.Errorf("item %v", got)
	}
	if on, is := got["on"].(*ddbtypes.AttributeValueMemberBOOL); !is || !on.Value {
		t.Errorf("item %v", got)
	}
	out := ok(t, client.Query, &dynamodb.QueryInput{
		TableName: table, KeyConditionExpression: aws.String("#pk = :pk"), ExpressionAttributeNames: map[string]string{"#pk": "pk"},
		ExpressionAttributeValues: map[string]ddbtypes.AttributeValue{":pk": text("a")},
	})
	if len(out.Items) != 1 || out.Count != 1 {
		t.Errorf("found %v", out.Items)
	}
	ok(t, client.TransactWriteItems, &dynamodb.TransactWriteItemsInput{TransactItems: []ddbtypes.TransactWriteItem{{ConditionCheck: &ddbtypes.ConditionCheck{
		TableName: table, Key: key(), ConditionExpression: aws.String("attribute_exists(#n)"), ExpressionAttributeNames: names,
	}}}})
	ok(t, client.DeleteItem, &dynamodb.DeleteItemInput{TableName: table, Key: key()})
}

func addTable(a *sim.Account) {
	a.DynamoDB.AddTable(simdb.Table{Name: "items", HashKey: "pk", SortKey: "sk"})
}
