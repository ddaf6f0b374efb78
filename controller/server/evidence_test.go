package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
)

// Each rollout has an address of its own, with everything that is kept of it and what the controller did about it.
func TestRolloutPage(t *testing.T) {
	h := newHouse(t)
	h.config.History = func(context.Context, string, int) ([]rollout.Entry, error) {
		failed, back := entryOf(1, rollout.ResultRejected, evidenceOf("too slow"), "no"), entryOf(2, rollout.ResultReverted, nil, "yes")
		back.Kind, back.Trigger = rollout.KindRevert, rollout.TriggerFailure
		failed.Commit.Author, failed.Migration, failed.Task, failed.BakeFrom = "Ada", "succeeded", "arn:aws:ecs:x:1:task/shop/m1", noon.Add(20*time.Second)
		failed.Digests, failed.Built = []string{"sha256:0a"}, []string{"0123456789abcdef0123456789abcdef01234567"}
		failed.Readings = []observed.Reading{{Check: "targets", Verdict: observed.Fail, Value: "1 healthy", Threshold: "2 healthy", Detail: "1 of 2 targets is healthy", At: noon}}
		failed.Spans = []rollout.Span{
			{Stage: rollout.StageRegister, From: noon, To: noon.Add(2 * time.Second)}, {Stage: rollout.StageRoll, From: noon.Add(2 * time.Second), To: noon.Add(15 * time.Second)},
			{Stage: rollout.StageBake, From: noon.Add(15 * time.Second), To: noon.Add(50 * time.Second)}, {Stage: rollout.StageEvidence, From: noon.Add(50 * time.Second), To: noon.Add(53 * time.Second)},
		}
		return []rollout.Entry{back, failed}, nil
	}
	h.Handler = server.New(h.config)
	tests := []struct {
		path  string
		wants []string
	}{
		{"/services/orders/rollouts/1", []string{"deploy rejected", "by Ada", "succeeded task m1", "AppContainer exit code 3", "orders-5xx ALARM", "Last log lines panic: too slow", "✖ fail 1 healthy 2 healthy 1 of 2 targets is healthy",
			"validate register 2s roll 13s verify 5s bake failed 30s evidence 3s", "What the controller did revert #2 reverted within 1m", "12:00:20 UTC every check passed",
			"AppContainer:1a2b3c4 sha256:0a built of commit 0123456789abcdef0123456789abcdef01234567"}},
		{"/services/orders/rollouts/2", []string{"What it answers deploy #1 rejected", "← #1 deploy rejected"}},
		{"/services/orders/rollouts/3", []string{"revert in flight", "← #2 revert reverted"}},
	}
	for _, tt := range tests {
		page := text(parsed(t, h, tt.path))
		for _, want := range tt.wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %q: %s", tt.path, want, page)
			}
		}
	}
	for _, path := range []string{"/services/orders/rollouts/4", "/services/orders/rollouts/0", "/services/orders/rollouts/x"} {
		if w := h.get(path); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}
