package pipeline

import (
	"regexp"
	"testing"
)

// TestJobsAreBounded: each ends, on a known machine, and is told apart from others of its kind.
func TestJobsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, w workflow, name string, j job) {
		if j.Timeout < 1 || j.Timeout > 90 {
			t.Errorf("timeout-minutes is %d", j.Timeout)
		}
		if j.RunsOn != "ubuntu-24.04" && name != "promote/open" {
			t.Errorf("it runs on %s", j.RunsOn)
		}
		if w.Concurrency == nil && j.Concurrency == nil {
			t.Error("neither the workflow nor the job has a concurrency group")
		}
	})
}

// TestNobodyWaitsForAnApprovalOfProduction: a run that waits for an approval keeps what it holds, so that a group of the whole workflow would
// keep the other environments waiting, too. Each has a group of its own, and a stack takes one update at a time.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#concurrency
func TestNobodyWaitsForAnApprovalOfProduction(t *testing.T) {
	w := workflows(t)["infra-deploy"]
	if w.Concurrency != nil {
		t.Errorf("all jobs of all runs share %v", w.Concurrency)
	}
	for name, want := range map[string]string{"deploy": "infra-deploy-${{ matrix.environment }}", "production": "infra-deploy-production"} {
		group, _ := w.Jobs[name].Concurrency.(map[string]any)
		if group["group"] != want || group["cancel-in-progress"] != false {
			t.Errorf("%s is in %v, want the group %s, of which none is cancelled", name, group, want)
		}
	}
}

// TestNothingDeploys: workflows build, push and commit. ECS is the controller's alone.
func TestNothingDeploys(t *testing.T) {
	each(t, func(t *testing.T, _ workflow, _ string, j job) {
		for _, s := range j.Steps {
			if regexp.MustCompile(`\becs\b|update-service|register-task-definition|run-task`).MatchString(s.Run + s.Uses.Value) {
				t.Errorf("a step speaks to ECS: %s%s", s.Run, s.Uses.Value)
			}
		}
	})
}
