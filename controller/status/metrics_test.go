package status_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/canteen/deploy/controller/condition"
	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/events"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/queue"
	"github.com/canteen/deploy/controller/rollout"
	"github.com/canteen/deploy/controller/status"
)

// seriesMax is how many series one service may cost.
const seriesMax = 45

// full is a view with every optional fact.
func full(name string) status.View {
	at := time.Unix(1_800_000_000, 0)
	v := view(name, condition.PhaseHealthy, "fine")
	v.Status.Since = at
	v.Status.Conditions = []condition.Condition{{Type: condition.Ready, Status: condition.True}, {Type: condition.Healthy, Status: condition.False}}
	v.Record.Good = &rollout.Good{At: at}
	v.Record.Rejected = []rollout.Rejection{{Ask: "v1:x", At: at.Add(time.Hour), Check: "logs", Rollout: 6}}
	v.Record.Intent = &rollout.Intent{Service: desired.Service{
		Metadata: desired.Metadata{Labels: map[string]string{"team": "ordering"}},
		Spec:     desired.ServiceSpec{Suspend: &desired.Override{Until: at.Add(2 * time.Hour)}},
	}}
	v.Observed = new(status.Observe(observed.Service{ARN: "arn:aws:ecs:eu-central-1:123456789012:service/shop/" + name, Desired: 2, Running: 2}))
	return v
}

// value returns the value of the one series with the name and labels.
func value(t *testing.T, reg prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue series
				}
			}
			switch {
			case m.Counter != nil:
				return m.GetCounter().GetValue()
			case m.Histogram != nil:
				return float64(m.GetHistogram().GetSampleCount())
			default:
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no series %s%v", name, labels)
	return 0
}

// seriesOf counts the series that carry the service.
func seriesOf(t *testing.T, reg prometheus.Gatherer, service string) int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "service" && l.GetValue() == service {
					n++
				}
				if l.GetName() == "service" && m.Histogram != nil {
					t.Errorf("the histogram %s carries a service", f.GetName())
				}
			}
		}
	}
	return n
}

func TestMetricsFollowTheConventions(t *testing.T) {
	b, reg := board(t)
	b.Publish(full("orders"))
	b.Repo(status.RepoView{Head: desired.Commit{SHA: "1", At: time.Unix(1, 0)}, FetchedAt: time.Unix(2, 0)})
	b.Queue(queue.New().Stats)
	b.Pass(status.PassActed, time.Second)
	b.Finished(rollout.Entry{Service: "orders", Number: 1, Kind: rollout.KindRevert, Result: rollout.ResultReverted, Spans: []rollout.Span{{Stage: rollout.StageRoll}}})
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Whatever happens to a service, it costs no series more.
func TestSeriesBudget(t *testing.T) {
	b, reg := board(t)
	b.Publish(full("orders"))
	before := seriesOf(t, reg, "orders")
	number := 0
	ended := func(e rollout.Entry) {
		number++
		e.Service, e.Number = "orders", number
		b.Finished(e)
	}
	for _, kind := range []rollout.Kind{rollout.KindDeploy, rollout.KindRevert, rollout.KindRestore, rollout.KindUndo} {
		for _, trigger := range []rollout.Trigger{rollout.TriggerGit, rollout.TriggerRetry, rollout.TriggerTemplate, rollout.TriggerSecret, rollout.TriggerDrift, rollout.TriggerFailure} {
			for _, result := range []rollout.Result{rollout.ResultSucceeded, rollout.ResultRejected, rollout.ResultReverted, rollout.ResultRestored,
				rollout.ResultRevertFailed, rollout.ResultBlocked, rollout.ResultStalled, rollout.ResultSuperseded} {
				if back := kind != rollout.KindDeploy; back == (result == rollout.ResultSucceeded || result == rollout.ResultRejected || result == rollout.ResultBlocked) {
					continue // a way back has no verdict on a change, and a change none on a way back
				}
				if kind == rollout.KindDeploy && (result == rollout.ResultReverted || result == rollout.ResultRestored || result == rollout.ResultRevertFailed) {
					continue
				}
				for _, check := range []string{"steady", "targets", "logs", "alarms", "migration", "request"} {
					for _, reason := range []string{"Crashed", "DeploymentFailed", "DeadlineExceeded"} {
						ended(rollout.Entry{Kind: kind, Trigger: trigger, Result: result, Migration: "failed", Evidence: &rollout.Evidence{Check: check, Reason: reason}})
					}
				}
			}
		}
	}
	for _, word := range []string{"succeeded", "timeout", "already applied"} {
		ended(rollout.Entry{Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Result: rollout.ResultSucceeded, Migration: word})
	}
	v := full("orders")
	v.Status.Phase, v.Record.Drift = condition.PhaseDrifted, &rollout.Drift{Deployment: "ecs-svc/1", Since: time.Now()}
	b.Publish(v)
	if n := seriesOf(t, reg, "orders"); n > seriesMax || n != before {
		t.Errorf("%d series for one service to which everything has happened, and %d before; want the same, and at most %d", n, before, seriesMax)
	}
}

func TestRemovedServiceVanishes(t *testing.T) {
	b, reg := board(t)
	b.Publish(full("orders"))
	b.Publish(full("menu"))
	b.Finished(rollout.Entry{Service: "orders", Number: 1, Result: rollout.ResultSucceeded, Trigger: rollout.TriggerGit})
	b.Remove("orders")
	if n := seriesOf(t, reg, "orders"); n != 0 {
		t.Errorf("%d series of a removed service", n)
	}
	if n := seriesOf(t, reg, "menu"); n == 0 {
		t.Error("the other service's series are gone too")
	}
}

func TestStateGauges(t *testing.T) {
	b, reg := board(t)
	b.Publish(full("orders"))
	at := float64(1_800_000_000)
	tests := []struct {
		name   string
		labels []string
		want   float64
	}{
		{"deploy_service_info", []string{"environment", "dev", "ecs_cluster", "shop", "region", "eu-central-1", "account", "123456789012", "team", "ordering"}, 1},
		{"deploy_service_phase", []string{"phase", "Healthy"}, 1},
		{"deploy_service_ready", nil, 1},
		{"deploy_service_healthy", nil, 0},
		{"deploy_service_synced", nil, 0},
		{"deploy_service_phase_start_timestamp_seconds", nil, at},
		{"deploy_service_last_good_timestamp_seconds", nil, at},
		{"deploy_service_last_deploy_timestamp_seconds", nil, at + 3600},
		{"deploy_service_suspend_expiry_timestamp_seconds", nil, at + 7200},
		{"deploy_service_tasks", []string{"state", "running"}, 2},
		{"deploy_service_tasks", []string{"state", "pending"}, 0},
		{"deploy_rejected_revisions", nil, 1},
		{"deploy_invalid_manifests", nil, 0},
		{"deploy_build_info", []string{"version", "v1.2.3", "revision", "abc"}, 1},
		{"deploy_rollouts_total", []string{"service", "orders", "result", "revert_failed"}, 0},
		{"deploy_change_failures_total", []string{"service", "orders"}, 0},
	}
	for _, tt := range tests {
		if got := value(t, reg, tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s%v is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	if n := count(t, reg, "deploy_service_phase"); n != 1 {
		t.Errorf("%d phases are told, want exactly one", n)
	}
}

func TestFinishedCountsOnce(t *testing.T) {
	b, reg := board(t)
	b.Publish(full("orders"))
	at := time.Unix(1_800_000_000, 0)
	rejected := rollout.Entry{
		Service: "orders", Number: 8, Kind: rollout.KindDeploy, Trigger: rollout.TriggerGit, Result: rollout.ResultRejected,
		StartedAt: at, EndedAt: at.Add(time.Minute), Migration: "already applied",
		Spans:    []rollout.Span{{Stage: rollout.StageRoll, From: at, To: at.Add(40 * time.Second)}},
		Evidence: &rollout.Evidence{Check: "targets"},
	}
	reverted := rollout.Entry{Service: "orders", Number: 9, Kind: rollout.KindRevert, Trigger: rollout.TriggerFailure, Result: rollout.ResultReverted, StartedAt: at, EndedAt: at.Add(30 * time.Second)}
	again := rollout.Entry{Service: "orders", Number: 10, Kind: rollout.KindDeploy, Trigger: rollout.TriggerRetry, Result: rollout.ResultRejected}
	restored := rollout.Entry{Service: "orders", Number: 11, Kind: rollout.KindRestore, Trigger: rollout.TriggerDrift, Result: rollout.ResultRestored}
	for _, e := range []rollout.Entry{rejected, rejected, reverted, rejected, again, restored, restored} {
		b.Finished(e)
	}
	tests := []struct {
		name   string
		labels []string
		want   float64
	}{
		{"deploy_rollouts_total", []string{"result", "rejected", "trigger", "git"}, 1},
		{"deploy_rollouts_total", []string{"result", "rejected", "trigger", "other"}, 1},
		{"deploy_rollouts_total", []string{"result", "reverted", "trigger", "other"}, 1},
		{"deploy_reverts_total", []string{"cause", "alb_targets"}, 1},
		{"deploy_reverts_total", []string{"cause", "log_pattern"}, 0},
		{"deploy_migrations_total", []string{"result", "skipped_already_applied"}, 1},
		{"deploy_change_failures_total", nil, 1},
		{"deploy_drift_total", []string{"action", "corrected"}, 1},
		{"deploy_rollout_duration_seconds", []string{"environment", "dev", "result", "rejected"}, 2},
		{"deploy_rollout_stage_duration_seconds", []string{"stage", "roll"}, 1},
		{"deploy_revert_duration_seconds", []string{"result", "reverted"}, 1},
	}
	for _, tt := range tests {
		if got := value(t, reg, tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s%v is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
}

// After a restart the failed rollout's own entry was never told here: the verdict in the record says why.
func TestRevertCauseAfterRestart(t *testing.T) {
	b, reg := board(t)
	b.Publish(full("orders")) // rejected in rollout 6 by the check of logs
	b.Finished(rollout.Entry{Service: "orders", Number: 7, Kind: rollout.KindRevert, Trigger: rollout.TriggerFailure, Result: rollout.ResultReverted})
	if got := value(t, reg, "deploy_reverts_total", "cause", "log_pattern"); got != 1 {
		t.Errorf("%v reverts because of the log, want 1", got)
	}
}

func TestMigrationResults(t *testing.T) {
	for word, want := range map[string]string{"succeeded": "succeeded", "failed": "failed", "timeout": "timeout", "timed out": "timeout", "already applied": "skipped_already_applied"} {
		b, reg := board(t)
		b.Finished(rollout.Entry{Service: "a", Number: 1, Migration: word})
		if got := value(t, reg, "deploy_migrations_total", "result", want); got != 1 {
			t.Errorf("%q counts %v as %s, want 1", word, got, want)
		}
	}
}

func TestRevertCauses(t *testing.T) {
	tests := []struct{ check, reason, want string }{
		{"steady", "Crashed", "ecs_crash"},
		{"steady", "DeploymentFailed", "ecs_stability"},
		{"steady", "RolledBackByECS", "ecs_stability"},
		{"steady", "DeadlineExceeded", "timeout"},
		{"targets", "TargetsUnhealthy", "alb_targets"},
		{"targets", "NoData", "timeout"},
		{"logs", "ForbiddenLogLine", "log_pattern"},
		{"alarms", "AlarmRed", "cw_alarm"},
		{"migration", "MigrationFailed", "migration"},
		{"request", "Refused", "other"},
	}
	for _, tt := range tests {
		t.Run(tt.check+" "+tt.reason, func(t *testing.T) {
			b, reg := board(t)
			b.Finished(rollout.Entry{Service: "a", Number: 1, Result: rollout.ResultRejected, Evidence: &rollout.Evidence{Check: tt.check, Reason: tt.reason}})
			b.Finished(rollout.Entry{Service: "a", Number: 2, Kind: rollout.KindRevert, Result: rollout.ResultReverted})
			if got := value(t, reg, "deploy_reverts_total", "cause", tt.want); got != 1 {
				t.Errorf("%v reverts because of %s, want 1", got, tt.want)
			}
		})
	}
}

func TestDriftIsReportedOnce(t *testing.T) {
	b, reg := board(t)
	v := full("orders")
	b.Publish(v)
	v.Record.Drift = &rollout.Drift{Deployment: "ecs-svc/1", Since: time.Now()}
	for range 3 {
		b.Publish(v)
	}
	v.Record.Drift = &rollout.Drift{Deployment: "ecs-svc/2", Since: time.Now()}
	b.Publish(v)
	old := full("menu") // drifted before this process began
	old.Record.Drift = &rollout.Drift{Deployment: "ecs-svc/3", Since: time.Unix(1, 0)}
	b.Publish(old)
	if got := value(t, reg, "deploy_drift_total", "service", "orders", "action", "reported"); got != 2 {
		t.Errorf("%v reported, want 2", got)
	}
	if got := value(t, reg, "deploy_drift_total", "service", "menu", "action", "reported"); got != 0 {
		t.Errorf("%v reported that began before this process, want 0", got)
	}
}

func TestControllerMetrics(t *testing.T) {
	b, reg := board(t)
	b.Pass(status.PassFailed, time.Second)
	b.Repo(status.RepoView{Head: desired.Commit{SHA: "1", At: time.Unix(5, 0)}, FetchedAt: time.Unix(9, 0)})
	b.Repo(status.RepoView{Error: "timeout"})
	b.Queue(func() queue.Stats { return queue.Stats{Queued: 9, Due: 2, Oldest: time.Now().Add(-time.Minute)} })
	b.Paused(func() *rollout.Pause { return &rollout.Pause{Reason: rollout.StateMassChange, Count: 12, Of: 20} })
	tests := []struct {
		name   string
		labels []string
		want   float64
	}{
		{"deploy_reconcile_total", []string{"result", "failed"}, 1},
		{"deploy_reconcile_total", []string{"result", "quiet"}, 0},
		{"deploy_reconcile_duration_seconds", nil, 1},
		{"deploy_git_fetch_total", []string{"result", "ok"}, 1},
		{"deploy_git_fetch_total", []string{"result", "error"}, 1},
		{"deploy_git_last_success_timestamp_seconds", nil, 9},
		{"deploy_git_head_commit_timestamp_seconds", nil, 5},
		{"deploy_queue_depth", nil, 2},
		{"deploy_paused_services", []string{"reason", "MassChange"}, 12},
		{"deploy_paused_services", []string{"reason", "ManyMissing"}, 0},
	}
	for _, tt := range tests {
		if got := value(t, reg, tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s%v is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	if got := value(t, reg, "deploy_queue_oldest_age_seconds"); got < 59 || got > 120 {
		t.Errorf("the oldest has waited %v s, want about 60", got)
	}
}

// A sweep must not pay for the number of services with each one of them.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			board, _ := board(b)
			for i := range n {
				board.Publish(view(fmt.Sprintf("s%05d", i), condition.PhaseHealthy, "fine"))
			}
			v := view("s00500", condition.PhaseHealthy, "fine")
			for b.Loop() {
				board.Publish(v)
			}
		})
	}
}

func BenchmarkScrape(b *testing.B) {
	reg := prometheus.NewRegistry()
	board := status.New(reg, "dev", status.Build{}, zaptest.NewLogger(b))
	for i := range 1_000 {
		board.Publish(full(fmt.Sprintf("s%05d", i)))
	}
	for b.Loop() {
		if _, err := reg.Gather(); err != nil {
			b.Fatal(err)
		}
		if err := board.Visit(func(*dto.MetricFamily) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// Every kind with every outcome is there from the beginning, so that the first one is an increase; the gauges are only told by the
// controller that reads the queue.
func TestEventMetrics(t *testing.T) {
	b, reg := board(t)
	state := events.New("https://sqs.eu-central-1.amazonaws.com/123456789012/x", zap.NewNop()).State()
	b.Events(func() events.State { return state })
	for _, k := range events.Kinds() {
		for _, o := range events.Outcomes() {
			if got := value(t, reg, "deploy_events_total", "kind", string(k), "outcome", string(o)); got != 0 {
				t.Errorf("%s %s is %v", k, o, got)
			}
		}
	}
	if n := count(t, reg, "deploy_events_readable", "deploy_events_slow_sweep", "deploy_events_oldest_age_seconds"); n != 0 {
		t.Errorf("a standby tells %d gauges of a queue that it does not read", n)
	}
	state.Listens, state.Slow, state.Behind, state.LastAt, state.Missed = true, true, 90*time.Second, time.Unix(7, 0), 2
	for name, want := range map[string]float64{
		"deploy_events_readable": 1, "deploy_events_slow_sweep": 1, "deploy_events_oldest_age_seconds": 90, "deploy_events_last_timestamp_seconds": 7, "deploy_events_missed_total": 2,
	} {
		if got := value(t, reg, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	state.Error = "denied"
	if got := value(t, reg, "deploy_events_readable"); got != 0 {
		t.Errorf("a queue that cannot be read: %v", got)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// count is how many series of the named metrics there are.
func count(t *testing.T, reg prometheus.Gatherer, names ...string) int {
	t.Helper()
	n, err := testutil.GatherAndCount(reg, names...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
