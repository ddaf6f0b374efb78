package server

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/rollout"
)

func TestAge(t *testing.T) {
	tests := map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", -5 * time.Second: "5s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m",
		time.Hour: "1h", 3*time.Hour + 5*time.Minute: "3h 5m", 24 * time.Hour: "1d", 52 * time.Hour: "2d 4h",
	}
	for d, want := range tests {
		if got := Age(d); got != want {
			t.Errorf("%s is told as %q, want %q", d, got, want)
		}
	}
}

func TestUntil(t *testing.T) {
	now := time.Unix(1000, 0)
	for at, want := range map[time.Time]string{{}: "", now: "now", now.Add(-time.Hour): "now", now.Add(90 * time.Second): "in 1m"} {
		if got := Until(now, at); got != want {
			t.Errorf("%v is told as %q, want %q", at, got, want)
		}
	}
}

func TestVersionWords(t *testing.T) {
	tests := []struct {
		v    condition.Version
		want string
	}{
		{condition.Version{}, "unknown"},
		{condition.Version{Commit: "0123456789"}, "0123456"},
		{condition.Version{Images: []string{"a:1a2b3c4", "b:1a2b3c4"}}, "1a2b3c4"},
		{condition.Version{Images: []string{"a:1a2b3c4", "b:v2"}, Commit: "0123456789"}, "1a2b3c4, v2 (0123456)"},
		{condition.Version{Images: []string{"a:0123456"}, Commit: "0123456789"}, "0123456"},
	}
	for _, tt := range tests {
		if got := versionWords(tt.v); got != tt.want {
			t.Errorf("%+v is told as %q, want %q", tt.v, got, tt.want)
		}
	}
}

func TestDiffers(t *testing.T) {
	old := condition.Version{Commit: "1", Images: []string{"a:1"}}
	tests := []struct {
		name   string
		phase  condition.Phase
		wanted condition.Version
		want   bool
	}{
		{"the same", condition.PhaseHealthy, old, false},
		{"another image", condition.PhaseReverted, condition.Version{Commit: "2", Images: []string{"a:2"}}, true},
		{"a good change of a deadline", condition.PhaseHealthy, condition.Version{Commit: "2", Images: []string{"a:1"}}, false},
		{"a refused change of the environment", condition.PhaseReverted, condition.Version{Commit: "2", Images: []string{"a:1"}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := differs(condition.Status{Phase: tt.phase, Wanted: tt.wanted, Running: old}); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestStages(t *testing.T) {
	at := time.Unix(1000, 0)
	registered := []rollout.Span{{Stage: rollout.StageRegister, From: at, To: at.Add(10 * time.Second)}}
	tests := []struct {
		name string
		r    Rollout
		want []stage
	}{
		{"about to migrate", Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageRegister}, []stage{{"register", "now", 30 * time.Second}, {"migrate", "open", 0}, {"roll", "open", 0}, {"bake", "open", 0}}},
		{"without migration", Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageRoll, Spans: registered}, []stage{{"register", "done", 10 * time.Second}, {"roll", "now", 30 * time.Second}, {"bake", "open", 0}}},
		{"failed before the bake", Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageEvidence, Spans: registered}, []stage{{"register", "done", 10 * time.Second}, {"evidence", "now", 30 * time.Second}}},
		{"revert", Rollout{Kind: rollout.KindRevert, Stage: rollout.StageRoll}, []stage{{"roll", "now", 30 * time.Second}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.StageAt = at.Add(30 * time.Second)
			if diff := cmp.Diff(tt.want, stagesOf(&tt.r, at.Add(time.Minute))); diff != "" {
				t.Errorf("stages (-want +got):\n%s", diff)
			}
		})
	}
}
