package pipeline

import (
	"regexp"
	"slices"
	"strings"
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

// TestImagesAreCommittedWithoutAttesting: private repositories have no attestations on most of GitHub's plans, and an image is signed all the
// same. What fails there would keep it from git.
func TestImagesAreCommittedWithoutAttesting(t *testing.T) {
	attested := 0
	each(t, func(t *testing.T, _ workflow, _ string, j job) {
		for _, s := range j.Steps {
			if strings.HasPrefix(s.Uses.Value, "actions/attest-build-provenance@") {
				attested++
				if s.If != "${{ !github.event.repository.private || vars.ATTEST == 'true' }}" {
					t.Errorf("it attests if %q", s.If)
				}
			}
		}
	})
	if attested != 2 {
		t.Errorf("%d images are attested, want 2", attested)
	}
}

// TestProductionIsReviewed: jobs that change production look first whether somebody had to approve them. Where the plan has no reviewers GitHub
// lets them through without a word.
func TestProductionIsReviewed(t *testing.T) {
	for name, when := range map[string]string{"infra-deploy/production": "vars.PRODUCTION_REVIEWERS != 'none'", "promote/copy": "matrix.environment == 'prod' && vars.PRODUCTION_REVIEWERS != 'none'"} {
		of, in, _ := strings.Cut(name, "/")
		j := workflows(t)[of].Jobs[in]
		at := func(holds func(s step) bool) int { return slices.IndexFunc(j.Steps, holds) }
		look := at(func(s step) bool { return s.Run == "pipeline/reviewers production" })
		role := at(func(s step) bool { return s.With["role-to-assume"] != "" })
		if look < 0 || look > role || j.Steps[look].If != when || j.Steps[look].Env["GITHUB_TOKEN"] != "${{ github.token }}" || j.Permissions["actions"] != "read" {
			t.Errorf("%s takes its role before it knows that it was approved", name)
		}
	}
}
