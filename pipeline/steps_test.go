package pipeline

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// steps says of each command that workflows run which test runs it here, or why none can.
var steps = []struct{ command, test, why string }{
	{"pipeline/changes", "TestChanges", ""},
	{"pipeline/gate", "TestGate", ""},
	{"pipeline/image", "TestImages", ""},
	{"pipeline/publish", "TestPublish", ""},
	{"pipeline/copy", "TestCopy", ""},
	{"pipeline/environment", "TestEnvironment", ""},
	{"pipeline/plan", "TestPlanStep", ""},
	{"pipeline/comment", "TestComment", ""},
	{"pipeline/promote", "TestPromoteStep", ""},
	{"pipeline/infra-diff", "TestInfraDiff", ""},
	{"pipeline/infra-environment", "TestInfraEnvironment", ""},
	{"pipeline/copy-controller", "TestCopyController", ""},
	{"pipeline/infra-deploy", "TestInfraDeploy", ""},
	{"pipeline/reviewers", "TestReviewers", ""},
	{"go run ./controller/cmd/controller set-image", "TestFromCommitToTheSecondEnvironment", ""},
	{"go run ./controller/cmd/controller set-controller", "TestSetController", ""},
	{"go run ./controller/cmd/controller validate", "TestValidate", ""},
	{"make build", "TestEnvironment", ""},
	{".ci/run", "", "it runs the tests"},
	{`make "built-$PART"`, "", "it builds what the tests are built of"},
	{"go -C infra test ./...", "", "it runs the tests of infra/, a module of its own"},
	{"pipeline/login", "", "needs ECR's GetAuthorizationToken and a registry that takes its password"},
	{"cosign sign", "", "needs GitHub's OIDC, and Sigstore"},
}

// TestStepsAreScripts: whatever a workflow runs is one command of that list, and takes what strangers may have written by the
// environment, where it is no code.
func TestStepsAreScripts(t *testing.T) {
	used := make(map[string]bool)
	each(t, func(t *testing.T, _ workflow, _ string, j job) {
		for _, s := range j.Steps {
			run := strings.TrimSpace(s.Run)
			switch {
			case run == "":
				continue
			case strings.Contains(run, "\n"):
				t.Errorf("more than a line; make it a script with a test:\n%s", run)
			case strings.Contains(run, "${{"):
				t.Errorf("an expression becomes part of a program: %s", run)
			}
			at := slices.IndexFunc(steps, func(s struct{ command, test, why string }) bool {
				return run == s.command || strings.HasPrefix(run, s.command+" ")
			})
			if at < 0 {
				t.Errorf("no test is known to run this: %s", run)
				continue
			}
			used[steps[at].command] = true
		}
	})
	for _, s := range steps {
		if !used[s.command] {
			t.Errorf("no workflow runs %s", s.command)
		}
		if s.test == "" && s.why == "" {
			t.Errorf("%s: neither a test nor a reason", s.command)
		}
	}
}

// TestStepsHaveTests holds that the tests of the list exist, and that the list for people says the same.
func TestStepsHaveTests(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "grep", "-h", "--untracked", "-o", "-E", `^func Test\w+`, "--", "*_test.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	doc := read(t, "../docs/pipelines.md")
	for _, s := range steps {
		if s.test != "" && !regexp.MustCompile(`(?m)^func `+s.test+`$`).Match(out) {
			t.Errorf("%s: there is no %s", s.command, s.test)
		}
		row := "| `" + s.command + "` | "
		if s.test != "" {
			row += "`" + s.test + "`"
		} else {
			row += "not here: " + s.why
		}
		if !strings.Contains(doc, row+" |\n") {
			t.Errorf("docs/pipelines.md lacks the row\n%s |", row)
		}
	}
}

// TestScripts: each is executable, stops at an error, and is well-formed as far as shellcheck knows.
func TestScripts(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	scripts := []string{"../images/build", "../.ci/run"}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") {
			scripts = append(scripts, e.Name())
		}
	}
	for _, script := range scripts {
		text := read(t, script)
		info, err := os.Stat(script)
		if err != nil || info.Mode()&0o111 == 0 || !strings.HasPrefix(text, "#!/usr/bin/env bash\n# ") || !strings.Contains(text, "\nset -euo pipefail\n") {
			t.Errorf("%s: not executable, without a first comment, or without set -euo pipefail", script)
		}
	}
	tool(t, "shellcheck")
	if out, err := exec.Command("shellcheck", scripts...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
