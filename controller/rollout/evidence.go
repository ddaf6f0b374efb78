package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/canteen/deploy/controller/observed"
)

// collect completes the evidence with what the account shows now.
func collect(e Evidence, in Input) Evidence {
	ro, seen := in.rolloutSeen()
	e.Complete = in.Look.Tasks
	for _, t := range seen {
		if len(e.Tasks) == evidenceTasksMax {
			break
		}
		e.Tasks = append(e.Tasks, taskEvidence(t))
	}
	e.Targets = append(slices.Clone(e.Targets), unhealthyTargets(in.Seen.Targets)...)
	for _, ev := range in.Seen.Events {
		if len(e.Events) == evidenceEventsMax {
			break
		}
		e.Events = append(e.Events, clip(ev.Message))
	}
	for _, a := range in.Seen.Alarms {
		if a.State == observed.AlarmRed {
			e.Alarms = append(e.Alarms, a)
		}
	}
	e.Log = append(slices.Clone(e.Log), lines(in, ro)...)
	return e
}

// unhealthyTargets tells the first targets that are not healthy, and how many more there are: a balancer may have thousands, and what is
// kept must fit an item of the ledger.
func unhealthyTargets(targets []observed.Target) []string {
	var out []string
	more := 0
	for _, t := range targets {
		switch {
		case t.State == "healthy":
		case len(out) == evidenceTargetsMax:
			more++
		default:
			out = append(out, clip(strings.TrimSpace(fmt.Sprintf("%s:%d %s %s %s", t.ID, t.Port, t.State, t.Reason, t.Description))))
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return out
}

// rolloutSeen are the stopped tasks that the failure is about: the migration's, or the deployment's.
func (in Input) rolloutSeen() (migration bool, tasks []observed.Task) {
	if in.Look.MigrationLog {
		if in.Seen.Migration != nil {
			tasks = append(tasks, *in.Seen.Migration)
		}
		return true, tasks
	}
	for _, t := range in.Seen.Tasks {
		if t.Deployment == in.Look.Deployment && t.Stopped() {
			tasks = append(tasks, t)
		}
	}
	return false, tasks
}

func taskEvidence(t observed.Task) TaskEvidence {
	e := TaskEvidence{Task: t.ID(), StopCode: t.StopCode, Reason: clip(t.StoppedReason), ExitCodes: map[string]int{}}
	for _, c := range t.Containers {
		if c.Exited {
			e.ExitCodes[c.Name] = c.ExitCode
		}
		if c.Reason != "" {
			e.Containers = append(e.Containers, c.Name+": "+clip(c.Reason))
		}
	}
	return e
}

func lines(in Input, migration bool) []string {
	var out []string
	if migration {
		out = append(out, in.Seen.MigrationLog...)
	} else if in.Seen.Logs != nil {
		for _, l := range in.Seen.Logs.Tail {
			out = append(out, l.Message)
		}
	}
	return clipped(out, evidenceLinesMax)
}

// clipped are the last lines, so many at most, each bounded and redacted.
func clipped(lines []string, most int) []string {
	var out []string
	for _, l := range lines[max(0, len(lines)-most):] {
		out = append(out, clip(l))
	}
	return out
}

// clip bounds and redacts one line.
func clip(s string) string {
	s = Redact(s)
	if len(s) > evidenceLineMax {
		s = strings.ToValidUTF8(s[:evidenceLineMax], "") + "…"
	}
	return s
}
