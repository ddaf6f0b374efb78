package strategy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/strategy"
)

// A count that ECS has no room for is refused before it is sent: ECS's DesiredCount has 32 bits, which would make 2 of 4294967298.
func TestInitialCountIsOneThatECSTakes(t *testing.T) {
	for name, kind := range strategy.Kinds() {
		for _, tt := range []struct {
			count int
			want  string
		}{
			{1, ""}, {rollout.CountMax, ""}, {0, "write 1 or more"}, {-1, "write 1 or more"},
			{rollout.CountMax + 1, "write 5000 or less"}, {4294967298, "write 5000 or less"}, {9999999999, "write 5000 or less"},
		} {
			got := kind.Check(json.RawMessage(fmt.Sprintf(`{"initialCount":%d}`, tt.count)), nil)
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0].Message, tt.want)) {
				t.Errorf("%s: %d: %+v, want %q", name, tt.count, got, tt.want)
			}
		}
	}
}

// An editor tells the bounds before validate does.
func TestSchemaHasTheBounds(t *testing.T) {
	text, err := desired.Schema(desired.Kinds{Strategies: strategy.Kinds()}, "service")
	if err != nil {
		t.Fatal(err)
	}
	type bounds struct{ Minimum, Maximum *int }
	var s struct {
		Properties struct {
			Spec struct {
				Properties struct {
					Rollout struct {
						OneOf []struct{ Properties map[string]bounds }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	want := map[string][2]int{"initialCount": {1, rollout.CountMax}, "minimumHealthyPercent": {0, 100}, "maximumPercent": {100, 400}}
	branches := s.Properties.Spec.Properties.Rollout.OneOf
	if len(branches) != len(strategy.Kinds()) {
		t.Fatalf("%d branches", len(branches))
	}
	for _, b := range branches {
		for name, w := range want {
			if p, ok := b.Properties[name]; ok && (p.Minimum == nil || p.Maximum == nil || [2]int{*p.Minimum, *p.Maximum} != w) {
				t.Errorf("%s has the bounds %v and %v, want %v", name, p.Minimum, p.Maximum, w)
			}
		}
	}
}
