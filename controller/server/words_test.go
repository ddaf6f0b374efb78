package server

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
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

func TestNextWords(t *testing.T) {
	now := time.Unix(1000, 0)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	deploy := func(s rollout.Stage) *rollout.Rollout {
		return &rollout.Rollout{Kind: rollout.KindDeploy, Stage: s, Deadline: in(9 * time.Minute), BakeUntil: in(40 * time.Second)}
	}
	tests := []struct {
		phase condition.Phase
		r     *rollout.Rollout
		next  time.Time
		want  string
	}{
		{condition.PhaseHealthy, nil, in(30 * time.Second), "compared again in 30s"},
		{condition.PhaseHealthy, nil, in(500 * time.Millisecond), "compared again now"},
		{condition.PhaseHealthy, nil, time.Time{}, ""},
		{condition.PhaseReverted, nil, in(time.Minute), "waits for a commit; compared again in 1m"},
		{condition.PhaseStalled, nil, time.Time{}, "waits for a person"},
		{condition.PhaseReleased, nil, in(time.Minute), "nothing"},
		{condition.PhaseBlocked, nil, in(time.Minute), "looks again in 1m"},
		{condition.PhaseMigrating, deploy(rollout.StageMigrate), in(time.Second), "is rolled out; deadline in 9m"},
		{condition.PhaseRollingOut, deploy(rollout.StageRoll), in(time.Second), "is watched once its tasks run; deadline in 9m"},
		{condition.PhaseVerifying, deploy(rollout.StageBake), in(time.Second), "verdict in 40s"},
		{condition.PhaseReverting, deploy(rollout.StageEvidence), in(time.Second), "evidence is kept, then it is put back"},
		{condition.PhaseReverting, &rollout.Rollout{Kind: rollout.KindRevert, Stage: rollout.StageRoll}, in(time.Second), "serves again once its tasks run"},
	}
	for _, tt := range tests {
		v := &status.View{Record: rollout.Record{Rollout: tt.r}, Status: condition.Status{Phase: tt.phase, NextActionAt: tt.next}}
		if got := nextWords(now, v); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.phase, got, tt.want)
		}
	}
}

func TestRunsWords(t *testing.T) {
	old := condition.Version{Commit: "0badcafe00", Images: []string{"app:9f9f9f9"}}
	target := rollout.Target{Containers: rollout.NamedOf(map[string]rollout.Container{"app": {Tag: "1a2b3c4"}})}
	at := func(k rollout.Kind, s rollout.Stage) rollout.Record {
		return rollout.Record{Good: &rollout.Good{}, Rollout: &rollout.Rollout{Kind: k, Stage: s, Target: target, Deployment: &rollout.Deployment{ID: "ecs-svc/1"}}}
	}
	migrationFailed := at(rollout.KindDeploy, rollout.StageEvidence)
	migrationFailed.Rollout.Deployment = nil
	first := at(rollout.KindDeploy, rollout.StageRoll)
	first.Good = nil
	tests := []struct {
		rec  rollout.Record
		want string
	}{
		{rollout.Record{Good: &rollout.Good{}}, "9f9f9f9 (0badcaf)"},
		{migrationFailed, "9f9f9f9 (0badcaf)"},
		{at(rollout.KindDeploy, rollout.StageRoll), "1a2b3c4 is replacing 9f9f9f9 (0badcaf)"},
		{at(rollout.KindDeploy, rollout.StageBake), "1a2b3c4, on trial"},
		{at(rollout.KindDeploy, rollout.StageEvidence), "1a2b3c4, which failed"},
		{at(rollout.KindRevert, rollout.StageRoll), "1a2b3c4 is being put back"},
		{first, "1a2b3c4 is being started"},
		{rollout.Record{Drift: &rollout.Drift{TaskDefinition: "arn:aws:ecs:x:1:task-definition/orders:6"}}, "orders:6, which git did not ask for"},
	}
	for _, tt := range tests {
		if got := runsWords(&status.View{Record: tt.rec, Status: condition.Status{Running: old}}); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
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
		{"about to migrate", Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageRegister}, []stage{{Name: "validate", Mark: "done"}, {Name: "register", Mark: "now", Took: 30 * time.Second}, {Name: "migrate", Mark: "open"}, {Name: "roll", Mark: "open"}, {Name: "verify", Mark: "open"}, {Name: "bake", Mark: "open"}}},
		{"without migration", Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageRoll, Spans: registered}, []stage{{Name: "validate", Mark: "done"}, {Name: "register", Mark: "done", Took: 10 * time.Second}, {Name: "roll", Mark: "now", Took: 30 * time.Second}, {Name: "verify", Mark: "open"}, {Name: "bake", Mark: "open"}}},
		{"a check has not passed", Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageBake, Spans: registered, BakeFrom: at.Add(40 * time.Second), Readings: []observed.Reading{{Verdict: observed.NoData}}},
			[]stage{{Name: "validate", Mark: "done"}, {Name: "register", Mark: "done", Took: 10 * time.Second}, {Name: "verify", Mark: "now", Took: 30 * time.Second}, {Name: "bake", Mark: "open"}}},
		{"baking", Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageBake, Spans: registered, BakeFrom: at.Add(40 * time.Second), BakeUntil: at.Add(time.Hour), Readings: []observed.Reading{{Verdict: observed.Pass}}},
			[]stage{{Name: "validate", Mark: "done"}, {Name: "register", Mark: "done", Took: 10 * time.Second}, {Name: "verify", Mark: "done", Took: 10 * time.Second}, {Name: "bake", Mark: "now", Took: 20 * time.Second, Until: at.Add(time.Hour)}}},
		{"failed before the bake", Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageEvidence, Spans: registered}, []stage{{Name: "validate", Mark: "done"}, {Name: "register", Mark: "done", Took: 10 * time.Second}, {Name: "evidence", Mark: "now", Took: 30 * time.Second}}},
		{"revert", Rollout{Kind: rollout.KindRevert, Stage: rollout.StageRoll}, []stage{{Name: "roll", Mark: "now", Took: 30 * time.Second}}},
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
