package dynamo

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/ledger"
	"github.com/canteen/deploy/controller/rollout"
)

// attribute makes one of DynamoDB's types of a text: the first letter says which.
func attribute(text string) types.AttributeValue {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "N":
		return &types.AttributeValueMemberN{Value: rest}
	case "S":
		return &types.AttributeValueMemberS{Value: rest}
	case "B":
		return &types.AttributeValueMemberB{Value: []byte(rest)}
	case "BOOL":
		return &types.AttributeValueMemberBOOL{Value: rest == "true"}
	case "NULL":
		return &types.AttributeValueMemberNULL{Value: true}
	case "L":
		return &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: rest}}}
	}
	return nil
}

// FuzzItem: whatever an item holds, it is a record that agrees with what stands beside it, or a terminal error, and never an empty
// one; as a lease it ends neither at once nor never because its number is absurd; and it is not built upon by who does not know it.
func FuzzItem(f *testing.F) {
	f.Add(`S:{"schema":1,"service":"orders","version":3,"why":"Runs."}`, "N:3", "N:1", "S:db", "N:5", "BOOL:true", "N:20000", "S:2026-03-01T12:00:00Z")
	f.Add(`S:{"schema":1,"service":"orders"}`, "N:0", "N:0", "S:", "N:", "BOOL:", "N:-1", "S:yesterday")
	f.Add(`B:{"schema":1,"service":"orders","version":3}`, "S:3", "N:18446744073709551615", "L:db", "NULL:", "S:true", "N:18446744073709551615", "N:1")
	f.Add(`S:{"schema":1,"service":"orders","version":3}`, "N:4", "N:1e3", "", "N:99999999999999999999", "", "", "")
	f.Add(``, "", "", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, data, version, schema, lock, entries, free, term, since string) {
		i := item{}
		for name, text := range map[string]string{attrData: data, attrVersion: version, attrSchema: schema, attrLock: lock, attrEntries: entries, attrFree: free, attrTerm: term, attrSince: since, attrFence: version, attrBeat: entries} {
			if a := attribute(text); a != nil {
				i[name] = a
			}
		}
		table := &Table{opts: Options{Table: "ledger", Environment: "dev"}, known: map[string]meta{}}
		rec, err := table.read("orders", i)
		switch {
		case err != nil && !fault.Is(err, fault.Terminal):
			t.Errorf("%v is not terminal", err)
		case err != nil && (!strings.Contains(err.Error(), "orders") || !strings.Contains(err.Error(), "ledger")):
			t.Errorf("%v names neither the service nor the table", err)
		case err == nil && (rec.Service != "orders" || rec.Version == 0 || rec.Version != table.known["orders"].version || rec.Schema > rollout.Schema):
			t.Errorf("%s beside version %s is the record %+v", data, version, rec)
		}
		if n, ok := i[attrSchema].(*types.AttributeValueMemberN); ok {
			var is json.Number
			if json.Unmarshal([]byte(n.Value), &is) == nil {
				if v, err := is.Float64(); err == nil && v > rollout.Schema && standsFor(i, numberOf(i, attrVersion)) == nil {
					t.Errorf("schema %s is built upon", n.Value)
				}
			}
		}
		if l := leaseOf(i); l.Term < 0 {
			t.Errorf("a term of %s lasts %s", term, l.Term)
		}
		if e, err := ledger.DecodeEntry([]byte(textOf(i, attrData))); err == nil {
			if _, err := json.Marshal(e); err != nil && !strings.Contains(err.Error(), "year outside of range") {
				t.Errorf("an entry that cannot be shown: %v", err)
			}
		}
	})
}
