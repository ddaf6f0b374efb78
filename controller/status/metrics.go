package status

import (
	"runtime"
	"slices"
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
	PassPanicked PassResult = "panicked" // two rules contradict each other: the service stands still
)

// PassResults are all results of a pass.
func PassResults() []PassResult {
	return []PassResult{PassQuiet, PassActed, PassConflict, PassFailed, PassPanicked}
}

// rolloutSeconds are the buckets for what takes minutes; the last one lies above every deadline's default and above the
// thresholds of the alert rules, so that an alert on a quantile can fire.
var rolloutSeconds = []float64{5, 15, 30, 60, 120, 180, 300, 450, 600, 900, 1200, 1800, 2700, 3600, 7200}

// waitSeconds are the buckets of waits: a window opens after hours, or after a weekend.
var waitSeconds = []float64{15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 57600, 86400, 172800, 345600}

var fetchSeconds = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30}

// detectSeconds are the buckets of the time from a commit to its taking over: a webhook takes seconds, a poll its interval.
var detectSeconds = []float64{1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800}
var passSeconds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// metrics counts what happened. What is true now is read off the snapshot at scrape instead (collector).
type metrics struct {
	shown                                          *names
	rollouts, reverts, migrations, drift, failures *counters // by service
	checks, passes, fetches                        *prometheus.CounterVec
	unwritten                                      prometheus.Counter
	rolloutTime, stageTime, revertTime, passTime   *prometheus.HistogramVec
	waitTime, lead, restore                        *prometheus.HistogramVec
	fetchTime, detectTime                          prometheus.Observer
}

func newMetrics(reg prometheus.Registerer, env string, build Build) *metrics {
	all := promauto.With(reg)
	ours := prometheus.WrapRegistererWith(prometheus.Labels{"environment": env}, reg)
	here := promauto.With(ours)
	counter := func(f promauto.Factory, name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(f promauto.Factory, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return f.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &metrics{
		shown:  &names{services: map[string]struct{}{}},
		checks: counter(here, "deploy_verification_checks_total", "Readings of checks while a rollout bakes.", "check", "result"),

		waitTime: histogram(here, "deploy_rollout_wait_duration_seconds", "Time that a rollout was held back before it began.", waitSeconds, "reason"),
		lead:     histogram(here, "deploy_change_lead_time_seconds", "Time from the commit that a change was made by to its verdict good, where that commit is known.", leadSeconds),
		restore:  histogram(here, "deploy_restore_duration_seconds", "Time from the verdict on a failed rollout to the end of what put the service right.", rolloutSeconds, "via"),

		rolloutTime: histogram(here, "deploy_rollout_duration_seconds", "Time from a rollout's beginning to its end.", rolloutSeconds, "result"),
		stageTime:   histogram(here, "deploy_rollout_stage_duration_seconds", "Time that one stage of a rollout took.", rolloutSeconds, "stage"),
		revertTime:  histogram(here, "deploy_revert_duration_seconds", "Time from a revert's beginning to its end.", rolloutSeconds, "result"),

		passes:   counter(all, "deploy_reconcile_total", "Passes over a service.", "result"),
		passTime: histogram(all, "deploy_reconcile_duration_seconds", "Time that one pass over one service took.", passSeconds),
		fetches:  counter(all, "deploy_git_fetch_total", "Fetches of the repository.", "result"),
	}
	m.count()
	m.unwritten = all.NewCounter(prometheus.CounterOpts{Name: "deploy_ledger_write_failures_total", Help: "Writes that the ledger's disk did not take."})
	for _, r := range PassResults() {
		m.passes.WithLabelValues(string(r))
	}
	m.fetches.WithLabelValues("ok")
	m.fetches.WithLabelValues("error")
	m.fetchTime = histogram(all, "deploy_git_fetch_duration_seconds", "Time of one look at the repository, retries included.", fetchSeconds).WithLabelValues()
	m.detectTime = histogram(all, "deploy_commit_detection_seconds", "Time from a commit to its being taken over.", detectSeconds).WithLabelValues()
	m.begin()
	all.NewGaugeVec(prometheus.GaugeOpts{Name: "deploy_build_info", Help: "Which controller this is."},
		[]string{"version", "revision", "goversion"}).WithLabelValues(build.Version, build.Revision, runtime.Version()).Set(1)
	return m
}

// begin shows at zero what carries no service.
func (m *metrics) begin() {
	for _, check := range checks() {
		for _, v := range verdicts {
			m.checks.WithLabelValues(check, v)
		}
	}
	for _, reason := range waits {
		m.waitTime.WithLabelValues(reason)
	}
	for _, r := range slices.Concat(deployResults, backResults) {
		m.rolloutTime.WithLabelValues(string(r))
	}
	for _, r := range []rollout.Result{rollout.ResultReverted, rollout.ResultRevertFailed} {
		m.revertTime.WithLabelValues(string(r))
	}
	for _, s := range []rollout.Stage{rollout.StageRegister, rollout.StageMigrate, rollout.StageRoll, rollout.StageBake, rollout.StageEvidence} {
		m.stageTime.WithLabelValues(string(s))
	}
	m.lead.WithLabelValues()
	for _, via := range []string{viaRevert, viaForward} {
		m.restore.WithLabelValues(via)
	}
}

// count makes the counters that carry a service.
func (m *metrics) count() {
	var rollouts [][]string
	for _, r := range deployResults {
		rollouts = append(rollouts, []string{string(r), triggerGit}, []string{string(r), triggerOther})
	}
	for _, r := range backResults {
		rollouts = append(rollouts, []string{string(r), triggerOther})
	}
	m.rollouts = newCounters(m.shown, "deploy_rollouts_total", "Rollouts that ended.", []string{"result", "trigger"}, rollouts...)
	m.reverts = newCounters(m.shown, "deploy_reverts_total", "Reverts to the last good revision that came true, by what made them necessary.", []string{"cause"}, each(causes)...)
	m.migrations = newCounters(m.shown, "deploy_migrations_total", "Database migrations that ended.", []string{"result"}, each(migrationResults)...)
	m.drift = newCounters(m.shown, "deploy_drift_total", "Deployments that git did not ask for: found, and put right.", []string{"action"}, each(driftActions)...)
	m.failures = newCounters(m.shown, "deploy_change_failures_total", "Changes that were rejected, once for each change.", nil, nil)
}

// each is a combination for each value of one label.
func each(values []string) (combos [][]string) {
	for _, v := range values {
		combos = append(combos, []string{v})
	}
	return combos
}

func (m *metrics) byService() []*counters {
	return []*counters{m.rollouts, m.reverts, m.migrations, m.drift, m.failures}
}

// known shows the counters of a service at zero.
func (m *metrics) known(service string) {
	m.shown.know(service)
}

// forget takes the service's counters away.
func (m *metrics) forget(service string) {
	m.shown.forget(service)
	for _, c := range m.byService() {
		c.forget(service)
	}
}

func (m *metrics) finished(e rollout.Entry, cause string) {
	m.known(e.Service)
	result := string(e.Result)
	m.rollouts.inc(e.Service, result, triggerOf(e))
	took := e.EndedAt.Sub(e.StartedAt).Seconds()
	m.rolloutTime.WithLabelValues(result).Observe(took)
	for _, s := range e.Spans {
		m.stageTime.WithLabelValues(string(s.Stage)).Observe(s.To.Sub(s.From).Seconds())
	}
	if r := migrationResult(e.Migration); r != "" {
		m.migrations.inc(e.Service, r)
	}
	if e.Kind == rollout.KindRevert {
		m.revertTime.WithLabelValues(result).Observe(took)
	}
	switch e.Result {
	case rollout.ResultReverted:
		m.reverts.inc(e.Service, cause)
	case rollout.ResultRestored:
		m.drift.inc(e.Service, "corrected")
	case rollout.ResultRejected:
		// A retry or a changed template is the same change once more.
		if triggerOf(e) == triggerGit {
			m.failures.inc(e.Service)
		}
	}
}

// judged counts the readings of one look at a rollout that bakes.
func (m *metrics) judged(old, v *View) {
	ro := v.Record.Rollout
	if ro == nil || ro.Stage != rollout.StageBake {
		return
	}
	if old != nil && old.Record.Rollout != nil && old.Record.Rollout.WatchedAt.Equal(ro.WatchedAt) {
		return // nobody looked meanwhile
	}
	for _, r := range ro.Readings {
		m.checks.WithLabelValues(r.Check, verdicts[r.Verdict]).Inc()
	}
}

// waited measures a wait that is over.
func (m *metrics) waited(old, v *View) {
	if old == nil || old.Record.State == v.Record.State {
		return
	}
	if reason, waited := waits[old.Record.State]; waited && !old.Record.Since.IsZero() {
		m.waitTime.WithLabelValues(reason).Observe(max(0, v.Record.Since.Sub(old.Record.Since).Seconds()))
	}
}

// Pass counts one pass over one service.
func (b *Board) Pass(result PassResult, took time.Duration) {
	b.metrics.passes.WithLabelValues(string(result)).Inc()
	b.metrics.passTime.WithLabelValues().Observe(took.Seconds())
}
