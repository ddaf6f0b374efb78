package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/rollout"
)

func TestSentence(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		" it crashed ":                 "It crashed.",
		"did it crash?":                "Did it crash?",
		"écrit en français":            "Écrit en français.",
		"and so on…":                   "And so on…",
		"\xff is no letter":            "\ufffd is no letter.",
		"orders.yaml:3:1: no":          "orders.yaml:3:1: no",
		"desired/dev/é.yaml:30:12: no": "desired/dev/é.yaml:30:12: no",
		"listen tcp :80: no":           "Listen tcp :80: no.",
	} {
		if got := sentence(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// The one line says what happened, however many images and however long tags a version has.
func TestSummarySaysWhatHappened(t *testing.T) {
	images := func(tag func(int) string) (out []string) {
		for i := range 8 {
			out = append(out, fmt.Sprintf("order-processing-%d:%s", i, tag(i)))
		}
		return out
	}
	shared := images(func(int) string { return "1a2b3c4" })
	long := images(func(i int) string { return strings.Repeat(fmt.Sprint(i), 100) })
	tests := []struct {
		name   string
		images []string
		kind   rollout.Kind
		result rollout.Result
		event  Event
		want   string // after the service's name
	}{
		{"a tag of many", shared, rollout.KindDeploy, rollout.ResultRejected, Rejected, "1a2b3c4 was rejected (TasksCrashed)"},
		{"two tags", append(shared, "proxy:3.1"), rollout.KindDeploy, rollout.ResultSucceeded, Good, "1a2b3c4, 3.1 is good"},
		{"an image without a tag", []string{"app:"}, rollout.KindDeploy, rollout.ResultSucceeded, Good, "feedfac is good"},
		{"long tags", long, rollout.KindDeploy, rollout.ResultRejected, Rejected, "… was rejected (TasksCrashed)"},
		{"long tags that stall", long, rollout.KindDeploy, rollout.ResultStalled, Stalled, "… has stalled (TasksCrashed)"},
		{"long tags that do not come back", long, rollout.KindRevert, rollout.ResultRevertFailed, RevertFailed, "… back did not come true (TasksCrashed)"},
	}
	service := strings.Repeat("s", 60)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := rollout.Entry{Service: service, Number: 1, Kind: tt.kind, Trigger: rollout.TriggerGit, Result: tt.result, Images: tt.images, StartedAt: start, EndedAt: start.Add(time.Minute)}
			e.Commit.SHA = "feedface00"
			if tt.result != rollout.ResultSucceeded {
				e.Evidence = &rollout.Evidence{Check: "steady", Reason: "TasksCrashed"}
			}
			_, all := tell(Input{Environment: "dev", Record: rollout.Record{Service: service, Generation: 1, Since: start}, Entries: []rollout.Entry{e}}, Mark{})
			got := ""
			for _, m := range all {
				if m.Event == tt.event {
					got = m.Summary
				}
			}
			if !strings.HasPrefix(got, service+": ") || !strings.HasSuffix(got, tt.want) {
				t.Errorf("%q does not end with %q", got, tt.want)
			}
		})
	}
}
