package dynamodb_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/sim/dynamodb"
)

type item = map[string]types.AttributeValue

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
func n(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }

func key(sort string) item { return item{"pk": s("a"), "sk": s(sort)} }

func with(base item, name string, v types.AttributeValue) item {
	out := maps.Clone(base)
	out[name] = v
	return out
}

func fresh(t dynamodb.Table) *dynamodb.Engine {
	e := dynamodb.New()
	t.Name, t.HashKey, t.SortKey = "T", "pk", "sk"
	e.AddTable(t)
	return e
}

func put(t *testing.T, e *dynamodb.Engine, i item) {
	t.Helper()
	if _, err := e.PutItem(t.Context(), &awsdb.PutItemInput{TableName: aws.String("T"), Item: i}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, e *dynamodb.Engine, sort string, consistent bool) item {
	t.Helper()
	out, err := e.GetItem(t.Context(), &awsdb.GetItemInput{TableName: aws.String("T"), Key: key(sort), ConsistentRead: &consistent})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}

// holds asks whether a condition holds of the item x, which has n = 9 and s = "b".
func TestConditions(t *testing.T) {
	e := fresh(dynamodb.Table{})
	put(t, e, with(with(key("x"), "n", n("9")), "s", s("b")))
	for expression, want := range map[string]string{
		"#n = :nine": "holds", "#n = :text": "fails", "#n <> :text": "holds", "#n < :ten": "holds", "#n <= :nine": "holds", "#n > :ten": "fails",
		"#s >= :text": "holds", "#none = :nine": "fails", "#none <> :nine": "holds", "attribute_exists(#n)": "holds",
		"attribute_not_exists(#n)": "fails", "NOT attribute_exists(#none)": "holds",
		"#n = :ten OR #n = :nine AND #s = :text": "holds", "(#n = :ten OR #n = :nine) AND #s <> :text": "fails",
		"#n = :unknown":           "Invalid expression",
		"#unknown = :nine":        "Invalid expression",
		"n = :nine":               `"n" in the expression "n = :nine" is not modelled`,
		"begins_with(#s, :text)":  "is not modelled",
		"#n = :nine OR":           "is not modelled",
		"#n = :nine #n":           "is not modelled",
		"#n = :nine AND (#s = #s": "is not modelled",
		"#n ~ :nine":              "is not modelled",
	} {
		names, values := map[string]string{}, item{}
		for name, of := range map[string]string{"#n": "n", "#s": "s", "#none": "none"} {
			if strings.Contains(strings.NewReplacer("#none", "", name, name).Replace(expression), name) || name == "#none" && strings.Contains(expression, name) {
				names[name] = of
			}
		}
		for name, of := range map[string]types.AttributeValue{":nine": n("9.0"), ":ten": n("10"), ":text": s("b")} {
			if strings.Contains(expression, name) {
				values[name] = of
			}
		}
		_, err := e.PutItem(t.Context(), &awsdb.PutItemInput{
			TableName: aws.String("T"), Item: with(with(key("x"), "n", n("9")), "s", s("b")), ConditionExpression: &expression,
			ExpressionAttributeNames: names, ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		got := "holds"
		if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
			got = "fails"
			if failed.Item["n"] == nil {
				t.Errorf("%s: the item is not shown", expression)
			}
		} else if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", expression, got, want)
		}
	}
}

func TestWhatIsNotTaken(t *testing.T) {
	e := fresh(dynamodb.Table{})
	ctx, table := t.Context(), aws.String("T")
	update := func(expression string, names map[string]string, values item) error {
		_, err := e.UpdateItem(ctx, &awsdb.UpdateItemInput{TableName: table, Key: key("x"), UpdateExpression: &expression, ExpressionAttributeNames: names, ExpressionAttributeValues: values})
		return err
	}
	_, noTable := e.GetItem(ctx, &awsdb.GetItemInput{TableName: aws.String("none"), Key: key("x")})
	_, noKey := e.GetItem(ctx, &awsdb.GetItemInput{TableName: table, Key: item{"pk": s("a")}})
	_, emptyKey := e.GetItem(ctx, &awsdb.GetItemInput{TableName: table, Key: item{"pk": s("a"), "sk": s("")}})
	_, large := e.PutItem(ctx, &awsdb.PutItemInput{TableName: table, Item: with(key("x"), "d", s(strings.Repeat("x", 400<<10)))})
	_, scan := e.Query(ctx, &awsdb.QueryInput{TableName: table, IndexName: aws.String("i")})
	_, filter := e.Query(ctx, &awsdb.QueryInput{TableName: table, KeyConditionExpression: aws.String("#sk = :v"), ExpressionAttributeNames: map[string]string{"#sk": "sk"}, ExpressionAttributeValues: item{":v": s("x")}})
	for want, err := range map[string]error{
		"Requested resource not found": noTable, "does not match the schema": noKey, "empty string": emptyKey,
		"exceeded the maximum allowed size": large, "IndexName is not modelled": scan, "missed key schema element": filter,
		"does not exist in the item":          update("SET #c = #c + :one", map[string]string{"#c": "c"}, item{":one": n("1")}),
		"part of the key":                     update("SET #c = :one", map[string]string{"#c": "sk"}, item{":one": s("y")}),
		"unused in expressions: keys: {#d}":   update("SET #c = :one", map[string]string{"#c": "c", "#d": "d"}, item{":one": n("1")}),
		"unused in expressions: keys: {:two}": update("SET #c = :one", map[string]string{"#c": "c"}, item{":one": n("1"), ":two": n("2")}),
		`"REMOVE" in the expression`:          update("REMOVE #c", map[string]string{"#c": "c"}, nil),
		"incorrect data type":                 update("SET #c = :one + :text", map[string]string{"#c": "c"}, item{":one": n("1"), ":text": s("b")}),
		"a sum of numbers that are not whole": update("SET #c = :one + :half", map[string]string{"#c": "c"}, item{":one": n("1"), ":half": n("0.5")}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if got := get(t, e, "x", true); got != nil {
		t.Errorf("something was written: %v", got)
	}
}

func TestUpdateCounts(t *testing.T) {
	e := fresh(dynamodb.Table{})
	put(t, e, with(key("x"), "c", n("9")))
	_, err := e.UpdateItem(t.Context(), &awsdb.UpdateItemInput{
		TableName: aws.String("T"), Key: key("x"), UpdateExpression: aws.String("SET #c = #c + :one, #f = :f"),
		ExpressionAttributeNames: map[string]string{"#c": "c", "#f": "f"}, ExpressionAttributeValues: item{":one": n("1"), ":f": s("g")},
	})
	got := get(t, e, "x", true)
	if err != nil || got["c"].(*types.AttributeValueMemberN).Value != "10" || got["f"].(*types.AttributeValueMemberS).Value != "g" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := e.DeleteItem(t.Context(), &awsdb.DeleteItemInput{TableName: aws.String("T"), Key: key("x")}); err != nil || get(t, e, "x", true) != nil {
		t.Errorf("not deleted: %v", err)
	}
}

func TestQueryPages(t *testing.T) {
	e := fresh(dynamodb.Table{})
	for i := range 7 {
		put(t, e, with(key(fmt.Sprint(i)), "d", s(strings.Repeat("x", 300<<10))))
	}
	put(t, e, item{"pk": s("b"), "sk": s("0")})
	list := func(backward bool, limit int32) (pages []int, order string) {
		in := &awsdb.QueryInput{
			TableName: aws.String("T"), KeyConditionExpression: aws.String("#pk = :pk"), ProjectionExpression: aws.String("#sk"), ScanIndexForward: aws.Bool(!backward),
			ExpressionAttributeNames: map[string]string{"#pk": "pk", "#sk": "sk"}, ExpressionAttributeValues: item{":pk": s("a")},
		}
		if limit > 0 {
			in.Limit = &limit
		}
		for {
			out, err := e.Query(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, len(out.Items))
			for _, i := range out.Items {
				if len(i) != 1 {
					t.Errorf("the projection shows %d attributes", len(i))
				}
				order += i["sk"].(*types.AttributeValueMemberS).Value
			}
			if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
				return pages, order
			}
		}
	}
	// A page ends with the item that makes it 1 MB, whatever of it is shown.
	if pages, order := list(false, 0); order != "0123456" || !slices.Equal(pages, []int{4, 3}) {
		t.Error(pages, order)
	}
	if pages, order := list(true, 3); order != "6543210" || !slices.Equal(pages, []int{3, 3, 1}) {
		t.Error(pages, order)
	}
}

func TestTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := fresh(dynamodb.Table{})
		put(t, e, with(key("fence"), "f", n("1")))
		check := func(f string) types.TransactWriteItem {
			return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
				TableName: aws.String("T"), Key: key("fence"), ConditionExpression: aws.String("#f = :f"), ExpressionAttributeNames: map[string]string{"#f": "f"},
				ExpressionAttributeValues: item{":f": n(f)}, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			}}
		}
		write := func(sort, v string) types.TransactWriteItem {
			return types.TransactWriteItem{Put: &types.Put{TableName: aws.String("T"), Item: with(key(sort), "v", s(v))}}
		}
		send := func(token string, items ...types.TransactWriteItem) error {
			in := &awsdb.TransactWriteItemsInput{TransactItems: items}
			if token != "" {
				in.ClientRequestToken = &token
			}
			_, err := e.TransactWriteItems(t.Context(), in)
			return err
		}
		if err := send("", check("1"), write("x", "1"), types.TransactWriteItem{Delete: &types.Delete{TableName: aws.String("T"), Key: key("none")}}); err != nil {
			t.Fatal(err)
		}
		err := send("", write("x", "2"), check("2"))
		cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
		if !ok || *cancelled.CancellationReasons[0].Code != "None" || *cancelled.CancellationReasons[1].Code != "ConditionalCheckFailed" ||
			cancelled.CancellationReasons[1].Item["f"] == nil || get(t, e, "x", true)["v"].(*types.AttributeValueMemberS).Value != "1" {
			t.Errorf("%v", err)
		}
		err = send("", write("x", strings.Repeat("x", 400<<10)), write("y", "1"))
		if cancelled, ok := errors.AsType[*types.TransactionCanceledException](err); !ok || *cancelled.CancellationReasons[0].Code != "ValidationError" {
			t.Errorf("%v", err)
		}
		// A token stands for one transaction for ten minutes.
		if err := send("t", check("1"), write("x", "3")); err != nil {
			t.Fatal(err)
		}
		put(t, e, with(key("fence"), "f", n("2")))
		if err := send("t", check("1"), write("x", "3")); err != nil {
			t.Errorf("repeated: %v", err)
		}
		if err := send("t", check("1"), write("x", "4")); err == nil || !strings.Contains(err.Error(), "IdempotentParameterMismatch") {
			t.Errorf("another with its token: %v", err)
		}
		time.Sleep(tokenFor)
		if err := send("t", check("1"), write("x", "3")); err == nil {
			t.Error("the token is remembered for too long")
		}
		both := write("z", "1")
		both.ConditionCheck = check("2").ConditionCheck
		for want, err := range map[string]error{
			"multiple operations on one item": send("", write("x", "1"), write("x", "2")), "only contain one of": send("", both),
			"between 1 and 100": send(""),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	})
}

const tokenFor = 10 * time.Minute

func TestReadsThatAreNotConsistent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := fresh(dynamodb.Table{StaleMax: 2 * time.Second})
		put(t, e, with(key("x"), "v", s("1")))
		time.Sleep(3 * time.Second)
		put(t, e, with(key("x"), "v", s("2")))
		shown := func(consistent bool) string {
			return get(t, e, "x", consistent)["v"].(*types.AttributeValueMemberS).Value
		}
		if shown(true) != "2" || shown(false) != "1" {
			t.Errorf("consistent %s, else %s", shown(true), shown(false))
		}
		time.Sleep(2 * time.Second)
		if shown(false) != "2" {
			t.Error("stale for too long")
		}
	})
}

func TestThroughput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := fresh(dynamodb.Table{RequestsASec: 2, RequestsBurst: 3})
		throttled := 0
		for range 5 {
			_, err := e.GetItem(t.Context(), &awsdb.GetItemInput{TableName: aws.String("T"), Key: key("x")})
			if _, ok := errors.AsType[*types.ProvisionedThroughputExceededException](err); ok {
				throttled++
			}
		}
		time.Sleep(time.Second)
		get(t, e, "x", false)
		if throttled != 2 {
			t.Errorf("%d of 5 were throttled", throttled)
		}
	})
}
