package rolling

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

func TestParameters(t *testing.T) {
	for _, tc := range []struct{ params, want string }{
		{`{}`, ""},
		{`{"minimumHealthyPercent":100,"maximumPercent":200,"initialCount":2}`, ""},
		{`{"minimumHealthyPercent":50,"maximumPercent":100,"initialCount":2}`, ""},
		{`{"minimumHealthyPercent":0,"maximumPercent":100,"initialCount":1}`, ""},
		{`{"minimumHealthyPercent":101}`, "write 0 to 100"},
		{`{"minimumHealthyPercent":-1}`, "write 0 to 100"},
		{`{"maximumPercent":99}`, "write 100 to 400"},
		{`{"minimumHealthyPercent":100,"maximumPercent":100}`, "neither start nor stop"},
		{`{"minimumHealthyPercent":1,"maximumPercent":199,"initialCount":1}`, "neither start nor stop"},
		{`{"minimumHealthyPercent":51,"maximumPercent":149,"initialCount":2}`, "neither start nor stop"},
		{`{"initialCount":0}`, "write 1 or more"},
		{`{"percent":5}`, "known are initialCount, maximumPercent, minimumHealthyPercent"},
		{`{"initialCount":"two"}`, "a whole number belongs"},
	} {
		got := Kind{}.Check(json.RawMessage(tc.params), nil)
		if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.Contains(got[0].Message, tc.want)) {
			t.Errorf("%s: %+v, want %q", tc.params, got, tc.want)
		}
	}
}

// The count belongs to whoever scales: it is sent to a service at 0 by its very first rollout, and never else.
func TestCountIsSentOnce(t *testing.T) {
	spec := desired.ServiceSpec{Rollout: desired.Rollout{Params: json.RawMessage(`{"initialCount":3,"minimumHealthyPercent":50,"maximumPercent":150}`)}}
	for _, tc := range []struct {
		first   bool
		desired int
		want    int
	}{{true, 0, 3}, {true, 5, 0}, {false, 0, 0}, {false, 5, 0}} {
		ro := rollout.Rollout{Kind: rollout.KindDeploy, First: tc.first, Revision: "r:1", Deployment: &rollout.Deployment{Before: "ecs-svc/1"}}
		roll := Strategy{}.Next(spec, ro, observed.Service{Desired: tc.desired}).(rollout.Roll)
		got := 0
		if roll.Count != nil {
			got = *roll.Count
		}
		if got != tc.want || roll.Revision != "r:1" || roll.MinimumHealthyPercent != 50 || roll.MaximumPercent != 150 {
			t.Errorf("first %v at %d: %+v, count %d, want %d", tc.first, tc.desired, roll, got, tc.want)
		}
	}
}
