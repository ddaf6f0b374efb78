package rollout

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canteen/deploy/controller/observed"
)

var update = flag.Bool("update", false, "write docs/sentences.md anew")

const sentencesFile = "../../docs/sentences.md"

var (
	opens = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	death = "3 tasks stopped: container AppContainer exited with code 1"
)

// sayings are all sentences, each with what it is likely to be about.
func sayings() map[string][]told {
	stalled := func(reason, message string) told { return sayStalled(Stall{Reason: reason, Message: message}) }
	const why = "AccessDeniedException: User is not authorized to perform this action"
	return map[string][]told{
		"What runs is what is to run": {
			sayRuns("3f9c2d1"), sayRunsLocked("3f9c2d1", "order-db"), sayRunsOnce("3f9c2d1", "image repo@sha256:0ab1… is not in its repository any more"), sayRunsUnproven("3f9c2d1", why), sayGood("3f9c2d1"), sayReverted("8b04e7a", "c51d9e6", death), sayTemplateReported("3f9c2d1"), saySecretsUnseen("3f9c2d1", why), sayReleased(),
		},
		"What cannot be begun": {
			sayNeverValid("orders.yaml:7:11: unknown field imgae; did you mean image?"), sayRegistrySilent(why), sayImageMissing("orders", "3f9c2d1"), saySecretUnreadable("3f9c2d1", "ResourceNotFoundException: Secrets Manager can't find the specified secret"), sayTemplateMissing("orders-dev"),
			sayTemplateUnreadable(why), sayDraining(), sayMissing("orders", observed.StatusInactive, "orders-dev"), sayGoneInRollout("orders", observed.StatusDraining),
			sayGoodUnreadable("it is not known"), sayBlocked("ResourceInitializationError: unable to pull secrets"), sayScaledToZero("3f9c2d1"),
			sayNoWayBack("8b04e7a", "the image sha256:0ab1… is no longer in the registry"), sayWayBackUnknown(why), sayWentBack("8b04e7a", 2), sayGoodLeftBehind("8b04e7a"), sayNoneGood("3f9c2d1", death),
		},
		"What needs a person": {
			stalled(ReasonDeadline, failLate(15*time.Minute, observed.Reading{Detail: "1 of 2 tasks run"}).Message), stalled(ReasonMigrationLost, failMigrationLost("its task is no longer visible and nobody saw its exit code").Message),
			stalled(ReasonRevertFailed, "putting 8b04e7a back did not come true: "+death), stalled(ReasonTemplateRejected, "8b04e7a, which was good before, fails on the new template orders-template:4: "+death),
			stalled(ReasonSecretRejected, "8b04e7a, which was good before, fails with the new value of a secret: "+death),
			stalled(ReasonFrozen, death+"; nothing is put back because onFailure is freeze or a breaking migration came between"),
		},
		"What is waited for": {
			sayStackBusy("orders-dev", "UPDATE_IN_PROGRESS"), sayHeld("ops", opens), saySuspended("kitchen", opens, "the menu is being printed"), sayWindow("3f9c2d1", opens), sayDependency("3f9c2d1", "menus"),
			sayCrowded("3f9c2d1", 2), sayPaused(Pause{Reason: StateMassChange, Commit: "a9d7713f00", Count: 812, Gone: 700, Of: 1000, Share: 50}),
			sayPaused(Pause{Reason: StateManyMissing, Count: 640, Of: 1000, Share: 50}), sayLockTaken("3f9c2d1", "order-db", "menus"), sayLockLost("3f9c2d1", "order-db"), sayLockUnknown("3f9c2d1", "order-db"), sayUnhealthyBefore("3f9c2d1", "alarm orders-dev-5xx is red already"),
		},
		"What is being done": {
			sayRegisters("3f9c2d1"), sayMigrates("3f9c2d1"), sayMigrationRuns("3f9c2d1"), sayMigrationUnseen("ServerException"), sayMigrationTooLong("3f9c2d1", 10*time.Minute),
			sayMigrationAgain("Timeout waiting for network interface provisioning to complete"), sayMigrationPauses("3f9c2d1", opens), sayRolls("3f9c2d1"), sayTakesOver("3f9c2d1"), sayBakes("3f9c2d1", opens),
			sayBakeWaits("3f9c2d1", "logs", `no log line matches the required pattern "listening" yet`), sayFails("c51d9e6", death), sayReverts("8b04e7a", death), sayRestores("8b04e7a"), sayRestoresDrift("8b04e7a"),
			sayServesAgain("8b04e7a"), sayCountBack(0), saySuperseded("3f9c2d1", "a9d7713"), sayWritesDown("what was good, rejected, migrated and left behind", StateWritingDown), sayOlderLedger(), sayMoves("orders-next"), sayServingUnreadable(why), sayUnsound("3f9c2d1", "its migration has not succeeded"),
		},
		"What somebody else deployed": {
			sayDriftReported("orders:41", "8b04e7a"), sayDriftSeen("orders:41", "8b04e7a", 10*time.Minute), sayDriftLeft("orders:41", "8b04e7a", "alarm orders-dev-5xx is red already"),
		},
		"Which calls fail": {sayCouldNot("look at the account", "ThrottlingException: Rate exceeded"), sayMayNot("register a revision", why)},
	}
}

// failures are all failures that the reasoning finds.
func failures() []Evidence {
	return []Evidence{
		failMigrationExited(1), failMigrationTimeout(10 * time.Minute), failMigrationAssumed(), failMigrationLost("its task is no longer visible and nobody saw its exit code"),
		failMigrationNotStarted(Stop{Class: observed.ClassBlocked, Reason: "SecretUnavailable", Message: "ResourceInitializationError: unable to pull secrets"}),
		failMigrationUnasked(15*time.Minute, Trouble{Kind: "unavailable", Message: "RESOURCE:FARGATE Capacity is unavailable at this time"}),
		failRefused("roll", "InvalidParameterException: TaskDefinition is inactive"), failUnasked(15*time.Minute, nil), failUnasked(15*time.Minute, &Trouble{Kind: "blocked", Code: "ServiceNotActiveException", Message: "ServiceNotActiveException"}), failUnasked(15*time.Minute, &Trouble{Kind: "throttled", Code: "ThrottlingException", Message: "ThrottlingException: Rate exceeded"}),
		failDeployedBy("CODE_DEPLOY"), failDeployedBy("BLUE_GREEN"), failDeployedBy("DAEMON"), failContested(3), failRolledBack("rolled back by a person"), failLate(15*time.Minute, observed.Reading{Detail: "1 of 2 tasks run"}),
		failLate(15*time.Minute, observed.Reading{Class: observed.ClassInfrastructure, Reason: "TasksNotPlaced", Detail: "1 of 2 tasks run, and ECS starts no others"}), failNoData(observed.Reading{Check: "logs", Detail: `no log line matches the required pattern "listening" yet`}),
		failNoData(observed.Reading{Check: "logs", Class: observed.ClassBlocked, Reason: "LogGroupMissing", Detail: "the logs could not be read: ResourceNotFoundException"}),
	}
}

// The document is the golden file: whoever changes a sentence changes it, and sees the sentence among the others.
func TestSentences(t *testing.T) {
	var doc strings.Builder
	doc.WriteString("# What the controller says\n\nEvery sentence that it can say about a service, with likely names in it, and what a person can do next. The page, the\n" +
		"API (`why`, `next`), the command line and the log say the same words. Written by a test: `go test ./controller/rollout -run TestSentences -update`.\n")
	for _, title := range []string{"What runs is what is to run", "What is waited for", "What is being done", "What cannot be begun", "What needs a person", "What somebody else deployed", "Which calls fail"} {
		fmt.Fprintf(&doc, "\n## %s\n\n| sentence | state | what it says | what to do |\n|---|---|---|---|\n", title)
		for _, s := range sayings()[title] {
			state := string(s.state)
			if state == "" {
				state = "*as before*"
			}
			fmt.Fprintf(&doc, "| %s | %s | %s | %s |\n", s.id, state, cell(s.why), cell(s.next))
		}
	}
	doc.WriteString("\n## Why a version fails\n\nWhat the reasoning itself finds, besides what the checks do. The class decides what follows: a version is rejected for its own\n(`product`) fault only.\n\n| reason | class | what it says |\n|---|---|---|\n")
	for _, e := range failures() {
		fmt.Fprintf(&doc, "| %s | %s | %s |\n", e.Reason, e.Class, cell(e.Message))
	}
	if *update {
		if err := os.WriteFile(sentencesFile, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(sentencesFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), doc.String()); diff != "" {
		t.Errorf("the sentences differ from docs/sentences.md; if that is meant, run\ngo test ./controller/rollout -run TestSentences -update\n%s", diff)
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// Each sentence is one, and says what to do.
func TestSentencesAreSentences(t *testing.T) {
	ids := map[string]bool{}
	for _, list := range sayings() {
		for _, s := range list {
			if ids[s.id] {
				t.Errorf("%s: two sentences have this name", s.id)
			}
			ids[s.id] = true
			for what, text := range map[string]string{"why": s.why, "next": s.next} {
				if text == "" || !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") || strings.Contains(text, "..") || strings.Contains(text, "  ") || strings.Contains(text, "%!") {
					t.Errorf("%s: %s is no sentence: %q", s.id, what, text)
				}
			}
		}
	}
}

// Nothing is said, and nothing fails, in words that the document does not have: words are made only by the functions of
// saying.go, saying_waits.go and failure.go, and each of those is in the tables above.
func TestSentencesAreAll(t *testing.T) {
	made := map[string]string{} // by the function that says it
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				lit, ok := n.(*ast.CompositeLit)
				if !ok || len(lit.Elts) == 0 {
					return true
				}
				if name, ok := lit.Type.(*ast.Ident); ok && (name.Name == "told" || name.Name == "Evidence") {
					made[f.Name.Name] = file
				}
				return true
			})
		}
	}
	delete(made, "failed") // passes on what a check found
	test, err := os.ReadFile("sentences_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range made {
		if !slices.Contains([]string{"saying.go", "saying_waits.go", "failure.go"}, file) {
			t.Errorf("%s in %s has words of its own; give them a function in saying.go, saying_waits.go or failure.go", name, file)
		}
		if !strings.Contains(string(test), name+"(") {
			t.Errorf("%s is not among the samples here", name)
		}
	}
	if len(made) < 60 {
		t.Errorf("found %d functions that say something; the search is broken", len(made))
	}
}
