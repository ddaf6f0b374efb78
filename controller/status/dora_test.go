package status_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// sum is the sum of what a histogram's series has observed, and how often.
func sum(t *testing.T, reg prometheus.Gatherer, name string, labels ...string) (seconds float64, times int) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			if f.GetName() == name && (len(labels) == 0 || have[labels[0]] == labels[1]) {
				return m.GetHistogram().GetSampleSum(), int(m.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no histogram %s%v", name, labels)
	return 0, 0
}

// running is a view of a service in which the tag is good.
func running(tag string) status.View {
	v := full("orders")
	v.Record.Rejected = nil
	v.Record.Good.Target.Containers = rollout.NamedOf(map[string]rollout.Container{"app": {Tag: tag}})
	return v
}

var noon = time.Unix(1_800_000_000, 0)

// deploy is a rollout of a tag, asked for by a commit of the given age, that ended the given time after noon.
func deploy(number int, tag string, result rollout.Result, after time.Duration) rollout.Entry {
	return rollout.Entry{
		Service: "orders", Number: number, Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Result: result, Images: []string{"app:" + tag},
		Commit: desired.Commit{SHA: "c", At: noon.Add(-time.Minute)}, StartedAt: noon, EndedAt: noon.Add(after),
		Spans: []rollout.Span{{Stage: rollout.StageRoll, From: noon, To: noon.Add(after)}},
	}
}

// made are the commits that the images were built of.
func made(tag string) (time.Time, bool) {
	at, ok := map[string]time.Time{"aaaaaaa": noon.Add(-72 * time.Hour), "bbbbbbb": noon.Add(-2 * time.Hour), "ccccccc": noon.Add(-time.Hour)}[tag]
	return at, ok
}

func TestLeadTime(t *testing.T) {
	const hour = 3600.0
	tests := []struct {
		name  string
		ended []rollout.Entry
		want  float64 // of all that were measured
		times int
	}{
		{"from the image's commit", []rollout.Entry{deploy(1, "bbbbbbb", rollout.ResultSucceeded, time.Hour)}, 3 * hour, 1},
		{"from the asking commit, where the image stays", []rollout.Entry{deploy(1, "aaaaaaa", rollout.ResultSucceeded, time.Hour)}, hour + 60, 1},
		{"not known of a foreign image", []rollout.Entry{deploy(1, "1234567", rollout.ResultSucceeded, time.Hour)}, 0, 0},
		{"not of a rejected change", []rollout.Entry{deploy(1, "bbbbbbb", rollout.ResultRejected, time.Hour)}, 0, 0},
		{"the oldest change that was not released counts", []rollout.Entry{
			deploy(1, "bbbbbbb", rollout.ResultSuperseded, time.Minute), deploy(2, "ccccccc", rollout.ResultSucceeded, time.Hour)}, 3 * hour, 1},
		{"each release is measured once", []rollout.Entry{
			deploy(1, "bbbbbbb", rollout.ResultSucceeded, 0), deploy(2, "ccccccc", rollout.ResultSucceeded, 0)}, 3 * hour, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, reg := board(t)
			b.Commits(made)
			b.Publish(running("aaaaaaa"))
			for _, e := range tt.ended {
				b.Finished(e)
			}
			if got, times := sum(t, reg, "deploy_change_lead_time_seconds"); got != tt.want || times != tt.times {
				t.Errorf("%v s in %d changes, want %v in %d", got, times, tt.want, tt.times)
			}
		})
	}
}

// The way back to an older image is a change of the minute in which it was asked for, not one of last week.
func TestLeadTimeOfAWayBack(t *testing.T) {
	b, reg := board(t)
	b.Commits(made)
	b.Publish(running("ccccccc"))
	b.Finished(deploy(1, "aaaaaaa", rollout.ResultSucceeded, time.Minute))
	if got, times := sum(t, reg, "deploy_change_lead_time_seconds"); got != 120 || times != 1 {
		t.Errorf("%v s in %d changes, want 120 in 1", got, times)
	}
}

// Once git asks again for what runs, nobody waits for the change that failed.
func TestLeadTimeForgetsWhatGitTookBack(t *testing.T) {
	b, reg := board(t)
	b.Commits(made)
	b.Publish(running("aaaaaaa"))
	b.Finished(deploy(1, "bbbbbbb", rollout.ResultRejected, time.Minute))
	v := running("aaaaaaa")
	v.Record.State = rollout.StateSettled
	b.Publish(v)
	b.Finished(deploy(2, "ccccccc", rollout.ResultSucceeded, 0))
	if got, _ := sum(t, reg, "deploy_change_lead_time_seconds"); got != 3600 {
		t.Errorf("%v s, want 3600", got)
	}
}

func TestRestoreTime(t *testing.T) {
	failed := func(e rollout.Entry) rollout.Entry {
		e.Evidence = &rollout.Evidence{At: noon, Check: "steady"}
		return e
	}
	untouched := failed(deploy(1, "b", rollout.ResultRejected, time.Minute))
	untouched.Spans = []rollout.Span{{Stage: rollout.StageMigrate}}
	revert := rollout.Entry{Service: "orders", Number: 2, Kind: rollout.KindRevert, Trigger: rollout.TriggerFailure, Result: rollout.ResultReverted, EndedAt: noon.Add(90 * time.Second)}
	broken := revert
	broken.Result = rollout.ResultRevertFailed
	tests := []struct {
		name            string
		ended           []rollout.Entry
		revert, forward float64
	}{
		{"by a revert", []rollout.Entry{failed(deploy(1, "b", rollout.ResultRejected, time.Minute)), revert}, 90, 0},
		{"by a new version", []rollout.Entry{failed(deploy(1, "b", rollout.ResultRejected, time.Minute)), broken, deploy(3, "c", rollout.ResultSucceeded, time.Hour)}, 0, 3600},
		{"a migration that failed had touched nothing", []rollout.Entry{untouched, deploy(3, "c", rollout.ResultSucceeded, time.Hour)}, 0, 0},
		{"nothing was broken", []rollout.Entry{deploy(1, "b", rollout.ResultSucceeded, time.Minute)}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, reg := board(t)
			b.Publish(running("a"))
			for _, e := range tt.ended {
				b.Finished(e)
			}
			back, _ := sum(t, reg, "deploy_restore_duration_seconds", "via", "revert")
			forward, _ := sum(t, reg, "deploy_restore_duration_seconds", "via", "roll_forward")
			if back != tt.revert || forward != tt.forward {
				t.Errorf("%v s by reverts and %v s by new versions, want %v and %v", back, forward, tt.revert, tt.forward)
			}
		})
	}
}

// After a restart the record's verdict says since when.
func TestRestoreTimeAfterRestart(t *testing.T) {
	b, reg := board(t)
	v := running("a")
	v.Record.Rejected = []rollout.Rejection{{At: noon, Check: "logs", Rollout: 6}}
	b.Publish(v)
	b.Finished(rollout.Entry{Service: "orders", Number: 7, Kind: rollout.KindRevert, Result: rollout.ResultReverted, EndedAt: noon.Add(time.Minute)})
	if got, _ := sum(t, reg, "deploy_restore_duration_seconds", "via", "revert"); got != 60 {
		t.Errorf("%v s, want 60", got)
	}
}

// A look that finds a service in its bake counts what each check said; the same look told again does not.
func TestReadingsAreCounted(t *testing.T) {
	b, reg := board(t)
	v := full("orders")
	look := func(at time.Time, stage rollout.Stage, verdict observed.Verdict) {
		v.Record.Rollout = &rollout.Rollout{Stage: stage, WatchedAt: at, Readings: []observed.Reading{{Check: "logs", Verdict: verdict}}}
		b.Publish(v)
	}
	look(noon, rollout.StageRoll, observed.NoData) // nothing is judged yet
	look(noon.Add(1), rollout.StageBake, observed.NoData)
	look(noon.Add(1), rollout.StageBake, observed.NoData)
	look(noon.Add(2), rollout.StageBake, observed.Pass)
	look(noon.Add(3), rollout.StageBake, observed.Pass)
	for result, want := range map[string]float64{"no_data": 1, "pass": 2, "fail": 0} {
		if got := value(t, reg, "deploy_verification_checks_total", "check", "logs", "result", result); got != want {
			t.Errorf("%v readings %s, want %v", got, result, want)
		}
	}
}

func TestWaitsAreMeasured(t *testing.T) {
	b, reg := board(t)
	v := full("orders")
	v.Record.State, v.Record.Since = rollout.StateWaitingWindow, noon
	b.Publish(v)
	b.Publish(v)
	v.Record.State, v.Record.Since = rollout.StateRegistering, noon.Add(time.Hour)
	b.Publish(v)
	if got, times := sum(t, reg, "deploy_rollout_wait_duration_seconds", "reason", "window"); got != 3600 || times != 1 {
		t.Errorf("%v s in %d waits, want 3600 in 1", got, times)
	}
}

// How late a commit was taken over is measured when the head moves, and not of the head that was found at the start.
func TestDetectionIsMeasured(t *testing.T) {
	b, reg := board(t)
	look := func(sha string, late time.Duration) {
		b.Repo(status.RepoView{Head: desired.Commit{SHA: sha, At: noon}, FetchedAt: noon.Add(late), Took: time.Second})
	}
	look("1", time.Hour)
	look("2", 7*time.Second)
	look("2", time.Minute)
	if got, times := sum(t, reg, "deploy_commit_detection_seconds"); got != 7 || times != 1 {
		t.Errorf("%v s in %d commits, want 7 in 1", got, times)
	}
	if got, times := sum(t, reg, "deploy_git_fetch_duration_seconds"); got != 3 || times != 3 {
		t.Errorf("%v s in %d fetches, want 3 in 3", got, times)
	}
}

// All services have been looked at since the oldest of their newest looks.
func TestResyncIsTheOldestLook(t *testing.T) {
	b, reg := board(t)
	for name, at := range map[string]time.Time{"a": noon.Add(time.Minute), "b": noon, "c": {}} {
		v := view(name, condition.PhaseHealthy, "fine")
		v.Observed = &status.Observed{At: at}
		b.Publish(v)
	}
	released := view("gone", condition.PhaseReleased, "its file was removed")
	released.Record.State, released.Observed = rollout.StateReleased, &status.Observed{At: noon.Add(-time.Hour)}
	b.Publish(released)
	if got := value(t, reg, "deploy_last_full_resync_timestamp_seconds"); got != float64(noon.Unix()) {
		t.Errorf("%v, want %v", got, noon.Unix())
	}
}

// promtool is Prometheus' own opinion of the names, types and texts.
func TestPromtoolFindsNothing(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is not installed; Debian's package prometheus has it")
		}
		t.Skip("promtool is not installed; Debian's package prometheus has it")
	}
	b, reg := board(t)
	b.Publish(full("orders"))
	b.Repo(status.RepoView{Head: desired.Commit{SHA: "1", At: noon}, FetchedAt: noon})
	b.Pass(status.PassActed, time.Second)
	b.Finished(deploy(1, "a", rollout.ResultSucceeded, time.Minute))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text.String())
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
