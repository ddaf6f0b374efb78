package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/server"
)

// refused is the section of a service's page that tells why what git asks does not run, empty where the page has none.
func (h *house) refused(t *testing.T) (out string) {
	for _, s := range elements(parsed(t, h, "/services/orders"), "section") {
		if attribute(s, "aria-labelledby") == "refused" {
			out = text(s)
		}
	}
	return out
}

// Why the newest does not run is on the page, not behind a click.
func TestServicePageTellsWhyTheNewestDoesNotRun(t *testing.T) {
	h := newHouse(t)
	for _, want := range []string{"Why 1a2b3c4 does not run", "#1", "AppContainer exit code 3", "orders-5xx ALARM"} {
		if got := h.refused(t); !strings.Contains(got, want) {
			t.Errorf("it lacks %q: %q", want, got)
		}
	}
	v := reverted()
	v.Status.Phase = condition.PhaseHealthy
	h.board.Publish(v)
	if got := h.refused(t); got != "" {
		t.Errorf("a healthy service tells %q", got)
	}
}

// What failed once and has nothing to do with what git asks now is no reason why that does not run.
func TestOldEvidenceIsNoReason(t *testing.T) {
	past := func(number int, ask, tag string, result rollout.Result) rollout.Entry {
		e := entryOf(number, result, nil, "")
		e.Ask, e.Images, e.EndedAt = ask, []string{"AppContainer:" + tag}, noon.Add(time.Duration(number-9)*24*time.Hour)
		if result != rollout.ResultSucceeded && result != rollout.ResultSuperseded {
			e.Evidence = evidenceOf("of " + tag)
		}
		return e
	}
	asks := reverted().Record
	asks.Pins = rollout.NamedOf(map[string]string{"1a2b3c4": "sha256:1"})
	git, known := asks.Asks()
	if !known {
		t.Fatal("what git asks is not known")
	}
	rejected := func(rejections ...rollout.Rejection) func(*rollout.Record) {
		return func(r *rollout.Record) { r.Rejected = rejections }
	}
	stalled := func(s rollout.Stall) func(*rollout.Record) {
		return func(r *rollout.Record) { r.Stalled, r.Said = &s, s.Said() }
	}
	tests := []struct {
		name    string
		state   rollout.State
		phase   condition.Phase
		said    string
		record  func(*rollout.Record)
		entries []rollout.Entry // newest first
		want    string          // empty for no section
	}{
		{"rejected, and another version before it", rollout.StateReverted, condition.PhaseReverted, "Reverted", rejected(rollout.Rejection{Ask: git.Ask, Rollout: 8}, rollout.Rejection{Ask: "v1:old", Rollout: 7}),
			[]rollout.Entry{past(8, git.Ask, "1a2b3c4", rollout.ResultRejected), past(7, "v1:old", "7777777", rollout.ResultRejected)}, "Why 1a2b3c4 does not run"},
		{"asked for again after another version was rejected", rollout.StateReverted, condition.PhaseReverted, "Reverted", rejected(rollout.Rejection{Ask: "v1:old", Rollout: 8}, rollout.Rejection{Ask: git.Ask, Rollout: 7}),
			[]rollout.Entry{past(8, "v1:old", "7777777", rollout.ResultRejected), past(7, git.Ask, "1a2b3c4", rollout.ResultRejected)}, "Why 1a2b3c4 does not run"},
		{"rejected before what the history tells", rollout.StateReverted, condition.PhaseReverted, "Reverted", rejected(rollout.Rejection{Ask: git.Ask, Inferred: true}),
			[]rollout.Entry{past(7, "v1:old", "7777777", rollout.ResultRejected)}, ""},
		{"none was ever good", rollout.StateStalled, condition.PhaseStalled, "NoneGood", rejected(rollout.Rejection{Ask: git.Ask, Rollout: 1}),
			[]rollout.Entry{past(1, git.Ask, "1a2b3c4", rollout.ResultRejected)}, "Why 1a2b3c4 does not run"},
		{"stalled", rollout.StateStalled, condition.PhaseStalled, "", stalled(rollout.Stall{Ask: git.Ask, Wanted: git.Ask, Rollout: 8}),
			[]rollout.Entry{past(8, git.Ask, "1a2b3c4", rollout.ResultStalled), past(7, "v1:old", "7777777", rollout.ResultRejected)}, "Why 1a2b3c4 does not run"},
		{"the revert failed", rollout.StateStalled, condition.PhaseStalled, "", stalled(rollout.Stall{Ask: "v1:good", Wanted: git.Ask, Rollout: 9, Reason: rollout.ReasonRevertFailed}),
			[]rollout.Entry{past(9, "v1:good", "6000000", rollout.ResultRevertFailed), past(8, git.Ask, "1a2b3c4", rollout.ResultRejected)}, "Why 6000000 does not run"},
		{"went back to what was left behind", rollout.StateStalled, condition.PhaseStalled, rollout.SaidWentBack, rejected(rollout.Rejection{Ask: git.Ask, Rollout: 3}),
			[]rollout.Entry{past(9, "v1:good", "6000000", rollout.ResultSucceeded), past(7, "v1:old", "7777777", rollout.ResultRejected), past(3, git.Ask, "1a2b3c4", rollout.ResultRejected)}, ""},
		{"went back while another stall is remembered", rollout.StateStalled, condition.PhaseStalled, rollout.SaidWentBack, func(r *rollout.Record) { r.Stalled = &rollout.Stall{Ask: "v1:old", Wanted: "v1:old", Rollout: 7} },
			[]rollout.Entry{past(7, "v1:old", "7777777", rollout.ResultStalled)}, ""},
		{"its first failure is just being looked at", rollout.StateFailing, condition.PhaseReverting, "Fails", func(r *rollout.Record) {
			r.Rollout = &rollout.Rollout{Number: 9, Kind: rollout.KindDeploy, Wanted: git.Ask, Stage: rollout.StageEvidence}
		}, []rollout.Entry{past(7, "v1:old", "7777777", rollout.ResultRejected)}, ""},
		{"reverting, and git asks for another one already", rollout.StateReverting, condition.PhaseReverting, "Reverts", func(r *rollout.Record) {
			r.Rollout = &rollout.Rollout{Number: 9, Kind: rollout.KindRevert, Wanted: "v1:old", Stage: rollout.StageRoll}
		}, []rollout.Entry{past(8, "v1:old", "7777777", rollout.ResultRejected), past(3, git.Ask, "1a2b3c4", rollout.ResultRejected)}, "Why 7777777 does not run"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.config.History = func(context.Context, string, int) ([]rollout.Entry, error) { return tt.entries, nil }
			h.Handler = server.New(h.config)
			v := reverted()
			v.Record.Rollout, v.Record.Rejected, v.Record.Pins, v.Record.State, v.Record.Said, v.Status.Phase = nil, nil, asks.Pins, tt.state, tt.said, tt.phase
			tt.record(&v.Record)
			h.board.Publish(v)
			got := h.refused(t)
			if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
				t.Errorf("tells %q, want %q", got, tt.want)
			}
		})
	}
}
