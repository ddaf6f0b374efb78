package story

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/permit"
	"github.com/canteen/deploy/controller/sim/iam"
)

// unneeded are the entries of the controller's policies that no story needs, each with the reason why it is there all the same.
var unneeded = map[iam.Use]string{}

// needed answers an error unless every entry of the controller's policies was needed by a story, or is known not to be. It has
// something to say only where all stories were told.
func needed() error {
	for _, some := range []string{"test.run", "test.skip", "test.list"} {
		if flag.Lookup(some).Value.String() != "" {
			return nil
		}
	}
	if testing.Short() {
		return nil
	}
	policy, err := permit.Policy()
	if err != nil {
		return err
	}
	many, err := permit.Many()
	if err != nil {
		return err
	}
	policy.Statements = append(policy.Statements, many.Statements...)
	return neededOf(policy, used.entries)
}

func neededOf(policy iam.Policy, used map[iam.Use]bool) error {
	var wrong []string
	for _, entry := range policy.Uses() {
		switch _, known := unneeded[entry]; {
		case !used[entry] && !known:
			wrong = append(wrong, fmt.Sprintf("statement %s gives the controller %s, which no story needs: take it away, or say in unneeded why it is there", entry.Sid, entry.Action))
		case used[entry] && known:
			wrong = append(wrong, fmt.Sprintf("%s of statement %s is in unneeded, and a story needs it", entry.Action, entry.Sid))
		}
	}
	for _, entry := range slices.Collect(maps.Keys(unneeded)) {
		if !slices.Contains(policy.Uses(), entry) {
			wrong = append(wrong, fmt.Sprintf("%s of statement %s is in unneeded, and the policy does not have it", entry.Action, entry.Sid))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("the controller's policy: %s", strings.Join(wrong, "; "))
}

// What no story needs is told, and so is what stands in the list of those for nothing.
func TestNeeded(t *testing.T) {
	p := iam.Policy{Statements: []iam.Statement{{Sid: "S", Effect: "Allow", Actions: []string{"x:Used", "x:Unused"}, Resources: []string{"*"}}}}
	needed := map[iam.Use]bool{{Sid: "S", Action: "x:Used"}: true}
	if err := neededOf(p, needed); err == nil || !strings.Contains(err.Error(), "statement S gives the controller x:Unused, which no story needs") || strings.Contains(err.Error(), "x:Used") {
		t.Errorf("one of two is needed: %v", err)
	}
	needed[iam.Use{Sid: "S", Action: "x:Unused"}] = true
	if err := neededOf(p, needed); err != nil {
		t.Errorf("both are needed: %v", err)
	}
}
