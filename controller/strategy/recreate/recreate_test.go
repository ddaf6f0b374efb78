package recreate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

func TestParameters(t *testing.T) {
	for params, want := range map[string]string{
		`{}`:                            "",
		`{"initialCount":1}`:            "",
		`{"initialCount":0}`:            "write 1 or more",
		`{"minimumHealthyPercent":100}`: "known are initialCount",
	} {
		got := Kind{}.Check(json.RawMessage(params), nil)
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0].Message, want)) {
			t.Errorf("%s: %+v, want %q", params, got, want)
		}
	}
}

// Nothing of the version before runs beside the new one, on the way there and on the way back; the count is sent once.
func TestStopsBeforeItStarts(t *testing.T) {
	spec := desired.ServiceSpec{Rollout: desired.Rollout{Params: json.RawMessage(`{"initialCount":3}`)}}
	for _, kind := range []rollout.Kind{rollout.KindDeploy, rollout.KindRevert, rollout.KindRestore} {
		for first, want := range map[bool]int{true: 3, false: 0} {
			ro := rollout.Rollout{Kind: kind, First: first, Revision: "r:2", Deployment: &rollout.Deployment{Before: "ecs-svc/1"}}
			roll := Strategy{}.Next(spec, ro, observed.Service{}).(rollout.Roll)
			got := 0
			if roll.Count != nil {
				got = *roll.Count
			}
			if roll.MinimumHealthyPercent != 0 || roll.MaximumPercent != 100 || roll.Revision != "r:2" || roll.Before != "ecs-svc/1" || got != want {
				t.Errorf("%s, first %v: %+v with count %d", kind, first, roll, got)
			}
		}
	}
}
