package status

import (
	"maps"
	"slices"

	"github.com/canteen/deploy/controller/health"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

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

// The closed labels of counters that carry a service. Each combination is shown from the beginning, so that the first occurrence is
// an increase, and a service costs the same whatever happens to it.
var (
	deployResults    = []rollout.Result{rollout.ResultSucceeded, rollout.ResultRejected, rollout.ResultBlocked, rollout.ResultStalled, rollout.ResultSuperseded}
	backResults      = []rollout.Result{rollout.ResultReverted, rollout.ResultRestored, rollout.ResultRevertFailed}
	causes           = []string{causeCrash, causeStability, causeTargets, causeLog, causeAlarm, causeTimeout, causeMigration, causeOther}
	migrationResults = []string{"succeeded", "failed", "timeout", "skipped_already_applied"}
	driftActions     = []string{"reported", "corrected"}
)

// The triggers as they are told: a new word of git, or anything else (a retry, a new template or secret, a way back).
const (
	triggerGit   = "git"
	triggerOther = "other"
)

// waits are the reasons for which a rollout may wait, by the state that tells them.
var waits = map[rollout.State]string{
	rollout.StateWaitingWindow: "window", rollout.StateWaitingConcurrent: "concurrency", rollout.StateWaitingDependency: "dependency",
	rollout.StateWaitingStack: "stack", rollout.StateWaitingLock: "lock", rollout.StateWaitingHealth: "health", rollout.StateMassChange: "confirmation",
}

// checks are those whose readings are counted, steady first as it always runs.
func checks() []string {
	return append([]string{rollout.CheckSteady}, slices.Sorted(maps.Keys(health.Kinds()))...)
}

// verdicts are the labels of readings.
var verdicts = map[observed.Verdict]string{observed.Pass: "pass", observed.Fail: "fail", observed.NoData: "no_data"}

// triggerOf is the label for what began a rollout.
func triggerOf(e rollout.Entry) string {
	if e.Kind == rollout.KindDeploy && e.Trigger == rollout.TriggerGit {
		return triggerGit
	}
	return triggerOther
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

// revertCause is why the revert was necessary. Its own entry rarely says; the failed rollout before it does, or, after
// a restart, the verdict in the record.
func (b *Board) revertCause(e rollout.Entry) string {
	if e.Evidence != nil {
		return causeOf(e.Evidence.Check, e.Evidence.Reason)
	}
	if c, ok := b.causes[e.Service]; ok {
		return c
	}
	if i, ok := find(b.services, e.Service); ok {
		if r := b.services[i].Record.Rejected; len(r) > 0 && r[0].Rollout == e.Number-1 {
			return causeOf(r[0].Check, r[0].Reason)
		}
	}
	return causeOther
}
