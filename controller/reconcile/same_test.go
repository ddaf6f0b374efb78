package reconcile

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/rollout"
)

// A record is saved when it would be written in another way, and only then.
func TestSame(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	base := func() rollout.Record {
		return rollout.Record{
			Service: "orders", Version: 3, GoodAsks: []string{"a"},
			Intent:  &rollout.Intent{Service: desired.Service{Spec: desired.ServiceSpec{Rollout: desired.Rollout{Params: json.RawMessage(`{"maximumPercent":200}`)}}}},
			Rollout: &rollout.Rollout{Kind: rollout.KindDeploy, StartedAt: now},
		}
	}
	for name, c := range map[string]struct {
		change func(*rollout.Record)
		want   bool
	}{
		"nothing":           {func(*rollout.Record) {}, true},
		"a clock's reading": {func(r *rollout.Record) { r.Rollout.StartedAt = now.In(time.FixedZone("UTC", 0)).UTC() }, true},
		"spaces": {func(r *rollout.Record) {
			r.Intent.Service.Spec.Rollout.Params = json.RawMessage(`{ "maximumPercent": 200 }`)
		}, true},
		"an empty list":   {func(r *rollout.Record) { r.Rejected = []rollout.Rejection{} }, true},
		"another number":  {func(r *rollout.Record) { r.Version++ }, false},
		"another text":    {func(r *rollout.Record) { r.Said = "other" }, false},
		"another instant": {func(r *rollout.Record) { r.Rollout.StartedAt = now.Add(time.Nanosecond) }, false},
		"other parameters": {func(r *rollout.Record) {
			r.Intent.Service.Spec.Rollout.Params = json.RawMessage(`{"maximumPercent":150}`)
		}, false},
		"another of a list":     {func(r *rollout.Record) { r.GoodAsks = []string{"b"} }, false},
		"one more of a list":    {func(r *rollout.Record) { r.GoodAsks = []string{"a", "b"} }, false},
		"nothing where one was": {func(r *rollout.Record) { r.Rollout = nil }, false},
	} {
		next := base()
		c.change(&next)
		if got := same(base(), next); got != c.want {
			t.Errorf("%s: same is %v, want %v", name, got, c.want)
		}
		x, _ := json.Marshal(base())
		y, _ := json.Marshal(next)
		if alike := string(x) == string(y); alike != c.want {
			t.Errorf("%s: written alike is %v, want %v", name, alike, c.want)
		}
	}
}
