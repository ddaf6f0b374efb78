package condition

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/rollout"
)

const reasonsFile = "../../docs/reasons.md"

// The document is written of the table.
func TestReasons(t *testing.T) {
	var doc strings.Builder
	doc.WriteString("# The reasons of conditions\n\nEvery reason that a condition can have for which somebody must do something, and what. The status's `next` says the same. Reasons under which\n" +
		"nobody is needed, or for which the [sentence](sentences.md) says what to do, are not here. Written by a test: `go test ./controller/condition -run TestReasons -update`.\n\n| reason | what to do |\n|---|---|\n")
	for _, r := range Reasons() {
		if step := Step(r); step != "" {
			fmt.Fprintf(&doc, "| %s | %s |\n", r, step)
			if !strings.HasSuffix(step, ".") || strings.HasPrefix(step, "Nothing") {
				t.Errorf("%s: %q is no step", r, step)
			}
		}
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(reasonsFile, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(reasonsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), doc.String()); diff != "" {
		t.Errorf("the reasons differ from docs/reasons.md; if that is meant, run\ngo test ./controller/condition -run TestReasons -update\n%s", diff)
	}
}

// Every word that a failed call, a stopped task, a failure of the reasoning's or a check can give is a reason.
func TestReasonsAreAll(t *testing.T) {
	words := fault.Reasons()
	for _, file := range []string{"../rollout/stopped.go", "../health/steady/cause.go", "../health/steady/steady.go", "../health/targets/targets.go", "../health/logs/logs.go",
		"../health/alarms/alarms.go", "../rollout/conclude.go", "../rollout/tags.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := written.FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s has no reason; the search is broken", file)
		}
		for _, m := range found {
			words = append(words, m[1])
		}
	}
	words = slices.DeleteFunc(words, func(w string) bool { return slices.Contains(codes, w) || w == "Complete" || w == "RepoUri" })
	for _, w := range words {
		if closed(w) != w {
			t.Errorf("%s is given as a reason, and is none", w)
		}
	}
	if len(words) < 80 {
		t.Errorf("found %d words; the search is broken", len(words))
	}
}

// written finds words as the code writes them, and codes of ECS's, which begin with a capital too.
var (
	written = regexp.MustCompile(`"([A-Z]+[a-z][A-Za-z]*)"`)
	codes   = []string{"TaskFailedToStart", "EssentialContainerExited", "ServiceSchedulerInitiated", "SpotInterruption", "TerminationNotice"}
)

// A sentence that blocks a service has a reason of its own.
func TestBlockedSentencesHaveReasons(t *testing.T) {
	doc, err := os.ReadFile("../../docs/sentences.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\w+) \| Blocked \|`).FindAllStringSubmatch(string(doc), -1)
	for _, m := range rows {
		said := m[1]
		rec := rollout.Record{State: rollout.StateBlocked, Said: said, Why: "So it is."}
		switch said {
		case "MayNot":
			rec.Trouble = &rollout.Trouble{Kind: string(fault.Blocked), Code: "AccessDeniedException"}
		case "Blocked":
			rec.Blocked = &rollout.Hold{Reason: "SecretUnavailable"}
		}
		if c := blocked(Input{Record: rec}); c.Status != True || c.Reason == "Waiting" || closed(c.Reason) != c.Reason {
			t.Errorf("%s: %s because %s", said, c.Status, c.Reason)
		}
	}
	if len(rows) < 10 {
		t.Errorf("found %d sentences; the search is broken", len(rows))
	}
}

// Each class has a condition of its own, while it lasts and once it was judged.
func TestClassesAreToldApart(t *testing.T) {
	flight := func(class observed.Class, reason string) Input {
		return Input{Record: rollout.Record{State: rollout.StateBaking, Rollout: &rollout.Rollout{Kind: rollout.KindDeploy, Stage: rollout.StageBake,
			Readings: []observed.Reading{{Check: "logs", Verdict: observed.NoData, Class: class, Reason: reason, Detail: "why"}}}}}
	}
	for name, tt := range map[string]struct {
		in   Input
		want map[Type]string
	}{
		"blocked, and a check waits":        {flight(observed.ClassBlocked, "AccessDenied"), map[Type]string{Blocked: "True AccessDenied", Verified: "Unknown AccessDenied"}},
		"infrastructure, and a check waits": {flight(observed.ClassInfrastructure, "TasksNotPlaced"), map[Type]string{Blocked: "False NotBlocked", Verified: "Unknown TasksNotPlaced"}},
		"no data yet":                       {flight("", ""), map[Type]string{Blocked: "False NotBlocked", Verified: "Unknown Verifying"}},
		"a word of another version's":       {flight(observed.ClassBlocked, "Perplexed"), map[Type]string{Blocked: "True Other"}},
		"product": {Input{Record: rollout.Record{State: rollout.StateReverted, Rejected: []rollout.Rejection{{Reason: "Crashed"}}}},
			map[Type]string{Verified: "False Crashed", Stalled: "False NotStalled"}},
		"infrastructure, given up": {Input{Record: rollout.Record{State: rollout.StateStalled, Stalled: &rollout.Stall{Reason: "NetworkTimeout"}}},
			map[Type]string{Stalled: "True NetworkTimeout", Verified: "Unknown Inconclusive", Blocked: "False NotBlocked"}},
		"nobody can look": {Input{Record: rollout.Record{State: rollout.StateSettled, Trouble: &rollout.Trouble{Kind: string(fault.Throttled), Code: "ThrottlingException"}}},
			map[Type]string{Healthy: "Unknown Throttled"}},
	} {
		s := Of(tt.in)
		for kind, want := range tt.want {
			if c := s.Condition(kind); fmt.Sprint(c.Status, " ", c.Reason) != want {
				t.Errorf("%s: %s is %s %s, want %s", name, kind, c.Status, c.Reason, want)
			}
		}
	}
}
