package status

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/canteen/deploy/controller/rollout"
)

// PassResult is how one pass over one service ended.
type PassResult string

// The results of a pass.
const (
	PassQuiet    PassResult = "quiet"    // nothing was to be done
	PassActed    PassResult = "acted"    // one action was done
	PassConflict PassResult = "conflict" // somebody else had written; it is done again
	PassFailed   PassResult = "failed"   // it is tried again with backoff
)

// PassResults are all results of a pass.
func PassResults() []PassResult {
	return []PassResult{PassQuiet, PassActed, PassConflict, PassFailed}
}

// rolloutSeconds are the buckets for what takes minutes; the last one lies above every deadline's default and above the
// thresholds of the alert rules, so that an alert on a quantile can fire.
var rolloutSeconds = []float64{5, 15, 30, 60, 120, 180, 300, 450, 600, 900, 1200, 1800, 2700, 3600, 7200}

var passSeconds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// The causes of a revert. causeOther is a check that has no cause of its own here.
const (
	causeCrash     = "ecs_crash"
	causeStability = "ecs_stability"
	causeTargets   = "alb_targets"
	causeLog       = "log_pattern"
	causeAlarm     = "cw_alarm"
	causeTimeout   = "timeout"
	causeMigration = "migration"
	causeOther     = "other"
)

// metrics counts what happened. What is true now is read off the snapshot at scrape instead (collector).
type metrics struct {
	rollouts, reverts, migrations, drift, failures *prometheus.CounterVec // by service
	passes, fetches                                *prometheus.CounterVec
	unwritten                                      prometheus.Counter
	rolloutTime, stageTime, revertTime, passTime   *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, env string, build Build) *metrics {
	all := promauto.With(reg)
	here := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"environment": env}, reg))
	counter := func(f promauto.Factory, name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(f promauto.Factory, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return f.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &metrics{
		rollouts:   counter(here, "deploy_rollouts_total", "Rollouts that ended.", "service", "result", "trigger"),
		reverts:    counter(here, "deploy_reverts_total", "Reverts to the last good revision that came true, by what made them necessary.", "service", "cause"),
		migrations: counter(here, "deploy_migrations_total", "Database migrations that ended.", "service", "result"),
		drift:      counter(here, "deploy_drift_total", "Deployments that git did not ask for: found, and put right.", "service", "action"),
		failures:   counter(here, "deploy_change_failures_total", "Changes that were rejected, once for each change.", "service"),

		rolloutTime: histogram(here, "deploy_rollout_duration_seconds", "Time from a rollout's beginning to its end.", rolloutSeconds, "result"),
		stageTime:   histogram(here, "deploy_rollout_stage_duration_seconds", "Time that one stage of a rollout took.", rolloutSeconds, "stage"),
		revertTime:  histogram(here, "deploy_revert_duration_seconds", "Time from a revert's beginning to its end.", rolloutSeconds, "result"),

		passes:   counter(all, "deploy_reconcile_total", "Passes over a service.", "result"),
		passTime: histogram(all, "deploy_reconcile_duration_seconds", "Time that one pass over one service took.", passSeconds),
		fetches:  counter(all, "deploy_git_fetch_total", "Fetches of the repository.", "result"),
	}
	m.unwritten = all.NewCounter(prometheus.CounterOpts{Name: "deploy_ledger_write_failures_total", Help: "Writes that the ledger's disk did not take."})
	for _, r := range PassResults() {
		m.passes.WithLabelValues(string(r))
	}
	m.fetches.WithLabelValues("ok")
	m.fetches.WithLabelValues("error")
	all.NewGaugeVec(prometheus.GaugeOpts{Name: "deploy_build_info", Help: "Which controller this is."},
		[]string{"version", "revision", "goversion"}).WithLabelValues(build.Version, build.Revision, runtime.Version()).Set(1)
	return m
}

// known shows the counters of a service at zero, so that the first failure is an increase. Only what is alerted on is
// shown ahead, for the sake of the number of series.
func (m *metrics) known(service string) {
	for _, r := range []rollout.Result{rollout.ResultSucceeded, rollout.ResultRejected, rollout.ResultStalled, rollout.ResultSuperseded} {
		m.rollouts.WithLabelValues(service, string(r), string(rollout.TriggerGit))
	}
	for _, r := range []rollout.Result{rollout.ResultReverted, rollout.ResultRevertFailed} {
		m.rollouts.WithLabelValues(service, string(r), string(rollout.TriggerFailure))
	}
	for _, c := range []string{causeCrash, causeTargets, causeLog, causeAlarm} {
		m.reverts.WithLabelValues(service, c)
	}
	for _, r := range []string{"failed", "timeout"} {
		m.migrations.WithLabelValues(service, r)
	}
	for _, a := range []string{"reported", "corrected"} {
		m.drift.WithLabelValues(service, a)
	}
	m.failures.WithLabelValues(service)
}

// forget takes the service's counters away.
func (m *metrics) forget(service string) {
	for _, v := range []*prometheus.CounterVec{m.rollouts, m.reverts, m.migrations, m.drift, m.failures} {
		v.DeletePartialMatch(prometheus.Labels{"service": service})
	}
}

func (m *metrics) finished(e rollout.Entry, cause string) {
	m.known(e.Service)
	result := string(e.Result)
	m.rollouts.WithLabelValues(e.Service, result, string(e.Trigger)).Inc()
	took := e.EndedAt.Sub(e.StartedAt).Seconds()
	m.rolloutTime.WithLabelValues(result).Observe(took)
	for _, s := range e.Spans {
		m.stageTime.WithLabelValues(string(s.Stage)).Observe(s.To.Sub(s.From).Seconds())
	}
	if r := migrationResult(e.Migration); r != "" {
		m.migrations.WithLabelValues(e.Service, r).Inc()
	}
	if e.Kind == rollout.KindRevert {
		m.revertTime.WithLabelValues(result).Observe(took)
	}
	switch e.Result {
	case rollout.ResultReverted:
		m.reverts.WithLabelValues(e.Service, cause).Inc()
	case rollout.ResultRestored:
		m.drift.WithLabelValues(e.Service, "corrected").Inc()
	case rollout.ResultRejected:
		// A retry or a changed template is the same change once more.
		if e.Trigger == rollout.TriggerGit {
			m.failures.WithLabelValues(e.Service).Inc()
		}
	}
}

// Pass counts one pass over one service.
func (b *Board) Pass(result PassResult, took time.Duration) {
	b.metrics.passes.WithLabelValues(string(result)).Inc()
	b.metrics.passTime.WithLabelValues().Observe(took.Seconds())
}

// migrationResult is the label for an entry's word on its migration, empty without one.
func migrationResult(word string) string {
	switch word {
	case "":
		return ""
	case "succeeded":
		return "succeeded"
	case "timeout", "timed out":
		return "timeout"
	case "already applied":
		return "skipped_already_applied"
	default:
		return "failed"
	}
}

// causeOf is the label for what condemned a rollout.
func causeOf(check, reason string) string {
	if reason == rollout.ReasonDeadline || reason == rollout.ReasonNoData {
		return causeTimeout
	}
	switch check {
	case rollout.CheckSteady:
		if reason == rollout.ReasonRolledBack || reason == "DeploymentFailed" {
			return causeStability
		}
		return causeCrash
	case "targets":
		return causeTargets
	case "logs":
		return causeLog
	case "alarms":
		return causeAlarm
	case "migration":
		return causeMigration
	default:
		return causeOther
	}
}
