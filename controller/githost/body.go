package githost

import (
	"fmt"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/rollout"
)

// branchPrefix begins the branches of an environment's revert pull requests.
func branchPrefix(environment string) string { return "revert/" + environment + "/" }

// Branch is the branch of the one pull request that puts git right after an ask was rejected.
func Branch(environment, service, ask string) string {
	_, hash, _ := strings.Cut(ask, ":")
	return branchPrefix(environment) + service + "/" + hash[:min(12, len(hash))]
}

// serviceOf is the service that a branch of Branch's is about.
func serviceOf(environment, branch string) (string, bool) {
	rest, ok := strings.CutPrefix(branch, branchPrefix(environment))
	service, hash, two := strings.Cut(rest, "/")
	return service, ok && two && service != "" && hash != ""
}

// Title is the pull request's, and the first line of its commit.
func Title(environment string, w Word) string {
	return fmt.Sprintf("Revert %s in %s to %s", w.Service, environment, w.Revert.Good)
}

// Body is the evidence, in Markdown. What programs and strangers wrote stands in code, where it formats nothing and mentions nobody.
// e is nil where the history has lost the rollout.
func Body(environment, page string, w Word, e *rollout.Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "`%s` was rejected in %s, and `%s` runs again. Until git asks for something else, %s stays there.\n\n",
		inline(w.Revert.Bad), environment, inline(w.Revert.Good), w.Service)
	fmt.Fprintf(&b, "Merging this takes the file back to what it was at %s; nothing is rolled by that. It closes by itself when git moves on.\n\n", w.Revert.Commit)
	fmt.Fprintf(&b, "| | |\n|---|---|\n| asked for by | %s |\n| rejected at | %s |\n| by | check `%s`, reason `%s` |\n", w.Commit,
		w.At.UTC().Format("2006-01-02 15:04:05 UTC"), inline(w.Revert.Check), inline(w.Revert.Reason))
	if address := Evidence(page, w.Service, w.Rollout); address != "" {
		fmt.Fprintf(&b, "| evidence | %s |\n", address)
	}
	section(&b, "Why", strings.Split(w.Why, "\n"))
	if e == nil || e.Evidence == nil {
		return b.String()
	}
	var tasks []string
	for _, t := range e.Evidence.Tasks {
		tasks = append(tasks, describe(t))
	}
	section(&b, "Stopped tasks", tasks)
	section(&b, "Targets", e.Evidence.Targets)
	section(&b, "Last log lines", e.Evidence.Log)
	section(&b, "Events of ECS", e.Evidence.Events)
	return b.String()
}

func describe(t rollout.TaskEvidence) string {
	parts := []string{t.Task, t.StopCode, t.Reason}
	var exits []string
	for name, code := range t.ExitCodes {
		exits = append(exits, fmt.Sprintf("%s exited with %d", name, code))
	}
	slices.Sort(exits)
	parts = append(append(parts, exits...), t.Containers...)
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// bodyMax keeps the body below GitHub's 65536 characters: each of the four sections may have a quarter.
const bodyMax = 12000

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	text := strings.ToValidUTF8(strings.Join(lines, "\n"), "?")
	if r := []rune(text); len(r) > bodyMax {
		text = string(r[:bodyMax]) + "\n…"
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "\n**%s**\n\n%s\n%s\n%s\n", title, fence, text, fence)
}

func inline(s string) string { return strings.NewReplacer("`", "'", "\n", " ", "|", "/").Replace(s) }
